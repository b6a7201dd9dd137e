// Package redact takes secrets out of text before it leaves in messages, logs and records.
package redact

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// longest is the longest text that leaves, in bytes: a denial must stay readable, and an offending
// value can be as long as an object.
const longest = 512

var (
	// userinfo is user and password in a URL.
	userinfo = regexp.MustCompile(`(://)[^/\s@]+@`)
	// query is a URL's query, which holds signatures and tokens.
	query = regexp.MustCompile(`(://[^\s?#"]+)\?[^\s"]*`)
	// assignment is a secret that is given by name, as in password=… or --token …
	assignment = regexp.MustCompile(`(?i)([\w.-]*(?:passw(?:or)?d|passwd|pwd|secret|token|api[-_]?key|access[-_]?key|credential)s?\s*[=:]\s*)[^\s,;&"']+`)
)

// Text returns s without credentials in URLs and without values that are given to a name such as
// password. It shortens what is longer than 512 bytes.
func Text(s string) string {
	if strings.Contains(s, "://") {
		s = query.ReplaceAllString(s, "$1")
		s = userinfo.ReplaceAllString(s, "$1")
	}
	if strings.ContainsAny(s, "=:") {
		s = assignment.ReplaceAllString(s, "${1}…")
	}
	if len(s) <= longest {
		return s
	}
	cut := longest
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
