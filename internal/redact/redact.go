// Package redact takes secrets out of text before it leaves in messages, logs and records.
package redact

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// longest is the longest text that leaves, in bytes: a denial must stay readable, and an offending
	// value can be as long as an object.
	longest = 512
	// longestRead is how much of a text is looked at, in bytes: a megabyte would take 0.2 s. It is
	// more than leaves, so that a secret in what leaves is seen with its end.
	longestRead = 8 * longest
)

// sensitive matches names of what must not leave.
const sensitive = `[\w.-]*(?:pass(?:w(?:or)?d|phrase)?|pwd|secret|token|(?:api|access|private)[-_]?key|credential|signature|sig)s?`

var (
	// userinfo is user and password in a URL. The password may hold an @ or, if it is no port, a slash.
	userinfo = regexp.MustCompile(`(://)(?:[^/\s:@]*:\d*[^/\s@\d][^\s"]*@|[^/\s"]+@)`)
	// bareUserinfo is the same without a scheme; what precedes a digest is a tag.
	bareUserinfo = regexp.MustCompile(`[^\s/:@"']+:[^\s/@"']+@(?:sha\d+:)?`)
	// query is a URL's query, which holds signatures and tokens.
	query = regexp.MustCompile(`(://[^\s?#"]+)\?[^\s"]*`)
	// assignment is a secret that is given by name, as in password=…, option one as in --token ….
	assignment = regexp.MustCompile(`(?i)(` + sensitive + `\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&"']+)`)
	option     = regexp.MustCompile(`(?i)( --?` + sensitive + `\s+)[^\s,;&"'-][^\s,;&"']*`)
)

// Text returns s without credentials in URLs and without values that are given to a name such as
// password, on one line of printable characters. It shortens what is longer than 512 bytes.
func Text(s string) string {
	s = Visible(cut(s, longestRead))
	if strings.Contains(s, "://") {
		s = query.ReplaceAllString(s, "$1")
		s = userinfo.ReplaceAllString(s, "$1")
	}
	if strings.Contains(s, "@") {
		s = bareUserinfo.ReplaceAllStringFunc(s, func(found string) string {
			if strings.HasSuffix(found, ":") {
				return found
			}
			return ""
		})
	}
	if strings.ContainsAny(s, "=:") {
		s = assignment.ReplaceAllString(s, "${1}…")
	}
	if strings.Contains(s, " -") {
		s = option.ReplaceAllString(s, "${1}…")
	}
	return cut(s, longest)
}

// cut shortens a text to a number of bytes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) && most > 0 {
		most--
	}
	return s[:most] + "…"
}

// Visible returns s with what is not printable written as Go writes it, so that a value can neither
// forge a line of a message nor command a terminal.
func Visible(s string) string {
	if !strings.ContainsFunc(s, hidden) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }
