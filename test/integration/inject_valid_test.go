package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/workload"
)

// completeAll is storyCompletion with all else that can be completed.
const completeAll = storyCompletion + `
  resources:
    classes:
      - main: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
        init: {requests: {cpu: 50m}, limits: {cpu: 200m, memory: 64Mi}}
        sidecar: {requests: {memory: 32Mi}}
  labels:
    version: true
    name: true
    instance: true
    values: {part-of: shop, component: web, managed-by: plainspec}
`

// TestWhatIsCompletedIsValid gives the API server's own validation Pods of many shapes: what is
// accepted without Plainspec is accepted with it. Its server only observes, so that nothing else
// than the validation refuses.
func TestWhatIsCompletedIsValid(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "valid", enforcement: "observe", completion: completeAll})
	without, with := in(t, "valid-without", unjudged), in(t, "valid-with", "valid")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	create := func(k kubectl, pod *corev1.Pod) (*corev1.Pod, error) {
		return shared.client.CoreV1().Pods(k.namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	}
	var valid, injected, filled atomic.Int64
	var requests errgroup.Group
	requests.SetLimit(4)
	for range 500 {
		pod := anyPod(random)
		requests.Go(func() error {
			before, err := create(without, pod)
			if err != nil {
				return nil //nolint:nilerr // not valid by itself
			}
			valid.Add(1)
			after, err := create(with, pod)
			if err != nil {
				t.Errorf("it was valid before it was completed: %v\n%s", err, manifest(t, pod))
				return nil
			}
			if after.Annotations[workload.InjectedAnnotation] != before.Annotations[workload.InjectedAnnotation] {
				filled.Add(1)
			}
			if len(after.Spec.InitContainers) > len(before.Spec.InitContainers) {
				injected.Add(1)
			}
			return nil
		})
	}
	if err := requests.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d Pods were valid, %d completed, %d with artifacts", valid.Load(), filled.Load(), injected.Load())
	if valid.Load() < 200 || filled.Load() < 150 || injected.Load() < 80 {
		t.Errorf("%d Pods were valid, %d completed, %d with artifacts: too little was tried", valid.Load(), filled.Load(), injected.Load())
	}
}

// corpus holds manifests that others published, beside the project (see package corpus_test).
const corpus = "../../../shared/corpus/files"

// TestWhatIsCompletedOfRealManifestsIsValid asks for an artifact in manifests that others wrote,
// and in the examples, for whatever their first container is.
func TestWhatIsCompletedOfRealManifestsIsValid(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(corpus + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Skipf("NOT MEASURED: there are no manifests at %s", corpus)
	}
	examples, err := filepath.Glob("../../examples/[0-9]*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ownServer(t, serverOptions{name: "real", enforcement: "observe", completion: completeAll})
	without, with := in(t, "real-without", unjudged), in(t, "real-with", "real")
	valid := 0
	for _, file := range append(files, examples...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---") {
			var object unstructured.Unstructured
			if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
				continue // not for every reader
			}
			kind, ok := kinds.Find(object.GroupVersionKind().Group, object.GetKind())
			if !ok || object.GroupVersionKind().Version != "v1" || !askForExtension(&object, kind) {
				continue
			}
			if _, err := without.tries(kind, &object); err != nil {
				continue // not valid by itself
			}
			valid++
			completed, err := with.tries(kind, &object)
			if err != nil {
				t.Errorf("%s: it was valid before it was completed: %v", file, err)
			} else if !strings.Contains(completed, "initContainers/artifact") {
				t.Errorf("%s: nothing was injected", file)
			}
		}
	}
	t.Logf("%d objects were valid", valid)
	if valid < 100 {
		t.Errorf("%d objects were valid: too little was tried", valid)
	}
}

// askForExtension adds to an object's template what asks for an artifact for its first container.
func askForExtension(object *unstructured.Unstructured, kind kinds.Kind) bool {
	containers, _, _ := unstructured.NestedSlice(object.Object, strings.Split(kind.Template.SpecPath()+".containers", ".")...)
	if len(containers) == 0 {
		return false
	}
	first, _ := containers[0].(map[string]any)
	name, _ := first["name"].(string)
	at := strings.Split(kind.Template.AnnotationsPath(), ".")
	annotations, _, _ := unstructured.NestedStringMap(object.Object, at...)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[workload.ArtifactAnnotation] = "example.com/extension:0.9.1"
	annotations[workload.ProfileAnnotation] = "extensions"
	annotations[workload.ContainerAnnotation] = name
	object.SetNamespace("")
	return name != "" && unstructured.SetNestedStringMap(object.Object, annotations, at...) == nil
}

// tries creates an object by a server dry run, and returns what would be stored.
func (k kubectl) tries(kind kinds.Kind, object *unstructured.Unstructured) (string, error) {
	k.t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		k.t.Fatal(err)
	}
	stored, err := shared.client.CoreV1().RESTClient().Post().AbsPath(k.path(kind)).Param("dryRun", metav1.DryRunAll).Body(text).
		SetHeader("Content-Type", "application/json").DoRaw(k.t.Context())
	return string(stored), err
}

