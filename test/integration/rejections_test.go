package integration

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// rejectionKind is the file with the kind Rejection.
const rejectionKind = "charts/plainspec/files/crds/audit.plainspec.dev_rejections.yaml"

// rejections is kubectl where the rejections of a server are kept.
func rejections(t *testing.T, namespace string) kubectl {
	t.Helper()
	k := in(t, namespace, "")
	k.works("", "apply", "--server-side", "-f", rejectionKind)
	k.works("", "wait", "--for=condition=Established", "crd/rejections.audit.plainspec.dev", "--timeout="+patience.String())
	return k
}

// recorder is the kubeconfig of an account that may do nothing but keep Rejections in a namespace.
func (k kubectl) recorder() string {
	k.t.Helper()
	account := "system:serviceaccount:" + k.namespace + ":plainspec"
	kubeconfig, err := shared.cluster.User(account)
	if err != nil {
		k.t.Fatal(err)
	}
	k.grant(account)
	return kubeconfig
}

// grant lets an account keep Rejections in the namespace.
func (k kubectl) grant(account string) {
	k.t.Helper()
	named := metav1.ObjectMeta{Name: "recorder", Namespace: k.namespace}
	role := &rbacv1.Role{ObjectMeta: named, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{auditv1alpha1.GroupName}, Resources: []string{"rejections"}, Verbs: []string{"create", "delete", "get", "list", "update"},
	}}}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: named, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: named.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: account}},
	}
	_, roleErr := shared.client.RbacV1().Roles(k.namespace).Create(k.t.Context(), role, metav1.CreateOptions{})
	_, bindingErr := shared.client.RbacV1().RoleBindings(k.namespace).Create(k.t.Context(), binding, metav1.CreateOptions{})
	for _, err := range []error{roleErr, bindingErr} {
		if err != nil && !apierrors.IsAlreadyExists(err) {
			k.t.Fatal(err)
		}
	}
}

var refusalID = regexp.MustCompile(`rejection ([a-z2-7]{10}), policies`)

// refused applies or creates what is refused, and returns the id that the refusal shows.
func (k kubectl) refused(stdin string, args ...string) string {
	k.t.Helper()
	stderr := k.fails(stdin, args...)
	id := refusalID.FindStringSubmatch(stderr)
	if id == nil {
		k.t.Fatalf("the refusal shows no id: %s", stderr)
	}
	return id[1]
}

// kept are the counts of the Rejections by name.
func (k kubectl) kept() map[string]int64 {
	k.t.Helper()
	var list auditv1alpha1.RejectionList
	if err := json.Unmarshal([]byte(k.silent("", "get", "rejections", "-o", "json")), &list); err != nil {
		k.t.Fatal(err)
	}
	counts := map[string]int64{}
	for i := range list.Items {
		counts[list.Items[i].Name] = list.Items[i].Count
	}
	return counts
}

// keeps waits until there is a Rejection of a name.
func (k kubectl) keeps(id string) {
	k.t.Helper()
	eventually(k.t, func() bool { return k.kept()[id] > 0 }, func() string { return "there is no rejection " + id })
}

// recorded sums what the server's log says by name.
func (s *server) recorded(t *testing.T) map[string]int64 {
	t.Helper()
	log, err := os.ReadFile(s.auditLog())
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for line := range strings.Lines(string(log)) {
		var r auditv1alpha1.Rejection
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		counts[r.Name] += r.Count
	}
	return counts
}

// ended stops the server, which writes what has not been written.
func ended(t *testing.T, servers ...*server) {
	t.Helper()
	for _, s := range servers {
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// changingRecord is what differs from run to run in what kubectl prints of Rejections.
var changingRecord = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`(?m)^[a-z2-7]{10}\b|(name: )[a-z2-7]{10}\b`), "${1}<id>"},
	{regexp.MustCompile(`\b\d+s\b`), "<age>"},
	{regexp.MustCompile(`(resourceVersion: )"\d+"`), "${1}<version>"},
	{regexp.MustCompile(`(policyRevision: )\S+`), "${1}<revision>"},
	{regexp.MustCompile(`(\S) {2,}`), "${1}  "}, // the width of columns
	{regexp.MustCompile(`(?m) +$`), ""},
}

