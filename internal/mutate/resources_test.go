package mutate

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"plainspec.dev/plainspec/api/config/v1alpha1"
)

func TestResourceClass(t *testing.T) {
	t.Parallel()
	class := func(role string, namespaces ...string) v1alpha1.ResourceClass {
		return v1alpha1.ResourceClass{Namespaces: namespaces, Main: &corev1.ResourceRequirements{Limits: amounts("cpu", role)}}
	}
	for name, tc := range map[string]struct {
		classes   []v1alpha1.ResourceClass
		namespace string
		want      int // the index of the class, -1 for none
	}{
		"a class without namespaces is for each": {[]v1alpha1.ResourceClass{class("1")}, "shop", 0},
		"a name":                                 {[]v1alpha1.ResourceClass{class("1", "web"), class("2", "db", "shop")}, "shop", 1},
		"a pattern":                              {[]v1alpha1.ResourceClass{class("1", "team-*")}, "team-a", 0},
		"the first that matches is taken":        {[]v1alpha1.ResourceClass{class("1", "team-*"), class("2", "team-a"), class("3")}, "team-a", 0},
		"none matches":                           {[]v1alpha1.ResourceClass{class("1", "team-*", "web")}, "shop", -1},
		"a pattern is for the whole name":        {[]v1alpha1.ResourceClass{class("1", "team")}, "team-a", -1},
		"what is not namespaced is in no named namespace": {[]v1alpha1.ResourceClass{class("1", "team")}, "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := resourceClass(&v1alpha1.Resources{Classes: tc.classes}, tc.namespace)
			var want *v1alpha1.ResourceClass
			if tc.want >= 0 {
				want = &tc.classes[tc.want]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("class (-want +got):\n%s", diff)
			}
		})
	}
	if got := resourceClass(nil, "shop"); got != nil {
		t.Errorf("without configuration the class is %v", got)
	}
}

