package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// missing is what is said if the namespace shop is full.
const missing = "rejections may be missing of namespace shop before 2026-03-01 10:19 UTC: 100 of one namespace and 10,000 of all are kept, for 30 days after the last try\n"

// serve answers as an API server that keeps 100 observed rejections of the namespace shop, the latest a minute old and each
// other a minute older, and two denied ones of web. It returns the path of a kubeconfig file.
func serve(t *testing.T) string {
	t.Helper()
	list := auditv1alpha1.RejectionList{TypeMeta: metav1.TypeMeta{APIVersion: auditv1alpha1.GroupVersion.String(), Kind: "RejectionList"}}
	for i := range 102 {
		namespace, outcome, last := "shop", auditv1alpha1.OutcomeObserved, metav1.NewTime(now.Add(-time.Duration(i)*time.Minute))
		if i < 2 {
			namespace, outcome = "web", auditv1alpha1.OutcomeDenied
		}
		list.Items = append(list.Items, auditv1alpha1.Rejection{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("r%09d", i), Namespace: "plainspec-system"}, Outcome: outcome, Operation: "CREATE", User: "jane", Count: 1,
			Root: auditv1alpha1.Root{Kind: "Pod", Namespace: namespace, Name: "a", Text: "Pod " + namespace + "/a"}, Rules: []string{"image.no_version"},
			FirstTime: last, LastTime: last,
		})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/apis/audit.plainspec.dev/v1alpha1/namespaces/plainspec-system/rejections" {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(list); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{apiVersion: v1, kind: Config, clusters: [{name: a, cluster: {server: "` + server.URL + `"}}], contexts: [{name: a, context: {cluster: a}}], current-context: a}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReportOfRejections(t *testing.T) {
	t.Parallel()
	kubeconfig := serve(t)
	for name, tc := range map[string]struct {
		args   []string
		lines  int // of standard output; any number if 0
		want   []string
		stderr string
	}{
		"a list shows each outcome as what it is": {
			[]string{"list"}, 103,
			[]string{"ROOT         OUTCOME    RULES              USER   COUNT   FIRST   LAST   ID\n", "\nPod web/a    denied     image", "\nPod shop/a   observed   image"}, missing,
		},
		"a list of one outcome": {[]string{"list", "--outcome", "Denied"}, 3, []string{"ROOT        RULES              USER"}, missing},
		"nothing of an outcome": {[]string{"list", "--outcome", "bypassed"}, 0, nil, "no rejections match (outcome bypassed): 102 others are recorded; see --outcome\n" + missing},
		"what is younger than a gap": {
			[]string{"list", "--since", "99m"}, 101, nil, "",
		},
		"programs are told, too": {[]string{"list", "-o", "json"}, 0, []string{`"gaps": [
    {
      "namespace": "shop",
      "before": "2026-03-01T10:19:00Z"
    }
  ],`}, missing},
		"a page of what was not refused": {
			[]string{"html"}, 0,
			[]string{"<h1>What was refused, or would be</h1>", "2 were refused (denied). 100 were admitted, and would be refused", `<bdi>shop</bdi> <span class="badge full">full</span>`}, missing,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runArgs(t, nil, append([]string{"report", "--kubeconfig", kubeconfig}, tc.args...)...)
			if diff := cmp.Diff(tc.stderr, errs); code != codeOK || diff != "" {
				t.Errorf("exit code %d, standard error (-want +got):\n%s", code, diff)
			}
			if got := strings.Count(out, "\n"); tc.lines > 0 && got != tc.lines {
				t.Errorf("%d lines, want %d", got, tc.lines)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("standard output lacks %q:\n%.2000s", want, out)
				}
			}
		})
	}
}

// TestRareFlagsWork holds that what help does not show is taken.
func TestRareFlagsWork(t *testing.T) {
	t.Parallel()
	code, _, errs := runArgs(t, nil, "report", "--kubeconfig", serve(t), "list", "--token", "secret", "--tls-server-name", "example.com", "--as", "jane", "--as-uid", "7", "--since", "1m")
	if code != codeOK || errs != "" {
		t.Errorf("exit code %d, standard error %q", code, errs)
	}
}

// TestPageReplacesAFileThatAllMayRead holds what the flag promises.
func TestPageReplacesAFileThatAllMayRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := runArgs(t, nil, "report", "--kubeconfig", serve(t), "html", "--since", "1m", "--output-file", path); code != codeOK || out+errs != "" {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 || info.Size() < 1000 {
		t.Errorf("the file has %d bytes and the mode %s, want a page that only its owner reads", info.Size(), info.Mode())
	}
}
