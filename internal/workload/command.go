package workload

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"plainspec.dev/plainspec/internal/redact"
)

const (
	// longestScript and mostBrackets bound the shell scripts that are parsed, in bytes and in
	// opening brackets: the parser's time grows with the square of their nesting, 0.9 s for
	// 64 KiB of them. What is beyond counts as a script that may do anything.
	longestScript = 16 << 10
	mostBrackets  = 256
	// allScripts bounds what is parsed of one object, in bytes, about 25 ms of work.
	allScripts = 128 << 10
	// longestPath is Linux' PATH_MAX: a longer word names no file.
	longestPath = 4096
	// deepestShell bounds sh -c "sh -c …".
	deepestShell = 4
)

// word is one word of a command that names a path, or that is the program itself.
type word struct {
	kind     string // ReferenceCommand, ReferenceHook, …
	field    string
	path     string // absolute; empty if it cannot be told
	verb     string
	flag     string
	position int
	write    bool
}

// commandFacts is what a container's command, arguments, environment and hooks name.
type commandFacts struct {
	words []word
	// writes says that the container runs something that may write files before its program
	// starts: a hook, a redirection, a copying or downloading command, or a script that could
	// not be read.
	writes bool
}

// shells run the script that follows -c.
var shells = map[string]bool{"sh": true, "bash": true, "ash": true, "dash": true, "zsh": true, "ksh": true}

// wrapper is a program that runs the command that follows it.
type wrapper struct {
	own     int    // how many words of its own come before the command
	options string // the letters of its options that take the next word
}

var wrappers = map[string]wrapper{
	"exec": {0, "a"}, "env": {0, "uC"}, "nohup": {}, "tini": {0, "pe"}, "tini-static": {0, "pe"}, "dumb-init": {0, "r"}, "catatonit": {},
	"nice": {0, "n"}, "ionice": {0, "cn"}, "time": {0, "fo"}, "command": {}, "sudo": {0, "ughpCrtU"}, "eval": {}, "gosu": {own: 1},
	"su-exec": {own: 1}, "timeout": {1, "sk"}, "busybox": {}, "setsid": {}, "stdbuf": {0, "ioe"},
}

// writers put files somewhere.
var writers = map[string]bool{
	"cp": true, "mv": true, "rsync": true, "install": true, "ln": true, "tar": true, "unzip": true, "git": true, "svn": true,
	"hg": true, "wget": true, "curl": true, "aria2c": true, "tee": true, "aws": true, "gsutil": true, "gcloud": true, "az": true,
	"rclone": true, "mc": true, "s3cmd": true, "scp": true, "sftp": true, "composer": true, "npm": true, "yarn": true, "pnpm": true,
	"pip": true, "pip3": true, "bundle": true, "gem": true, "go": true, "mvn": true, "gradle": true, "make": true, "dd": true,
	"cpio": true, "oras": true, "helm": true, "kubectl": true, "drush": true, "wp": true, "hugo": true, "jekyll": true,
}

// commandReader collects words while it walks the commands of one container.
type commandReader struct {
	kind  string
	field string
	cwd   string
	from  string // the folder before cwd, which cd - goes back to
	facts commandFacts
	depth int
	// budget is how many bytes of script may still be parsed of the object.
	budget *int
	// variables are the container's, as far as the manifest tells their values.
	variables variables
}

// readCommands reads everything that a container runs.
func readCommands(c *container, field string, budget *int) commandFacts {
	r := &commandReader{kind: ReferenceCommand, cwd: c.WorkingDir, budget: budget, variables: variables{container: c}}
	argv := make([]string, 0, len(c.Command)+len(c.Args))
	argv = r.variables.expandAll(append(append(argv, c.Command...), c.Args...))
	fields := func(i int) string {
		if i < len(c.Command) {
			return field + ".command[" + strconv.Itoa(i) + "]"
		}
		return field + ".args[" + strconv.Itoa(i-len(c.Command)) + "]"
	}
	r.argv(argv, fields)
	if start := skipWrappers(argv); len(c.Command) == 0 && start < len(argv) {
		r.unsureProgram(fields(start))
	}
	writes := r.facts.writes || c.Lifecycle.PostStart != nil && c.Lifecycle.PostStart.Exec != nil
	r.hook(c.Lifecycle.PostStart, field+".lifecycle.postStart")
	r.hook(c.Lifecycle.PreStop, field+".lifecycle.preStop")
	r.facts.writes = writes // what runs at the end fills nothing
	r.kind = ReferenceEnv
	for i := range c.Env {
		r.env(c.Env[i].Name, c.Env[i].Value, field+".env["+strconv.Itoa(i)+"].value")
	}
	own := len(c.Command) == 0 && (len(c.Args) == 0 || strings.HasPrefix(c.Args[0], "-"))
	if own && path.IsAbs(c.WorkingDir) { // else the first argument may be the program
		r.facts.words = append(r.facts.words, word{
			kind: ReferenceWorkingDir, field: field + ".workingDir", path: path.Clean(c.WorkingDir),
		})
	}
	return r.facts
}

