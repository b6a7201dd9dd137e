package redact

import (
	"encoding/base64"
	"regexp"
	"strings"
	"unicode/utf8"
)

// shapes are tokens that are known by how they begin, and patterns of what follows.
var shapes = []struct{ begin, rest string }{
	{"eyJ", `[\w-]{8,}\.[\w.-]+`}, // JWT
	{"ghp_", `\w{16,}`}, {"gho_", `\w{16,}`}, {"ghu_", `\w{16,}`}, {"ghs_", `\w{16,}`}, {"ghr_", `\w{16,}`}, {"github_pat_", `\w{16,}`},
	{"glpat-", `[\w-]{16,}`},
	{"xox", `[abeoprs]-[\w-]{8,}`}, {"xapp-", `[\w-]{16,}`}, // Slack
	{"npm_", `\w{16,}`}, {"pypi-", `[\w-]{16,}`}, {"dckr_pat_", `[\w-]{16,}`}, {"hf_", `[A-Za-z0-9]{16,}`},
	{"AKIA", `[A-Z0-9]{12,}`}, {"ASIA", `[A-Z0-9]{12,}`}, // AWS
	{"AIza", `[\w-]{30,}`}, {"ya29.", `[\w-]{16,}`}, {"GOCSPX-", `[\w-]{16,}`}, // Google
	{"hvs.", `[\w-]{16,}`}, {"hvb.", `[\w-]{16,}`}, // Vault
	{"sk-", `(?:(?:proj|ant|svcacct|admin|or-v1)-[\w-]{16,}|[A-Za-z0-9]{16,})`}, // OpenAI and alike
	{"sk_live_", `\w{8,}`}, {"rk_live_", `\w{8,}`}, {"sk_test_", `\w{8,}`}, // Stripe
	{"AGE-SECRET-KEY-1", `\w{16,}`}, {"SG.", `[\w-]{16,}\.[\w-]{16,}`}, {"dop_v1_", `\w{16,}`},
}

// hooks are addresses whose path is a secret, to where it begins.
var hooks = []string{
	"hooks.slack.com/services/", "hooks.slack.com/workflows/", "hooks.slack.com/triggers/", "api.telegram.org/bot", "discord.com/api/webhooks/",
	"discordapp.com/api/webhooks/", "webhook.office.com/",
}

var (
	shaped, hooked = patterns()
	// basic is user and password as a header has them.
	basic = regexp.MustCompile(`(?i)\bbasic\s+[a-z0-9+/]{4,}={0,2}`)
)

// patterns are what finds the shapes and the hooks.
func patterns() (shaped, hooked *regexp.Regexp) {
	tokens, addresses := make([]string, len(shapes)), make([]string, len(hooks))
	for i, shape := range shapes {
		tokens[i] = regexp.QuoteMeta(shape.begin) + shape.rest
	}
	for i, hook := range hooks {
		addresses[i] = regexp.QuoteMeta(hook)
	}
	return regexp.MustCompile(`\b(?:` + strings.Join(tokens, "|") + `)`), regexp.MustCompile(`(` + strings.Join(addresses, "|") + `)[^\s"']+`)
}

// Reference is Name of an image reference that is valid, without tokens that are known by their form:
// its other parts look like names and values, and are none.
func Reference(s string) string { return cut(Visible(tokens(whole(s, longestRead))), longest) }

// tokens takes out what is known to be secret by its form. Looking for how it begins takes less time
// than the patterns.
func tokens(s string) string {
	for _, hook := range hooks {
		if strings.Contains(s, hook) {
			s = hooked.ReplaceAllString(s, "${1}"+mask)
			break
		}
	}
	if strings.Contains(s, "asic ") || strings.Contains(s, "ASIC ") {
		s = basic.ReplaceAllStringFunc(s, withoutBasic)
	}
	for _, shape := range shapes {
		if strings.Contains(s, shape.begin) {
			return shaped.ReplaceAllString(s, mask)
		}
	}
	return s
}

// withoutBasic takes the credentials out of what may be some: user:password in base64.
func withoutBasic(s string) string {
	const scheme = len("basic ")
	text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(s[scheme:]), "="))
	if err != nil || !utf8.Valid(text) || !strings.Contains(string(text), ":") {
		return s
	}
	return s[:scheme] + mask
}
