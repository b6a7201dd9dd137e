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

var (
	// credentials are user and password, as behind -u.
	credentials = regexp.MustCompile(`^([^:%=/\s]*)[:%](.+)`)
	// sureCredentials are the same of a program that takes them.
	sureCredentials = regexp.MustCompile(`(?s)^([^:%,]*[:%,]).+`)
	// number is a user or a group.
	number = regexp.MustCompile(`^\d*$`)
	// ordinary is the value of a -p that is no password: a port, a folder, or another option.
	ordinary = regexp.MustCompile(`^(?:[\d.:/tcpud-]+|[./~-].*)$`)
	// folder is a path that does not look like a password which begins with a slash.
	folder = regexp.MustCompile(`^(?:/[a-z0-9._-]+)+/?$`)
	// optionWord is an option, and hardly a password that begins with a dash.
	optionWord = regexp.MustCompile(`^(?:-[A-Za-z]|--[a-z][A-Za-z0-9._-]{0,60}(?:=.*)?)$`)
	// bundled are options of one letter each, the last of which takes a user.
	bundled = regexp.MustCompile(`^-[A-Za-z]{1,6}u$`)
	// shellWord is a word of a shell, with the quoted parts that it has.
	shellWord = regexp.MustCompile(`(?s)(?:[^\s;|&()<>"'\\` + "`" + `]|\\[^\n]|"(?:[^"\\]|\\.)*(?:"|$)|'[^']*(?:'|$))+`)
)

// Command goes through the words of one command and takes the secrets out. Of a word that is a
// script, each of its words counts.
type Command struct {
	program program
	next    next
	// first says that the next word is the name of the program, callee that it is that of a program
	// which runs inside: they mark nothing.
	first, callee bool
	tail          int // how many words stay open before a tail, and one; 0 if there is none
	depth         int // of scripts in scripts
}

// NewCommand returns a Command before its first word. Program is what runs if the words do not say
// so themselves, such as the name of the image.
func NewCommand(program string) *Command {
	return &Command{program: programOf(program), first: program == ""}
}

// Word returns the command's next word without secrets, on one line of printable characters. It
// shortens what is longer than 1024 bytes of JSON.
func (c *Command) Word(word string) string {
	return cut(Visible(c.word(begin(word, LongestScript))), longestWord)
}

// next is what the coming word is.
type next int

const (
	plain   next = iota
	secret       // of an option
	likely       // of a word, or behind an option that follows a secret's
	account      // user:password
	script       // of a shell's -c
	perhaps      // of a -p whose program is not known
)

func (c *Command) word(word string) string {
	is := c.next
	c.next = plain
	switch {
	case is == secret || is == likely:
		if shown, ok := c.marked(is, word); ok {
			return shown
		}
	case is == perhaps && !ordinary.MatchString(word), (is == plain || is == script) && c.inTail(word):
		return mask
	case is == account:
		if user, ok := c.accountIn("", word); ok {
			return user
		}
	}
	if given, ok := given(word); ok && is != script {
		return given
	}
	if name, ends := strings.CutSuffix(word, ":"); ends && Sensitive(strings.Trim(name, `"'`)) {
		c.next = secret // the name of a header, or a member of JSON
		return clean(word)
	}
	if strings.ContainsAny(word, " \t\r\n;|&()<>`\"'") {
		return c.words(word, is == script)
	}
	return c.simple(word)
}

// inTail reports whether a word is in a tail, where all is secret. Those that stay open before it are
// counted.
func (c *Command) inTail(word string) bool {
	if c.tail == 0 || strings.HasPrefix(word, "-") {
		return false
	}
	if c.tail > 1 {
		c.tail--
		return false
	}
	return true
}

// given is a word that gives a value to a sensitive name, whatever spaces it has; false if it does not.
func given(word string) (string, bool) {
	for _, mark := range []string{"=", ": "} {
		if name, value, ok := strings.Cut(word, mark); ok && isName(name) && Sensitive(name) && !open.MatchString(value) {
			return name + mark + mask, true
		}
	}
	return "", false
}

// marked is a word that a mark before it makes secret, as it is shown; false if it is like any other.
// An option is none, but then what follows it may be.
func (c *Command) marked(is next, word string) (string, bool) {
	switch {
	case word == "=", word == ":", slices.Contains(schemes, strings.ToLower(word)):
		c.next = is // Authorization: Bearer …
		return word, true
	case optionWord.MatchString(word), is == likely && strings.HasPrefix(word, "-"):
		shown := c.word(word)
		if c.next == plain && !strings.Contains(word, "=") {
			c.next = likely
		}
		return shown, true
	case open.MatchString(word), is == likely && folder.MatchString(word):
		return "", false
	}
	return mask, true
}

