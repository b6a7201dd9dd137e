package redact

import (
	"encoding/base64"
	"regexp"
	"strings"
	"unicode/utf8"
)

// shape is how tokens look that are known by it.
type shape struct {
	begin string
	least int    // how many letters, digits and underscores follow
	also  string // what else may be among them
}

// shapes are the tokens that are known by how they look.
var shapes = []shape{
	{"eyJ", 8, "-."}, // JWT, and other JSON in base64
	{"ghp_", 16, ""}, {"gho_", 16, ""}, {"ghu_", 16, ""}, {"ghs_", 16, ""}, {"ghr_", 16, ""}, {"github_pat_", 16, ""}, {"glpat-", 16, "-"},
	{"xoxa-", 8, "-"}, {"xoxb-", 8, "-"}, {"xoxe-", 8, "-"}, {"xoxo-", 8, "-"}, {"xoxp-", 8, "-"}, {"xoxr-", 8, "-"}, {"xoxs-", 8, "-"}, {"xapp-", 16, "-"}, // Slack
	{"npm_", 16, ""}, {"pypi-", 16, "-"}, {"dckr_pat_", 16, "-"}, {"hf_", 16, ""},
	{"AKIA", 12, ""}, {"ASIA", 12, ""}, // AWS
	{"AIza", 30, "-"}, {"ya29.", 16, "-"}, {"GOCSPX-", 16, "-"}, // Google
	{"hvs.", 16, "-"}, {"hvb.", 16, "-"}, // Vault
	{"sk-", 16, ""}, {"sk-proj-", 16, "-"}, {"sk-ant-", 16, "-"}, {"sk-svcacct-", 16, "-"}, {"sk-admin-", 16, "-"}, {"sk-or-v1-", 16, "-"}, // OpenAI and alike
	{"sk_live_", 8, ""}, {"rk_live_", 8, ""}, {"sk_test_", 8, ""}, // Stripe
	{"AGE-SECRET-KEY-1", 16, ""}, {"SG.", 32, "-."}, {"dop_v1_", 16, ""},
}

// hooks are addresses whose path is a secret, to where it begins.
var hooks = []string{
	"hooks.slack.com/services/", "hooks.slack.com/workflows/", "hooks.slack.com/triggers/", "api.telegram.org/bot", "discord.com/api/webhooks/",
	"discordapp.com/api/webhooks/", "webhook.office.com/",
}

var (
	hooked = regexp.MustCompile(`(` + strings.ReplaceAll(strings.Join(hooks, "|"), ".", `\.`) + `)[^\s"']+`)
	// basic is user and password as a header has them.
	basic = regexp.MustCompile(`(?i)\bbasic\s+[a-z0-9+/]{4,}={0,2}`)
)

// Reference is Name of an image reference that is valid, without tokens that are known by their form:
// its other parts look like names and values, and are none.
func Reference(s string) string { return cut(Visible(tokens(whole(s, longestRead))), longest) }

// tokens takes out what is known to be secret by its form.
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
			s = shape.without(s)
		}
	}
	return s
}

// without takes out the tokens of this shape. They begin where a word does.
func (h shape) without(s string) string {
	var b strings.Builder
	done := 0
	for from := 0; ; {
		at := strings.Index(s[from:], h.begin)
		if at < 0 {
			break
		}
		at += from
		from = at + len(h.begin)
		if at > 0 && isWordByte(s[at-1]) {
			continue
		}
		end := from
		for end < len(s) && (isWordByte(s[end]) || strings.IndexByte(h.also, s[end]) >= 0) {
			end++
		}
		if end-from >= h.least {
			b.WriteString(s[done:at])
			b.WriteString(mask)
			done, from = end, end
		}
	}
	b.WriteString(s[done:])
	return b.String()
}

func isWordByte(c byte) bool { return c != '-' && c != '.' && isNameByte(c) }

// withoutBasic takes the credentials out of what may be some: user:password in base64.
func withoutBasic(s string) string {
	const scheme = len("basic ")
	text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(s[scheme:]), "="))
	if err != nil || !utf8.Valid(text) || !strings.Contains(string(text), ":") {
		return s
	}
	return s[:scheme] + mask
}
