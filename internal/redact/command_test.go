package redact

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func command(program string, words ...string) []string {
	c := NewCommand(program)
	shown := make([]string, len(words))
	for i, word := range words {
		shown[i] = c.Word(word)
	}
	return shown
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		program  string
		in, want []string
	}{
		"a plain command stays": {
			in:   []string{"java", "-jar", "/app/shop.jar", "--port", "8080", "--spring.profiles.active=prod"},
			want: []string{"java", "-jar", "/app/shop.jar", "--port", "8080", "--spring.profiles.active=prod"},
		},
		"a password is the next word":        {in: []string{"run", "--password", "s3cret", "next"}, want: []string{"run", "--password", "…", "next"}},
		"or in the same word":                {in: []string{"run", "--db-password=s3cret word", "next"}, want: []string{"run", "--db-password=…", "next"}},
		"or begins with a dash":              {in: []string{"run", "--token", "-s3cret", "next"}, want: []string{"run", "--token", "…", "next"}},
		"a file of a password stays":         {in: []string{"run", "--password-file", "/run/password"}, want: []string{"run", "--password-file", "/run/password"}},
		"options of one dash":                {in: []string{"run", "-password", "s3cret", "-apiKey=s3cret"}, want: []string{"run", "-password", "…", "-apiKey=…"}},
		"mysql":                              {in: []string{"mysql", "-uroot", "-ps3cret", "-p", "s3cret"}, want: []string{"mysql", "-uroot", "-p…", "-p", "…"}},
		"mysql behind wrappers":              {in: []string{"exec", "timeout", "5", "/usr/bin/mysql", "-ps3cret"}, want: []string{"exec", "timeout", "5", "/usr/bin/mysql", "-p…"}},
		"mysql by its image":                 {program: "mysql", in: []string{"-ps3cret"}, want: []string{"-p…"}},
		"a -p of anything else":              {in: []string{"docker", "login", "-u", "jane", "-p", "s3cret"}, want: []string{"docker", "login", "-u", "jane", "-p", "…"}},
		"a -p that is a port or a folder":    {in: []string{"run", "-p", "8080:80", "-p", "/data", "-port", "80"}, want: []string{"run", "-p", "8080:80", "-p", "/data", "-port", "80"}},
		"redis":                              {in: []string{"redis-cli", "-a", "s3cret", "ping"}, want: []string{"redis-cli", "-a", "…", "ping"}},
		"the server of redis":                {in: []string{"redis-server", "--requirepass", "s3cret"}, want: []string{"redis-server", "--requirepass", "…"}},
		"user and password of curl":          {in: []string{"curl", "-u", "jane:s3cret", "-ujane:s3cret", "--user", "jane:s3cret"}, want: []string{"curl", "-u", "jane:…", "-ujane:…", "--user", "jane:…"}},
		"with an equals sign":                {in: []string{"curl", "--proxy-user=jane:s3cret", "--user=jane:s3cret"}, want: []string{"curl", "--proxy-user=jane:…", "--user=jane:…"}},
		"a user and a group":                 {in: []string{"run", "-u", "1000:1000", "--user=1000:1000"}, want: []string{"run", "-u", "1000:1000", "--user=1000:1000"}},
		"a header":                           {in: []string{"curl", "--header", "Authorization: Bearer s3cret", "-H", "X-Api-Key: s3cret"}, want: []string{"curl", "--header", "Authorization: …", "-H", "X-Api-Key: …"}},
		"credentials and query of a URL":     {in: []string{"curl", "https://jane:s3cret@example.com/a-1.2.tgz?token=s3cret"}, want: []string{"curl", "https://example.com/a-1.2.tgz"}},
		"variables":                          {in: []string{"env", "FOO_TOKEN=s3cret word", "FOO=bar", "run"}, want: []string{"env", "FOO_TOKEN=…", "FOO=bar", "run"}},
		"the name and value of a setting":    {in: []string{"aws", "configure", "set", "aws_secret_access_key", "s3cret"}, want: []string{"aws", "configure", "set", "aws_secret_access_key", "…"}},
		"settings of a chart":                {in: []string{"helm", "--set", "a=b,auth.password=s3cret,c=d"}, want: []string{"helm", "--set", "a=b,auth.password=…"}},
		"a script":                           {in: []string{"sh", "-c", "export X_PASSWORD=s3cret; FOO_TOKEN=s3cret run && exec java -jar /a.jar"}, want: []string{"sh", "-c", "export X_PASSWORD=…; FOO_TOKEN=… run && exec java -jar /a.jar"}},
		"a script that begins with a secret": {in: []string{"sh", "-ec", "FOO_TOKEN=s3cret run --now"}, want: []string{"sh", "-ec", "FOO_TOKEN=… run --now"}},
		"commands in a script": {
			in:   []string{"sh", "-c", "mysql -uroot -ps3cret < a.sql\ncurl -u jane:s3cret -o a-1.2.tgz https://example.com/a-1.2.tgz"},
			want: []string{"sh", "-c", `mysql -uroot -p… < a.sql\ncurl -u jane:… -o a-1.2.tgz https://example.com/a-1.2.tgz`},
		},
		"quotes in a script": {
			in:   []string{"sh", "-c", `X_TOKEN="s3cret"'s3cret' run --password "s3cret s3cret" -H 'Authorization: Basic s3cret' "a b"`},
			want: []string{"sh", "-c", `X_TOKEN=… run --password … -H 'Authorization: …' "a b"`},
		},
		"a line that goes on":  {in: []string{"sh", "-c", "run --password \\\n  s3cret --next"}, want: []string{"sh", "-c", `run --password \\n  … --next`}},
		"a script in a script": {in: []string{"sh", "-c", `bash -c "mysql -ps3cret -e 'SELECT 1'"`}, want: []string{"sh", "-c", `bash -c "mysql -p… -e 'SELECT 1'"`}},
		"a here document":      {in: []string{"sh", "-c", "cat > /a <<EOF\nuser: jane\npassword: s3cret\nEOF"}, want: []string{"sh", "-c", `cat > /a <<EOF\nuser: jane\npassword: …\nEOF`}},
		"scripts too deep are left out": {
			in: []string{`a "b 'c \"d e\"'"`, strings.Repeat("x ", 600)}, want: []string{`a "b 'c \"d e\"'"`, strings.Repeat("x ", 512) + "…"},
		},
		"a word that is too long": {in: []string{strings.Repeat("x", 20000), "--password", "s3cret"}, want: []string{strings.Repeat("x", 1024) + "…", "--password", "…"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, command(tc.program, tc.in...)); diff != "" {
				t.Errorf("words (-want +got):\n%s", diff)
			}
		})
	}
}

