package cluster

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// program is a component without dependencies, so that it builds in a second.
func newComponent(t *testing.T, source string) (*builder, component) {
	t.Helper()
	module := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/program\n\ngo 1.26.0\n", "main.go": source} {
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := &builder{cache: t.TempDir(), progress: t.Output()}
	return b, component{name: "program", folder: "program-v1", module: module, sources: []string{"."}, packages: map[string]string{"program": "."}}
}

func TestEnsureBuildsOnceAndAgainWhenASourceChanges(t *testing.T) {
	t.Parallel()
	b, c := newComponent(t, "package main\n\nfunc main() {}\n")
	var progress strings.Builder
	b.progress = &progress
	first, err := b.ensure(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath(filepath.Join(first, "program")); err != nil {
		t.Errorf("the program is not in the folder: %v", err)
	}
	if got := progress.String(); !strings.Contains(got, "built in") {
		t.Errorf("progress is %q, want it to tell of the build", got)
	}

	progress.Reset()
	again, err := b.ensure(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if again != first || progress.String() != "" {
		t.Errorf("the second time: folder %q, progress %q, want folder %q and no progress", again, progress.String(), first)
	}

	if err := os.WriteFile(filepath.Join(c.module, "main.go"), []byte("package main\n\nfunc main() { println() }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := b.ensure(t.Context(), c); err != nil || changed == first {
		t.Errorf("after a change: folder %q, error %v, want a folder other than %q", changed, err, first)
	}
}

func TestEnsureReplacesWhatAKilledBuildLeft(t *testing.T) {
	t.Parallel()
	b, c := newComponent(t, "package main\n\nfunc main() {}\n")
	hash, err := c.hash()
	if err != nil {
		t.Fatal(err)
	}
	leftover := filepath.Join(b.cache, "program-v1-"+hash+".partial", "half")
	if err := os.MkdirAll(leftover, 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := b.ensure(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "half")); err == nil {
		t.Error("the folder holds what the killed build left")
	}
}

func TestEnsureLeavesNothingOfAFailedBuild(t *testing.T) {
	t.Parallel()
	b, c := newComponent(t, "package main\n\nfunc main() { undefined() }\n")
	_, err := b.ensure(t.Context(), c)
	const want = "build program: exit status 1: # example.com/program; ./main.go:3:15: undefined: undefined"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	entries, err := os.ReadDir(b.cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			t.Errorf("the cache holds %s", entry.Name())
		}
	}
}

func TestEnsureTellsHowMuchDiskIsMissing(t *testing.T) {
	t.Parallel()
	b, c := newComponent(t, "package main\n\nfunc main() {}\n")
	if _, known := freeGiB(b.cache); !known {
		t.Skip("free space is not known on this system")
	}
	c.diskGiB = 1 << 30
	_, err := b.ensure(t.Context(), c)
	if err == nil || !strings.HasPrefix(err.Error(), "build program: 1073741824.0 GiB of disk are needed in ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %v, want one line that says what is needed", err)
	}
}

func TestExplainBuild(t *testing.T) {
	t.Parallel()
	exit := errors.New("exit status 1")
	for name, tc := range map[string]struct {
		complaints []string
		want       string
	}{
		"a full disk says what to free": {
			complaints: []string{"# runtime", "write /tmp/x: no space left on device"},
			want:       "the disk is full; free some space, or set GOCACHE, GOTMPDIR and XDG_CACHE_HOME to folders on another disk",
		},
		"a killed compiler says that memory is missing": {
			complaints: []string{"k8s.io/api: compile: signal: killed"},
			want:       "a compiler was killed, probably for lack of memory; about 4 GiB are needed, or run with GOFLAGS=-p=1",
		},
		"other complaints follow the error on its line": {
			complaints: []string{"a", "b"},
			want:       "exit status 1: a; b",
		},
		"without complaints the error is all there is": {
			want: "exit status 1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, explainBuild(exit, tc.complaints).Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