// accountIn is user:password behind an option without the password; false if it is none. What may
// be a user and a group is none, unless the program takes passwords there.
func (c *Command) accountIn(option, text string) (string, bool) {
	if c.program.account != "" {
		m := sureCredentials.FindStringSubmatch(text)
		if m == nil {
			return "", false
		}
		return option + m[1] + mask, true
	}
	m := credentials.FindStringSubmatch(text)
	if m == nil || m[1] == m[2] || groups[m[2]] || number.MatchString(m[1]) && number.MatchString(m[2]) {
		return "", false
	}
	return option + m[1] + ":" + mask, true
}

// simple is a word without spaces and quotes around it.
func (c *Command) simple(word string) string {
	_, _, assigned := strings.Cut(word, "=")
	named := c.first || c.callee
	c.callee = false
	if strings.HasPrefix(word, "-") {
		return c.option(word, assigned)
	}
	c.enter(word, assigned)
	switch user, password, ok := strings.Cut(word, "/"); {
	case c.program.connects && ok && user != "" && user[0] != '@':
		return user + "/" + mask + password[max(strings.LastIndexByte(password, '@'), 0):]
	case assigned || named || c.program.commands || c.tail > 0:
	case namesSecret(word):
		c.next = likely
	}
	return clean(word)
}

// namesSecret reports whether a word is the name of a secret, as in aws configure set
// aws_secret_access_key … and npm config set //npm.example.com/:_authToken ….
func namesSecret(word string) bool {
	if at := strings.LastIndex(word, "/:_"); at >= 0 {
		word = word[at+len("/:_"):]
	}
	return isName(word) && Sensitive(word)
}

// enter notes what a word says of those that follow: which program they are for, and that they are secret.
func (c *Command) enter(word string, assigned bool) {
	first := c.first
	if c.first = first && (assigned || wrappers[word]); assigned {
		return
	}
	base := path.Base(word)
	switch known := programOf(base); {
	case first:
		c.program = known
	case known.marks():
		c.program = c.program.and(known) // env mysql …, but also mysql -h redis …
	}
	if open, ok := tails[base]; ok && !strings.HasPrefix(word, "/etc/") {
		c.tail = open + 1
	}
}

// option is a word that begins with a dash.
func (c *Command) option(word string, assigned bool) string {
	if !strings.HasPrefix(word, "--") && len(word) > 1 {
		return c.short(word, assigned)
	}
	name, value, _ := strings.Cut(word, "=")
	takesAccount := strings.HasSuffix(name, "user") || strings.HasSuffix(name, "login") || c.program.account != "" && strings.HasSuffix(name, "cert")
	switch {
	case word == "--": // another program may follow
		c.program.guess = true
	case assigned && takesAccount:
		if shown, ok := c.accountIn(name+"=", value); ok {
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

// short is an option of one dash: a letter, perhaps with flags before it or its value behind it, or a
// name.
func (c *Command) short(word string, assigned bool) string {
	known, at := c.program, 1
	for at < len(word)-1 && strings.IndexByte(known.flags, word[at]) >= 0 && strings.IndexByte(known.secret+known.account, word[at]) < 0 {
		at++
	}
	letter, value := word[at:at+1], word[at+1:]
	switch {
	case value != "" && strings.Contains(known.secret, letter):
		return word[:at+1] + mask
	case value == "" && strings.Contains(known.secret+known.alone, letter), !assigned && Sensitive(word):
		c.next = secret
	case strings.Contains(known.account, letter):
		return c.ofAccount(word[:at+1], value)
	case word[len(word)-1] == 'c' && isName(word):
		c.next = script
	case known.guess:
		return c.guessed(word)
	}
	return clean(word)
}

// guessed is an option of one dash whose program is not known, or may be another one.
func (c *Command) guessed(word string) string {
	const accounts = "uUE"
	switch {
	case word == "-p":
		c.next = perhaps
	case bundled.MatchString(word):
		c.next = account
	case strings.Contains(accounts, word[1:2]):
		return c.ofAccount(word[:2], word[2:])
	}
	return clean(word)
}

// ofAccount is an option whose value is a user and a password, in the same word or the next.
func (c *Command) ofAccount(option, value string) string {
	if value == "" {
		c.next = account
		return option
	}
	if shown, ok := c.accountIn(option, value); ok {
		return shown
	}
	return clean(option + value)
}

// words is a text of several words, or a quoted one.
func (c *Command) words(text string, isScript bool) string {
	if c.depth == deepest {
		return mask
	}
	text = clean(text)
	inner := Command{program: c.program, first: isScript, depth: c.depth + 1}
	var b strings.Builder
	done := 0
	for _, at := range shellWord.FindAllStringIndex(text, -1) {
		gap := text[done:at[0]]
		if strings.ContainsAny(gap, ";|&") || strings.Contains(gap, "\n") && !strings.Contains(gap, "\\\n") {
			inner = Command{program: c.program, first: isScript, depth: inner.depth}
		}
		inner.callee = strings.HasPrefix(gap, "(") && done > 0 && text[done-1] == '$' || strings.Contains(gap, "`")
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
