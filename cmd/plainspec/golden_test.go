package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// now is the time of every review in tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// revision stands for the revision of the built-in policies, which changes with each of them, and
// for that of a configuration; hash for what identifies an injected element.
var (
	revision = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
	hash     = regexp.MustCompile(`\b[0-9a-f]{16}\b`)
)

// runArgs runs the command and returns its exit code and what it wrote.
func runArgs(t *testing.T, in io.Reader, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), newRoot("/usr/bin/plainspec", streams{in: in, out: &stdout, err: &stderr}, now), args)
	return code, stdout.String(), stderr.String()
}

// TestGolden runs each story of testdata: its first line says what it proves, then "args" has an
// argument a line, "stdin" is read by the command, sections below "input/" are files (name them so
// in args, or take files of examples/), and want.* is what must come out.
func TestGolden(t *testing.T) {
	t.Parallel()
	stories, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range stories {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runStory(t, path)
		})
	}
}

func runStory(t *testing.T, path string) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(archive.Comment)) == "" {
		t.Fatal("the first line does not say what the story proves")
	}
	dir := t.TempDir()
	sections := make(map[string]string)
	for _, file := range archive.Files {
		switch {
		case strings.HasPrefix(file.Name, "input/"):
			target := filepath.Join(dir, file.Name)
			if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(target, file.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		case slices.Contains([]string{"args", "stdin", "want.stdout", "want.stderr", "want.code"}, file.Name):
			sections[file.Name] = string(file.Data)
		default:
			t.Fatalf("section %q is unknown", file.Name)
		}
	}
	input, examples := filepath.Join(dir, "input"), filepath.Join("..", "..", "examples")
	var args []string
	for arg := range strings.Lines(sections["args"]) {
		arg = strings.TrimSuffix(arg, "\n")
		for name, folder := range map[string]string{"input": input, "examples": examples} {
			if arg == name || strings.HasPrefix(arg, name+"/") {
				arg = folder + strings.TrimPrefix(arg, name)
			}
		}
		args = append(args, arg)
	}
	code, out, errs := runArgs(t, strings.NewReader(sections["stdin"]), args...)
	shown := func(text string) string {
		text = strings.NewReplacer(input, "input", examples, "examples").Replace(text)
		return hash.ReplaceAllString(revision.ReplaceAllString(text, "REVISION"), "HASH")
	}
	got := map[string]string{
		"want.stdout": shown(out),
		"want.stderr": shown(errs),
		"want.code":   strconv.Itoa(code) + "\n",
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		update(t, path, archive, got)
		return
	}
	for _, name := range []string{"want.code", "want.stdout", "want.stderr"} {
		if diff := cmp.Diff(sections[name], got[name]); diff != "" {
			t.Errorf("%s (-want +got; UPDATE_GOLDEN=1 rewrites it):\n%s", name, diff)
		}
	}
}

// update rewrites what must come out.
func update(t *testing.T, path string, archive *txtar.Archive, got map[string]string) {
	t.Helper()
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "want.") })
	for _, name := range []string{"want.code", "want.stdout", "want.stderr"} {
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
	}
	if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSeeds runs the five first examples through check.
func TestSeeds(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	tests := map[string]struct {
		manifest string
		old, new string // replaced in it
		want     int
		wantText []string
	}{
		"01 is admitted": {manifest: "01-war-init-container.yaml", want: codeOK, wantText: []string{"1 checked, 0 denied"}},
		"02 is refused for the hidden version": {
			manifest: "02-volume-hidden-version.yaml", want: codeDenied,
			wantText: []string{
				`stdin:12: deny version.hidden_in_volume Pod javaweb-2: container "tomcat"`, "/root/apache-tomcat-7.0.42-v2/webapps",
				`volume "app-volume"`, "flexVolume alicloud/disk", "\n    fix: ",
			},
		},
		"03 is admitted": {manifest: "03-volume-with-download-url.yaml", want: codeOK, wantText: []string{"1 checked, 0 denied"}},
		"03 is refused if it downloads the latest": {
			manifest: "03-volume-with-download-url.yaml", old: "/v2/", new: "/latest/", want: codeDenied,
			wantText: []string{"stdin:23: deny version.driver_without_version"},
		},
		"04 is refused": {
			manifest: "04-nginx-deployment-and-service.yaml", want: codeDenied,
			wantText: []string{"stdin:19: deny image.no_version Deployment nginx", "1 checked, 1 denied, 1 skipped"},
		},
		"04 is admitted with a version": {
			manifest: "04-nginx-deployment-and-service.yaml", old: "image: nginx\n", new: "image: nginx:1.27.3\n", want: codeOK,
			wantText: []string{"1 checked, 0 denied, 1 skipped"},
		},
		"05 is refused": {manifest: "05-ubuntu-vm.yaml", want: codeDenied, wantText: []string{"stdin:9: deny image.no_version Pod my-vm-1"}},
	}
	for name, tc := range tests {
		text := read(tc.manifest)
		if tc.old != "" {
			changed := strings.Replace(text, tc.old, tc.new, 1)
			if changed == text {
				t.Fatalf("%s: %q is not there", tc.manifest, tc.old)
			}
			text = changed
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runArgs(t, strings.NewReader(text), "check", "-f", "-")
			if code != tc.want {
				t.Errorf("exit code %d, want %d: %s%s", code, tc.want, out, errs)
			}
			for _, want := range tc.wantText {
				if !strings.Contains(out, want) {
					t.Errorf("output lacks %q:\n%s", want, out)
				}
			}
		})
	}
}

