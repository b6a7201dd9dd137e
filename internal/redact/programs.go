package redact

import "strings"

// program is what is known of a program's options and words.
type program struct {
	// secret are the letters of the options whose value is a password, in the same word or the next.
	secret string
	// alone are those that are words of their own, as in openssl -k ….
	alone string
	// account are the letters of the options whose value is a user and a password.
	account string
	// flags are the letters that may stand before those in one word, as in curl -fsSLu ….
	flags string
	// connects says that its words are user/password@database.
	connects bool
	// commands says that its words are commands, names and files, even if they are named after secrets.
	commands bool
	// guess says that other options may have secrets, too: what looks like a user and a password behind
	// -u, and anything but a port or a folder behind -p, is taken for one.
	guess bool
}

// marks reports whether something marks passwords in the program's words.
func (p program) marks() bool { return p.secret+p.alone+p.account != "" || p.connects }

// and is a program whose words may be those of another one, too.
func (p program) and(other program) program {
	return program{
		secret: letters(p.secret, other.secret), alone: letters(p.alone, other.alone), account: letters(p.account, other.account), flags: letters(p.flags, other.flags),
		connects: p.connects || other.connects, commands: p.commands && other.commands, guess: p.guess || other.guess,
	}
}

// letters are those of both texts, each once.
func letters(some, others string) string {
	for _, letter := range others {
		if !strings.ContainsRune(some, letter) {
			some += string(letter)
		}
	}
	return some
}

// programs are those whose options are known.
var programs = func() map[string]program {
	known := map[string]program{
		"curl": {account: "uUE", flags: "fsSLkvgiIjJlnNOpRaBGqZ#0123456"}, "http": {account: "a"}, "https": {account: "a"}, "xh": {account: "a"}, "ab": {account: "AP"},
		"lftp": {account: "u"}, "smbclient": {account: "U"},
		"sshpass": {secret: "p"}, "login": {secret: "p"}, // docker login, helm registry login, az login
		"mysql": {secret: "p", flags: "sBtvwfNnHXEACGbircjqV"}, "mariadb": {secret: "p", flags: "sBtvwfNnHXEACGbircjqV"}, "mongo": {secret: "p"},
		"7z": {secret: "p"}, "7za": {secret: "p"}, "7zr": {secret: "p"}, "rar": {secret: "p"}, "unrar": {secret: "p"}, "zip": {secret: "P"}, "unzip": {secret: "P"},
		"sqlcmd": {secret: "P"}, "bcp": {secret: "P"}, "isql": {secret: "P"}, "sqlplus": {connects: true}, "rman": {connects: true},
		"redis": {alone: "a"}, "redis-cli": {secret: "a"}, "redis-benchmark": {secret: "a"}, "valkey-cli": {secret: "a"},
		"ldap": {secret: "w", flags: "xvnZMcC"}, "ldappasswd": {secret: "wsa", flags: "xvnZMCA"}, "snmp": {secret: "AX"}, "openssl": {alone: "kK"},
	}
	for name := range strings.FieldsSeq("kubectl oc docker podman nerdctl gcloud gh glab vault cat rm ls stat unset") {
		known[name] = program{commands: true}
	}
	for name := range strings.FieldsSeq("helm mkdir rmdir cp mv install tar ssh scp sftp nc ncat tini dumb-init virtualenv rsync ps kill test patch sudo su-exec " +
		"gosu setpriv chroot chown sort date nginx caddy gunicorn uvicorn") {
		known[name] = program{}
	}
	return known
}()

// families are programs whose names begin with that of another, as in mysqldump.
var families = []string{"mysql", "mariadb", "mongo", "ldap", "snmp"}

// programOf is what is known of a program.
func programOf(name string) program {
	known, ok := programs[name]
	for _, family := range families {
		if !ok && strings.HasPrefix(name, family) && isName(name) {
			known, ok = programs[family], true
		}
	}
	known.guess = !ok || known.marks()
	return known
}

// tails are the words that make all words behind them secret that are no options, but for a number of them.
var tails = map[string]int{"passwd": 0, "htpasswd": 1, "change_password": 1, "add_user": 1, "AUTH": 0}

// wrappers run the program that is their next word.
var wrappers = map[string]bool{
	"exec": true, "sudo": true, "su-exec": true, "gosu": true, "setpriv": true, "chroot": true, "tini": true, "dumb-init": true, "ssh": true, "env": true,
	"nohup": true, "time": true, "command": true, "eval": true, "if": true, "then": true, "else": true, "do": true, "while": true, "until": true, "!": true,
}

// groups are groups that users have, and no passwords.
var groups = map[string]bool{"nogroup": true, "nobody": true, "users": true, "staff": true, "wheel": true, "daemon": true, "www-data": true, "nginx": true}
