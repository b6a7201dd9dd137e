package redact

import (
	"slices"
	"strings"
)

// secrets are the words that name a secret; what they are part of may be spelt apiKey, api-key or
// API_KEY. A short one counts only where a word begins.
var secrets = []struct {
	word  string
	short bool
}{
	{"passphrase", false}, {"password", false}, {"passwd", false}, {"pwd", false}, {"pass", false}, {"secret", false}, {"token", false},
	{"credential", false}, {"signature", false}, {"authorization", false}, {"cookie", false}, {"bearer", false}, {"key", false},
	{"connectionstring", false}, {"connection-string", false}, {"connection_string", false},
	{"auth", false}, {"cred", true}, {"creds", true}, {"sig", true}, {"pat", true}, {"psk", true}, {"dsn", true}, {"sas", true},
}

// harmless are the words at the end of a name by which it names something about a secret.
var harmless = []string{
	"file", "files", "path", "paths", "dir", "directory", "folder", "url", "uri", "name", "names", "ttl", "type", "ref", "length", "len",
	"policy", "expiry", "expires", "expiration", "enabled", "required", "method", "mount", "count", "algorithm", "alg", "format", "endpoint",
	"host", "port", "issuer", "audience", "provider", "version", "namespace", "class", "seconds", "days", "mode",
}

// suffixes may follow the word without a new word beginning.
var suffixes = []string{"s", "value", "values", "string", "text", "hash", "data", "base64"}

// longestName bounds the names that are looked at, in bytes, so that a megabyte of letters is read
// once. What is longer is no name that a program knows.
const longestName = 128

// Sensitive reports whether what has this name must not leave: db_password, --auth-token, apiKey,
// SECRET_KEY_BASE, PASSWORD2, but not password-file.
func Sensitive(name string) bool {
	name = strings.TrimLeft(name, "-")
	if name == "" || len(name) > longestName {
		return false
	}
	lower := strings.ToLower(name)
	for _, secret := range secrets {
		at := strings.LastIndex(lower, secret.word)
		if at < 0 || len(lower) != len(name) || secret.short && !begins(name, at) || secret.word == "key" && at == 0 {
			continue
		}
		if namesIt(name, lower, at+len(secret.word)) {
			return true
		}
	}
	return false
}

// begins reports whether a word begins at a byte of a name.
func begins(name string, at int) bool {
	return at == 0 || strings.IndexByte("-_./", name[at-1]) >= 0 || isUpper(name[at]) && !isUpper(name[at-1])
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// namesIt reports whether a name whose word for a secret ends at a byte names the secret itself.
func namesIt(name, lower string, end int) bool {
	for end < len(name) && '0' <= name[end] && name[end] <= '9' {
		end++
	}
	rest := strings.TrimRight(lower[end:], "0123456789")
	if rest == "" || slices.Contains(suffixes, rest) {
		return true
	}
	if rest[0] == 's' && len(rest) > 1 {
		end++
	}
	if !begins(name, end) && strings.IndexByte("-_.", name[end]) < 0 {
		return false // compassion, authority, passenger
	}
	for _, word := range harmless {
		if strings.HasSuffix(rest, word) && begins(name, len(strings.TrimRight(lower, "0123456789"))-len(word)) {
			return false
		}
	}
	return true
}

func isNameByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// assignments takes out what is given to a sensitive name by = or : , as in password=…, "token": "…",
// 'key' => '…' and Authorization: Basic ….
func assignments(s string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '=' && s[i] != ':' || i < done {
			continue
		}
		start, end := given(s, done, i)
		if start == end {
			continue
		}
		b.WriteString(s[done:start])
		b.WriteString(masked(s[start:end]))
		done, i = end, end-1
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// given is where the value starts and ends that is given by the mark at a byte, to a sensitive name
// that stands before it and not before from. Both are one if nothing is.
func given(s string, from, mark int) (start, end int) {
	name, quoted, slash := nameBefore(s[from:mark])
	if !Sensitive(name) {
		return mark, mark
	}
	rest := strings.TrimPrefix(s[mark+1:], ">") // => in Ruby and PHP
	value := strings.TrimLeft(rest, " \t\r\n")
	glued := len(value) == len(rest)
	if s[mark] == ':' && glued && !quoted && (slash || !endsWithSecret(name)) {
		return mark, mark // an image: oauth2-proxy:7.4, team/token:1.2
	}
	start = len(s) - len(value)
	end = valueEnd(s, start)
	if s[mark] == ':' && isHeader(name) {
		end = max(end, lineEnd(s, start))
	}
	return start, end
}

// isHeader reports whether a name is that of a header whose value has several words.
func isHeader(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, "authorization") || strings.HasSuffix(name, "cookie")
}

// masked is what stands for a value: a trailing comma, semicolon or ampersand is no part of it.
func masked(value string) string {
	return mask + value[len(strings.TrimRight(value, ",;&)]}")):]
}

// endsWithSecret reports whether a name ends with the word for a secret, and nothing behind it.
func endsWithSecret(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), "s")
	for _, secret := range secrets {
		if strings.HasSuffix(name, secret.word) {
			return true
		}
	}
	return false
}

