package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadinessClearsItsProgressBeforeItAnswers asks an API server that forbids everything, on a terminal that shows both
// standard output and standard error.
func TestReadinessClearsItsProgressBeforeItAnswers(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "no"}`)
	}))
	t.Cleanup(api.Close)
	var screen bytes.Buffer
	root := newRoot("/usr/bin/plainspec", streams{in: strings.NewReader(""), out: &screen, err: &screen, terminal: true}, now)
	if code := run(t.Context(), root, []string{"report", "readiness", "--server", api.URL, "--kubeconfig", emptyKubeconfig(t)}); code != 0 {
		t.Fatalf("exit code %d: %q", code, screen.String())
	}
	progress, answer, cleared := strings.Cut(screen.String(), clearLine)
	if want := "\r0 objects read, 1 requests made\r0 objects read, 2 requests made"; !cleared || !strings.HasPrefix(progress, want) || strings.Contains(progress, "\n") {
		t.Errorf("before the line is cleared: %q, want it to begin with %q and to have no line", progress, want)
	}
	if want := "not known to be ready: "; !strings.HasPrefix(answer, want) || strings.Contains(answer, "\r") {
		t.Errorf("after the line was cleared: %q, want it to begin with %q", answer, want)
	}
}

// TestReadinessSaysThatTheClusterIsNotReached holds that readiness hints at the same as list.
func TestReadinessSaysThatTheClusterIsNotReached(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.NotFoundHandler())
	api.Close()
	for _, verb := range []string{"readiness", "list"} {
		code, _, errs := runArgs(t, nil, "report", verb, "--server", api.URL, "--kubeconfig", emptyKubeconfig(t))
		if want := "reach the cluster (see --kubeconfig and --context): "; code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, %q, want 2 and %q", verb, code, errs, want)
		}
	}
}

func emptyKubeconfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte("apiVersion: v1\nkind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