// hook reads what a container runs besides its program.
func (r *commandReader) hook(h *hook, field string) {
	if h == nil || h.Exec == nil {
		return
	}
	r.kind, r.cwd = ReferenceHook, r.variables.container.WorkingDir
	r.argv(r.variables.expandAll(slices.Clone(h.Exec.Command)), func(i int) string {
		return field + ".exec.command[" + strconv.Itoa(i) + "]"
	})
}

// unsureProgram takes back that the word at a field is the program: without a command, arguments
// go to the image's own program, which may or may not run the first of them.
func (r *commandReader) unsureProgram(field string) {
	for i := range r.facts.words {
		if w := &r.facts.words[i]; w.field == field && w.kind == ReferenceCommand && w.position == 0 {
			w.verb, w.position = "", 1
		}
	}
}

// argv reads one command given as words. fields names the field of each word.
func (r *commandReader) argv(argv []string, fields func(int) string) {
	start := skipWrappers(argv)
	if start >= len(argv) {
		return
	}
	verb := path.Base(argv[start])
	if script := scriptAfter(argv, start, verb); script > 0 {
		r.field = fields(script)
		r.script(argv[script])
		return
	}
	if writers[verb] {
		r.facts.writes = true
	}
	if dir := r.runsIn(argv[start:]); r.kind == ReferenceCommand && path.IsAbs(dir) {
		r.facts.words = append(r.facts.words, word{kind: ReferenceWorkingDir, field: fields(start), path: path.Clean(dir), verb: verb})
	}
	position := 0
	flag := ""
	for i := start; i < len(argv); i++ {
		r.field = fields(i)
		if option := strings.HasPrefix(argv[i], "-") && len(argv[i]) > 1; option && i > start {
			name, value, assigned := strings.Cut(argv[i], "=")
			if assigned {
				r.paths(value, word{verb: verb, flag: name, position: position})
			}
			flag = name
			if assigned {
				flag = ""
			}
			continue
		}
		r.paths(argv[i], word{verb: verb, flag: flag, position: position})
		position++
		flag = ""
	}
}

// changesDir are the options by which programs are told another working directory: npm, make, git,
// yarn, pnpm, gunicorn, uwsgi.
var changesDir = map[string]bool{"--prefix": true, "-C": true, "--cwd": true, "--dir": true, "--directory": true, "--chdir": true}

// runsIn is the folder in which a program works.
func (r *commandReader) runsIn(argv []string) string {
	for i, option := range argv {
		name, value, assigned := strings.Cut(option, "=")
		if !changesDir[name] {
			continue
		}
		if !assigned && i+1 < len(argv) {
			value = argv[i+1]
		}
		if dir := r.resolve(value); dir != "" {
			return dir
		}
	}
	return r.cwd
}

// skipWrappers returns the index of the first word that is not env, exec, tini and the like.
func skipWrappers(argv []string) int {
	i := 0
	for i < len(argv) {
		known, ok := wrappers[path.Base(argv[i])]
		if !ok {
			return i
		}
		i++
		for i < len(argv) && (strings.HasPrefix(argv[i], "-") || isAssignment(argv[i])) {
			if len(argv[i]) == 2 && strings.Contains(known.options, argv[i][1:]) {
				i++
			}
			i++
		}
		i += known.own
	}
	return i
}

func isAssignment(s string) bool {
	name, _, found := strings.Cut(s, "=")
	return found && syntax.ValidName(name)
}

// scriptAfter returns the index of a shell's script, 0 if the command is no shell with -c.
func scriptAfter(argv []string, start int, verb string) int {
	if !shells[verb] {
		return 0
	}
	for i := start + 1; i < len(argv); i++ {
		switch option := argv[i]; {
		case !strings.HasPrefix(option, "-") && !strings.HasPrefix(option, "+"):
			return 0
		case strings.HasPrefix(option, "--"):
		case strings.Contains(option, "c") && i+1 < len(argv):
			return i + 1
		case strings.HasSuffix(option, "o") || strings.HasSuffix(option, "O"):
			i++ // the option's name, as in -euo pipefail
		}
	}
	return 0
}

// script reads a shell script. What cannot be parsed is read as plain words, and may write.
func (r *commandReader) script(source string) {
	*r.budget -= len(source)
	if len(source) > longestScript || strings.Count(source, "(") > mostBrackets || *r.budget < 0 || r.depth >= deepestShell {
		r.facts.writes = true
		return
	}
	file, err := syntax.NewParser().Parse(strings.NewReader(source), "")
	if err != nil {
		r.facts.writes = true
		field := r.field
		r.argv(strings.Fields(source), func(int) string { return field })
		return
	}
	r.depth++
	defer func(cwd string) { r.depth, r.cwd = r.depth-1, cwd }(r.cwd)
	r.walk(file)
}