// nameBefore is the name at the end of a text, which may be in quotes and have spaces behind it;
// slash says that it is the last element of a path.
func nameBefore(s string) (name string, quoted, slash bool) {
	trimmed := strings.TrimRight(s, " \t")
	unquoted := strings.TrimRight(trimmed, `"'\`+"`]")
	start := len(unquoted)
	for start > 0 && isNameByte(unquoted[start-1]) && len(unquoted)-start <= longestName {
		start--
	}
	return unquoted[start:], len(unquoted) < len(trimmed), start > 0 && unquoted[start-1] == '/'
}

// schemes stand before the secret in the value of a header; | and > before a text of several lines.
var schemes = []string{"bearer", "basic", "digest", "negotiate", "token", "apikey", "|", ">", "|-", ">-"}

// valueEnd is where the value ends that begins at start: behind its closing quote, or before the
// next space or quote. Brackets and escaped characters are part of it.
func valueEnd(s string, start int) int {
	end := wordEnd(s, start)
	for _, scheme := range schemes {
		if !strings.EqualFold(s[start:end], scheme) {
			continue
		}
		next := end + len(s[end:]) - len(strings.TrimLeft(s[end:], " \t\r\n"))
		return wordEnd(s, next)
	}
	return end
}

// wordEnd is where a value ends that is one word or quoted: after its closing quote, or before the
// next space or quote that is in no brackets.
func wordEnd(s string, start int) int {
	quote := start + len(s[start:]) - len(strings.TrimLeft(s[start:], `\`))
	switch rest := s[start:]; {
	case rest == "":
		return start
	case strings.HasPrefix(rest, "$'"), strings.HasPrefix(rest, `$"`):
		return quotedEnd(s, start+1)
	case isQuote(rest[0]):
		return quotedEnd(s, start)
	case quote > start && quote < len(s) && isQuote(s[quote]): // a text in a text: \"…\"
		return closed(s, quote+1, s[start:quote+1])
	}
	depth := 0
	for i := start; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			i++
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			depth = max(depth-1, 0)
		default:
			if depth == 0 && (isSpace(c) || isQuote(c)) {
				return i
			}
		}
	}
	return len(s)
}

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

// quotedEnd is where the quoted text ends that begins at start: behind its closing quote.
func quotedEnd(s string, start int) int {
	for i := start + 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[start] != '\'':
			i++
		case s[i] == s[start]:
			return i + 1
		}
	}
	return len(s)
}

// lineEnd is where a line ends, or the quotes that it is in.
func lineEnd(s string, start int) int {
	if at := strings.IndexAny(s[start:], "\"'\n"); at >= 0 {
		return start + at
	}
	return len(s)
}

// closed is where a text ends, from a byte on, behind what closes it.
func closed(s string, from int, closing string) int {
	if at := strings.Index(s[from:], closing); at >= 0 {
		return from + at + len(closing)
	}
	return len(s)
}

func isSpace(c byte) bool { return strings.IndexByte(" \t\r\n\v\f", c) >= 0 }

// nameEnd is where the name that begins at a byte ends.
func nameEnd(s string, from int) int {
	for from < len(s) && isNameByte(s[from]) {
		from++
	}
	return from
}

// options takes out what follows a sensitive option, as in --token … and "--password", "…".
func options(s string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '-' || i < done || i > 0 && isNameByte(s[i-1]) {
			continue
		}
		end := nameEnd(s, i)
		start := end + len(s[end:]) - len(strings.TrimLeft(s[end:], " \t\r\n\"',\\"))
		if start == end || start == len(s) || s[start] == '-' || strings.HasPrefix(s[start:], mask) || !Sensitive(s[i:end]) {
			i = max(i, end-1)
			continue
		}
		if quote := s[start-1]; quote == '"' || quote == '\'' {
			start--
		}
		valueEnds := wordEnd(s, start)
		b.WriteString(s[done:start])
		b.WriteString(mask)
		done, i = valueEnds, valueEnds-1
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}