// maskedRecord is what kubectl prints of Rejections, without what changes.
func maskedRecord(text string) string {
	for _, c := range changingRecord {
		text = c.pattern.ReplaceAllString(text, c.mask)
	}
	return text
}

func TestARefusalIsRecorded(t *testing.T) {
	t.Parallel()
	records := rejections(t, "plainspec-system")
	s := ownServer(t, serverOptions{name: "records", rejections: records.namespace, recorder: records.recorder()})
	k := in(t, "records", "records")
	untagged := manifest(t, deployment("web", 1, program("web", "nginx")))

	k.fails(untagged, "apply", "-f", "-", "--dry-run=server")
	id := k.refused(untagged, "apply", "-f", "-")
	records.keeps(id)
	golden(t, "rejections", maskedRecord(records.silent("", "get", "rejections")))
	golden(t, "rejection", maskedRecord(records.silent("", "get", "rejection", id, "-o", "yaml")))
	for range 2 {
		if again := k.refused(untagged, "apply", "-f", "-"); again != id {
			t.Errorf("the same apply was refused as %s, and now as %s", id, again)
		}
	}

	// Nobody knows by which name the API server would have called it.
	generated := pod("", program("job", "busybox:latest"))
	generated.Name, generated.GenerateName = "", "job-"
	generatedID := k.refused(manifest(t, generated), "create", "-f", "-")
	// A controller that Plainspec does not know makes another Pod at each try.
	yes := true
	owned := pod("", program("step", "busybox:latest"))
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "argoproj.io/v1alpha1", Kind: "Workflow", Name: "nightly", UID: "1f0c", Controller: &yes}}
	owned.Name = "nightly-1"
	const operator = "system:serviceaccount:argo:workflow-controller"
	ownedID := k.refused(manifest(t, owned), append(as(operator), "create", "-f", "-")...)
	for _, name := range []string{"nightly-2", "nightly-3"} {
		owned.Name = name
		k.refused(manifest(t, generated), "create", "-f", "-")
		k.refused(manifest(t, owned), append(as(operator), "create", "-f", "-")...)
	}
	// What somebody else says of an owner is no root.
	forgedID := k.refused(manifest(t, owned), "create", "-f", "-")
	k.fails(manifest(t, pod("dry", program("dry", "nginx"))), "create", "-f", "-", "--dry-run=server")

	ended(t, s)
	want := map[string]int64{id: 3, generatedID: 3, ownedID: 3, forgedID: 1}
	if diff := cmp.Diff(want, records.kept()); diff != "" {
		t.Errorf("Rejections (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, s.recorded(t)); diff != "" {
		t.Errorf("lines of the audit log (-want +got):\n%s", diff)
	}
	if got, want := records.get("{.root.text} {.root.name}", "rejection", ownedID), "Workflow records/nightly nightly"; got != want {
		t.Errorf("the root of the owned Pods is %q, want %q", got, want)
	}
	if got, want := records.get("{.root.text}", "rejection", forgedID), "Pod records/nightly-3"; got != want {
		t.Errorf("the root of a Pod with a forged owner is %q, want %q", got, want)
	}
	if got, want := records.get("{.root.text} {.root.name}", "rejection", generatedID), "Pod records/job-* job-*"; got != want {
		t.Errorf("the root of the Pods with generated names is %q, want %q", got, want)
	}
}

