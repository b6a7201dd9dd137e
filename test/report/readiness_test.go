// Package report tests reports on real clusters: what is read by whom, in pages.
package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plainspec.dev/plainspec/internal/report"
	"plainspec.dev/plainspec/test/cluster"
)

const (
	home     = "plainspec-system"
	root     = "../.."
	patience = 2 * time.Minute
)

// brownfieldRoots are the workloads that somebody applied and that would be denied; what
// controllers make of them is not among them. The Job "fired" is the CronJob's, and kubectl made it.
var brownfieldRoots = []string{
	"CronJob shop/cronjob", "DaemonSet shop/daemonset", "Deployment shop/deployment", "Job shop/fired", "Job shop/job", "Pod shop/controlled",
	"Pod shop/pod", "PodTemplate shop/podtemplate", "ReplicaSet shop/replicaset", "ReplicationController shop/replicationcontroller",
	"StatefulSet shop/statefulset",
}

// controlled is a Pod that something made of which Plainspec does not know that it makes Pods.
const controlled = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "controlled", "namespace": "shop",
	"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "operator", "uid": "UID", "controller": true}]},
	"spec": {"containers": [{"name": "app", "image": "registry.example/app"}]}}`

// TestReadinessOfABrownfield asks the CLI, as people do, about a cluster with workloads of all kinds, whose controllers
// have made children of them, and with what the chart installs for it.
func TestReadinessOfABrownfield(t *testing.T) {
	s := newStory(t, cluster.Options{Controllers: true, Nodes: 1, Progress: os.Stderr})
	s.install(t)
	s.brownfield(t)

	t.Run("whoever may read all is told about each workload once", s.everything)
	t.Run("small pages say the same as large ones", s.pages)
	t.Run("the chart's roles are enough", s.viewer)
	t.Run("who may read little is told what was not read", s.outsider)
	t.Run("who may read nothing but records is not told that what they name is gone", s.auditor)
	t.Run("who may read one kind in one namespace is told about that", s.oneKind)
	t.Run("who names another namespace than Plainspec's is told so", s.elsewhere)
	t.Run("where no rule denies, nothing that was recorded is in the way", s.modes)
	t.Run("what is deleted with its namespace is in nobody's way", s.deleted)
}

type story struct {
	*cluster.Cluster

	cli string
}

// newStory starts a cluster, which ends with the test.
func newStory(t *testing.T, o cluster.Options) *story {
	t.Helper()
	c, err := cluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &story{Cluster: c, cli: buildCLI(t)}
}

// buildCLI compiles the CLI as it is shipped.
func buildCLI(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plainspec")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/plainspec")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the CLI: %v\n%s", err, out)
	}
	return path
}

// install applies of the chart what the report reads: no server runs, and none is needed.
func (s *story) install(t *testing.T) {
	t.Helper()
	helm, err := cluster.Helm(t.Context(), "4", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"template", "gate", filepath.Join(root, "charts/plainspec"), "--namespace", home, "--set", "exemptNamespaces={kube-system}", "--set", "fullnameOverride=plainspec"}
	for _, template := range []string{"customresourcedefinitions", "configuration", "validating-webhooks", "viewers"} {
		args = append(args, "--show-only", "templates/"+template+".yaml")
	}
	rendered, err := exec.CommandContext(t.Context(), helm, args...).Output()
	if err != nil {
		exit := &exec.ExitError{}
		errors.As(err, &exit)
		t.Fatalf("render the chart: %v\n%s", err, exit.Stderr)
	}
	for _, namespace := range []string{home, "shop", "fine"} {
		if err := s.CreateNamespace(t.Context(), namespace); err != nil {
			t.Fatal(err)
		}
	}
	s.kubectl(t, bytes.NewReader(rendered), "apply", "-f", "-")
	s.kubectl(t, nil, "wait", "--for=condition=Established", "crd/rejections.audit.plainspec.dev", "--timeout=60s")
	s.kubectl(t, nil, "label", "namespace", "shop", "team=checkout")
}

// brownfield applies the workloads and the records, and waits until controllers have made children of all that have some.
func (s *story) brownfield(t *testing.T) {
	t.Helper()
	s.kubectl(t, nil, "apply", "-f", "testdata/brownfield.yaml")
	s.kubectl(t, nil, "create", "job", "fired", "--from=cronjob/cronjob", "--namespace=shop")
	records, err := os.ReadFile("testdata/records.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s.kubectl(t, bytes.NewReader(bytes.ReplaceAll(records, []byte("NOW"), []byte(time.Now().UTC().Format(time.RFC3339)))), "apply", "-f", "-")
	s.kubectl(t, nil, "create", "configmap", "operator", "--namespace=shop")
	uid := s.kubectl(t, nil, "get", "configmap", "operator", "--namespace=shop", "-o", "jsonpath={.metadata.uid}")
	s.kubectl(t, bytes.NewReader([]byte(strings.ReplaceAll(controlled, "UID", uid))), "apply", "-f", "-")
	for _, owner := range []string{"deployment", "daemonset", "job", "fired", "replicaset", "replicationcontroller", "statefulset"} {
		deadline := time.Now().Add(patience)
		for {
			owners := s.kubectl(t, nil, "get", "pods", "--namespace=shop", "-o", "jsonpath={.items[*].metadata.ownerReferences[*].name}")
			if slices.ContainsFunc(strings.Fields(owners), func(name string) bool { return strings.HasPrefix(name, owner) }) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("no Pod of %s after %s: Pods are of %s", owner, patience, owners)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}

func (s *story) kubectl(t *testing.T, stdin *bytes.Reader, args ...string) string {
	t.Helper()
	if stdin == nil {
		stdin = bytes.NewReader(nil)
	}
	result, err := s.KubectlStdin(t.Context(), stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	if result.ExitCode != 0 {
		t.Fatalf("kubectl %s: %s", strings.Join(args, " "), result.Stderr)
	}
	return result.Stdout
}

// run asks the CLI as the user of a kubeconfig file.
func (s *story) run(t *testing.T, kubeconfig string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, s.cli, append([]string{"report", "readiness", "--kubeconfig", kubeconfig}, args...)...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String(), errs.String()
}

// ask asks for JSON.
func (s *story) ask(t *testing.T, kubeconfig string, args ...string) *report.Readiness {
	t.Helper()
	code, stdout, stderr := s.run(t, kubeconfig, append(args, "-o", "json")...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, standard error %q", code, stderr)
	}
	answer := &report.Readiness{}
	if err := json.Unmarshal([]byte(stdout), answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// user makes a user with what RBAC says after it.
func (s *story) user(t *testing.T, name string, grants ...[]string) string {
	t.Helper()
	kubeconfig, err := s.User(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, grant := range grants {
		s.kubectl(t, nil, append([]string{"create"}, grant...)...)
	}
	return kubeconfig
}

// roots names the workloads of a state, sorted.
func roots(answer *report.Readiness, state report.WorkloadState) []string {
	found := []string{}
	for _, group := range answer.Groups {
		for _, workload := range group.Workloads {
			if workload.State == state {
				found = append(found, workload.Root.Text)
			}
		}
	}
	slices.Sort(found)
	return found
}

func (s *story) everything(t *testing.T) {
	answer := s.ask(t, s.Kubeconfig())
	if diff := cmp.Diff(brownfieldRoots, roots(answer, report.StateDenied)); diff != "" {
		t.Errorf("would be denied (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Job shop/import-*"}, roots(answer, report.StateGone)); diff != "" {
		t.Errorf("known by records only (-want +got):\n%s", diff)
	}
	summary := answer.Summary
	summary.Recorded.Since = time.Time{}
	want := report.ReadinessSummary{
		Workloads: 12, Denied: 11, Namespaces: 2, DeniedNamespaces: 1, Rules: []report.RuleCount{{Code: "image.no_version", Workloads: 11}},
		Recorded: &report.ReadinessRecorded{Requests: 5, Workloads: 2, Gone: 1, OtherPolicies: 2},
	}
	if diff := cmp.Diff(want, summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"kube-system", home}, answer.Basis.Exempt); diff != "" {
		t.Errorf("exempt namespaces (-want +got):\n%s", diff)
	}
	if want := "ConfigMap " + home + "/plainspec-configuration"; answer.Basis.Configuration != want || answer.Basis.Enforcement != "observe" {
		t.Errorf("configuration = %q, enforcement %q, want %q and observe", answer.Basis.Configuration, answer.Basis.Enforcement, want)
	}
	if !answer.Complete() {
		t.Errorf("unjudged %v, unread %v, want nothing", answer.Unjudged, answer.Unread)
	}
	owners := make(map[string]int)
	for _, group := range answer.Groups {
		owners[group.Owner] += len(group.Workloads)
	}
	if diff := cmp.Diff(map[string]int{"checkout": 10, "nightly": 1, "imports": 1}, owners); diff != "" {
		t.Errorf("workloads by owner (-want +got):\n%s", diff)
	}
	code, stdout, _ := s.run(t, s.Kubeconfig(), "--fail")
	first, _, _ := strings.Cut(stdout, "\n")
	if want := "11 of 12 workloads in 1 of 2 namespaces would be denied, by 1 rule"; code != 1 || first != want {
		t.Errorf("with --fail: exit code %d, first line %q, want 1 and %q", code, first, want)
	}
	if want := "  helm upgrade gate CHART --namespace plainspec-system --reset-then-reuse-values --set enforcement=warn\n"; !strings.HasSuffix(stdout, want) {
		t.Errorf("the text ends with %q, want %q", stdout[max(0, len(stdout)-200):], want)
	}
}

func (s *story) pages(t *testing.T) {
	small, large := s.ask(t, s.Kubeconfig(), "--page-size", "1"), s.ask(t, s.Kubeconfig())
	small.GeneratedAt, small.Summary.Recorded.Since = large.GeneratedAt, large.Summary.Recorded.Since
	if diff := cmp.Diff(large, small, cmp.AllowUnexported(report.ReadinessBasis{})); diff != "" {
		t.Errorf("pages of 1 (-large +small):\n%s", diff)
	}
}

func (s *story) viewer(t *testing.T) {
	viewer := s.user(t, "viewer",
		[]string{"clusterrolebinding", "viewer", "--clusterrole=plainspec-readiness-viewer", "--user=viewer"},
		[]string{"rolebinding", "viewer", "--namespace=" + home, "--role=plainspec-readiness-viewer", "--user=viewer"},
	)
	answer, all := s.ask(t, viewer), s.ask(t, s.Kubeconfig())
	answer.GeneratedAt, answer.Summary.Recorded.Since = all.GeneratedAt, all.Summary.Recorded.Since
	if diff := cmp.Diff(all, answer, cmp.AllowUnexported(report.ReadinessBasis{})); diff != "" {
		t.Errorf("what the viewer sees (-administrator +viewer):\n%s", diff)
	}
}

func (s *story) outsider(t *testing.T) {
	outsider := s.user(t, "outsider")
	code, stdout, stderr := s.run(t, outsider)
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, standard error %q, want 0 and nothing", code, stderr)
	}
	first, _, _ := strings.Cut(stdout, "\n")
	if want := "not known to be ready: nothing would be denied of what could be looked at (0 workloads in 0 namespaces), but not all could be"; first != want {
		t.Errorf("first line %q, want %q", first, want)
	}
	for _, want := range []string{
		`  deployments.apps in all namespaces: deployments.apps is forbidden: User "outsider" cannot list resource "deployments" in API group "apps" at the cluster scope`,
		`  pods in all namespaces: pods is forbidden: User "outsider" cannot list resource "pods" in API group "" at the cluster scope`,
		`  configmaps in namespace plainspec-system: configmaps is forbidden: User "outsider" cannot list resource "configmaps" in API group "" in the namespace "plainspec-system"`,
		`  rejections.audit.plainspec.dev in namespace plainspec-system: `,
		`the chart's ClusterRole …-readiness-viewer grants it, with its Role of that name in namespace plainspec-system, both named after the release:`,
		`note: the webhook configuration may not be read: name the namespaces that it exempts with --exclude-namespace`,
	} {
		if !strings.Contains(stdout, "\n"+want) {
			t.Errorf("the text has no line %q:\n%s", want, stdout)
		}
	}
	if code, _, _ := s.run(t, outsider, "--fail"); code != 2 {
		t.Errorf("with --fail: exit code %d, want 2", code)
	}
}

