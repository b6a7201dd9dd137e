package redact

import (
	"regexp"
	"slices"
	"strings"
)

var (
	// tag is the tag of an image, the object of a module or an absolute path: what follows a colon
	// behind a name that is none of a secret.
	tag = regexp.MustCompile(`^(?:latest|stable|edge|nightly|main|master|dev|test|staging|prod|app|application|server|v?\d{1,4}(?:\.\d{1,6})*(?:-[a-z]{1,12}[\d.]{0,8})*|` +
		`(?:/[a-z0-9._-]+)+/?)(?:$|[\s"'` + "`" + `,;)\]])`)
	// open is a value that is no secret, whatever its name: a switch, or a file that holds one.
	open = regexp.MustCompile(`^["']?(?:(?i:true|false|yes|no|on|off|none|null)|/(?:[\w.-]+/)*[\w.-]+\.(?:key|pem|crt|cer|pub|p12|pfx|jks|jwk|json|ya?ml|conf|cfg|ini|toml|txt|xml|properties|[jw]ar|js|py|sh)|` +
		`/etc(?:/[\w.-]+)+|(?:/var)?/run/secrets(?:/[\w.-]+)+)["']?[,;)\]}]*$`)
	// block are the marks behind which a text of several lines begins.
	block = regexp.MustCompile(`^[ \t]*[|>]?[-+]?[ \t]*\r?\n`)
)

// schemes stand before the secret in the value of a header; | and > before a text of several lines.
var schemes = []string{"bearer", "basic", "digest", "negotiate", "token", "apikey", "|", ">", "|-", ">-"}

