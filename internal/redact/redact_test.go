package redact

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"an image reference stays":               {"registry.example.com:5000/team/app:1.2", "registry.example.com:5000/team/app:1.2"},
		"a path stays":                           {"/usr/share/nginx/html", "/usr/share/nginx/html"},
		"a URL stays":                            {"https://example.com/a/v2/b.war", "https://example.com/a/v2/b.war"},
		"user and password of a URL go":          {"from https://jane:s3cret@example.com/b.war", "from https://example.com/b.war"},
		"a URL's query goes":                     {"https://example.com/b.war?X-Signature=abc&t=1 next", "https://example.com/b.war next"},
		"a password given by name goes":          {"password=88888888", "password=…"},
		"a token given by a longer name goes":    {"DB_TOKEN: abc, next", "DB_TOKEN: …, next"},
		"a key in a JSON-like text goes":         {`api_key=abc"`, `api_key=…"`},
		"a password with an @ goes as a whole":   {"https://jane:s3@cr3t@example.com/b", "https://example.com/b"},
		"a password with a slash goes, too":      {"https://jane:s3/cr3t@example.com/b", "https://example.com/b"},
		"a port and a later @ stay":              {"https://example.com:8443/@scope/b@1.2.tgz", "https://example.com:8443/@scope/b@1.2.tgz"},
		"user and password without a scheme go":  {`image "jane:s3cret@example.com/b:1.2"`, `image "example.com/b:1.2"`},
		"a digest behind a tag stays":            {"nginx:1.27@sha256:0a1b", "nginx:1.27@sha256:0a1b"},
		"a digest in a registry with a port":     {"example.com:5000/a@sha256:0a1b", "example.com:5000/a@sha256:0a1b"},
		"a quoted password goes as a whole":      {`password="open sesame", next`, `password=…, next`},
		"a token after an option goes":           {"run --auth-token abc --next", "run --auth-token … --next"},
		"short names of passwords count":         {"DB_PASS=abc PASSPHRASE: def PRIVATE_KEY=ghi sig=jkl", "DB_PASS=… PASSPHRASE: … PRIVATE_KEY=… sig=…"},
		"a line cannot be forged":                {"a\n- b\r\tc\x1b[31md\u202ee\u2028f", `a\n- b\r\tc\x1b[31md\u202ee\u2028f`},
		"text that is no UTF-8 becomes readable": {"a\xffb é", "a\uFFFDb é"},
		"text about passwords stays":             {"the password file is missing", "the password file is missing"},
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

// TestALongTextIsCutFirst holds that the patterns are not tried on megabytes, and that nothing of a
// secret is shown because its end was cut off.
func TestALongTextIsCutFirst(t *testing.T) {
	t.Parallel()
	got := Text("password=" + strings.Repeat("s3cret", 1<<20))
	if got != "password=…" {
		t.Errorf("got %q", got)
	}
}
