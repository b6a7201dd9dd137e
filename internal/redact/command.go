package redact

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	// longestWord is the longest word of a command that leaves, in bytes of JSON. A script says in its first
	// lines what it starts or fetches.
	longestWord = 1024
	// LongestScript is how much of a word of a command is looked at, in bytes.
	LongestScript = 8 * longestWord
	// deepest bounds sh -c "sh -c …".
	deepest = 4
)

// passwordOptions are the short options by which programs take a password: as the next word, or, if
// the letter is in attached, in the same word.
var passwordOptions = map[string]struct{ next, attached string }{
	"mysql": {"p", "p"}, "mysqld": {"p", "p"}, "mysqldump": {"p", "p"}, "mysqladmin": {"p", "p"}, "mysqlimport": {"p", "p"}, "mysqlcheck": {"p", "p"},
	"mysqlshow": {"p", "p"}, "mysqlsh": {"p", "p"}, "mariadb": {"p", "p"}, "mariadb-dump": {"p", "p"}, "mariadb-admin": {"p", "p"},
	"sshpass": {"p", "p"}, "7z": {"p", "p"}, "zip": {"P", "P"}, "unzip": {"P", "P"}, "sqlcmd": {"P", "P"}, "bcp": {"P", "P"},
	"redis-cli": {"a", "a"}, "redis-benchmark": {"a", "a"}, "redis": {"a", ""}, "valkey-cli": {"a", "a"}, "openssl": {"kK", ""}, "ldapsearch": {"w", "w"},
	"ldapadd": {"w", "w"}, "ldapmodify": {"w", "w"}, "ldapdelete": {"w", "w"}, "ldapwhoami": {"w", "w"}, "ldappasswd": {"ws", "ws"},
	"isql": {"P", "P"}, "htpasswd": {"b", ""},
}

var (
	// credentials are user and password, as of curl's -u; two numbers are a user and a group.
	credentials = regexp.MustCompile(`^([^:%=/\s]*)[:%].`)
	numbers     = regexp.MustCompile(`^\d*[:%]\d+$`)
	// ordinary is the value of a -p that is no password: a port, a folder, or another option.
	ordinary = regexp.MustCompile(`^(?:[\d.:/tcpud-]+|[./~-].*)$`)
	// shellWord is a word of a shell, with the quoted parts that it has.
	shellWord = regexp.MustCompile(`(?s)(?:[^\s;|&()<>"'\\` + "`" + `]|\\[^\n]|"(?:[^"\\]|\\.)*(?:"|$)|'[^']*(?:'|$))+`)
)

// Command goes through the words of one command and takes the secrets out. Of a word that is a
// script, each of its words counts.
type Command struct {
	program string
	next    next
	depth   int // of scripts in scripts
}

// NewCommand returns a Command before its first word. Program is what runs if the words do not say
// so themselves, such as the name of the image.
func NewCommand(program string) *Command { return &Command{program: program} }

// Word returns the command's next word without secrets, on one line of printable characters. It
// shortens what is longer than 1024 bytes of JSON.
func (c *Command) Word(word string) string {
	return cut(Visible(c.word(begin(word, LongestScript))), longestWord)
}

// next is what the coming word is.
type next int

const (
	plain next = iota
	secret
	account // user:password
	script  // of a shell's -c
	perhaps // of a -p whose program is not known
)

func (c *Command) word(word string) string {
	is := c.next
	c.next = plain
	switch is {
	case secret:
		if slices.Contains(schemes, strings.ToLower(word)) {
			c.next = secret // Authorization: Bearer …
			return word
		}
		return mask
	case perhaps:
		if !ordinary.MatchString(word) {
			return mask
		}
	case account:
		if user, ok := accountIn("", word); ok {
			return user
		}
	}
	if name, _, assigned := strings.Cut(word, "="); assigned && is != script && isName(name) && Sensitive(name) {
		return name + "=" + mask // whatever spaces it has
	}
	if name, ends := strings.CutSuffix(word, ":"); ends && Sensitive(strings.Trim(name, `"'`)) {
		c.next = secret // the name of a header, or a member of JSON
		return clean(word)
	}
	if strings.ContainsAny(word, " \t\r\n;|&()<>`\"'") {
		return c.words(word)
	}
	return c.simple(word)
}