func TestWhatWouldBeRefusedIsRecordedAsObserved(t *testing.T) {
	t.Parallel()
	records := rejections(t, "records-observe-kept")
	s := ownServer(t, serverOptions{name: "records-observe", enforcement: "observe", rejections: records.namespace, recorder: records.recorder()})
	k := in(t, "records-observe", "records-observe")
	k.works(manifest(t, deployment("untagged", 1, program("web", "nginx")), deployment("tagged", 1, program("web", "nginx:1.27.3"))), "apply", "-f", "-")
	k.becomes("1", "{.status.readyReplicas}", "deployment/untagged")
	ended(t, s)
	if got, want := records.get("{range .items[*]}{.outcome} {.root.text} {.rules} {.count}{end}", "rejections"), `Observed Deployment records-observe/untagged ["image.no_version"] 1`; got != want {
		t.Errorf("Rejections are %q, want %q", got, want)
	}
}

// TestReplicasCountTogether lets the API server ask two servers about each request.
func TestReplicasCountTogether(t *testing.T) {
	t.Parallel()
	records := rejections(t, "records-together-kept")
	recorder := records.recorder()
	one := ownServer(t, serverOptions{name: "records-one", rejections: records.namespace, recorder: recorder, only: validates})
	two := ownServer(t, serverOptions{name: "records-two", namespacesOf: "records-one", rejections: records.namespace, recorder: recorder, only: validates})
	k := in(t, "records-together", "records-one")
	untagged := manifest(t, deployment("web", 1, program("web", "nginx")))
	var id string
	for range 3 {
		id = k.refused(untagged, "apply", "-f", "-")
	}
	records.keeps(id)
	ended(t, one, two)
	if diff := cmp.Diff(map[string]int64{id: 6}, records.kept()); diff != "" {
		t.Errorf("Rejections (-want +got):\n%s", diff)
	}
	sum := one.recorded(t)[id] + two.recorded(t)[id]
	if sum != 6 {
		t.Errorf("the audit logs of both count %d, want 6", sum)
	}
}

// proxy stands between a server and the API server, where connections are refused while it is closed.
type proxy struct {
	t               *testing.T
	address, target string
	listener        net.Listener
	group           *errgroup.Group

	mu          sync.Mutex
	connections []net.Conn
}

