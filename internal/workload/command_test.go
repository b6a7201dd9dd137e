package workload

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// short writes a word as "verb flag position path", "<-" in front of what is written to.
func short(words []word) []string {
	var out []string
	for _, w := range words {
		text := strings.Join([]string{w.verb, w.flag, string(rune('0' + w.position)), w.path}, " ")
		if w.write {
			text = "> " + text
		}
		if w.kind != ReferenceCommand {
			text = w.kind + " " + text
		}
		out = append(out, text)
	}
	return out
}

func TestReadCommands(t *testing.T) {
	t.Parallel()
	env := func(name, value string) container { return withEnv(container{}, name, value) }
	for name, tc := range map[string]struct {
		container  container
		want       []string
		wantWrites bool
	}{
		"a program by its path": {
			container: container{Command: []string{"/opt/app/bin/start", "--port", "80"}},
			want:      []string{"start  0 /opt/app/bin/start"},
		},
		"a shell's options with a word of their own": {
			container: container{Command: []string{"bash", "-euo", "pipefail", "-O", "extglob", "-c", "cp /a /b && exec java -jar /data/app.jar"}},
			want:      []string{"cp  1 /a", "cp  2 /b", "java -jar 1 /data/app.jar"}, wantWrites: true,
		},
		"a folder that a subshell changes into is left behind": {
			container: container{Command: []string{"sh", "-c", "(cd /data && ls x.d); x=$(cd /data && ls); exec ./app"}, WorkingDir: "/opt"},
			want:      []string{"workingDir ls  0 /data", "ls  1 /data/x.d", "workingDir ls  0 /data", "workingDir app  0 /opt", "app  0 /opt/app"},
		},
		"cd - goes back": {
			container: container{Command: []string{"sh", "-c", "cd /data; cd -; ./app"}, WorkingDir: "/opt"},
			want:      []string{"workingDir app  0 /opt", "app  0 /opt/app"},
		},
		"cd alone goes to a home that the manifest does not tell": {
			container: container{Command: []string{"sh", "-c", "cd /data; cd; ./app"}},
		},
		"options of a wrapper with a word of their own": {
			container: container{Command: []string{"sudo", "-E", "-u", "app", "nice", "-n", "10", "timeout", "-s", "KILL", "9", "java", "-jar", "/data/app.jar"}},
			want:      []string{"java -jar 1 /data/app.jar"},
		},
		"variables of the container in the way of Kubernetes": {
			container: withEnv(container{Command: []string{"java", "-jar", "$(HOME_OF)/app.jar", "$(NONE)/a.b", "$$(HOME_OF)/c.d"}}, "HOME_OF", "/data"),
			want:      []string{"java -jar 1 /data/app.jar", "env HOME_OF  0 /data"},
		},
		"variables of the container in the way of a shell": {
			container: withEnv(container{Command: []string{"sh", "-c", `java -jar "${HOME_OF}/app.jar" $NONE/a.b`}}, "HOME_OF", "/data"),
			want:      []string{"java -jar 1 /data/app.jar", "env HOME_OF  0 /data"},
		},
		"a program that PATH finds is not named": {
			container: container{Command: []string{"nginx"}},
		},
		"a program relative to the working directory": {
			container: container{Command: []string{"./start.sh"}, WorkingDir: "/code"},
			want:      []string{"workingDir start.sh  0 /code", "start.sh  0 /code/start.sh"},
		},
		"a file relative to the working directory": {
			container: container{Command: []string{"python", "app.py", "runserver"}, WorkingDir: "/code"},
			want:      []string{"workingDir python  0 /code", "python  1 /code/app.py"},
		},
		"a relative file without a working directory says nothing": {
			container: container{Command: []string{"python", "app.py"}},
		},
		"the file after an option": {
			container: container{Command: []string{"java", "-Xmx1g", "-jar", "/data/app.jar", "/data/in"}},
			want:      []string{"java -jar 1 /data/app.jar", "java  2 /data/in"},
		},
		"an option with its value": {
			container: container{Args: []string{"server", "--root=/srv/www"}},
			want:      []string{"server --root 1 /srv/www"},
		},
		"a program that is told another folder": {
			container:  container{Command: []string{"npm", "--prefix", "/srv/shop", "start"}, WorkingDir: "/data"},
			want:       []string{"workingDir npm  0 /srv/shop", "npm --prefix 1 /srv/shop"},
			wantWrites: true,
		},
		"a program that is told another folder in one word": {
			container: container{Command: []string{"gunicorn", "--chdir=app", "main:app"}, WorkingDir: "/code"},
			want:      []string{"workingDir gunicorn  0 /code/app"},
		},
		"a class path is a list": {
			container: container{Command: []string{"java", "-cp", "/app/lib:/app/classes", "Main"}},
			want:      []string{"java -cp 1 /app/lib", "java -cp 1 /app/classes"},
		},
		"wrappers are not the program": {
			container: container{Command: []string{"/usr/bin/tini", "--", "env", "A=b", "gosu", "www", "/srv/run"}},
			want:      []string{"run  0 /srv/run"},
		},
		"a shell script's commands, with cd": {
			container: container{Command: []string{"sh", "-ec", "cd /code && exec python manage.py\n/bin/other '/a b'"}},
			want:      []string{"workingDir python  0 /code", "python  1 /code/manage.py", "workingDir other  0 /code", "other  0 /bin/other", "other  1 /a b"},
		},
		"a shell with a file": {
			container: container{Command: []string{"bash", "/scripts/run.sh"}},
			want:      []string{"bash  1 /scripts/run.sh"},
		},
		"a shell in a shell": {
			container: container{Command: []string{"sh", "-c", `bash -c "java -jar /x/a.jar"`}},
			want:      []string{"java -jar 1 /x/a.jar"},
		},
		"an expansion ends what is known of a word": {
			container: container{Command: []string{"sh", "-c", `"$HOME/x.sh"; /opt/$APP/run`}},
			want:      []string{"opt  0 /opt"},
		},
		"a copying command writes": {
			container:  container{Command: []string{"cp", "/sample.war", "/app"}},
			want:       []string{"cp  1 /sample.war", "cp  2 /app"},
			wantWrites: true,
		},
		"a redirection writes": {
			container:  container{Command: []string{"sh", "-c", "echo hi > /srv/index.html 2>/dev/null"}},
			want:       []string{">   1 /srv/index.html"},
			wantWrites: true,
		},
		"a script that does not parse is read as words and may write": {
			container:  container{Command: []string{"sh", "-c", "if then /opt/x.sh"}},
			want:       []string{"if  2 /opt/x.sh"},
			wantWrites: true,
		},
		"a script too long to parse may write": {
			container:  container{Command: []string{"sh", "-c", strings.Repeat("a ", longestScript)}},
			wantWrites: true,
		},
		"paths in the environment, URLs not": {
			container: env("PYTHONPATH", "/code:/lib/x"),
			want:      []string{"env PYTHONPATH  0 /code", "env PYTHONPATH  0 /lib/x"},
		},
		"other values in the environment are not read": {
			container: env("PASSWORD", "s3cret"),
		},
		"no command": {},
		"nothing but a wrapper": {
			container: container{Command: []string{"env"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := readCommands(&tc.container, "spec.containers[0]", scripts())
			if diff := cmp.Diff(tc.want, short(got.words)); diff != "" {
				t.Errorf("words (-want +got):\n%s", diff)
			}
			if got.writes != tc.wantWrites {
				t.Errorf("writes = %v, want %v", got.writes, tc.wantWrites)
			}
		})
	}
}

func scripts() *int {
	budget := allScripts
	return &budget
}

func TestReadCommandsFields(t *testing.T) {
	t.Parallel()
	c := container{Command: []string{"/bin/a", "/x/1"}, Args: []string{"/x/2"}}
	var fields []string
	for _, w := range readCommands(&c, "spec.containers[3]", scripts()).words {
		fields = append(fields, w.field)
	}
	want := []string{"spec.containers[3].command[0]", "spec.containers[3].command[1]", "spec.containers[3].args[0]"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// A script of brackets alone must neither exhaust the parser's stack nor run away.
func TestDeepScriptMayWrite(t *testing.T) {
	t.Parallel()
	for _, bracket := range []string{"(", "$(", "{ ", "${a:-", "if "} {
		c := container{Command: []string{"sh", "-c", strings.Repeat(bracket, longestScript/len(bracket))}}
		if got := readCommands(&c, "f", scripts()); !got.writes {
			t.Errorf("a script of %q is taken for one that writes nothing", bracket)
		}
	}
}

func TestScriptsOfAnObjectShareABudget(t *testing.T) {
	t.Parallel()
	budget := scripts()
	c := container{Command: []string{"sh", "-c", strings.Repeat("/a\n", longestScript/3)}}
	for i := range 2 * allScripts / longestScript {
		got := readCommands(&c, "f", budget)
		if beyond := i >= allScripts/(longestScript/3*3); got.writes != beyond {
			t.Fatalf("script %d: writes = %v, want %v", i, got.writes, beyond)
		}
	}
}

func FuzzReadCommands(f *testing.F) {
	f.Add("cd /code && exec python app.py > /x", "/work")
	f.Add("java -cp /a:/b Main <<EOF\nx\nEOF", "")
	f.Fuzz(func(t *testing.T, script, dir string) {
		c := container{Command: []string{"sh", "-c", script}, WorkingDir: dir}
		for _, w := range readCommands(&c, "f", scripts()).words {
			if !strings.HasPrefix(w.path, "/") {
				t.Errorf("path %q of %q is not absolute", w.path, script)
			}
		}
	})
}

func withEnv(c container, name, value string) container {
	c.Env = append(c.Env, struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}{name, value})
	return c
}

func TestHooksAreRead(t *testing.T) {
	t.Parallel()
	run := func(command ...string) *hook {
		var h hook
		h.Exec = &struct {
			Command []string `json:"command"`
		}{command}
		return &h
	}
	for name, tc := range map[string]struct {
		start, stop *hook
		want        []string
		wantWrites  bool
	}{
		"what runs after the start may write first": {start: run("/data/start"), want: []string{"hook start  0 /data/start"}, wantWrites: true},
		"what runs before the end fills nothing":    {stop: run("cp", "/data/a.b", "/c"), want: []string{"hook cp  1 /data/a.b", "hook cp  2 /c"}},
		"a hook without a command is no program":    {start: &hook{}, stop: &hook{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			budget := allScripts
			var c container
			c.Lifecycle.PostStart, c.Lifecycle.PreStop = tc.start, tc.stop
			got := readCommands(&c, "c", &budget)
			if diff := cmp.Diff(tc.want, short(got.words)); diff != "" || got.writes != tc.wantWrites {
				t.Errorf("writes = %v, words (-want +got):\n%s", got.writes, diff)
			}
		})
	}
}

func TestVariablesThatNameEachOther(t *testing.T) {
	t.Parallel()
	c := withEnv(withEnv(container{}, "BASE", "/data"), "JAR", "$(BASE)/app.jar")
	for range 1000 { // each is as long as all before it
		c = withEnv(c, "GROW", "/"+strings.Repeat("$(GROW)", 100))
	}
	c = withEnv(c, "PASSWORD", "s3cret")
	v := variables{container: &c}
	for text, want := range map[string]string{
		"$(JAR)": "/data/app.jar", "$(JAR) $(": "/data/app.jar $(", "a$": "a$", "$(BASE)$": "/data$", "$$(BASE)": "$(BASE)", "$()$(BASE)": "$()/data", "$(X)$(BASE)": "$(X)/data", "$(PASSWORD)": "$(PASSWORD)",
	} {
		if got := v.expand(text); got != want {
			t.Errorf("expand(%q) = %q, want %q", text, got, want)
		}
	}
	if long := strings.Repeat("$(GROW)", 1000); len(v.expand(long)) > 10*longestScript {
		t.Errorf("%d bytes became %d", len(long), len(v.expand(long)))
	}
}