// accountIn is user:password behind an option without the password; false if it is none.
func accountIn(option, text string) (string, bool) {
	m := credentials.FindStringSubmatch(text)
	if m == nil || numbers.MatchString(text) {
		return "", false
	}
	return option + m[1] + ":" + mask, true
}

// simple is a word without spaces and quotes around it.
func (c *Command) simple(word string) string {
	name, _, assigned := strings.Cut(word, "=")
	if base := path.Base(word); !assigned && passwordOptions[base].next != "" {
		c.program = base
	}
	switch {
	case assigned && isName(name) && Sensitive(name):
		return name + "=" + mask
	case strings.HasPrefix(word, "-"):
		return c.option(word, assigned)
	case !assigned && isName(word) && Sensitive(word):
		c.next = secret // aws configure set aws_secret_access_key …
		return word
	}
	return clean(word)
}

// option is a word that begins with a dash.
func (c *Command) option(word string, assigned bool) string {
	if !strings.HasPrefix(word, "--") && len(word) > 1 {
		return c.short(word, assigned)
	}
	name, value, _ := strings.Cut(word, "=")
	switch takesAccount := strings.HasSuffix(name, "user"); {
	case assigned && takesAccount:
		if shown, ok := accountIn(name+"=", value); ok {
			return shown
		}
	case assigned:
	case Sensitive(word):
		c.next = secret
	case takesAccount:
		c.next = account
	}
	return clean(word)
}

// short is an option of one dash: a letter, perhaps with its value, or a name.
func (c *Command) short(word string, assigned bool) string {
	letter, value := word[1:2], word[2:]
	known := passwordOptions[c.program]
	accounts := strings.Contains("uUE", letter)
	switch {
	case value != "" && strings.Contains(known.attached, letter):
		return word[:2] + mask
	case value == "" && strings.Contains(known.next, letter), !assigned && Sensitive(word):
		c.next = secret
	case word == "-p":
		c.next = perhaps
	case value == "" && accounts:
		c.next = account
	case word[len(word)-1] == 'c' && isName(word):
		c.next = script
	case accounts:
		if shown, ok := accountIn(word[:2], value); ok {
			return shown
		}
	}
	return clean(word)
}

// words is a text of several words, or a quoted one.
func (c *Command) words(text string) string {
	if c.depth == deepest {
		return mask
	}
	text = clean(text)
	inner := Command{program: c.program, depth: c.depth + 1}
	var b strings.Builder
	done := 0
	for _, at := range shellWord.FindAllStringIndex(text, -1) {
		gap := text[done:at[0]]
		if strings.ContainsAny(gap, ";|&") || strings.Contains(gap, "\n") && !strings.Contains(gap, "\\\n") {
			inner.next, inner.program = plain, c.program
		}
		b.WriteString(gap)
		b.WriteString(inner.shellWord(text[at[0]:at[1]]))
		done = at[1]
	}
	b.WriteString(text[done:])
	return b.String()
}

// shellWord is a word of a script as it is written there.
func (c *Command) shellWord(word string) string {
	quote := word[:1]
	if quote != `"` && quote != "'" {
		if strings.ContainsAny(word, `"'\`) {
			return c.mixed(word)
		}
		return c.word(word)
	}
	if end := quotedEnd(word, 0); end < len(word) || end == 1 || word[end-1:end] != quote {
		return c.mixed(word)
	}
	return quote + c.word(word[1:len(word)-1]) + quote
}

// mixed is a word of which a part is quoted or escaped: -p"…", FOO_TOKEN="…"-$X.
func (c *Command) mixed(word string) string {
	bare := strings.NewReplacer(`"`, "", "'", "", `\`, "").Replace(word)
	if len(bare) == 0 {
		return word
	}
	was := *c
	if shown := c.word(bare); shown != bare {
		return shown
	}
	after := *c
	*c = was
	shown := clean(word)
	*c = after
	return shown
}

func isName(word string) bool {
	for i := range len(word) {
		if !isNameByte(word[i]) {
			return false
		}
	}
	return word != ""
}
