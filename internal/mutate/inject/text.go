package inject

import (
	"fmt"
	"strconv"
	"strings"

	"plainspec.dev/plainspec/internal/workload"
)

const (
	// listedAtMost bounds enumerations in sentences: people look for the one that they meant.
	listedAtMost = 5
	// quotedAtMost bounds names in sentences, in characters: valid ones have 63, and what is asked
	// about has not been validated yet.
	quotedAtMost = 63
)

// newProblem returns a problem without its field, which Plan knows.
func newProblem(code Code, format string, args ...any) *Problem {
	return &Problem{Code: code, Text: fmt.Sprintf(format, args...)}
}

// list enumerates the first few of some things.
func list[T any](all []T, say func(T) string) string {
	var said []string
	for _, one := range all[:min(len(all), listedAtMost)] {
		said = append(said, say(one))
	}
	text := strings.Join(said, ", ")
	if more := len(all) - len(said); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// quote quotes what a user wrote: on one line, and not longer than it needs to be.
func quote(s string) string {
	if len(s) <= quotedAtMost {
		return strconv.Quote(s)
	}
	return fmt.Sprintf("%.*q…", quotedAtMost, s)
}

// annotation is the name of an annotation for one artifact.
func annotation(key string, a *workload.Asked) string {
	if a.Name == "" {
		return key
	}
	return key + "." + a.Name
}