// assignments takes out what is given to a sensitive name by = or : , as in password=…, "token": "…",
// 'key' => '…' and Authorization: Basic …; or by a comma in a call, as in define('PASSWORD', '…'); or
// as the value beside a sensitive name, as in name=PASSWORD,value=….
func assignments(s string) string {
	var b strings.Builder
	done, named := 0, false
	for i := 0; i < len(s); i++ {
		if s[i] != '=' && s[i] != ':' && s[i] != ',' || i < done {
			continue
		}
		g := giving{text: s, from: done, mark: i}
		g.readName()
		start, end := i, i
		if g.sensitive(named) {
			start, end = g.value()
		}
		if member := strings.ToLower(g.name); start == end && s[i] != ',' && (strings.HasSuffix(member, "name") || strings.HasSuffix(member, "key")) {
			named = g.givesSensitive()
		}
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

// giving is a mark in a text that gives a value to a name.
type giving struct {
	text  string
	from  int // where the text begins that is not yet looked at
	mark  int
	name  string
	start int // where the name begins
	// quoted says that a quote or bracket is behind the name.
	quoted bool
}

// readName reads the name before the mark, which may be in quotes and have spaces behind it.
func (g *giving) readName() {
	before := g.text[g.from:g.mark]
	trimmed := strings.TrimRight(strings.TrimRight(before, "+?"), " \t")
	unquoted := strings.TrimRight(trimmed, `"'\`+"`]")
	start := len(unquoted)
	for start > 0 && isNameByte(unquoted[start-1]) && len(unquoted)-start <= longestName {
		start--
	}
	g.name, g.start, g.quoted = unquoted[start:], g.from+start, len(unquoted) < len(trimmed)
}

// preceding is the byte before the name; zero if there is none.
func (g *giving) preceding() byte {
	if g.start == g.from {
		return 0
	}
	return g.text[g.start-1]
}

// sensitive reports whether the name is that of a secret; named says that the member before was the
// name of one.
func (g *giving) sensitive(named bool) bool {
	if g.text[g.mark] == ',' {
		called := g.quoted && strings.HasSuffix(strings.TrimRight(g.text[g.from:g.start], `"'\`), "(")
		return called && Sensitive(g.name)
	}
	return Sensitive(g.name) || named && strings.HasSuffix(strings.ToLower(g.name), "value")
}

// givesSensitive reports whether the value is itself the name of a secret.
func (g *giving) givesSensitive() bool {
	value := strings.TrimLeft(g.text[g.mark+1:], " \t\"'\\")
	return Sensitive(value[:nameEnd(value, 0)])
}

// value is where the value starts and ends; both are one if it is none, or no secret.
func (g *giving) value() (start, end int) {
	s, mark := g.text, g.mark
	rest := strings.TrimPrefix(s[mark+1:], ">") // => in Ruby and PHP
	value := strings.TrimLeft(rest, " \t\r\n")
	glued := len(value) == len(rest)
	if s[mark] == ':' && glued && !g.quoted && g.isImage(value) {
		return mark, mark
	}
	start = len(s) - len(value)
	end = valueEnd(s, start)
	if open.MatchString(s[start:end]) {
		return mark, mark
	}
	switch {
	case value == "" || isQuote(value[0]):
	case s[mark] == ':' && block.MatchString(rest):
		end = max(end, g.blockEnd())
	case s[mark] == ':' && strings.HasPrefix(value, `\n`): // lines of a text in quotes
		end = until(s, end, "\"\n")
	default:
		if stops := g.stops(end, glued); stops != "" {
			end = until(s, end, stops)
		}
	}
	return start, end
}

// isImage reports whether name and value are, or begin, an image reference: oauth2-proxy:7.4,
// team/token:mine, auth:latest, team/password:1.2. Otherwise nobody has an image that is called password.
func (g *giving) isImage(value string) bool {
	if !endsWithSecret(g.name) {
		return true
	}
	inFolder, isTag := g.preceding() == '/', tag.MatchString(value)
	if isPassword(g.name) {
		return inFolder && isTag
	}
	return inFolder || isTag
}

// stops are the bytes before which a value ends that may have several words: with its line, or with the
// quotes or separators that it is in. None if it has one word, which ends at a byte that is given.
func (g *giving) stops(end int, glued bool) string {
	colon, before := g.text[g.mark] == ':', g.preceding()
	switch {
	case colon && isHeader(g.name):
		return "\"'\n"
	case isQuote(before) && !g.quoted && (colon || !glued):
		return string(before) + "\n"
	case before == ';' && g.isSetting(end):
		return ";\"'\n"
	case glued:
		return ""
	case g.beginsLine("\n"):
		return "\n"
	case g.beginsLine(`\n`):
		return `\"` + "\n"
	}
	return ""
}

// beginsLine reports whether the name is the first word of a line behind a line break, which is two
// characters in a text that is quoted.
func (g *giving) beginsLine(lineBreak string) bool {
	if g.preceding() == '\\' && g.name[0] == 'n' {
		return lineBreak == `\n`
	}
	return strings.HasSuffix(strings.TrimRight(g.text[g.from:g.start], "- \t"), lineBreak)
}

// isSetting reports whether the value goes on, and what stands before the name and a semicolon is a
// setting, too, as in Server=db;Password=….
func (g *giving) isSetting(end int) bool {
	before := g.text[g.from : g.start-1]
	before = before[strings.LastIndexAny(before, ";\"'\n")+1:]
	return end < len(g.text) && isSpace(g.text[end]) && (strings.Contains(before, "=") || before == "" && g.from > 0)
}

// blockEnd is where the lines end that are deeper than the name's, or that are items of it.
func (g *giving) blockEnd() int {
	s := g.text
	begin := strings.LastIndexByte(s[g.from:g.start], '\n') + 1 + g.from
	depth := len(s[begin:g.start]) - len(strings.TrimLeft(s[begin:g.start], "- \t\"'"))
	end := until(s, g.mark, "\n")
	for end < len(s) {
		next := until(s, end+1, "\n")
		line := s[end+1 : next]
		text := strings.TrimLeft(line, " \t")
		indent := len(line) - len(text)
		if strings.TrimSpace(text) != "" && indent <= depth && (indent < depth || !strings.HasPrefix(text, "- ")) {
			break
		}
		end = next
	}
	return end
}

// masked is what stands for a value: a trailing comma, semicolon or ampersand is no part of it.
func masked(value string) string {
	return mask + value[len(strings.TrimRight(value, ",;&)]}")):]
}

// valueEnd is where the value ends that begins at start: behind its closing quote, or before the
// next space or quote. Brackets and escaped characters are part of it, and so is what follows a scheme
// or a name that is part of it.
func valueEnd(s string, start int) int {
	end := wordEnd(s, start)
	word := s[start:end]
	if strings.HasSuffix(word, ":") || slices.ContainsFunc(schemes, func(scheme string) bool { return strings.EqualFold(word, scheme) }) {
		return wordEnd(s, end+len(s[end:])-len(strings.TrimLeft(s[end:], " \t\r\n")))
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

// until is where the first of some bytes is, from a byte on, or the end.
func until(s string, from int, bytes string) int {
	if at := strings.IndexAny(s[from:], bytes); at >= 0 {
		return from + at
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

// nameEnd is where the name that begins at a byte ends, or becomes too long for one.
func nameEnd(s string, from int) int {
	most := min(len(s), from+longestName+1)
	for from < most && isNameByte(s[from]) {
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
		end := i
		for end < len(s) && isNameByte(s[end]) {
			end++
		}
		start := optionValue(s, end)
		if start == end || !Sensitive(s[i:end]) {
			i = max(i, end-1)
			continue
		}
		valueEnds := wordEnd(s, start)
		if open.MatchString(s[start:valueEnds]) {
			i = valueEnds - 1
			continue
		}
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

// optionValue is where the value begins of an option whose name ends at a byte; there if none does,
// or if it is another option or taken out already.
func optionValue(s string, end int) int {
	start := end + len(s[end:]) - len(strings.TrimLeft(s[end:], " \t\r\n\"',\\"))
	apart := strings.ContainsAny(s[end:start], " \t\r\n,")
	if !apart || start == len(s) || strings.IndexByte("-=:", s[start]) >= 0 || strings.HasPrefix(s[start:], mask) {
		return end
	}
	if quote := s[start-1]; quote == '"' || quote == '\'' {
		start--
	}
	return start
}
