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
		"an option behind a secret's name": {
			in:   []string{"mongod", "--auth", "--sslPEMKeyPassword", "s3cret", "update-password", "--current-password", "s3cret", "--token", "-n", "s3cret", "next"},
			want: []string{"mongod", "--auth", "--sslPEMKeyPassword", "…", "update-password", "--current-password", "…", "--token", "-n", "…", "next"},
		},
		"the name of a program is none": {in: []string{"oauth2-proxy", "s3cret", "oauth2-proxy", "s3cret"}, want: []string{"oauth2-proxy", "s3cret", "oauth2-proxy", "s3cret"}},
		"nor that of one in a script": {
			in:   []string{"sh", "-c", "cd /a && sshpass -p s3cret ssh h; A=b exec auth-job run | token-job run\nkey-job run"},
			want: []string{"sh", "-c", `cd /a && sshpass -p … ssh h; A=b exec auth-job run | token-job run\nkey-job run`},
		},
		"a mark alone": {in: []string{"app", "--password", "=", "s3cret", "password", ":", "s3cret"}, want: []string{"app", "--password", "=", "…", "password", ":", "…"}},
		"all behind the tool that makes passwords": {
			in: []string{"openssl", "passwd", "-1", "-salt", "s3cret", "s3cret"}, want: []string{"openssl", "passwd", "-1", "-salt", "…", "…"},
		},
		"all but the first": {in: []string{"htpasswd", "-bc", "/f", "jane", "s3cret"}, want: []string{"htpasswd", "-bc", "/f", "…", "…"}},
		"letters in one word": {
			in: []string{"curl", "-fsSLu", "jane:s3cret", "-sujane:s3cret", "-fsSLo", "a:b"}, want: []string{"curl", "-fsSLu", "jane:…", "-sujane:…", "-fsSLo", "a:b"},
		},
		"a login": {
			in:   []string{"docker", "login", "-u", "jane", "-p=s3cret", "-p", "/s3cret", "-p", "31415926"},
			want: []string{"docker", "login", "-u", "jane", "-p…", "-p", "…", "-p", "…"},
		},
		"user and password of an unknown program": {
			in:   []string{"app", "-u", "jane:s3cret", "-u", "1000:1000", "-u", "jane:jane", "-u", "jane:staff"},
			want: []string{"app", "-u", "jane:…", "-u", "1000:1000", "-u", "jane:jane", "-u", "jane:staff"},
		},
		"of one that takes them": {
			in:   []string{"curl", "-u", "1234:5678901", "--user", "jane:jane", "-u", "a b/c:s3cret", "--cert", "f.pem:s3cret"},
			want: []string{"curl", "-u", "1234:…", "--user", "jane:…", "-u", "a b/c:…", "--cert", "f.pem:…"},
		},
		"a database": {in: []string{"sqlplus", "-s", "scott/s3@cret@db:1521/x", "@/a/b.sql"}, want: []string{"sqlplus", "-s", "scott/…@db:1521/x", "@/a/b.sql"}},
		"a setting of npm": {
			in:   []string{"npm", "config", "set", "//npm.example.com/:_authToken", "s3cret"},
			want: []string{"npm", "config", "set", "//npm.example.com/:_authToken", "…"},
		},
		"a path behind a word is none, but a password can begin like one": {
			in:   []string{"app", "token", "/data/app", "token", "/S3cret", "--token", "/data/app"},
			want: []string{"app", "token", "/data/app", "token", "…", "--token", "…"},
		},
		"a header of several words": {in: []string{"curl", "-H", "X-Api-Key: my s3cret", "-HX-Api-Key: my s3cret"}, want: []string{"curl", "-H", "X-Api-Key: …", "-HX-Api-Key: …"}},
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
	"mysql -p", "curl -u jane:", "redis-cli -a ", "curl -fsSLu jane:", "docker login -p ", "oauth2-proxy --client-secret ",
	"--password=", "--password ", "--auth-token ", "FOO_TOKEN=", "X_PASSWORD=", "DB_PW=", "name=DB_PASSWORD,value=", `"password": "`, `\"apiKey\":\"`, "Authorization: Bearer ", "Cookie: a=",
	"https://jane:", "https://example.com/?sig=", "password: ", "ghp_0123456789abcdefghij", "'secret' => '",
}

const (
	commandMarks = 6
	// unsplitMark is the first that does not mark a word of its own.
	unsplitMark = 21
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
