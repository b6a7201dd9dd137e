package main

import (
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/test/cluster"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		result cluster.KubectlResult
		want   outcome
	}{
		"exit code 0 is admitted": {
			result: cluster.KubectlResult{Stdout: "pod/a created\n"},
			want:   admitted,
		},
		"a denial by a webhook is refused": {
			result: cluster.KubectlResult{ExitCode: 1, Stderr: `Error from server (Forbidden): admission webhook "a" denied the request: b`},
			want:   refused,
		},
		"a webhook that does not answer is a failure, not a refusal": {
			result: cluster.KubectlResult{ExitCode: 1, Stderr: `Error from server (InternalError): failed calling webhook "a": connection refused`},
			want:   failed,
		},
		"a broken manifest is a failure": {
			result: cluster.KubectlResult{ExitCode: 1, Stderr: "error: error parsing a.yaml"},
			want:   failed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := judge(tc.result); got != tc.want {
				t.Errorf("judge says %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSurprise(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file string
		got  outcome
		want string
	}{
		"an admitted example that must be admitted": {file: "01-war-init-container.yaml", got: admitted},
		"a refused example that must be refused":    {file: "05-ubuntu-vm.yaml", got: refused},
		"a refused example that must be admitted": {
			file: "01-war-init-container.yaml", got: refused,
			want: "01-war-init-container.yaml was refused, but must be admitted",
		},
		"an admitted example that must be refused": {
			file: "02-volume-hidden-version.yaml", got: admitted,
			want: "02-volume-hidden-version.yaml was admitted, but must be refused",
		},
		"a broken example": {
			file: "02-volume-hidden-version.yaml", got: failed,
			want: "02-volume-hidden-version.yaml could be neither admitted nor refused",
		},
		"a file of which nothing is said": {file: "99-mine.yaml", got: refused},
		"a broken file of which nothing is said": {
			file: "99-mine.yaml", got: failed,
			want: "99-mine.yaml could be neither admitted nor refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := surprise(tc.file, tc.got); got != tc.want {
				t.Errorf("surprise is %q, want %q", got, tc.want)
			}
		})
	}
}

func TestEveryExampleIsExpected(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("find examples: %d found, %v", len(files), err)
	}
	for _, file := range files {
		if filepath.Base(file) != profiles && expected(filepath.Base(file)) == "" {
			t.Errorf("nothing says what must become of %s", file)
		}
	}
}

func TestEachExampleHasANamespaceOfItsOwn(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"01-war-init-container.yaml":         "example-01-war-init-container",
		"01-war-by-annotation.yaml":          "example-01-war-by-annotation",
		"My_File 2.yaml":                     "example-my-file-2",
		strings.Repeat("long-", 20) + "yaml": "example-" + strings.Repeat("long-", 10) + "long",
	} {
		if got := namespace(file); got != want {
			t.Errorf("namespace of %s is %q, want %q", file, got, want)
		}
	}
}

func TestSurprisesAreOneLine(t *testing.T) {
	t.Parallel()
	const want = "apply examples: a.yaml was refused, but must be admitted; b.yaml could be neither admitted nor refused"
	got := surprises{"a.yaml was refused, but must be admitted", "b.yaml could be neither admitted nor refused"}.Error()
	if got != want {
		t.Errorf("error is %q, want %q", got, want)
	}
}

func TestAdviceQuotesWhatAShellWouldSplit(t *testing.T) {
	t.Parallel()
	advice := state{dir: "/home/a b/.local"}.advice()
	for _, want := range []string{
		"export KUBECONFIG='/home/a b/.local/kubeconfig'\n",
		"export PATH=$PATH:'/home/a b/.local/bin' ",
	} {
		if !strings.Contains(advice, want) {
			t.Errorf("advice lacks %q:\n%s", want, advice)
		}
	}
}