// marks are texts that mark what follows them as a secret, up to a space; the first of them only in
// commands.
var marks = []string{
	"mysql -p", "curl -u jane:", "redis-cli -a ",
	"--password=", "--password ", "--auth-token ", "FOO_TOKEN=", "X_PASSWORD=", `"password": "`, `\"apiKey\":\"`, "Authorization: Bearer ", "Cookie: a=",
	"https://jane:", "https://example.com/?sig=", "password: ", "ghp_0123456789abcdefghij", "'secret' => '",
}

const (
	commandMarks = 3
	// unsplitMark is the first that does not mark a word of its own.
	unsplitMark = 16
)

// FuzzSecret holds that a secret behind a mark does not come out, whatever stands around, and that
// what comes out is bounded and printable.
func FuzzSecret(f *testing.F) {
	for i := range marks {
		f.Add("before ", i, " after", i)
		f.Add(`sh -c "`, i, `" next`, 0)
		f.Add("a\n", i, strings.Repeat("x ", 3000), 3)
	}
	f.Fuzz(func(t *testing.T, before string, mark int, after string, words int) {
		const planted = "pl4nted5ecret"
		mark = max(mark, -mark) % len(marks)
		if mark < 0 || strings.Contains(before, "pl4") {
			return
		}
		end := " "
		if strings.Contains(marks[mark], "://") && strings.HasSuffix(marks[mark], ":") {
			end = "@example.com "
		}
		// What stands before is a text of its own: else it may be part of the mark, or quote it.
		text := strings.Map(func(r rune) rune {
			if strings.ContainsRune("\"'`\\$(){}[]<>", r) {
				return -1
			}
			return r
		}, before) + "\n" + marks[mark] + planted + end
		for i, got := range []string{command("", text+after)[0], Text(text + after)} {
			if strings.Contains(got, planted) && (i == 0 || mark >= commandMarks) {
				t.Errorf("%q comes out of %q", got, text)
			}
			if Size(got) > longestWord+len(mask) || !utf8.ValidString(got) || strings.ContainsFunc(got, hidden) {
				t.Errorf("%d bytes come out: %q", len(got), got)
			}
		}
		fields := strings.Fields(marks[mark] + planted + end)
		if split := words % 5; split > 0 {
			fields = append(slices.Repeat([]string{"x"}, split), fields...)
		}
		if got := strings.Join(command("", fields...), " "); mark < unsplitMark && strings.Contains(got, planted) {
			t.Errorf("%q comes out of %q", got, fields)
		}
	})
}