// walk reads the commands of a script. What a subshell changes into is left with it.
func (r *commandReader) walk(file *syntax.File) {
	field := r.field
	var back []string // for each node that is being read, the folder to go back to after it; empty for none
	syntax.Walk(file, func(node syntax.Node) bool {
		r.field = field
		if node == nil {
			if folder := back[len(back)-1]; folder != "" {
				r.cwd = folder
			}
			back = back[:len(back)-1]
			return true
		}
		back = append(back, "")
		switch node := node.(type) {
		case *syntax.Subshell, *syntax.CmdSubst, *syntax.ProcSubst:
			back[len(back)-1] = cmp.Or(r.cwd, unknownFolder)
		case *syntax.CallExpr:
			r.call(node, field)
		case *syntax.Redirect:
			r.redirect(node)
		}
		return true
	})
}

func (r *commandReader) call(call *syntax.CallExpr, field string) {
	argv := make([]string, len(call.Args))
	for i, arg := range call.Args {
		argv[i] = r.literal(arg)
	}
	if len(argv) == 0 {
		return
	}
	switch argv[0] {
	case "cd", "pushd":
		r.cd(argv)
		return
	case "popd":
		r.cd([]string{"cd", "-"})
		return
	}
	r.argv(argv, func(int) string { return field })
}

// unknownFolder is a working directory that cannot be told.
const unknownFolder = "?"

func (r *commandReader) cd(argv []string) {
	to := unknownFolder // the home
	switch last := argv[len(argv)-1]; {
	case len(argv) == 1:
	case last == "-":
		to = r.from
	default:
		to = r.resolve(last)
	}
	r.cwd, r.from = to, r.cwd
}

func (r *commandReader) redirect(redirect *syntax.Redirect) {
	switch redirect.Op {
	case syntax.RdrOut, syntax.AppOut, syntax.RdrAll, syntax.AppAll, syntax.RdrClob, syntax.RdrInOut:
		if redirect.Word == nil {
			return
		}
		target := r.literal(redirect.Word)
		if strings.HasPrefix(target, "/dev/") || strings.HasPrefix(target, "/proc/") {
			return
		}
		r.facts.writes = true
		r.paths(target, word{position: 1, write: true})
	}
}

// literal is the text of a shell word up to its first expansion of something that the manifest does
// not tell.
func (r *commandReader) literal(w *syntax.Word) string {
	var b strings.Builder
	r.write(&b, w.Parts)
	return b.String()
}

func (r *commandReader) write(b *strings.Builder, parts []syntax.WordPart) (whole bool) {
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			b.WriteString(part.Value)
		case *syntax.SglQuoted:
			b.WriteString(part.Value)
		case *syntax.DblQuoted:
			if !r.write(b, part.Parts) {
				return false
			}
		case *syntax.ParamExp:
			value := ""
			if part.Param != nil && simple(part) {
				value = r.variables.value(part.Param.Value)
			}
			if value == "" || b.Len()+len(value) > longestPath {
				return false
			}
			b.WriteString(value)
		default:
			return false
		}
	}
	return true
}

// simple reports whether an expansion is $NAME or ${NAME} and nothing else.
func simple(p *syntax.ParamExp) bool {
	return !p.Excl && !p.Length && !p.Width && p.Index == nil && p.Slice == nil && p.Repl == nil && p.Exp == nil && p.Names == 0
}

// paths adds what a word names: itself, or each element of a list such as a class path.
func (r *commandReader) paths(text string, w word) {
	w.kind, w.field = r.kind, r.field
	if !strings.HasPrefix(text, "/") || !strings.Contains(text, ":") {
		r.add(text, w)
		return
	}
	for element := range strings.SplitSeq(text, ":") {
		r.add(element, w)
	}
}

func (r *commandReader) add(text string, w word) {
	if w.position > 0 && !namesFile(text) {
		return
	}
	if w.position == 0 && w.flag == "" && !strings.Contains(text, "/") {
		return // found by PATH, which the manifest does not tell
	}
	w.path = r.resolve(text)
	if w.path == "" {
		return
	}
	r.facts.words = append(r.facts.words, w)
}

// namesFile reports whether a word looks like a file or folder rather than a plain argument.
func namesFile(text string) bool {
	return strings.Contains(text, "/") && !strings.Contains(text, "://") || path.Ext(text) != "" || text == "."
}

// resolve makes a path absolute; empty if it is relative to an unknown folder.
func (r *commandReader) resolve(text string) string {
	switch {
	case text == "" || len(text) > longestPath || strings.Contains(text, "://"):
		return ""
	case path.IsAbs(text):
		return path.Clean(text)
	case path.IsAbs(r.cwd):
		return path.Join(r.cwd, text)
	}
	return ""
}

// env adds the absolute paths in an environment variable's value. A secret can begin with a slash.
func (r *commandReader) env(name, value, field string) {
	if !strings.HasPrefix(value, "/") || redact.Sensitive(name) {
		return
	}
	r.field = field
	for element := range strings.SplitSeq(value, ":") {
		if path.IsAbs(element) && len(element) <= longestPath {
			r.facts.words = append(r.facts.words, word{kind: ReferenceEnv, field: field, path: path.Clean(element), verb: name})
		}
	}
}