func TestFillResources(t *testing.T) {
	t.Parallel()
	class := &v1alpha1.ResourceClass{
		Main: &corev1.ResourceRequirements{
			Requests: amounts("cpu", "100m", "memory", "128Mi"), Limits: amounts("cpu", "1", "memory", "512Mi"),
		},
		Init:    &corev1.ResourceRequirements{Requests: amounts("cpu", "50m"), Limits: amounts("cpu", "50m")},
		Sidecar: &corev1.ResourceRequirements{Limits: amounts("memory", "64Mi")},
	}
	for name, tc := range map[string]struct {
		spec  corev1.PodSpec
		class *v1alpha1.ResourceClass // class if nil
		want  map[string]corev1.ResourceRequirements
	}{
		"each container gets what its role needs": {
			spec: corev1.PodSpec{
				InitContainers: []corev1.Container{{Name: "migrate"}, sidecar("proxy"), {Name: "odd", RestartPolicy: new(corev1.ContainerRestartPolicy("Never"))}},
				Containers:     []corev1.Container{{Name: "app"}, {Name: "log"}},
				EphemeralContainers: []corev1.EphemeralContainer{
					{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}}, // has none, and may have none
				},
			},
			want: map[string]corev1.ResourceRequirements{
				"migrate": *class.Init, "odd": *class.Init, "proxy": *class.Sidecar, "app": *class.Main, "log": *class.Main,
			},
		},
		"amounts that are there stay": {
			spec: ofApp(requirements(amounts("cpu", "10m"), amounts("memory", "1Gi"))),
			want: filled(requirements(amounts("cpu", "10m"), amounts("cpu", "1", "memory", "1Gi"))),
		},
		"a container that has everything is left alone": {
			spec: ofApp(requirements(amounts("cpu", "2", "memory", "1Gi"), amounts("cpu", "2", "memory", "1Gi"))),
		},
		"a limit is not below a request": {
			spec: ofApp(requirements(amounts("cpu", "2", "memory", "64Mi"), nil)),
			want: filled(requirements(amounts("cpu", "2", "memory", "64Mi"), amounts("cpu", "2", "memory", "512Mi"))),
		},
		"a request beyond all measure is not written out": {
			spec: ofApp(requirements(amounts("cpu", "1e99999999", "memory", "0e99999999"), nil)),
			want: filled(requirements(amounts("cpu", "1e99999999", "memory", "0e99999999"), amounts("cpu", "1e99999999", "memory", "512Mi"))),
		},
		"a limit is its own request, so that a Guaranteed Pod stays one": {
			spec: ofApp(requirements(nil, amounts("cpu", "2", "memory", "1Gi"))),
		},
		"a request is not above a limit": {
			spec: ofApp(requirements(nil, amounts("cpu", "50m"))),
			want: filled(requirements(amounts("memory", "128Mi"), amounts("cpu", "50m", "memory", "512Mi"))),
		},
		"other resources stay": {
			spec: ofApp(requirements(nil, amounts("nvidia.com/gpu", "1"))),
			want: filled(requirements(amounts("cpu", "100m", "memory", "128Mi"), amounts("cpu", "1", "memory", "512Mi", "nvidia.com/gpu", "1"))),
		},
		"claims stay": {
			spec: ofApp(corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "gpu"}}}),
			want: filled(corev1.ResourceRequirements{
				Requests: class.Main.Requests, Limits: class.Main.Limits, Claims: []corev1.ResourceClaim{{Name: "gpu"}},
			}),
		},
		"requests of the Pod are left to it": {
			spec: ofWholePod(requirements(amounts("memory", "1Gi"), nil)),
			want: filled(requirements(amounts("cpu", "100m"), amounts("cpu", "1"))),
		},
		"a Pod that has limits is left alone": {
			spec: ofWholePod(requirements(nil, amounts("memory", "1Gi"))),
		},
		"an empty object at the Pod says nothing": {
			spec: ofWholePod(corev1.ResourceRequirements{}),
			want: filled(*class.Main),
		},
		"a role without defaults is left alone": {
			spec:  corev1.PodSpec{InitContainers: []corev1.Container{{Name: "migrate"}, sidecar("proxy")}, Containers: []corev1.Container{{Name: "app"}}},
			class: &v1alpha1.ResourceClass{Main: &corev1.ResourceRequirements{Requests: amounts("cpu", "1")}},
			want:  filled(requirements(amounts("cpu", "1"), nil)),
		},
		"containers of one name are left alone": {
			spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "app"}}, Containers: []corev1.Container{{Name: "app"}, {Name: "app"}}},
		},
		"a namespace without a class is left alone": {spec: ofApp(corev1.ResourceRequirements{}), class: &v1alpha1.ResourceClass{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, by := tc.spec.DeepCopy(), class
			if tc.class != nil {
				by = tc.class
			}
			want := tc.want
			if want == nil {
				want = map[string]corev1.ResourceRequirements{}
			}
			if diff := cmp.Diff(want, fillResources(&tc.spec, by)); diff != "" {
				t.Errorf("filled (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, &tc.spec); diff != "" {
				t.Errorf("the spec was changed (-before +after):\n%s", diff)
			}
		})
	}
	if got := fillResources(&corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}, nil); got != nil {
		t.Errorf("without a class %v is filled in", got)
	}
}

// What is returned shares no list with the configuration: who changes it would change what the
// next Pod gets.
func TestFilledResourcesAreCopies(t *testing.T) {
	t.Parallel()
	class := &v1alpha1.ResourceClass{Main: &corev1.ResourceRequirements{Requests: amounts("cpu", "1")}}
	spec := ofApp(corev1.ResourceRequirements{})
	fillResources(&spec, class)["app"].Requests["cpu"] = resource.MustParse("2")
	if diff := cmp.Diff(amounts("cpu", "1"), class.Main.Requests); diff != "" {
		t.Errorf("the configuration was changed (-before +after):\n%s", diff)
	}
}

