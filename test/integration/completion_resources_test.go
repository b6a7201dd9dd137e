package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// sized fills in requests and limits by role.
const sized = profile + `  resources:
    classes:
      - main: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 200m, memory: 128Mi}}
        init: {requests: {cpu: 50m, memory: 32Mi}, limits: {cpu: 50m, memory: 32Mi}}
        sidecar: {requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 20m, memory: 16Mi}}
`

// filled is what sized gives a main container.
const filled = `{"limits":{"cpu":"200m","memory":"128Mi"},"requests":{"cpu":"100m","memory":"64Mi"}}`

// amounts are quantities by resource: "cpu", "1", "memory", "1Gi".
func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func limitRange(item corev1.LimitRangeItem) *corev1.LimitRange {
	item.Type = corev1.LimitTypeContainer
	return &corev1.LimitRange{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "LimitRange"}, ObjectMeta: metav1.ObjectMeta{Name: "limits"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{item}},
	}
}

func quota(hard corev1.ResourceList) *corev1.ResourceQuota {
	return &corev1.ResourceQuota{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ResourceQuota"}, ObjectMeta: metav1.ObjectMeta{Name: "quota"},
		Spec: corev1.ResourceQuotaSpec{Hard: hard},
	}
}

// resources are the requirements of a Pod's containers by name, as JSON.
func (k kubectl) resources(prefix string, args ...string) map[string]string {
	k.t.Helper()
	found := map[string]string{}
	out := k.get(`{range `+prefix+`spec['initContainers','containers'][*]}{.name} {.resources}{"\n"}{end}`, args...)
	for line := range strings.Lines(out) {
		name, resources, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[name] = resources
	}
	return found
}

func TestResourcesAreFilledInOnPodsAfterTheLimitRange(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "resources", completion: sized})
	always := corev1.ContainerRestartPolicyAlways
	tests := map[string]struct {
		namespace string
		policies  []runtime.Object // of the namespace
		change    func(*corev1.Pod)
		want      map[string]string
	}{
		"a Pod that says nothing gets the defaults": {
			namespace: "resources-none", want: map[string]string{"tomcat": filled},
		},
		"init containers and sidecars get those of their role": {
			namespace: "resources-roles",
			change: func(p *corev1.Pod) {
				p.Spec.InitContainers = []corev1.Container{{Name: "migrate", Image: "example.com/migrate:1.0.0"}, {Name: "proxy", Image: "example.com/proxy:1.0.0", RestartPolicy: &always}}
			},
			want: map[string]string{
				"migrate": `{"limits":{"cpu":"50m","memory":"32Mi"},"requests":{"cpu":"50m","memory":"32Mi"}}`,
				"proxy":   `{"limits":{"cpu":"20m","memory":"16Mi"},"requests":{"cpu":"10m","memory":"16Mi"}}`,
				"tomcat":  filled,
			},
		},
		"what a LimitRange gives stays, and the rest is filled in": {
			namespace: "resources-defaults",
			policies:  []runtime.Object{limitRange(corev1.LimitRangeItem{Default: amounts("memory", "1Gi"), DefaultRequest: amounts("memory", "512Mi")})},
			want:      map[string]string{"tomcat": `{"limits":{"cpu":"200m","memory":"1Gi"},"requests":{"cpu":"100m","memory":"512Mi"}}`},
		},
		"a LimitRange's request above the default limit raises the limit": {
			namespace: "resources-min",
			policies:  []runtime.Object{limitRange(corev1.LimitRangeItem{Min: amounts("memory", "256Mi")})},
			want:      map[string]string{"tomcat": `{"limits":{"cpu":"200m","memory":"256Mi"},"requests":{"cpu":"100m","memory":"256Mi"}}`},
		},
		"a LimitRange's maximum is not exceeded": {
			namespace: "resources-max",
			policies:  []runtime.Object{limitRange(corev1.LimitRangeItem{Max: amounts("memory", "48Mi")})},
			want:      map[string]string{"tomcat": `{"limits":{"cpu":"200m","memory":"48Mi"},"requests":{"cpu":"100m","memory":"48Mi"}}`},
		},
		"a quota on requests admits what would have said none": {
			namespace: "resources-quota-requests", policies: []runtime.Object{quota(amounts("requests.cpu", "2", "requests.memory", "2Gi"))},
			want: map[string]string{"tomcat": filled},
		},
		"a quota on limits admits what would have said none": {
			namespace: "resources-quota-limits", policies: []runtime.Object{quota(amounts("limits.cpu", "2", "limits.memory", "2Gi"))},
			want: map[string]string{"tomcat": filled},
		},
		"what the Pod says stays, and no limit is below it": {
			namespace: "resources-said",
			change: func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources.Requests = amounts("cpu", "1", "memory", "100Mi")
			},
			want: map[string]string{"tomcat": `{"limits":{"cpu":"1","memory":"128Mi"},"requests":{"cpu":"1","memory":"100Mi"}}`},
		},
		"a limit without a request is also the request": {
			namespace: "resources-limit",
			change: func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources.Limits = amounts("cpu", "50m", "memory", "1Gi")
			},
			want: map[string]string{"tomcat": `{"limits":{"cpu":"50m","memory":"1Gi"},"requests":{"cpu":"50m","memory":"1Gi"}}`},
		},
		"resources of the whole Pod count": {
			namespace: "resources-pod",
			change: func(p *corev1.Pod) {
				p.Spec.Resources = &corev1.ResourceRequirements{Requests: amounts("cpu", "1", "memory", "1Gi"), Limits: amounts("cpu", "1", "memory", "1Gi")}
			},
			want: map[string]string{"tomcat": "{}"},
		},
		"a Windows Pod is filled in as any": {
			namespace: "resources-windows",
			change:    func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} },
			want:      map[string]string{"tomcat": filled},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := in(t, tc.namespace, "resources")
			k.establish(tc.policies...)
			p := pod("web", tomcatServer())
			if tc.change != nil {
				tc.change(p)
			}
			k.silent(manifest(t, p), "apply", "-f", "-")
			if diff := cmp.Diff(tc.want, k.resources(".", "pod/web")); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
			if got, want := k.silent(manifest(t, p), "apply", "-f", "-"), "pod/web unchanged\n"; got != want {
				t.Errorf("a second apply printed %q, want %q", got, want)
			}
		})
	}
}

