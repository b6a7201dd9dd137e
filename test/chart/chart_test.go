package chart

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"plainspec.dev/plainspec/test/cluster"
)

const enforce = "enforcement: enforce\n"

// TestLifeWithHelm4 goes from the first install to the last uninstall, and through what happens between.
func TestLifeWithHelm4(t *testing.T) {
	s := &story{T: t, environment: shared, program: shared.helm4}
	s.team("observed")
	s.install("")
	// The first thing that anybody does once Helm has returned.
	s.wantAdmitted(s.apply("observed", refusedExample))
	s.wantAdmitted(s.apply("observed", admittedExample))
	s.checkRuns()
	if failed := s.unanswered(0); len(failed) > 0 {
		t.Errorf("reviews right after the installation could not be had:\n%s", strings.Join(failed, "\n"))
	}

	s.checkUpgrades()
	s.checkReplicaIsKilled()
	s.checkDrain()
	s.checkBudget()
	s.checkOutage()
	s.checkRights()

	s.run("", "uninstall", release, "--wait")
	s.checkGone()
	if got := s.must("get", "crd", "rejections.audit.plainspec.dev", "-o", "name"); got == "" {
		t.Error("the kind of the records is gone, want it kept")
	}
	if got := s.must("get", "rejections", "--namespace="+namespace, "-o", "name"); got == "" {
		t.Error("the records are gone, want them kept")
	}
}

