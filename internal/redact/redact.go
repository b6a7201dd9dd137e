// Package redact takes secrets out of text before it leaves in messages, logs and records.
//
// It knows a secret by what stands around it: the name that it is given to (password=…, --token …,
// "apiKey": …), a header, a URL's user, password and query, the options of well-known programs
// (mysql -p…, curl -u …), and by forms that only tokens and keys have. A secret that nothing marks,
// such as the one in "mytool hunter2", cannot be known, and stays.
package redact

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// longest is the longest text that leaves, in bytes of JSON (Size): a denial must stay readable, and
	// an offending value can be as long as an object.
	longest = 512
	// longestRead is how much of a text is looked at, in bytes: a megabyte would take 0.2 s. It is
	// more than leaves, so that a secret in what leaves is seen with its end.
	longestRead = 8 * longest
	// mask stands for what was taken out, and for what was cut off.
	mask = "…"
)

// Text returns s without the secrets that can be known as such, on one line of printable
// characters. It shortens what is longer than 512 bytes of JSON.
func Text(s string) string {
	return cut(Visible(clean(begin(s, longestRead))), longest)
}

// Name returns the name of a user or an object on one line of printable characters, shortened to 512
// bytes of JSON. Nothing is taken out: a record says who.
func Name(s string) string { return cut(Visible(whole(s, longestRead)), longest) }

// Size is how many bytes a text of printable characters takes in JSON as Kubernetes writes it,
// without the quotes.
func Size(s string) int {
	size := 0
	for i := range len(s) {
		size += sizeOf(s[i])
	}
	return size
}

func sizeOf(c byte) int {
	switch c {
	case '"', '\\':
		return 2
	case '<', '>', '&':
		return len(`\u003c`)
	}
	return 1
}

// cut shortens a text to a number of bytes of JSON.
func cut(s string, most int) string {
	for i := range len(s) {
		if most -= sizeOf(s[i]); most < 0 {
			return whole(s, i) + mask
		}
	}
	return s
}

// whole is the beginning of a text up to a number of bytes, without half a character.
func whole(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) && most > 0 {
		most--
	}
	return s[:most]
}

// begin is the beginning of a text. Of the word that it would cut, only what stands before a mark is
// left: without its end nobody can tell a URL's password from its host.
func begin(s string, most int) string {
	if len(s) <= most {
		return s
	}
	s = whole(s, most)
	last := strings.LastIndexAny(s, " \t\r\n") + 1
	if mark := strings.IndexAny(s[last:], "=:@"); mark >= 0 {
		s = s[:last+mark+1]
	}
	return s + mask
}

var (
	// userinfo is user and password in a URL. The password may hold an @ or, if it is no port, a slash.
	userinfo = regexp.MustCompile(`(://)(?:[^/\s:@]*:\d*[^/\s@\d][^\s"]*@|[^/\s"]+@)`)
	// bareUserinfo is the same without a scheme; what precedes a digest is a tag.
	bareUserinfo = regexp.MustCompile(`[^\s/:@"']+:[^\s/@"']+@(?:sha\d+:)?`)
	// query is a URL's query, which holds signatures and tokens.
	query = regexp.MustCompile(`(://[^\s?#"]+)\?[^\s"]*`)
	// bearer is a token behind its scheme.
	bearer = regexp.MustCompile(`(?i)\b(bearer\s+)[\w.~+/=-]+`)
	// privateKey is a key as PEM, to its end or to where the text was cut.
	privateKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`)
	// shaped are tokens that are known by how they begin: JWT, GitHub, GitLab, Slack, npm, AWS, Vault,
	// Google, OpenAI, PyPI.
	shaped = regexp.MustCompile(`\b(?:eyJ[\w-]{8,}\.[\w.-]+|gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{8,}|` +
		`npm_\w{16,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|hv[sb]\.[\w-]{16,}|AIza[\w-]{30,}|sk-[\w-]{16,}|pypi-[\w-]{16,})`)
	// shapes are the beginnings of shaped: looking for them takes less time.
	shapes = []string{"eyJ", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "npm_", "AKIA", "ASIA", "hvs.", "hvb.", "AIza", "sk-", "pypi-"}
)

// clean takes out of a text what its marks show to be secret.
func clean(s string) string {
	if strings.Contains(s, "-----BEGIN ") {
		s = privateKey.ReplaceAllString(s, mask)
	}
	if strings.Contains(s, "://") {
		s = userinfo.ReplaceAllString(s, "$1")
		s = query.ReplaceAllString(s, "$1")
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
		s = assignments(s)
	}
	if strings.Contains(s, "-") {
		s = options(s)
	}
	if strings.Contains(s, "earer") || strings.Contains(s, "EARER") {
		s = bearer.ReplaceAllString(s, "${1}"+mask)
	}
	for _, shape := range shapes {
		if strings.Contains(s, shape) {
			return shaped.ReplaceAllString(s, mask)
		}
	}
	return s
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
