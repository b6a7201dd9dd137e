package redact

import (
	"encoding/json"
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
		"images named after secrets stay":        {"quay.io/oauth2-proxy:7.4 ghcr.io/external-secrets/external-secrets:0.9 a/token:1", "quay.io/oauth2-proxy:7.4 ghcr.io/external-secrets/external-secrets:0.9 a/token:1"},
		"what names something about a secret":    {"secretName=web-tls token_file=/a tokenTTL: 1h passwordPolicy: strict PASSWORD_FILE=/b", "secretName=web-tls token_file=/a tokenTTL: 1h passwordPolicy: strict PASSWORD_FILE=/b"},
		"words with such words in them stay":     {"author: jane, passenger=1, key: a, compassion=b, authority=c, design: d", "author: jane, passenger=1, key: a, compassion=b, authority=c, design: d"},
		"more names of secrets":                  {"SECRET_KEY_BASE=a PASSWORD2=b apiKeyId=c GH_PAT=d db.creds=e AccountKey=f tokens: g", "SECRET_KEY_BASE=… PASSWORD2=… apiKeyId=… GH_PAT=… db.creds=… AccountKey=… tokens: …"},
		"JSON":                                   {`{"user":"jane","password":"a b","n":1}`, `{"user":"jane","password":…,"n":1}`},
		"JSON in JSON":                           {`"{\"password\":\"a b\",\"n\":1}"`, `"{\"password\":…,\"n\":1}"`},
		"a hash of Ruby":                         {`'password' => 'a b', 'n' => 1`, `'password' => …, 'n' => 1`},
		"a value with separators":                {"password=a,b;c&d next", "password=… next"},
		"a value of letters beyond ASCII":        {"password=sà\u00a0cret next", "password=… next"},
		"a value with escaped spaces":            {`password=a\ b next`, `password=… next`},
		"a value from a command":                 {"password=$(cat a | b c) next", "password=…) next"},
		"a quoted value that does not end":       {`password="a b`, `password=…`},
		"a value on the next line":               {"password: |\n  abc\nnext: 1", "password: …\\nnext: 1"},
		"a header":                               {`-H "Authorization: Digest username=jane, response=abc" next`, `-H "Authorization: …" next`},
		"cookies":                                {"Cookie: a=b; c=d", "Cookie: …"},
		"a token by its scheme":                  {"send Bearer abc.def next", "send Bearer … next"},
		"basic credentials":                      {"auth: Basic amFuZTpzM2NyZXQ= next", "auth: … next"},
		"tokens by their form":                   {"a eyJhbGciOiJI.eyJzdWIi.sig b ghp_0123456789abcdefghij c glpat-0123456789abcdefghij d", "a … b … c … d"},
		"a private key":                          {"a -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- b", "a … b"},
		"a private key without its end":          {"a -----BEGIN PRIVATE KEY-----\nabc", "a …"},
		"a certificate stays":                    {"-----BEGIN CERTIFICATE----- abc", "-----BEGIN CERTIFICATE----- abc"},
		"options in a list":                      {`["--password", "a b", "--next"]`, `["--password", …, "--next"]`},
		"an option before another stays":         {"--password --next", "--password --next"},
		"a password with digits and a slash":     {"https://jane:9/s3cret@h/a.war https://jane:/s3cret@h/b.war", "https://h/a.war https://h/b.war"},
		"the same without a scheme":              {"jane:9/s3cret@h/app:1 jane:s3@cret@tcp(db:3306)/shop", "h/app:1 tcp(db:3306)/shop"},
		"and before a digest":                    {"jane:s3cret@h/app:1@sha256:0a1b", "h/app:1@sha256:0a1b"},
		"user and password of Oracle":            {"url=jdbc:oracle:thin:scott/s3cret@//db:1521/x", "url=//db:1521/x"},
		"a URL of which a path was made":         {"/data/https:/jane:/s3cret@h/a.war", "/data/https:/h/a.war"},
		"a host with a port and a path with @":   {"example.com:8443/@scope/b@1.2.tgz", "example.com:8443/@scope/b@1.2.tgz"},
		"a URL after a query":                    {"https://x/y?z=1,https://b/c.war?sig=a;b", "https://x/y,https://b/c.war"},
		"a setting of several words":             {"Server=db;Password=a b;Foo=1 next", "Server=db;Password=…;Foo=1 next"},
		"a line of several words":                {"a:\n  password: a b\n  c: d", `a:\n  password: …\n  c: d`},
		"a line in a text in JSON":               {`{"a":"b: c\npassword: a b\nd: e"}`, `{"a":"b: c\npassword: …\nd: e"}`},
		"a list":                                 {"a:\n  passwords:\n  - b c\n  - d\n  e: f", `a:\n  passwords:\n  …\n  e: f`},
		"a block of lines":                       {"password: >-\n  a b\n\n  c\nd: e", `password: …\nd: e`},
		"a value on a line of the same depth":    {"password:\nabc next", `password:\n… next`},
		"no value at all":                        {"password:\n", `password:\n`},
		"a text in quotes":                       {`-H "X-Api-Key: a b" next`, `-H "X-Api-Key: …" next`},
		"name and value apart":                   {`{"name":"DB_PASSWORD","value":"a b"},{"name":"TZ","value":"UTC"}`, `{"name":"DB_PASSWORD","value":…},{"name":"TZ","value":"UTC"}`},
		"in lines":                               {"- name: DB_PASSWORD\n  value: a b\n- name: TZ\n  value: UTC", `- name: DB_PASSWORD\n  value: …\n- name: TZ\n  value: UTC`},
		"in settings of a chart":                 {"env[0].name=DB_PASSWORD,env[0].value=a next", "env[0].name=DB_PASSWORD,env[0].value=… next"},
		"a call":                                 {`define('DB_PASSWORD', 'a b'); f("TZ", "UTC")`, `define('DB_PASSWORD', …); f("TZ", "UTC")`},
		"SQL":                                    {"CREATE USER a IDENTIFIED BY 'b c' next, ALTER ROLE a PASSWORD 'b'", "CREATE USER a IDENTIFIED BY … next, ALTER ROLE a PASSWORD …"},
		"more names":                             {"DB_PW=a --db-pw=b bindPW: c PASSWORD+=d passcode=e pass:f", "DB_PW=… --db-pw=… bindPW: … PASSWORD+=… passcode=… pass:…"},
		"addresses that are secrets":             {"https://hooks.slack.com/services/T0/B0/a https://api.telegram.org/bot1:a/send", "https://hooks.slack.com/services/… https://api.telegram.org/bot…"},
		"basic credentials without a name":       {"Basic amFuZTpzM2NyZXQ= basic authentication", "Basic … basic authentication"},
		"tokens that could be models":            {"sk-0123456789abcdef sk-ant-api03-0123456789abcdef sk-resnet-50-imagenet-classifier", "… … sk-resnet-50-imagenet-classifier"},
		"a value that ends like a name":          {"password: a:token: b next", "password: … next"},
		"a query after a password with a mark":   {"https://jane:a?b@example.com/x?y=z", "https://example.com/x"},
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

// TestOfALongWordOnlyWhatIsSafeIsLeft holds that a password whose end was not read is not shown.
func TestOfALongWordOnlyWhatIsSafeIsLeft(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("s3cret", 10000)
	for name, tc := range map[string]struct{ in, want string }{
		"a password in a URL":        {"fetch https://jane:" + long + "@example.com/a", "fetch https:…"},
		"user and password":          {"fetch jane:" + long + "@example.com/a", "fetch jane:…"},
		"a password in quotes":       {`password="` + strings.Repeat("s3cret ", 10000), "password=…"},
		"a private key":              {"-----BEGIN PRIVATE KEY-----\n" + long, "…"},
		"what is behind what fits":   {strings.Repeat("a ", 2048) + "password=" + long, strings.Repeat("a ", 256) + "…"},
		"a name that does not end":   {strings.Repeat("a", 5000) + "password=x", strings.Repeat("a", 512) + "…"},
		"a mark at the very end":     {strings.Repeat("a", 4096) + "=x", strings.Repeat("a", 512) + "…"},
		"what is dear in JSON":       {strings.Repeat("<", 600), strings.Repeat("<", 85) + "…"},
		"half a character is no one": {strings.Repeat("a", 4095) + "é", strings.Repeat("a", 512) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Text(tc.in); got != tc.want {
				t.Errorf("Text() = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"a service account":         {"system:serviceaccount:ci:deployer", "system:serviceaccount:ci:deployer"},
		"a user of another issuer":  {"https://login.example.com#oidc:jane@example.com", "https://login.example.com#oidc:jane@example.com"},
		"what would forge a line":   {"jane\nadmin", `jane\nadmin`},
		"what is too long is cut":   {strings.Repeat("j", 600), strings.Repeat("j", 512) + "…"},
		"what is no UTF-8 is shown": {"j\xff", "j\uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Name(tc.in); got != tc.want {
				t.Errorf("Name(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

// TestSize holds that Size is what Kubernetes writes.
func TestSize(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", `a "b" \ c`, "<a>&é…", strings.Repeat(`<"`, 100)} {
		written, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := Size(text), len(written)-2; got != want {
			t.Errorf("Size(%q) = %d, want %d", text, got, want)
		}
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