// companyIssuer is an authority that is there before Plainspec is.
const companyIssuer = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: company-root}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: company}
spec: {isCA: true, commonName: company, secretName: company, issuerRef: {name: company-root}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: company}
spec: {ca: {secretName: company}}
`

// TestLifeWithHelm3 is shorter, and leaves nothing behind. It finds the records that Helm 4 kept, and an issuer of
// the company's.
func TestLifeWithHelm3(t *testing.T) {
	s := &story{T: t, environment: shared, program: shared.helm3}
	s.team("enforced")
	s.company()
	const remove = "crds: {keep: false}\ncertificates: {certManager: {issuerRef: {name: company}}}\n"
	s.install(enforce + remove)
	if issuers := s.must("get", "issuers", "--namespace="+namespace, "-o", "name", "-l", "app.kubernetes.io/name=plainspec"); issuers != "" {
		t.Errorf("the chart made %s beside the company's", issuers)
	}
	s.wantRefused(s.apply("enforced", refusedExample))
	s.wantAdmitted(s.apply("enforced", admittedExample))
	finish := s.reviews("enforced")
	s.upgrade(enforce + remove + "image: {tag: " + nextTag + "}\n")
	s.run("", "rollback", release, "1", "--wait", "--timeout=3m")
	finish()
	s.run("", "uninstall", release, "--wait")
	s.checkGone()
	if got := s.must("get", "crd", "--ignore-not-found", "rejections.audit.plainspec.dev"); got != "" {
		t.Errorf("the kind of the records is kept, want it removed: %s", got)
	}
}

// company makes an issuer in the namespace where Plainspec will be.
func (s *story) company() {
	s.Helper()
	if err := s.cluster.CreateNamespace(s.Context(), namespace); err != nil {
		s.Fatal(err)
	}
	result, err := s.cluster.KubectlStdin(s.Context(), strings.NewReader(companyIssuer), "apply", "--namespace="+namespace, "-f", "-")
	if err != nil {
		s.Fatal(err)
	}
	s.wantAdmitted(result)
	s.must("wait", "issuer/company", "--namespace="+namespace, "--for=condition=Ready", "--timeout=1m")
}

// checkRuns looks at how the Deployment runs.
func (s *story) checkRuns() {
	s.Helper()
	s.untilReady(2)
	pods := s.pods()
	if pods[0].Spec.NodeName == pods[1].Spec.NodeName {
		s.Errorf("both replicas are on %s", pods[0].Spec.NodeName)
	}
	for i := range pods {
		// Through the API server, as somebody with kubectl looks at metrics.
		metrics := s.must("get", "--raw", "/api/v1/namespaces/"+namespace+"/pods/"+pods[i].Name+":8080/proxy/metrics")
		if !strings.Contains(metrics, `plainspec_certificate_days_left{certificate="ca"}`) {
			s.Errorf("%s does not tell how long its certificate lasts:\n%s", pods[i].Name, metrics)
		}
	}
}

// checkUpgrades changes what runs, under reviews of which none may fail.
func (s *story) checkUpgrades() {
	s.Helper()
	s.team("upgraded")
	finish := s.reviews("upgraded")
	before := s.names()
	s.upgrade(enforce)
	s.wantRefused(s.apply("upgraded", refusedExample))
	s.wantAdmitted(s.apply("upgraded", admittedExample))
	enforcing := s.names()
	if enforcing.HasAny(before.UnsortedList()...) {
		s.Errorf("replicas %q run on with another configuration", before.Intersection(enforcing).UnsortedList())
	}

	// Nothing changes, and nothing restarts.
	s.upgrade(enforce)
	if diff := cmp.Diff(enforcing, s.names()); diff != "" {
		s.Errorf("replicas after an upgrade without changes (-want +got):\n%s", diff)
	}

	const contact = "configuration: {contact: 'Questions: #platform'}\n"
	s.upgrade(enforce + contact)
	refused := s.apply("upgraded", refusedExample)
	s.wantRefused(refused)
	if !strings.Contains(refused.Stderr, "Questions: #platform") {
		s.Errorf("the refusal does not say whom to ask:\n%s", refused.Stderr)
	}

	s.upgrade(enforce + contact + "image: {tag: " + nextTag + "}\n")
	if got := s.must("get", "pods", "--namespace="+namespace, "-o", "jsonpath={.items[*].spec.containers[*].image}"); !strings.Contains(got, repository+":"+nextTag) {
		s.Errorf("images %q run, want %s", got, nextTag)
	}
	s.run("", "rollback", release, "--wait", "--timeout=3m")
	s.wantRefused(s.apply("upgraded", refusedExample))

	s.checkEveryValueCanChange()
	finish()
}

// checkEveryValueCanChange takes away what cert-manager's cainjector, and whoever scales, has written to, and brings it
// back.
func (s *story) checkEveryValueCanChange() {
	s.Helper()
	const completing = "configuration: {completion: {resources: {classes: [{main: {requests: {cpu: 10m}}}]}}}\n"
	s.upgrade(enforce+completing, "--set-json=breakGlass.groups=[]", "--set=replicas=null")
	s.must("scale", "deployment", release, "--namespace="+namespace, "--replicas=2")
	s.upgrade("", "--set-json=breakGlass.groups=[]", "--set=replicas=null")
	s.upgrade(enforce, "--set=replicas=null")
	s.untilReady(2)
	s.wantRefused(s.apply("upgraded", refusedExample))
}

// names are the replicas'.
func (s *story) names() sets.Set[string] {
	s.Helper()
	s.untilReady(2)
	names := sets.New[string]()
	for _, pod := range s.pods() {
		names.Insert(pod.Name)
	}
	return names
}

// kill ends a replica's process as a failing machine would.
func (s *story) kill(pod *corev1.Pod) {
	s.Helper()
	id, err := strconv.Atoi(strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "process://"))
	if err != nil {
		s.Fatal(err)
	}
	if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
		s.Fatal(err)
	}
}

// checkReplicaIsKilled wants the other to go on.
func (s *story) checkReplicaIsKilled() {
	s.Helper()
	s.team("killed")
	victim := s.pods()[0]
	s.kill(&victim)
	s.until("the replica is no endpoint any more", func() error {
		pod, err := s.client.CoreV1().Pods(namespace).Get(s.Context(), victim.Name, metav1.GetOptions{})
		if err == nil && ready(pod) {
			err = errors.New("it is ready")
		}
		return err
	})
	s.wantRefused(s.apply("killed", refusedExample))
	s.wantAdmitted(s.apply("killed", admittedExample))
	s.untilReady(2)
}

// checkDrain takes a node away, as for its maintenance.
func (s *story) checkDrain() {
	s.Helper()
	s.team("drained")
	finish := s.reviews("drained")
	node := s.pods()[0].Spec.NodeName
	s.must("drain", node, "--ignore-daemonsets", "--timeout=2m")
	s.must("uncordon", node)
	s.untilReady(2)
	finish()
}

// checkBudget wants that both replicas are never taken away at once.
func (s *story) checkBudget() {
	s.Helper()
	s.must("cordon", "-l", "plainspec.dev/local-node")
	pods := s.pods()
	evict := func(name string) error {
		return s.client.CoreV1().Pods(namespace).EvictV1(s.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	if err := evict(pods[0].Name); err != nil {
		s.Errorf("evict one of two replicas: %v", err)
	}
	if err := evict(pods[1].Name); !apierrors.IsTooManyRequests(err) {
		s.Errorf("evict the last replica: %v, want it refused by the budget", err)
	}
	s.must("uncordon", "-l", "plainspec.dev/local-node")
	s.untilReady(2)
}

// checkOutage wants people to be held up while nobody answers, and nobody and nothing else.
func (s *story) checkOutage() {
	s.Helper()
	s.team("outage")
	s.must("create", "deployment", "web", "--namespace=outage", "--image=nginx:1.27.3")
	s.must("rollout", "status", "deployment/web", "--namespace=outage", "--timeout=1m")

	// Both at once, and at once they are asked.
	for _, pod := range s.pods() {
		s.kill(&pod)
	}
	s.wantHeldUp(s.apply("outage", admittedExample))
	s.untilReady(2)
	s.wantAdmitted(s.apply("outage", admittedExample))

	s.must("scale", "deployment", release, "--namespace="+namespace, "--replicas=0")
	s.untilReady(0)
	s.until("the last process has ended", func() error {
		list, err := s.client.CoreV1().Pods(namespace).List(s.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=plainspec"})
		if err == nil && len(list.Items) > 0 {
			err = errors.New("it is being deleted")
		}
		return err
	})
	s.wantHeldUp(s.kubectl("create", "deployment", "other", "--namespace=outage", "--image=nginx:1.27.3"))
	// What controllers make of what is there, and what is no new template, goes on.
	s.must("scale", "deployment", "web", "--namespace=outage", "--replicas=3")
	s.must("wait", "deployment/web", "--namespace=outage", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=1m")
	s.must("label", "deployment", "web", "--namespace=outage", "team=shop")
	s.must("delete", "pods", "--namespace=outage", "-l", "app=web", "--wait=false")
	s.must("wait", "deployment/web", "--namespace=outage", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=1m")

	rescuer, err := s.cluster.User("rescuer", emergency, "system:masters")
	if err != nil {
		s.Fatal(err)
	}
	rescue := func() {
		s.Helper()
		result, err := s.cluster.KubectlAs(s.Context(), rescuer, nil, "apply", "--namespace=outage", "-f", s.example(refusedExample))
		if err != nil {
			s.Fatal(err)
		}
		s.wantAdmitted(result)
	}
	rescue()
	s.must("delete", "--namespace=outage", "-f", s.example(refusedExample))
	s.must("scale", "deployment", release, "--namespace="+namespace, "--replicas=2")
	s.untilReady(2)
	rescue()
	s.until("the use of the emergency group is recorded", func() error {
		if got := s.must("get", "rejections", "--namespace="+namespace, "-o", `jsonpath={range .items[?(@.outcome=="Bypassed")]}{.user} {.root.namespace}{"\n"}{end}`); got != "rescuer outage" {
			return fmt.Errorf("records %q", got)
		}
		return nil
	})
}

// wantHeldUp wants the answer for a webhook that cannot be asked.
func (s *story) wantHeldUp(result cluster.KubectlResult) {
	s.Helper()
	const failed = `failed calling webhook "roots.validate.plainspec.dev"`
	if result.ExitCode == 0 || !strings.Contains(result.Stderr, failed) {
		s.Errorf("exit code %d, want %s: %s%s", result.ExitCode, failed, result.Stdout, result.Stderr)
	}
}

// checkRights compares what the server asked the API server for with what the chart grants it: no more, no less.
func (s *story) checkRights() {
	s.Helper()
	s.team("many")
	// More refusals in one namespace than records are kept of it, in two parts: so many do not wait in memory, either.
	s.refuse("many", 0, 60)
	s.refuse("many", 60, 105)
	// And one again.
	s.wantRefused(s.apply("upgraded", refusedExample))

	granted := s.granted()
	var used sets.Set[string]
	s.until("each right is used", func() error {
		used = s.used()
		if missing := granted.Difference(used); missing.Len() > 0 {
			return fmt.Errorf("not used: %q", sets.List(missing))
		}
		return nil
	})
	if diff := cmp.Diff(sets.List(granted), sets.List(used)); diff != "" {
		s.Errorf("rights (-granted +used):\n%s", diff)
	}
	s.Logf("the server uses exactly what it is granted:\n  %s", strings.Join(sets.List(used), "\n  "))
}

// refuse has Pods of a team refused, by their numbers, and waits until they are recorded.
func (s *story) refuse(team string, from, to int) {
	s.Helper()
	for i := from; i < to; i++ {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("shop-%d", i)},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "shop", Image: "example.com/shop:latest"}}},
		}
		if _, err := s.client.CoreV1().Pods(team).Create(s.Context(), pod, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
			s.Fatalf("create a Pod without a version: %v, want it refused", err)
		}
	}
	last := fmt.Sprintf("%s/shop-%d", team, to-1)
	s.until(last+" is recorded", func() error {
		got := s.must("get", "rejections", "--namespace="+namespace, "-o", `jsonpath={range .items[*]}{.root.namespace}/{.root.name}{"\n"}{end}`)
		if !slices.Contains(strings.Fields(got), last) {
			return errors.New("it is not")
		}
		return nil
	})
}

// used is what the server was allowed to do, as "verb resource.group in namespace", and what it was refused.
func (s *story) used() sets.Set[string] {
	s.Helper()
	events, err := s.events()
	if err != nil {
		s.Fatal(err)
	}
	used := sets.New[string]()
	for i := range events {
		e := &events[i]
		if e.User.Username != account {
			continue
		}
		what := e.Verb + " " + e.RequestURI
		if e.ObjectRef != nil {
			what = right(e.Verb, e.ObjectRef.APIGroup, strings.TrimSuffix(e.ObjectRef.Resource+"/"+e.ObjectRef.Subresource, "/"), e.ObjectRef.Namespace)
		}
		if e.ResponseStatus.Code == http.StatusForbidden {
			what += " (refused)"
		}
		used.Insert(what)
	}
	return used
}

func right(verb, group, resource, namespace string) string {
	text := verb + " " + resource + "." + group
	if namespace != "" {
		text += " in " + namespace
	}
	return text
}

// granted is what the roles say that the server's account is bound to.
func (s *story) granted() sets.Set[string] {
	s.Helper()
	rbac := s.client.RbacV1()
	granted := sets.New[string]()
	add := func(namespace string, rules []rbacv1.PolicyRule) {
		for _, rule := range rules {
			for _, verb := range rule.Verbs {
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						granted.Insert(right(verb, group, resource, namespace))
					}
				}
			}
		}
	}
	isServer := func(subjects []rbacv1.Subject) bool {
		return slices.ContainsFunc(subjects, func(subject rbacv1.Subject) bool {
			return subject.Kind == rbacv1.ServiceAccountKind && subject.Name == release && subject.Namespace == namespace
		})
	}
	all, err := rbac.ClusterRoleBindings().List(s.Context(), metav1.ListOptions{})
	if err != nil {
		s.Fatal(err)
	}
	for _, binding := range all.Items {
		if !isServer(binding.Subjects) {
			continue
		}
		role, err := rbac.ClusterRoles().Get(s.Context(), binding.RoleRef.Name, metav1.GetOptions{})
		if err != nil {
			s.Fatal(err)
		}
		add("", role.Rules)
	}
	bindings, err := rbac.RoleBindings(metav1.NamespaceAll).List(s.Context(), metav1.ListOptions{})
	if err != nil {
		s.Fatal(err)
	}
	for _, binding := range bindings.Items {
		if !isServer(binding.Subjects) {
			continue
		}
		role, err := rbac.Roles(binding.Namespace).Get(s.Context(), binding.RoleRef.Name, metav1.GetOptions{})
		if err != nil {
			s.Fatal(err)
		}
		add(binding.Namespace, role.Rules)
	}
	return granted
}

// checkGone wants a cluster that works as if Plainspec had never been there.
func (s *story) checkGone() {
	s.Helper()
	// At once: a webhook configuration that outlives its server would hold this up.
	s.team("afterwards")
	s.wantAdmitted(s.apply("afterwards", refusedExample))
	s.must("delete", "namespace", "afterwards", "--wait=true", "--timeout=1m")
	if got := s.must("get", "validatingwebhookconfigurations,mutatingwebhookconfigurations", "-o", "name"); got != "" {
		s.Errorf("webhook configurations are left: %s", got)
	}
	s.until("the Pods have ended", func() error {
		if got := s.must("get", "pods,services,configmaps,roles,rolebindings,serviceaccounts,certificates,issuers", "--namespace="+namespace, "-l", "app.kubernetes.io/name=plainspec", "-o", "name"); got != "" {
			return errors.New(got)
		}
		return nil
	})
	if got := s.must("get", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/name=plainspec", "-o", "name"); got != "" {
		s.Errorf("roles are left: %s", got)
	}
}
