package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/report"
	"plainspec.dev/plainspec/test/cluster"
)

// recorded is how many records there are: two full pages, and one that is not.
const recorded = 1203

// TestRejections asks the CLI about records that a real API server keeps, as users with and without rights.
func TestRejections(t *testing.T) {
	log.SetLogger(logr.Discard())
	s := newStory(t, cluster.Options{Progress: os.Stderr})

	t.Run("without the chart, the reader is told that it is missing", s.uninstalled)
	s.install(t)
	t.Run("without a record, the reader is told where none is", s.nothing)
	s.record(t)
	t.Run("records come in pages, the latest first", s.inPages)
	t.Run("filters leave out the rest", s.filters)
	t.Run("one is shown by its id or its beginning", s.show)
	t.Run("a page is written, for its owner only", s.page)
	t.Run("the chart's role is enough", s.rejectionsViewer)
	t.Run("who has no rights is told which to ask for", s.stranger)
	t.Run("who is somebody else by the kubeconfig is asked as that one", s.impersonated)
}

// record creates the records: the number i is i minutes old; every thirtieth is of the namespace shop, the others are of
// twenty, since of one namespace no more than a hundred are kept.
func (s *story) record(t *testing.T) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := auditv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	config := s.Config()
	config.QPS = -1
	writer, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	now := time.Now()
	for i := range recorded {
		group.Go(func() error { return writer.Create(ctx, numbered(i, now)) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func numbered(i int, now time.Time) *auditv1alpha1.Rejection {
	namespace, code, outcome := fmt.Sprintf("web-%d", i%20), "image.no_version", auditv1alpha1.OutcomeDenied
	if i%30 == 0 {
		namespace = "shop"
	}
	if i == 3 {
		code = "version.hidden_in_volume"
	}
	if i >= recorded-3 {
		outcome = auditv1alpha1.OutcomeBypassed
	}
	at := metav1.NewTime(now.Add(-time.Duration(i) * time.Minute).Truncate(time.Second))
	return &auditv1alpha1.Rejection{
		ObjectMeta: metav1.ObjectMeta{Name: id(i), Namespace: home, Labels: map[string]string{auditv1alpha1.NamespaceLabel: namespace}},
		Outcome:    outcome, Operation: "CREATE", User: fmt.Sprintf("user-%d", i%5),
		Root:      auditv1alpha1.Root{Kind: "Pod", Namespace: namespace, Name: "a", Text: "Pod " + namespace + "/a"},
		Rules:     []string{code},
		FirstTime: at, LastTime: at, Count: 1,
		Findings:       []auditv1alpha1.Finding{{Code: code, Severity: "high", Field: "spec.containers[0].image", Message: "it does not say", Fix: "say it"}},
		PolicyRevision: "0123456789ab",
		Manifest:       auditv1alpha1.Manifest{Containers: []auditv1alpha1.Container{{Name: "a", Role: "main", Image: "nginx"}}},
	}
}

// id is the id of a record; that of number 7 begins as no other.
func id(i int) string {
	if i == 7 {
		return "unlike0007"
	}
	return fmt.Sprintf("r%09d", i)
}

// tell runs a verb of the CLI's report as the user of a kubeconfig file.
func (s *story) tell(t *testing.T, kubeconfig string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, s.cli, append([]string{"report", "--kubeconfig", kubeconfig}, args...)...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String(), errs.String()
}

// says fails unless the CLI ends with a code and says just that on standard error.
func (s *story) says(t *testing.T, kubeconfig string, wantCode int, wantErrs string, args ...string) (stdout string) {
	t.Helper()
	code, stdout, stderr := s.tell(t, kubeconfig, args...)
	if diff := cmp.Diff(wantErrs, stderr); code != wantCode || diff != "" {
		t.Errorf("%v: exit code %d, want %d; standard error (-want +got):\n%s", args, code, wantCode, diff)
	}
	return stdout
}

func (s *story) uninstalled(t *testing.T) {
	want := "error: read rejections: the CustomResourceDefinition rejections.audit.plainspec.dev is missing: " +
		"Plainspec's chart is not installed in this cluster (see --context), its crds.install is false, or it was deleted\n"
	for _, args := range [][]string{{"list"}, {"show", id(1)}, {"html"}} {
		if out := s.says(t, s.Kubeconfig(), 2, want, args...); out != "" {
			t.Errorf("%v says %q", args, out)
		}
	}
}

func (s *story) nothing(t *testing.T) {
	none := `no rejections match: none is recorded in namespace "plainspec-system", where one is seconds after its refusal; is Plainspec installed there? see --plainspec-namespace` + "\n"
	if out := s.says(t, s.Kubeconfig(), 0, none, "list"); out != "" {
		t.Errorf("the list is %q, want nothing", out)
	}
	if out := s.says(t, s.Kubeconfig(), 0, none, "html"); !strings.Contains(out, "<h2>No rejections match</h2>") {
		t.Errorf("the page does not say that nothing matches:\n%s", out)
	}
	s.says(t, s.Kubeconfig(), 2,
		`error: no rejection "r000000001": none is recorded in namespace "elsewhere" (is Plainspec installed there? see --plainspec-namespace)`+"\n",
		"show", id(1), "--plainspec-namespace", "elsewhere")
}

// counter counts requests, and those that ask for a bounded number of records.
type counter struct {
	all, bounded atomic.Int32
	next         http.RoundTripper
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.all.Add(1)
	if r.URL.Query().Get("limit") == "500" {
		c.bounded.Add(1)
	}
	return c.next.RoundTrip(r)
}

func (s *story) inPages(t *testing.T) {
	config, requests := s.Config(), &counter{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		requests.next = next
		return requests
	})
	reader, err := report.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	records, err := report.Source{Client: reader, Namespace: home}.Read(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if requests.all.Load() != 3 || requests.bounded.Load() != 3 {
		t.Errorf("%d requests, %d for 500 records, want 3 and no other", requests.all.Load(), requests.bounded.Load())
	}
	if len(records) != recorded {
		t.Fatalf("read %d records, want all %d", len(records), recorded)
	}
	for i := range records {
		if records[i].Name != id(i) {
			t.Fatalf("at %d comes %s, want %s: the latest first", i, records[i].Name, id(i))
		}
	}
}

// list returns the ids that the CLI lists.
func (s *story) list(t *testing.T, kubeconfig string, args ...string) []string {
	t.Helper()
	out := s.says(t, kubeconfig, 0, "", append([]string{"list", "-o", "json"}, args...)...)
	var answer report.Rejections
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 0, len(answer.Rejections))
	for i := range answer.Rejections {
		ids = append(ids, answer.Rejections[i].ID)
	}
	return ids
}

func (s *story) filters(t *testing.T) {
	for outcome, want := range map[string]int{"all": recorded, "denied": recorded - 3, "Denied": recorded - 3} {
		if got := len(s.list(t, s.Kubeconfig(), "--outcome", outcome)); got != want {
			t.Errorf("of the outcome %s are %d, want %d", outcome, got, want)
		}
	}
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"an outcome":          {[]string{"--outcome", "bypassed"}, []string{id(1200), id(1201), id(1202)}},
		"a namespace besides": {[]string{"--outcome", "bypassed", "-n", "shop"}, []string{id(1200)}},
		"a rule":              {[]string{"--rule", "version.hidden_in_volume"}, []string{id(3)}},
		"a user besides":      {[]string{"--outcome", "bypassed", "--user", "user-2"}, []string{id(1202)}},
	} {
		if diff := cmp.Diff(tc.want, s.list(t, s.Kubeconfig(), tc.args...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// Number 600 is 10 hours old, and some minutes more by now.
	since := s.list(t, s.Kubeconfig(), "--since", "10h")
	if !slices.Contains(since, id(500)) || slices.Contains(since, id(601)) {
		t.Errorf("of the last 10 hours are %d rejections, want those that are so old, one each minute", len(since))
	}
	if out := s.says(t, s.Kubeconfig(), 0, "no rejections match (user nobody): 1203 others are recorded; see --user\n", "list", "--user", "nobody"); out != "" {
		t.Errorf("the list is %q, want nothing", out)
	}
	s.says(t, s.Kubeconfig(), 2, "error: outcome \"refused\" is unknown: use denied, observed (admitted, and refused under enforcement: enforce), bypassed (by a break-glass group) or all\n", "list", "--outcome", "refused")
	s.says(t, s.Kubeconfig(), 2, "error: output \"xml\" is unknown: use table, wide, json, yaml or csv\n", "list", "-o", "xml")
}

func (s *story) show(t *testing.T) {
	for _, name := range []string{"unlike0007", "UNLIKE0007", "unlike"} {
		if out := s.says(t, s.Kubeconfig(), 0, "", "show", name); !strings.HasPrefix(out, "Rejection unlike0007\n  what      Pod web-7/a (CREATE)\n  outcome   denied\n  who       user-2\n") {
			t.Errorf("%s is shown as:\n%s", name, out)
		}
	}
	s.says(t, s.Kubeconfig(), 2, "error: 3 rejections begin with \"r00000120\", such as r000001200, r000001201, r000001202: name one of them\n", "show", "r00000120")
	s.says(t, s.Kubeconfig(), 2,
		"error: no rejection \"no_id/..\" among 1203 in namespace \"plainspec-system\": it is recorded seconds after the refusal, a dry run never, and the oldest of a full namespace make room for new ones\n",
		"show", "no_id/..")
}

func (s *story) page(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte("that all may read"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := s.says(t, s.Kubeconfig(), 0, "", "html", "--outcome", "bypassed", "--output-file", file); out != "" {
		t.Errorf("standard output is %q, want nothing", out)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %o, want 600", info.Mode().Perm())
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(page, []byte(`<article id="r-r00000120`)); got != 3 {
		t.Errorf("%d dossiers, want 3", got)
	}
	s.says(t, s.Kubeconfig(), 2, "error: write page: create a file in /nowhere: no such file or directory\n", "html", "--output-file", "/nowhere/page.html")
}

func (s *story) rejectionsViewer(t *testing.T) {
	viewer := s.user(t, "auditor", []string{"rolebinding", "auditor", "--namespace=" + home, "--clusterrole=plainspec-rejections-viewer", "--user=auditor"})
	if got := len(s.list(t, viewer)); got != recorded {
		t.Errorf("the auditor sees %d rejections, want %d", got, recorded)
	}
	s.says(t, viewer, 0, "", "show", id(1))
	s.says(t, viewer, 0, "", "show", "unlike")
}

func (s *story) stranger(t *testing.T) {
	stranger := s.user(t, "stranger")
	forbidden := func(what string) string {
		return "error: read rejections: rejections.audit.plainspec.dev " + what + ` in API group "audit.plainspec.dev" in the namespace "plainspec-system"` +
			"\nask whoever runs Plainspec to bind the chart's ClusterRole …-rejections-viewer, named after the release, to you in namespace plainspec-system\n"
	}
	s.says(t, stranger, 2, forbidden(`is forbidden: User "stranger" cannot list resource "rejections"`), "list")
	s.says(t, stranger, 2, forbidden(`"r000000001" is forbidden: User "stranger" cannot get resource "rejections"`), "show", id(1))
	if out := s.says(t, stranger, 2, forbidden(`is forbidden: User "stranger" cannot list resource "rejections"`), "html"); out != "" {
		t.Errorf("a stranger gets a page:\n%s", out)
	}
}

func (s *story) impersonated(t *testing.T) {
	code, _, stderr := s.tell(t, s.Kubeconfig(), "list", "--as", "jane")
	if code != 2 || !strings.Contains(stderr, `User "jane" cannot list resource "rejections"`) {
		t.Errorf("exit code %d, standard error %q, want that jane may not", code, stderr)
	}
}