// Whatever Pods and defaults are like: what is there stays, what is filled in is valid, nothing is
// missing the second time, and no Pod that is Guaranteed ceases to be.
func TestFillResourcesProperties(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		class := &v1alpha1.ResourceClass{Main: someRequirements(r), Init: someRequirements(r), Sidecar: someRequirements(r)}
		spec := corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "init", Resources: *someRequirements(r)}, sidecar("sidecar")},
			Containers:     []corev1.Container{{Name: "app", Resources: *someRequirements(r)}},
		}
		spec.InitContainers[1].Resources = *someRequirements(r)
		if r.IntN(4) == 0 {
			spec.Resources = someRequirements(r)
		}
		guaranteed := isGuaranteed(&spec)
		after := *spec.DeepCopy()
		filled := fillResources(&spec, class)
		for _, list := range [][]corev1.Container{after.InitContainers, after.Containers} {
			for i := range list {
				if requirements, ok := filled[list[i].Name]; ok {
					checkFilled(t, &list[i].Resources, &requirements)
					list[i].Resources = requirements
				}
			}
		}
		if again := fillResources(&after, class); len(again) > 0 {
			t.Errorf("filled in a second time: %v", again)
		}
		if guaranteed && !isGuaranteed(&after) {
			t.Error("the Pod was Guaranteed")
		}
		if t.Failed() {
			t.Fatalf("seed %d: class %v, spec %v, filled %v", seed, class, spec, filled)
		}
	}
}

func checkFilled(t *testing.T, before, after *corev1.ResourceRequirements) {
	t.Helper()
	for _, lists := range [][2]corev1.ResourceList{{before.Requests, after.Requests}, {before.Limits, after.Limits}} {
		for name, amount := range lists[0] {
			if got := lists[1][name]; !got.Equal(amount) {
				t.Errorf("%s was %s and is %s", name, amount.String(), got.String())
			}
		}
	}
	for name, limit := range after.Limits {
		if request, ok := after.Requests[name]; ok && limit.Cmp(request) < 0 {
			t.Errorf("the limit of %s, %s, is below its request, %s", name, limit.String(), request.String())
		}
	}
}

// isGuaranteed is ComputePodQOS of k8s.io/kubernetes/pkg/apis/core/v1/helper/qos for a Pod as the
// API server stores it, with limits for requests that are not there.
func isGuaranteed(spec *corev1.PodSpec) bool {
	all := slices.Concat(spec.InitContainers, spec.Containers)
	if spec.Resources != nil {
		all = []corev1.Container{{Resources: *spec.Resources}}
	}
	for i := range all {
		for _, name := range []corev1.ResourceName{"cpu", "memory"} {
			limit, limited := all[i].Resources.Limits[name]
			request, requested := all[i].Resources.Requests[name]
			if !limited || requested && !request.Equal(limit) {
				return false
			}
		}
	}
	return true
}

// someRequirements makes valid requirements, often the same ones.
func someRequirements(r *rand.Rand) *corev1.ResourceRequirements {
	made := &corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	for _, name := range []corev1.ResourceName{"cpu", "memory"} {
		request := int64(1 + r.IntN(3))
		shape := r.IntN(8)
		if shape&1 != 0 {
			made.Requests[name] = *resource.NewQuantity(request, resource.DecimalSI)
		}
		if shape > 1 {
			made.Limits[name] = *resource.NewQuantity(request+int64(r.IntN(2)), resource.DecimalSI)
		}
	}
	return made
}

func ofApp(r corev1.ResourceRequirements) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Resources: r}}}
}

func ofWholePod(r corev1.ResourceRequirements) corev1.PodSpec {
	spec := ofApp(corev1.ResourceRequirements{})
	spec.Resources = &r
	return spec
}

func sidecar(name string) corev1.Container {
	return corev1.Container{Name: name, RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}
}

func filled(r corev1.ResourceRequirements) map[string]corev1.ResourceRequirements {
	return map[string]corev1.ResourceRequirements{"app": r}
}

func requirements(requests, limits corev1.ResourceList) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: maps.Clone(requests), Limits: maps.Clone(limits)}
}

// amounts makes a list of names and amounts in turn.
func amounts(pairs ...string) corev1.ResourceList {
	list := make(corev1.ResourceList, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}
