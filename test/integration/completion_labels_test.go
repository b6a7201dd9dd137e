package integration

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// labels are the labels of an object, or with a prefix of a part of it.
func (k kubectl) labels(prefix, object string) map[string]string {
	k.t.Helper()
	text := k.get("{"+prefix+"metadata.labels}", object)
	labels := map[string]string{}
	if text == "" {
		return labels
	}
	if err := json.Unmarshal([]byte(text), &labels); err != nil {
		k.t.Fatalf("labels of %s are %s: %v", object, text, err)
	}
	return labels
}

func TestLabelsAreFilledInWhereTheyAreMissing(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "labels", completion: labelled})
	const standard = "app.kubernetes.io/"
	complete := func(changed map[string]string) map[string]string {
		labels := map[string]string{
			standard + "name": "shop", standard + "instance": "web", standard + "version": "1.0.0",
			standard + "component": "web", standard + "part-of": "store", standard + "managed-by": "platform",
		}
		for key, value := range changed {
			labels[standard+key] = value
			if value == "" {
				delete(labels, standard+key)
			}
		}
		return labels
	}
	digest := "example.com/shop@sha256:" + strings.Repeat("a", 64)
	long := strings.Repeat("1.0.", 20) + "0"
	tests := map[string]struct {
		namespace    string
		change       func(*appsv1.Deployment)
		want         map[string]string
		wantTemplate string // its version
		wantGolden   string // of the warnings
	}{
		"what is missing is filled in": {
			namespace: "labels-missing", change: func(*appsv1.Deployment) {}, want: complete(nil), wantTemplate: "1.0.0",
		},
		"what is there stays": {
			namespace: "labels-there",
			change: func(d *appsv1.Deployment) {
				d.Labels = map[string]string{standard + "name": "mine", standard + "version": "1.0.0", standard + "part-of": "another"}
				d.Spec.Template.Labels[standard+"component"] = "mine"
			},
			want: complete(map[string]string{"name": "mine", "part-of": "another"}), wantTemplate: "1.0.0",
		},
		"Helm's objects keep their manager": {
			namespace: "labels-helm",
			change:    func(d *appsv1.Deployment) { d.Labels = map[string]string{standard + "managed-by": "Helm"} },
			want:      complete(map[string]string{"managed-by": "Helm"}), wantTemplate: "1.0.0",
		},
		"Helm's objects without the label get no other manager": {
			namespace: "labels-helm-release",
			change:    func(d *appsv1.Deployment) { d.Annotations = map[string]string{"meta.helm.sh/release-name": "web"} },
			want:      complete(map[string]string{"managed-by": ""}), wantTemplate: "1.0.0",
		},
		"a digest is no label's value": {
			namespace: "labels-digest",
			change:    func(d *appsv1.Deployment) { d.Spec.Template.Annotations["plainspec.dev/artifact"] = digest },
			want:      complete(map[string]string{"version": ""}), wantGolden: "completion-label-digest",
		},
		"neither are more than 63 characters": {
			namespace: "labels-long",
			change:    func(d *appsv1.Deployment) { d.Spec.Template.Annotations["plainspec.dev/artifact"] = shop + long },
			want:      complete(map[string]string{"version": ""}), wantGolden: "completion-label-long",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := in(t, tc.namespace, "labels")
			d := deployment("web", 0, shopServer("1.0.0"))
			tc.change(d)
			_, warnings := k.works(manifest(t, d), "apply", "-f", "-")
			if diff := cmp.Diff(tc.want, k.labels(".", "deployment/web")); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			template := d.Spec.Template.Labels
			if tc.wantTemplate != "" {
				template[standard+"version"] = tc.wantTemplate
			}
			if diff := cmp.Diff(template, k.labels(".spec.template.", "deployment/web")); diff != "" {
				t.Errorf("labels of the template (-want +got):\n%s", diff)
			}
			if tc.wantGolden != "" {
				golden(t, tc.wantGolden, warnings)
			} else if warnings != "" {
				t.Errorf("kubectl apply warned: %s", warnings)
			}
		})
	}
}

func TestTheVersionLabelFollowsTheArtifact(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "version", completion: labelled})
	k := in(t, "version", "version")
	const version = "app.kubernetes.io/version"
	mine := deployment("mine", 0, shopServer("1.0.0"))
	mine.Labels = map[string]string{version: "1.0.0"}
	mine.Spec.Template.Labels[version] = "1.0.0"
	check := func(deployment, object, template string) {
		t.Helper()
		if got := k.labels(".", "deployment/"+deployment)[version]; got != object {
			t.Errorf("Deployment %q has version %q, want %q", deployment, got, object)
		}
		if got := k.labels(".spec.template.", "deployment/"+deployment)[version]; got != template {
			t.Errorf("the template of Deployment %q has version %q, want %q", deployment, got, template)
		}
	}
	k.silent(manifest(t, deployment("web", 0, shopServer("1.0.0")), mine), "apply", "-f", "-")
	check("web", "1.0.0", "1.0.0")
	k.silent(manifest(t, deployment("web", 0, shopServer("2.0.0"))), "apply", "-f", "-")
	check("web", "2.0.0", "2.0.0")
	// To undo a rollout brings the template's label back; the Deployment's own has to follow.
	k.becomes("2", `{.metadata.annotations.deployment\.kubernetes\.io/revision}`, "deployment/web")
	k.works("", "rollout", "undo", "deployment/web")
	check("web", "1.0.0", "1.0.0")
	k.silent(manifest(t, deployment("web", 0, shopServer("2.0.0"))), "apply", "-f", "-")
	check("web", "2.0.0", "2.0.0")
	// What somebody wrote is not ours to change; that it is wrong now is said.
	mine.Spec.Template.Annotations["plainspec.dev/artifact"] = shop + "2.0.0"
	_, warnings := k.works(manifest(t, mine), "apply", "-f", "-")
	check("mine", "1.0.0", "1.0.0")
	golden(t, "completion-label-mismatch", warnings)
	// Without the artifact, there is no application whose version could be told.
	k.works(manifest(t, deployment("web", 0, tomcatServer())), "apply", "-f", "-")
	if got := k.parts(inTemplate, "deployment/web"); strings.TrimSpace(got) != "" {
		t.Errorf("the template still has %q", got)
	}
	if got := k.labels(".spec.template.", "deployment/web")[version]; got == "2.0.0" {
		t.Errorf("the template still says that it is version %s", got)
	}
}

