// Package redact takes secrets out of text before it leaves in messages, logs and records.
//
// It knows a secret by what stands around it: the name that it is given to (password=…, --token …,
// "apiKey": …, {"name":"DB_PASSWORD","value":…}), a header, a URL's user, password and query, the
// options of well-known programs (mysql -p…, curl -u …), and by forms that only tokens and keys have.
// What is given to a name ends with the word, its quotes or brackets; with the line or the quotes
// around name and value, if it can have several words there. What a program reads is told by tables:
// which words name secrets and which only seem to (names.go), how tokens begin (tokens.go), and which
// options of which program take a password (programs.go). What is in doubt is taken out, unless it is
// a switch, a file's path, or the tag of an image. A secret that nothing marks, such as the one in
// "mytool hunter2", cannot be known, and stays.
//
// A text is gone through a fixed number of times, each linear in its length, and only its beginning
// is looked at.
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
	// userinfo is user and password in a URL, of which cleaning as a path may have left one slash: all to
	// the last @, whatever it holds. Kept is a host with a dot and its port, behind which an @ is part of
	// a path.
	userinfo = regexp.MustCompile(`(://[^/\s:@"]*\.[^/\s:@"]*:\d+/)|(://?)[^/\s:@"]*:[^\s"]*@|(://)[^/\s"]+@`)
	// bareUserinfo is the same without a scheme. Kept are hosts, and what names a package; a slash after
	// the colon begins a path, and what precedes a digest is a tag.
	bareUserinfo = regexp.MustCompile(kept + `|[^\s/:@"'=,;(]+:[^\s/@"'][^\s"']*@(?:sha\d+:)?`)
	keptUserinfo = regexp.MustCompile(`^` + kept)
	digest       = regexp.MustCompile(`^sha\d+:`)
	// query is a URL's query, which holds signatures and tokens; another URL may follow.
	query   = regexp.MustCompile(`(://[^\s?#"]+)\?[^\s"]*`)
	another = regexp.MustCompile(`[,;]\w+://`)
	// bearer is a token behind its scheme.
	bearer = regexp.MustCompile(`(?i)\b(bearer\s+)[\w.~+/=-]+`)
	// spoken is a password in SQL.
	spoken = regexp.MustCompile(`(?i)\b(identified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?|password\s+)(?:'[^']*(?:'|$)|"[^"]*(?:"|$))`)
	// privateKey is a key as PEM, to its end or to where the text was cut.
	privateKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`)
)

// kept is what looks like user and password, and is a host with its port or a package.
const kept = `(?:[^\s/:@"'=,;(]*\.[^\s/:@"'=,;(]*:\d+/|\b(?:npm|jsr|maven|pkg):[^\s@"',;]*@(?:v?\d+\b|[jwe]ar\b)|\bmailto:)`

// clean takes out of a text what its marks show to be secret.
func clean(s string) string {
	if strings.Contains(s, "-----BEGIN ") {
		s = privateKey.ReplaceAllString(s, mask)
	}
	s = withoutUsers(s)
	if strings.Contains(s, "://") {
		s = withoutQueries(s)
	}
	if strings.ContainsAny(s, "=:,") {
		s = assignments(s)
	}
	if strings.Contains(s, "-") {
		s = options(s)
	}
	if strings.Contains(s, "earer") || strings.Contains(s, "EARER") {
		s = bearer.ReplaceAllString(s, "${1}"+mask)
	}
	if strings.ContainsAny(s, `'"`) {
		s = spoken.ReplaceAllString(s, "${1}"+mask)
	}
	return tokens(s)
}

// Userinfo returns a text without the users and passwords of the URLs in it.
func Userinfo(s string) string { return userinfo.ReplaceAllString(s, "$1$2$3") }

// withoutUsers returns a text without users and passwords: only what is around an @ can be some.
func withoutUsers(s string) string {
	const spaces = " \t\r\n\f"
	var b strings.Builder
	done := 0
	for {
		at := strings.IndexByte(s[done:], '@')
		if at < 0 {
			break
		}
		at += done
		start, end := done+strings.LastIndexAny(s[done:at], spaces)+1, until(s, at, spaces)
		b.WriteString(s[done:start])
		b.WriteString(bareUserinfo.ReplaceAllStringFunc(Userinfo(s[start:end]), withoutUserinfo))
		done = end
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// withoutQueries returns a text without the queries of the URLs in it.
func withoutQueries(s string) string {
	if !strings.Contains(s, "?") {
		return s
	}
	var b strings.Builder
	done := 0
	for _, at := range another.FindAllStringIndex(s, -1) {
		b.WriteString(query.ReplaceAllString(s[done:at[0]], "$1"))
		done = at[0]
	}
	b.WriteString(query.ReplaceAllString(s[done:], "$1"))
	return b.String()
}

// withoutUserinfo cuts what bareUserinfo found to what stands behind user and password.
func withoutUserinfo(found string) string {
	if keptUserinfo.MatchString(found) {
		return found
	}
	for rest := found; ; {
		at := strings.LastIndexByte(rest, '@')
		if at < 0 {
			return found // only digests
		}
		if !digest.MatchString(found[at+1:]) {
			return found[at+1:]
		}
		rest = rest[:at]
	}
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
