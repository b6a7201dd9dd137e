package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plainspec.dev/plainspec/test/cluster"
)

// kubectl is the real kubectl in one namespace, and fails the test if it cannot be run.
type kubectl struct {
	t         *testing.T
	namespace string
}

// in makes a namespace that the named server judges (none means the shared one), and returns
// kubectl for it.
func in(t *testing.T, namespace, server string) kubectl {
	t.Helper()
	if err := shared.createNamespace(t.Context(), namespace, server); err != nil {
		t.Fatal(err)
	}
	return kubectl{t: t, namespace: namespace}
}

// run runs kubectl as administrator, from the module's root.
func (k kubectl) run(stdin string, args ...string) cluster.KubectlResult {
	k.t.Helper()
	result, err := cluster.KubectlCommand{
		Path: shared.assets.Kubectl, Kubeconfig: shared.cluster.Kubeconfig(), Dir: shared.root,
		Stdin: strings.NewReader(stdin), Args: append([]string{"--namespace=" + k.namespace}, args...),
	}.Run(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	return result
}

// works runs kubectl, expects success and returns what it printed, the warnings apart.
func (k kubectl) works(stdin string, args ...string) (stdout, stderr string) {
	k.t.Helper()
	result := k.run(stdin, args...)
	if result.ExitCode != 0 {
		k.t.Fatalf("kubectl %s: exit code %d: %s", strings.Join(args, " "), result.ExitCode, result.Stderr)
	}
	return result.Stdout, result.Stderr
}

// fails runs kubectl, expects a failure and returns what it printed about it.
func (k kubectl) fails(stdin string, args ...string) string {
	k.t.Helper()
	result := k.run(stdin, args...)
	if result.ExitCode == 0 {
		k.t.Fatalf("kubectl %s: succeeded, want a refusal; it printed: %s%s", strings.Join(args, " "), result.Stdout, result.Stderr)
	}
	return result.Stderr
}

// silent is works for what must give no warning.
func (k kubectl) silent(stdin string, args ...string) string {
	k.t.Helper()
	stdout, stderr := k.works(stdin, args...)
	if stderr != "" {
		k.t.Errorf("kubectl %s warned: %s", strings.Join(args, " "), stderr)
	}
	return stdout
}

// get returns one field of objects as JSONPath gives it.
func (k kubectl) get(path string, args ...string) string {
	k.t.Helper()
	stdout, _ := k.works("", append([]string{"get", "-o", "jsonpath=" + path}, args...)...)
	return stdout
}

// becomes waits until a field of objects has a value.
func (k kubectl) becomes(want, path string, args ...string) {
	k.t.Helper()
	got := ""
	eventually(k.t, func() bool {
		got = k.get(path, args...)
		return got == want
	}, func() string {
		return strings.Join(args, " ") + " " + path + " is " + got + ", want " + want
	})
}

// eventually waits until something is so; what says how it is instead.
func eventually(t *testing.T, is func() bool, what func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", patience, what())
		}
	}
}

// noFailedCreates checks that no controller was refused anything in the namespace.
func (k kubectl) noFailedCreates() {
	k.t.Helper()
	events, err := shared.client.CoreV1().Events(k.namespace).List(k.t.Context(), metav1.ListOptions{})
	if err != nil {
		k.t.Fatal(err)
	}
	for i := range events.Items {
		// FailedCreate, ReplicaSetCreateError and the like; that a Pod finds no node is no refusal.
		if e := &events.Items[i]; e.Type == "Warning" && strings.Contains(e.Reason, "Create") {
			k.t.Errorf("%s %s: %s: %s", e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message)
		}
	}
}

// changing is what differs from run to run in what kubectl prints: revision and rejection id, the
// server's port, the time, and what the API server makes up.
var changing = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`rejection [a-z2-7]{10}, policies [0-9a-f]{12}`), "rejection <id>, policies <revision>"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:<port>"},
	{regexp.MustCompile(`(revision"?: ?"?)[0-9a-f]{12}\b`), "${1}<revision>"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "<uid>"},
	{regexp.MustCompile(`kube-api-access-[a-z0-9]{5}`), "kube-api-access-<name>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "<time>"},
}

// masked is what was printed, without what changes.
func masked(text string) string {
	for _, c := range changing {
		text = c.pattern.ReplaceAllString(text, c.mask)
	}
	return text
}

// golden compares a text with testdata/<name>.txt; UPDATE_GOLDEN=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = masked(got)
	file := filepath.Join("testdata", name+".txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; UPDATE_GOLDEN=1 writes it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}
