package validate

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// longestWarning is the longest warning in characters: clients may cut longer ones
	// (k8s.io/api/admission/v1 AdmissionResponse.Warnings).
	longestWarning = 120
	// mostWarnings keeps all warnings of a response below the API server's 4096 characters
	// (k8s.io/apiserver/pkg/endpoints/filters/warning.go).
	mostWarnings = 20
)

// Warnings bounds the warnings of an answer: at most 20 of at most 120 characters each. A longer
// text goes on in the next one, since its end is often what to do about it; the last one says if
// something was left out.
func Warnings(texts []string) []string {
	var warnings []string
	for i, text := range texts {
		parts := wrap(text)
		if len(warnings)+len(parts) > mostWarnings {
			return append(warnings, fmt.Sprintf("plainspec: and %d more", len(texts)-i))
		}
		warnings = append(warnings, parts...)
	}
	return warnings
}

// mostParts bounds how far one text goes on; what is longer is cut.
const mostParts = 5

// wrap breaks a text into warnings between words. What a text goes on with starts with "…".
func wrap(text string) []string {
	var parts []string
	for more := ""; ; more = "… " {
		text = more + text
		if utf8.RuneCountInString(text) <= longestWarning {
			return append(parts, text)
		}
		runes := []rune(text)
		if len(parts) == mostParts-1 {
			return append(parts, string(runes[:longestWarning-1])+"…")
		}
		end := longestWarning
		for end > longestWarning/2 && runes[end] != ' ' {
			end--
		}
		if end == longestWarning/2 {
			end = longestWarning // one long word
		}
		parts = append(parts, string(runes[:end]))
		text = strings.TrimLeft(string(runes[end:]), " ")
	}
}