// path is where the API server has the objects of a kind in the namespace.
func (k kubectl) path(kind kinds.Kind) string {
	group := "/apis/" + kind.Groups[0]
	if kind.Groups[0] == "" {
		group = "/api"
	}
	return group + "/v1/namespaces/" + k.namespace + "/" + kind.Resource
}

// anyPod is a Pod that is valid more often than not, and asks for artifacts more often than not.
func anyPod(random *rand.Rand) *corev1.Pod {
	p := &generator{random}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "any", Labels: map[string]string{}, Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: p.pointer(),
			Containers:                   []corev1.Container{p.container(one(p, "server", "tomcat", "web"), one(p, "example.com/shop-server:4.2.0", "example.com/shop-server@sha256:"+strings.Repeat("0", 64)))},
			SecurityContext:              &corev1.PodSecurityContext{RunAsNonRoot: p.pointer(), RunAsUser: p.user(), FSGroup: p.user()},
		},
	}
	for _, volume := range []string{"artifact", "artifact-help", "data"} {
		if p.in(6) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: one(p, "", corev1.StorageMediumMemory)}}})
			server := &pod.Spec.Containers[0]
			server.VolumeMounts = append(server.VolumeMounts, corev1.VolumeMount{Name: volume, MountPath: one(p, "/srv/apps", "/srv/apps/inner", "/srv", "/srv/extensions", "/data/"+volume)})
		}
	}
	for _, name := range []string{"artifact", "migrate", "mesh"} {
		if p.in(4) {
			init := p.container(name, one(p, "example.com/shop:v2", "example.com/migrate:1.0.0"))
			if p.in(2) {
				always := corev1.ContainerRestartPolicyAlways
				init.RestartPolicy = &always
			}
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, init)
		}
	}
	if p.in(3) {
		pod.Spec.Containers = append(pod.Spec.Containers, p.container(one(p, "logs", "artifact"), one(p, "example.com/logs:2.0.0", "example.com/shop-server:3.9.9")))
	}
	if p.in(6) {
		pod.Spec.Resources = new(p.resources())
	}
	if p.in(6) {
		pod.Spec.OS = &corev1.PodOS{Name: one(p, corev1.Linux, corev1.Windows)}
		pod.Spec.Containers[0].Image = one(p, "example.com/iis:10.0.17763", pod.Spec.Containers[0].Image)
	}
	if p.in(3) {
		pod.Labels["app.kubernetes.io/version"] = "v2"
	}
	p.ask(pod.Annotations)
	return pod
}

// generator makes parts of Pods.
type generator struct{ *rand.Rand }

// in is true once in n times.
func (p *generator) in(n int) bool { return p.IntN(n) == 0 }

func one[T any](p *generator, of ...T) T { return of[p.IntN(len(of))] }

// pointer is nothing, true or false.
func (p *generator) pointer() *bool { return one(p, nil, nil, new(true), new(false)) }

// user is nobody, root or somebody.
func (p *generator) user() *int64 { return one(p, nil, nil, new(int64(0)), new(int64(1000))) }

func (p *generator) container(name, image string) corev1.Container {
	container := corev1.Container{Name: name, Image: image}
	if p.in(2) {
		container.Resources = p.resources()
	}
	if p.in(4) {
		container.SecurityContext = &corev1.SecurityContext{RunAsNonRoot: p.pointer(), RunAsUser: p.user(), ReadOnlyRootFilesystem: p.pointer()}
	}
	return container
}

// resources are amounts below, at and above those that are filled in.
func (p *generator) resources() corev1.ResourceRequirements {
	list := func() corev1.ResourceList {
		list := corev1.ResourceList{}
		for _, amount := range []struct {
			of  corev1.ResourceName
			any []string
		}{
			{corev1.ResourceCPU, []string{"10m", "100m", "1"}}, {corev1.ResourceMemory, []string{"16Mi", "64Mi", "1Gi"}}, {corev1.ResourceEphemeralStorage, []string{"1Gi"}},
		} {
			if p.in(3) {
				list[amount.of] = resource.MustParse(one(p, amount.any...))
			}
		}
		return list
	}
	return corev1.ResourceRequirements{Requests: list(), Limits: list()}
}

// ask adds annotations that ask for artifacts.
func (p *generator) ask(annotations map[string]string) {
	for _, artifact := range []struct {
		name, image string
		in          int // once in so many Pods
	}{
		{"", "example.com/shop:v2", 2}, {".extension", "example.com/extension:0.9.1", 3}, {".help", "example.com/help:1.4.0", 3},
		// What is refused more often than not.
		{".rooted", "example.com/rooted:1.0.0", 12}, {".shop", "example.com/shop:v3", 12}, {".latest", "example.com/help", 24},
		{"." + strings.Repeat("long", 14), "example.com/help:1.4.0", 24},
	} {
		if p.in(artifact.in) {
			annotations[workload.ArtifactAnnotation+artifact.name] = artifact.image
		}
	}
	if p.in(8) {
		annotations[workload.ContainerAnnotation] = one(p, "server", "logs", "mesh", "nobody")
	}
	if p.in(12) {
		annotations[workload.InjectedAnnotation] = one(p, "{}", "no JSON", fmt.Sprintf(`{"revision":"%012x","labels":{"app.kubernetes.io/version":"v2"}}`, p.Uint32()))
	}
}