func (s *story) auditor(t *testing.T) {
	auditor := s.user(t, "auditor", []string{"rolebinding", "auditor", "--namespace=" + home, "--clusterrole=plainspec-rejections-viewer", "--user=auditor"})
	answer := s.ask(t, auditor)
	if diff := cmp.Diff([]string{"Deployment shop/deployment", "Job shop/import-*"}, roots(answer, report.StateUnknown)); diff != "" {
		t.Errorf("not known to be gone (-want +got):\n%s", diff)
	}
	if gone := roots(answer, report.StateGone); len(gone) > 0 {
		t.Errorf("gone is said to be %q", gone)
	}
	_, stdout, _ := s.run(t, auditor)
	first, _, _ := strings.Cut(stdout, "\n")
	if want := "not ready: no workload was looked at, and 2 of those applied lately, which may still exist, would be; not all could be looked at"; first != want {
		t.Errorf("first line %q, want %q", first, want)
	}
}

func (s *story) elsewhere(t *testing.T) {
	code, stdout, stderr := s.run(t, s.Kubeconfig(), "--plainspec-namespace=shop")
	want := `namespace "shop" is not Plainspec's: ValidatingWebhookConfiguration plainspec calls it in namespace "plainspec-system": leave --plainspec-namespace out, or name that`
	if code != 2 || stdout != "" || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, standard output %q, standard error %q, want 2, nothing and %q", code, stdout, stderr, want)
	}
}