// establish makes LimitRanges and quotas, and waits until they are in force.
func (k kubectl) establish(policies ...runtime.Object) {
	k.t.Helper()
	if len(policies) == 0 {
		return
	}
	k.silent(manifest(k.t, policies...), "apply", "-f", "-")
	if k.get("{.items[*].metadata.name}", "resourcequotas") != "" {
		eventually(k.t, func() bool { return k.get("{.items[*].status.hard}", "resourcequotas") != "" }, func() string { return "the quota is not in force" })
	}
	if k.get("{.items[*].metadata.name}", "limitranges") != "" {
		// A Pod that Plainspec is not asked about shows what the LimitRange does.
		eventually(k.t, func() bool {
			p, err := json.Marshal(pod("probe", tomcatServer()))
			if err != nil {
				k.t.Fatal(err)
			}
			result := k.run(string(p), "create", "-f", "-", "--dry-run=server", "-o", "jsonpath={.metadata.annotations}")
			return strings.Contains(result.Stdout, "kubernetes.io/limit-ranger")
		}, func() string { return "the LimitRange is not in force" })
	}
}

// TestAQuotaRefusesWithoutDefaults is the other half of the cases above: the quotas do refuse.
func TestAQuotaRefusesWithoutDefaults(t *testing.T) {
	t.Parallel()
	k := in(t, "quota-without-defaults", "")
	k.establish(quota(amounts("requests.cpu", "2", "limits.memory", "2Gi")))
	if stderr := k.fails(manifest(t, pod("web", tomcatServer())), "apply", "-f", "-"); !strings.Contains(stderr, "must specify limits.memory for: tomcat; requests.cpu for: tomcat") {
		t.Errorf("the quota refused with %q", stderr)
	}
}