// TestLabelsMakeNobodySelectOtherPods asks the real controllers what other people's Services and
// PodDisruptionBudgets select, before and after Deployments were labelled.
func TestLabelsMakeNobodySelectOtherPods(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "selectors", completion: labelled})
	k := in(t, "selectors", "selectors")
	selectors := map[string]map[string]string{
		"name":      {"app.kubernetes.io/name": "shop"},
		"instance":  {"app.kubernetes.io/instance": "web"},
		"part-of":   {"app.kubernetes.io/part-of": "store"},
		"component": {"app.kubernetes.io/component": "web"},
	}
	for name, selector := range selectors {
		// One for each: the controller tells only one budget of a Pod's changes.
		theirs := deployment("theirs-"+name, 1, tomcatServer())
		maps.Copy(theirs.Spec.Template.Labels, selector)
		k.silent(manifest(t, service(name, selector), budget(name, selector), networkPolicy(name, selector), theirs), "apply", "-f", "-")
		k.becomes("1", "{.status.readyReplicas}", "deployment/theirs-"+name)
	}
	selected := func() map[string]string {
		selected := map[string]string{}
		for name, selector := range selectors {
			selected["endpoints of "+name] = k.get("{.items[*].endpoints[*].targetRef.name}", "endpointslices", "-l", "kubernetes.io/service-name="+name)
			selected["budget of "+name] = k.get("{.status.expectedPods} {.status.currentHealthy}", "poddisruptionbudget/"+name)
			for key, value := range selector { // the cluster has no network: its Pods are those with the labels
				selected["network of "+name] = k.get("{.items[*].metadata.name}", "pods", "-l", key+"="+value)
			}
		}
		return selected
	}
	for name := range selectors {
		k.becomes("1 1", "{.status.expectedPods} {.status.currentHealthy}", "poddisruptionbudget/"+name)
		eventually(t, func() bool { return strings.HasPrefix(selected()["endpoints of "+name], "theirs-") }, func() string { return "the Service selects nothing" })
	}
	before := selected()

	k.silent(manifest(t, deployment("web", 2, shopServer("1.0.0"))), "apply", "-f", "-")
	p := pod("web", shopServer("1.0.0"))
	k.silent(manifest(t, p), "apply", "-f", "-")
	k.becomes("2", "{.status.readyReplicas}", "deployment/web")
	k.becomes("True", "{.status.conditions[?(@.type=='Ready')].status}", "pod/web")
	labels := k.labels(".", "deployment/web")
	for name, selector := range selectors {
		for key, value := range selector {
			if labels[key] != value {
				t.Errorf("the Deployment's label %s is %q, want %q: %s selects what was not labelled", key, labels[key], value, name)
			}
		}
	}
	// A Service of our own shows that the controllers have looked at all Pods since.
	k.silent(manifest(t, service("ours", map[string]string{"app": "web"})), "apply", "-f", "-")
	eventually(t, func() bool {
		return len(strings.Fields(k.get("{.items[*].endpoints[*].targetRef.name}", "endpointslices", "-l", "kubernetes.io/service-name=ours"))) == 3
	}, func() string { return "our own Service does not select our Pods" })
	if diff := cmp.Diff(before, selected()); diff != "" {
		t.Errorf("selected Pods (-before +after):\n%s", diff)
	}
	k.stays()
}

func service(name string, selector map[string]string) *corev1.Service {
	return &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}},
	}
}

func budget(name string, selector map[string]string) *policyv1.PodDisruptionBudget {
	one := intstr.FromInt32(1)
	return &policyv1.PodDisruptionBudget{
		TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}, ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one, Selector: &metav1.LabelSelector{MatchLabels: selector}},
	}
}

func networkPolicy(name string, selector map[string]string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"}, ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: selector}, PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}},
	}
}

// TestABarePodGetsTheVersionOnly: Services select Pods, however they were made.
func TestABarePodGetsTheVersionOnly(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "labels-pod", completion: labelled})
	k := in(t, "labels-pod", "labels-pod")
	k.silent(manifest(t, pod("web", shopServer("1.0.0"))), "apply", "-f", "-")
	want := map[string]string{"app": "web", "app.kubernetes.io/version": "1.0.0"}
	if diff := cmp.Diff(want, k.labels(".", "pod/web")); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}