func (s *story) modes(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "apiVersion: config.plainspec.dev/v1alpha1\nkind: Configuration\nrules: {image.no_version: {mode: warn}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := s.run(t, s.Kubeconfig(), "--fail", "--config", config)
	first, _, _ := strings.Cut(stdout, "\n")
	if want := "ready: nothing would be denied (12 workloads in 2 namespaces looked at)"; code != 0 || first != want || stderr != "" {
		t.Errorf("exit code %d, first line %q, standard error %q, want 0 and %q", code, first, stderr, want)
	}
}

func (s *story) oneKind(t *testing.T) {
	reader := s.user(t, "reader",
		[]string{"clusterrole", "reader", "--verb=get,list", "--resource=namespaces"},
		[]string{"clusterrolebinding", "reader", "--clusterrole=reader", "--user=reader"},
		[]string{"role", "reader", "--namespace=shop", "--verb=list", "--resource=deployments.apps"},
		[]string{"rolebinding", "reader", "--namespace=shop", "--role=reader", "--user=reader"},
	)
	answer := s.ask(t, reader)
	if diff := cmp.Diff([]string{"Deployment shop/deployment"}, roots(answer, report.StateDenied)); diff != "" {
		t.Errorf("would be denied (-want +got):\n%s", diff)
	}
	at := slices.IndexFunc(answer.Unread, func(u report.Unread) bool { return u.Resource == "deployments.apps" })
	if at < 0 || slices.Contains(answer.Unread[at].Namespaces, "shop") || !slices.Contains(answer.Unread[at].Namespaces, "fine") {
		t.Errorf("unread = %+v, want Deployments of other namespaces than shop", answer.Unread)
	}
	answer = s.ask(t, reader, "--namespace=shop")
	if diff := cmp.Diff([]string{"Deployment shop/deployment"}, roots(answer, report.StateDenied)); diff != "" {
		t.Errorf("in its namespace would be denied (-want +got):\n%s", diff)
	}
	if slices.ContainsFunc(answer.Unread, func(u report.Unread) bool { return u.Resource == "deployments.apps" }) {
		t.Errorf("unread = %+v, want no Deployments", answer.Unread)
	}
}

func (s *story) deleted(t *testing.T) {
	s.kubectl(t, nil, "delete", "namespace", "shop", "--wait=true")
	code, stdout, stderr := s.run(t, s.Kubeconfig(), "--fail")
	first, _, _ := strings.Cut(stdout, "\n")
	if want := "ready: nothing would be denied (1 workload in 1 namespace looked at), unless 2 workloads of deleted namespaces are applied again"; code != 0 || first != want || stderr != "" {
		t.Errorf("exit code %d, first line %q, standard error %q, want 0 and %q", code, first, stderr, want)
	}
}