// TestUsageNamesThePlugin holds that kubectl's users see what they type.
func TestUsageNamesThePlugin(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{"/bin/plainspec": "  plainspec check -f FILE", "/bin/kubectl-plainspec": "  kubectl plainspec check -f FILE"} {
		var out bytes.Buffer
		code := run(t.Context(), newRoot(program, streams{out: &out, err: &out}, now), []string{"check", "--help"})
		if code != codeOK || !strings.Contains(out.String(), "Usage:\n"+want) {
			t.Errorf("%s: exit code %d, usage is not %q:\n%s", program, code, want, out.String())
		}
	}
}

// broken is a pipe whose reader is gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestLostOutputIsAnError(t *testing.T) {
	t.Parallel()
	example := filepath.Join("..", "..", "examples", "01-war-init-container.yaml")
	for _, args := range [][]string{{"check", "-o", "text"}, {"check", "-o", "json"}, {"render"}, {"render", "--diff"}} {
		var errs bytes.Buffer
		code := run(t.Context(), newRoot("plainspec", streams{out: broken{}, err: &errs}, now), append(args, "-f", example))
		if want := "error: write result: io: read/write on closed pipe\n"; code != codeBad || !strings.HasSuffix(errs.String(), want) {
			t.Errorf("%v: exit code %d, stderr %q, want %d and %q at its end", args, code, errs.String(), codeBad, want)
		}
	}
}

func TestColorsAreForTerminals(t *testing.T) {
	t.Parallel()
	example := func(name string) string { return filepath.Join("..", "..", "examples", name) }
	diff := []string{"render", "--diff", "-f", example("11-war-by-annotation.yaml"), "--config", example("profiles.yaml")}
	tests := map[string]struct {
		args        []string
		plain, want string
	}{
		"a mode":       {[]string{"check", "-f", example("05-ubuntu-vm.yaml")}, " deny image", " \x1b[31mdeny\x1b[0m image"},
		"a diff":       {diff, "\n+  volumes:\n", "\n\x1b[32m+  volumes:\x1b[0m\n"},
		"its place":    {diff, "\n@@ -3,6 ", "\n\x1b[36m@@ -3,6 "},
		"its old name": {diff, "--- ", "\x1b[1m--- "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for color, want := range map[bool]string{false: tc.plain, true: tc.want} {
				var out bytes.Buffer
				run(t.Context(), newRoot("plainspec", streams{out: &out, err: io.Discard, color: color}, now), tc.args)
				if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "\x1b") != color {
					t.Errorf("color %v: want %q in:\n%q", color, want, out.String())
				}
			}
		})
	}
}

// TestRenderedIsComplete holds that rendering what was rendered changes nothing, and that it is
// judged as what it was made from.
func TestRenderedIsComplete(t *testing.T) {
	t.Parallel()
	examples := filepath.Join("..", "..", "examples")
	profiles := filepath.Join(examples, "profiles.yaml")
	names, err := filepath.Glob(filepath.Join(examples, "*.yaml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			wantCode, _, _ := runArgs(t, nil, "check", "-f", name, "--config", profiles)
			code, rendered, errs := runArgs(t, nil, "render", "-f", name, "--config", profiles)
			if code != codeOK || errs != "" {
				t.Fatalf("exit code %d: %s", code, errs)
			}
			code, again, _ := runArgs(t, strings.NewReader(rendered), "render", "-f", "-", "--config", profiles)
			if diff := cmp.Diff(rendered, again); code != codeOK || diff != "" {
				t.Errorf("exit code %d, rendered (-once +twice):\n%s", code, diff)
			}
			if code, out, _ := runArgs(t, strings.NewReader(rendered), "check", "-f", "-", "--config", profiles); code != wantCode {
				t.Errorf("exit code %d for what is rendered, want %d:\n%s", code, wantCode, out)
			}
		})
	}
}

// TestREADMEShowsTheOutput runs the commands that README.md shows with their output.
func TestREADMEShowsTheOutput(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```console\n\\$ kubectl plainspec ([^\n]+)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(shown) == 0 {
		t.Fatal("README.md shows no command")
	}
	for _, command := range shown {
		_, out, errs := runArgs(t, nil, strings.Fields(strings.ReplaceAll(command[1], "examples/", root+"/examples/"))...)
		if diff := cmp.Diff(command[2], strings.ReplaceAll(errs+out, root+"/", "")); diff != "" {
			t.Errorf("%s (-README +output):\n%s", command[1], diff)
		}
	}
}