func TestTemplatesGetNoResourcesUnlessConfigured(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		name, completion string
		wantTemplate     string
	}{
		"by default, only the Pods do": {name: "untouched", completion: sized, wantTemplate: "{}"},
		"with templates: true, they do": {
			name: "templates", completion: strings.Replace(sized, "  resources:\n", "  resources:\n    templates: true\n", 1), wantTemplate: filled,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ownServer(t, serverOptions{name: tc.name, completion: tc.completion})
			k := in(t, tc.name, tc.name)
			r := k.counting("Deployment", "web")
			r.after(1, manifest(t, deployment("web", 2, tomcatServer())), "apply", "-f", "-")
			if diff := cmp.Diff(map[string]string{"tomcat": tc.wantTemplate}, k.resources(".spec.template.", r.workload)); diff != "" {
				t.Errorf("resources of the template (-want +got):\n%s", diff)
			}
			for _, pod := range []string{".items[0].", ".items[1]."} {
				if diff := cmp.Diff(map[string]string{"tomcat": filled}, k.resources(pod, "pods", "-l", "app=web")); diff != "" {
					t.Errorf("resources of a Pod (-want +got):\n%s", diff)
				}
			}
			r.after(0, "", "scale", "--replicas=3", r.workload)
			k.stays()
		})
	}
}

// TestAnArtifactKeepsAPodGuaranteed says that the copy does not make the kubelet evict the Pod
// before others.
func TestAnArtifactKeepsAPodGuaranteed(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "guaranteed", completion: profile})
	k := in(t, "guaranteed", "guaranteed")
	p := pod("web", shopServer("1.0.0"))
	p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: amounts("cpu", "1", "memory", "1Gi"), Limits: amounts("cpu", "1", "memory", "1Gi")}
	k.silent(manifest(t, p), "apply", "-f", "-")
	want := map[string]string{
		"artifact": `{"limits":{"cpu":"100m","memory":"64Mi"},"requests":{"cpu":"100m","memory":"64Mi"}}`,
		"tomcat":   `{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"1","memory":"1Gi"}}`,
	}
	if diff := cmp.Diff(want, k.resources(".", "pod/web")); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	if got := k.get("{.status.qosClass}", "pod/web"); got != "Guaranteed" {
		t.Errorf("the Pod is %s", got)
	}
}

// TestAnInjectedContainerIsUnderTheLimitRange: the namespace's LimitRange judges it as any other.
// Whoever sets one that the defaults do not meet gives the profile other resources, or none.
func TestAnInjectedContainerIsUnderTheLimitRange(t *testing.T) {
	t.Parallel()
	const empty = "      init: {resources: {}}\n"
	ownServer(t, serverOptions{name: "limits", completion: profile})
	ownServer(t, serverOptions{name: "limits-empty", completion: profile + empty})
	tests := map[string]struct {
		namespace, server string
		item              corev1.LimitRangeItem
		want              string // resources of the init container; empty if the Pod is refused
		wantGolden        string // of what is printed, if it is more than that it was created
	}{
		"within the LimitRange it keeps its own resources": {
			namespace: "limits-within", server: "limits",
			item: corev1.LimitRangeItem{Max: amounts("memory", "1Gi"), Min: amounts("memory", "16Mi"), Default: amounts("memory", "512Mi")},
			want: `{"limits":{"cpu":"100m","memory":"64Mi"},"requests":{"cpu":"100m","memory":"64Mi"}}`,
		},
		"over the maximum the Pod is refused": {
			namespace: "limits-max", server: "limits", item: corev1.LimitRangeItem{Max: amounts("memory", "32Mi")},
			wantGolden: "completion-limits-max-refused",
		},
		"under the minimum the Pod is refused": {
			namespace: "limits-min", server: "limits", item: corev1.LimitRangeItem{Min: amounts("memory", "128Mi")},
			wantGolden: "completion-limits-min-refused",
		},
		"without resources of its own it gets those of the LimitRange": {
			namespace: "limits-given", server: "limits-empty", item: corev1.LimitRangeItem{Max: amounts("memory", "32Mi"), DefaultRequest: amounts("memory", "24Mi")},
			want: `{"limits":{"memory":"32Mi"},"requests":{"memory":"24Mi"}}`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := in(t, tc.namespace, tc.server)
			k.establish(limitRange(tc.item))
			result := k.run(manifest(t, pod("web", shopServer("1.0.0"))), "apply", "-f", "-")
			if tc.wantGolden != "" {
				golden(t, tc.wantGolden, result.Stderr)
			} else if result.Stderr != "" {
				t.Errorf("kubectl apply printed %s", result.Stderr)
			}
			if tc.want == "" {
				return
			}
			if got := k.resources(".", "pod/web")["artifact"]; got != tc.want {
				t.Errorf("the init container has %s, want %s", got, tc.want)
			}
		})
	}
}
