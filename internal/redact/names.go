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
	{"passphrase", false}, {"password", false}, {"passwd", false}, {"passcode", false}, {"pwd", false}, {"pass", false}, {"bindpw", false}, {"rootpw", false},
	{"pw", true}, {"secret", false}, {"token", false}, {"credential", false}, {"signature", false}, {"authorization", false}, {"cookie", false},
	{"bearer", false}, {"key", false}, {"connectionstring", false}, {"connection-string", false}, {"connection_string", false},
	{"auth", false}, {"from-literal", false}, {"cred", true}, {"creds", true}, {"sig", true}, {"pat", true}, {"psk", true}, {"dsn", true}, {"sas", true},
}

// passwords are those of the secrets after which nobody names an image or a module.
var passwords = []string{"passphrase", "password", "passwd", "passcode", "pwd", "pass", "pw"}

// innocent are the words that end like the word for a secret, without what may stand between their parts.
var innocent = []string{
	"bypass", "compass", "trespass", "monkey", "donkey", "turkey", "hotkey", "topologykey", "partitionkey", "sortkey", "primarykey", "foreignkey",
	"publickey", "pubkey", "searchkey", "groupkey", "routingkey",
}

// switches are the words at the beginning of a name by which it counts, or turns something on or off.
var switches = []string{"max", "min", "num", "no", "disable", "enable", "skip", "allow", "require"}

// harmless are the words at the end of a name by which it names something about a secret, or a
// program that is named after one.
var harmless = []string{
	"file", "files", "path", "paths", "dir", "directory", "folder", "url", "uri", "name", "names", "ttl", "type", "ref", "length", "len",
	"policy", "expiry", "expire", "expires", "expiration", "enabled", "required", "method", "mount", "count", "algorithm", "algorithms", "alg", "algs",
	"format", "endpoint", "host", "port", "issuer", "audience", "provider", "version", "namespace", "class", "seconds", "days", "mode", "domain", "domains",
	"interval", "timeout", "lifetime", "duration", "age", "retention", "secure", "httponly", "samesite", "size", "limit", "stdin", "scope", "scopes", "realm",
	"prefix", "group", "groups", "role", "roles", "helper", "through", "server", "servers", "service", "services", "proxy", "controller", "operator", "manager",
}

// extensions are those of files that are named after a secret.
var extensions = []string{
	".jar", ".war", ".js", ".py", ".sh", ".php", ".rb", ".exe", ".json", ".yaml", ".yml", ".toml", ".ini", ".conf", ".cfg", ".xml", ".properties", ".pem",
	".crt", ".pub",
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
	if len(lower) != len(name) || isSwitch(name, lower) {
		return false
	}
	for _, secret := range secrets {
		at := strings.LastIndex(lower, secret.word)
		if at < 0 || secret.short && !begins(name, at) || secret.word == "key" && at == 0 {
			continue
		}
		if end := at + len(secret.word); !isInnocent(lower[:end]) && namesIt(name, lower, end) {
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

// isSwitch reports whether the last part of a name begins with one of the switches.
func isSwitch(name, lower string) bool {
	at := strings.LastIndexByte(lower, '.') + 1
	return slices.ContainsFunc(switches, func(word string) bool {
		rest, ok := strings.CutPrefix(lower[at:], word)
		end := len(lower) - len(rest)
		return ok && rest != "" && (strings.IndexByte("-_", rest[0]) >= 0 || isUpper(name[end]) && !isUpper(name[end-1]))
	})
}

// isInnocent reports whether a name, to where the word for a secret ends in it, ends with one of the
// innocent words.
func isInnocent(lower string) bool {
	return slices.ContainsFunc(innocent, func(word string) bool { return endsWith(lower, word) })
}

// endsWith reports whether a name ends with a word, whatever separates its parts.
func endsWith(name, word string) bool {
	for len(name) > 0 && len(word) > 0 {
		switch last := name[len(name)-1]; last {
		case word[len(word)-1]:
			word = word[:len(word)-1]
		case '-', '_':
		default:
			return false
		}
		name = name[:len(name)-1]
	}
	return word == ""
}

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
	return !slices.ContainsFunc(extensions, func(extension string) bool { return strings.HasSuffix(rest, extension) })
}

// endsWithSecret reports whether a name ends with the word for a secret, and nothing behind it.
func endsWithSecret(name string) bool {
	name = strings.ToLower(name)
	one := strings.TrimSuffix(name, "s")
	for _, secret := range secrets {
		if strings.HasSuffix(name, secret.word) || strings.HasSuffix(one, secret.word) {
			return true
		}
	}
	return false
}

// isPassword reports whether a name that ends with the word for a secret is that of a password.
func isPassword(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(passwords, func(word string) bool { return strings.HasSuffix(name, word) || strings.HasSuffix(name, word+"s") })
}

// isHeader reports whether a name is that of a header whose value has several words.
func isHeader(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, "authorization") || strings.HasSuffix(name, "cookie")
}

func isNameByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

func isName(word string) bool {
	for i := range len(word) {
		if !isNameByte(word[i]) {
			return false
		}
	}
	return word != ""
}
