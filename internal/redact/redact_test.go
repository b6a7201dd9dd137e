package redact

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"an image reference stays":            {"registry.example.com:5000/team/app:1.2", "registry.example.com:5000/team/app:1.2"},
		"a path stays":                        {"/usr/share/nginx/html", "/usr/share/nginx/html"},
		"a URL stays":                         {"https://example.com/a/v2/b.war", "https://example.com/a/v2/b.war"},
		"user and password of a URL go":       {"from https://jane:s3cret@example.com/b.war", "from https://example.com/b.war"},
		"a URL's query goes":                  {"https://example.com/b.war?X-Signature=abc&t=1 next", "https://example.com/b.war next"},
		"a password given by name goes":       {"password=88888888", "password=…"},
		"a token given by a longer name goes": {"DB_TOKEN: abc, next", "DB_TOKEN: …, next"},
		"a key in a JSON-like text goes":      {`api_key=abc"`, `api_key=…"`},
		"text about passwords stays":          {"the password file is missing", "the password file is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Text(tc.in); got != tc.want {
				t.Errorf("Text(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func TestTextIsShortened(t *testing.T) {
	t.Parallel()
	got := Text(strings.Repeat("é", 5000))
	if len(got) > longest+len("…") || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
		t.Errorf("got %d bytes, valid: %v, end: %q", len(got), utf8.ValidString(got), got[len(got)-6:])
	}
}