// proxied returns a proxy that is closed, and a kubeconfig that goes through it.
func proxied(t *testing.T, kubeconfig string) (p *proxy, through string) {
	t.Helper()
	address, err := shared.freeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	host := shared.cluster.Config().Host
	text, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	p = &proxy{t: t, address: address, target: regexp.MustCompile(`^https?://|/$`).ReplaceAllString(host, "")}
	if !strings.Contains(string(text), p.target) {
		t.Fatalf("%s does not name %s", kubeconfig, p.target)
	}
	through = filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(through, []byte(strings.ReplaceAll(string(text), p.target, address)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p, through
}

// open lets connections through.
func (p *proxy) open() {
	p.t.Helper()
	var err error
	if p.listener, err = (&net.ListenConfig{}).Listen(p.t.Context(), "tcp", p.address); err != nil {
		p.t.Fatal(err)
	}
	listener, group := p.listener, &errgroup.Group{}
	p.group = group
	group.Go(func() error {
		for {
			client, err := listener.Accept()
			if err != nil {
				return nil //nolint:nilerr // it was closed
			}
			server, err := net.Dial("tcp", p.target) //nolint:noctx // close ends it
			if err != nil {
				return errors.Join(err, client.Close())
			}
			p.mu.Lock()
			p.connections = append(p.connections, client, server)
			p.mu.Unlock()
			for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
				group.Go(func() error {
					_, _ = io.Copy(to, from) // it ends when either side does
					return to.Close()
				})
			}
		}
	})
}

// close ends all connections and refuses new ones.
func (p *proxy) close() {
	if p.listener == nil {
		return
	}
	_ = p.listener.Close()
	p.mu.Lock()
	for _, connection := range p.connections {
		_ = connection.Close()
	}
	p.connections = nil
	p.mu.Unlock()
	_ = p.group.Wait() // connections that were closed twice
	p.listener = nil
}

func TestNothingIsLostWhileTheAPIServerIsAway(t *testing.T) {
	t.Parallel()
	records := rejections(t, "records-away-kept")
	api, kubeconfig := proxied(t, records.recorder())
	s := ownServer(t, serverOptions{name: "records-away", rejections: records.namespace, recorder: kubeconfig})
	k := in(t, "records-away", "records-away")
	want := map[string]int64{}
	refuse := func(names ...string) {
		for _, name := range names {
			want[k.refused(manifest(t, pod(name, program("web", "nginx"))), "create", "-f", "-")]++
		}
	}
	equal := func() bool { return cmp.Equal(want, records.kept()) }
	differ := func() string { return "Rejections (-want +got):\n" + cmp.Diff(want, records.kept()) }
	const failing, recovered = `"msg":"records cannot be written, those that fit the bounds wait"`, `"msg":"records are written again"`

	// It starts and serves without ever having seen the API server.
	refuse("a", "b", "a")
	eventually(t, func() bool { return s.logged(failing) == 1 }, func() string { return "the server does not say that it cannot write: " + s.lastWords() })
	refuse("c", "a")
	if got := records.kept(); len(got) > 0 {
		t.Fatalf("there are Rejections, so the API server was not away: %v", got)
	}
	api.open()
	eventually(t, equal, differ)
	api.close()
	refuse("d", "e")
	eventually(t, func() bool { return s.logged(failing) == 2 }, func() string { return "the server does not say that it cannot write: " + s.lastWords() })
	refuse("f", "b")
	api.open()
	ended(t, s)
	if !equal() {
		t.Error(differ())
	}
	if diff := cmp.Diff(want, s.recorded(t)); diff != "" {
		t.Errorf("lines of the audit log (-want +got):\n%s", diff)
	}
	if got := s.logged(recovered); got != 2 {
		t.Errorf("the server says %d times that it can write again, want twice", got)
	}
}

// TestRecordsWaitForTheirKindAndTheRight runs alone: the kind is missing for all.
func TestRecordsWaitForTheirKindAndTheRight(t *testing.T) {
	k := in(t, "records-missing", "records-missing")
	k.works("", "delete", "crd", "--ignore-not-found", "rejections.audit.plainspec.dev")
	const account = "system:serviceaccount:records-missing-kept:nobody"
	recorder, err := shared.cluster.User(account)
	if err != nil {
		t.Fatal(err)
	}
	reader := in(t, "records-missing-kept", "")
	reader.grant(account)
	s := ownServer(t, serverOptions{name: "records-missing", rejections: "records-missing-kept", recorder: recorder})
	id := k.refused(manifest(t, pod("web", program("web", "nginx"))), "create", "-f", "-")
	says := func(text string) {
		t.Helper()
		eventually(t, func() bool { return s.logged(text) == 1 }, func() string { return "the server does not say " + text + ": " + s.lastWords() })
	}
	says(`install the CustomResourceDefinition rejections.audit.plainspec.dev`)
	records := rejections(t, "records-missing-kept")
	records.keeps(id)
	says(`"msg":"records are written again"`)

	if err := shared.client.RbacV1().RoleBindings(records.namespace).Delete(t.Context(), "recorder", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	k.eventuallyForbidden(recorder, records.namespace)
	id = k.refused(manifest(t, pod("other", program("web", "nginx"))), "create", "-f", "-")
	says(`grant get, list, create, update and delete on rejections.audit.plainspec.dev in namespace \"records-missing-kept\"`)
	records.grant(account)
	records.keeps(id)
}

// eventuallyForbidden waits until the API server knows that a right is gone.
func (k kubectl) eventuallyForbidden(kubeconfig, namespace string) {
	k.t.Helper()
	eventually(k.t, func() bool {
		result, err := shared.cluster.KubectlAs(k.t.Context(), kubeconfig, nil, "--namespace="+namespace, "auth", "can-i", "list", "rejections.audit.plainspec.dev")
		return err == nil && strings.TrimSpace(result.Stdout) == "no"
	}, func() string { return "the account may still list rejections" })
}
