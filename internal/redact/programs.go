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
}

// marks reports whether something marks passwords in the program's words.
func (p program) marks() bool { return p.secret+p.alone+p.account != "" || p.connects }

// programs are those whose options are known. Of others, what looks like a user and a password behind
// -u, and anything but a port or a folder behind -p, is taken for secret.
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
	for _, name := range strings.Fields("kubectl oc docker podman nerdctl gcloud gh glab vault node python python3 java php ruby cat rm ls stat unset") {
		known[name] = program{commands: true}
	}
	for _, name := range strings.Fields("helm mkdir rmdir cp mv install tar ssh scp sftp nc ncat tini rsync ps kill test patch sudo su-exec gosu setpriv chroot chown sort date nginx caddy gunicorn uvicorn") {
		known[name] = program{}
	}
	return known
}()

// families are programs whose names begin with that of another, as in mysqldump.
var families = []string{"mysql", "mariadb", "mongo", "ldap", "snmp"}

// programOf is what is known of a program; false if nothing is.
func programOf(name string) (program, bool) {
	if p, ok := programs[name]; ok {
		return p, true
	}
	for _, family := range families {
		if strings.HasPrefix(name, family) && isName(name) {
			return programs[family], true
		}
	}
	return program{}, false
}

// tails are the words that make all words behind them secret that are no options, but for a number of them.
var tails = map[string]int{"passwd": 0, "htpasswd": 1, "change_password": 1, "add_user": 1, "AUTH": 0}

// wrappers run the program that is their next word.
var wrappers = map[string]bool{
	"exec": true, "sudo": true, "env": true, "nohup": true, "time": true, "command": true, "eval": true, "if": true, "then": true, "else": true, "do": true,
	"while": true, "until": true, "!": true,
}

// groups are groups that users have, and no passwords.
var groups = map[string]bool{"nogroup": true, "nobody": true, "users": true, "staff": true, "wheel": true, "daemon": true, "www-data": true, "nginx": true}
