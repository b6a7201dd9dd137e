package validate

import (
	"fmt"
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

// Warnings bounds the warnings of an answer: at most 20 texts of at most 120 characters each, and
// one that says how many more there are.
func Warnings(texts []string) []string {
	var warnings []string
	for i, text := range texts {
		if i == mostWarnings {
			return append(warnings, fmt.Sprintf("plainspec: and %d more", len(texts)-mostWarnings))
		}
		warnings = append(warnings, shorten(text, longestWarning))
	}
	return warnings
}

// shorten cuts a text to a number of characters.
func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	return string(runes[:most-1]) + "…"
}