func TestIndentKeepsTheMessagesOwnIndentation(t *testing.T) {
	t.Parallel()
	want := "          refused\n            fix: a tag\n"
	if diff := cmp.Diff(want, indent("refused\n  fix: a tag")); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		progress  string
		wantOut   string
		wantError string
	}{
		"progress is printed until all is ready": {
			progress: "control plane runs\nready\n",
			wantOut:  "control plane runs\n",
		},
		"an error of the supervisor is the error": {
			progress:  "control plane runs\nerror: the disk is full\n",
			wantOut:   "control plane runs\n",
			wantError: "the disk is full",
		},
		"a supervisor that ends without a word has left a log": {
			progress:  "control plane runs\n",
			wantOut:   "control plane runs\n",
			wantError: "the supervisor ended; .local/logs/supervisor.log says why",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := follow(t.Context(), strings.NewReader(tc.progress), &out)
			if diff := cmp.Diff(tc.wantOut, out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if got := message(err); got != tc.wantError {
				t.Errorf("error is %q, want %q", got, tc.wantError)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestLastErrorIsTheProgramsOwn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("starting\nerror: load policies: a.rego:1\nplainspec ended\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := lastError(path), "load policies: a.rego:1"; got != want {
		t.Errorf("lastError is %q, want %q", got, want)
	}
}

func TestDownSaysThatNothingIsRunning(t *testing.T) {
	t.Parallel()
	s := state{root: t.TempDir()}
	s.dir = s.root + "/.local"
	for range 2 {
		var out strings.Builder
		if err := down(t.Context(), s, &out); err != nil || out.String() != "nothing is running\n" {
			t.Errorf("down says %q, error %v", out.String(), err)
		}
	}
}

func TestDownRemovesWhatADeadSupervisorLeft(t *testing.T) {
	t.Parallel()
	s := state{dir: t.TempDir() + "/.local"}
	if err := os.MkdirAll(s.data(), 0o700); err != nil {
		t.Fatal(err)
	}
	// The process id belongs to a process that has nothing to do with it.
	for name, text := range map[string]string{"supervisor.lock": "", "supervisor.pid": "1\n"} {
		if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := down(t.Context(), s, io.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state folder is still there: %v", err)
	}
}

func TestAClusterStaysWithOrWithoutTheChart(t *testing.T) {
	t.Parallel()
	s := state{dir: t.TempDir()}
	for range 2 { // the second time, it is chosen already
		if err := s.chooseChart(); err != nil || !s.chart() {
			t.Errorf("choose the chart for a new cluster: chart is %t, error %v", s.chart(), err)
		}
	}
	if err := os.MkdirAll(s.data(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.chooseChart(); err != nil {
		t.Errorf("choose the chart for a cluster that has it: %v", err)
	}
	if err := os.Remove(s.chartMark()); err != nil {
		t.Fatal(err)
	}
	const want = "this cluster has Plainspec beside it; for one with the chart, run make down first"
	if err := s.chooseChart(); message(err) != want {
		t.Errorf("error is %q, want %q", message(err), want)
	}
}

func TestAdviceForTheChart(t *testing.T) {
	t.Parallel()
	s := state{dir: t.TempDir()}
	const line = "kubectl get pods --namespace plainspec-system"
	if strings.Contains(s.advice(), line) {
		t.Error("the advice for a cluster without the chart looks for its Pods")
	}
	if err := s.chooseChart(); err != nil {
		t.Fatal(err)
	}
	if advice := s.advice(); !strings.Contains(advice, line) {
		t.Errorf("the advice for the chart lacks %q:\n%s", line, advice)
	}
}

func TestValuesAreTheExamplesConfiguration(t *testing.T) {
	t.Parallel()
	s := state{root: "../..", dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Dir(s.server()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.server(), []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := (&installation{state: s}).values()
	if err != nil {
		t.Fatal(err)
	}
	var values struct {
		Enforcement    string
		Configuration  map[string]any
		PodAnnotations map[string]string
	}
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	if values.Enforcement != "enforce" {
		t.Errorf("enforcement is %q, want enforce", values.Enforcement)
	}
	if diff := cmp.Diff([]string{"completion"}, slices.Sorted(maps.Keys(values.Configuration))); diff != "" {
		t.Errorf("members of the configuration (-want +got):\n%s", diff)
	}
	// Another program is rolled out although its image is called the same.
	if hash, err := s.serverHash(); err != nil || values.PodAnnotations["plainspec.dev/program"] != hash {
		t.Errorf("annotations are %v, want the program's hash %s (%v)", values.PodAnnotations, hash, err)
	}
}

func TestUpRefusesToWorkBesideAnother(t *testing.T) {
	t.Parallel()
	s := state{dir: t.TempDir()}
	lock := flock.New(s.path("lock"))
	if held, err := lock.TryLock(); err != nil || !held {
		t.Fatal(err)
	}
	defer lock.Unlock() //nolint:errcheck // the folder goes with the test
	const want = `another "make up" or "make down" is at work in this source tree; wait for it to end`
	if err := up(t.Context(), s, io.Discard); message(err) != want {
		t.Errorf("error is %q, want %q", message(err), want)
	}
}
