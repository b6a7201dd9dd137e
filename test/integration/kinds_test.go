package integration

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"plainspec.dev/plainspec/internal/kinds"
)

// ofEveryKind is an object of each kind that Plainspec judges, by kind.
func ofEveryKind(t *testing.T, v violation) map[string]runtime.Object {
	t.Helper()
	objects := map[string]runtime.Object{"PodTemplate": &corev1.PodTemplate{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PodTemplate"},
		ObjectMeta: metav1.ObjectMeta{Name: "podtemplate"},
		Template:   template(map[string]string{"app": "podtemplate"}, v),
	}}
	for _, object := range workloads(v) {
		objects[object.GetObjectKind().GroupVersionKind().Kind] = object
	}
	for _, kind := range kinds.All() {
		if objects[kind.Name] == nil {
			t.Errorf("kind %s has no object in kinds_test.go", kind.Name)
		}
	}
	return objects
}

// large is a template that costs much to compare: some 900 KiB, with what the API server adds.
func large() violation {
	var v violation
	for _, container := range wide(func(int) string { return "example.com/shop:1.0.0" }).Spec.Containers {
		for name := range strings.SplitSeq("ABCDEFGHIJKL", "") {
			container.Env = append(container.Env, corev1.EnvVar{Name: name, Value: strings.Repeat(name, 80)})
		}
		v.containers = append(v.containers, container)
	}
	return v
}

// TestWithoutTheServerAnyObjectChangesButItsTemplate asks for what the garbage collector, the
// controllers and people do to any object, of each kind and of a large one.
func TestWithoutTheServerAnyObjectChangesButItsTemplate(t *testing.T) {
	t.Parallel()
	s, err := shared.newServer(t.Context(), serverOptions{name: "kinds"}) // it never runs
	if err != nil {
		t.Fatal(err)
	}
	k := in(t, "kinds", "kinds")
	objects := ofEveryKind(t, program("shop", "example.com/shop:1.0.0"))
	all := []runtime.Object{deployment("large", 0, large())}
	for _, object := range objects {
		all = append(all, object)
	}
	k.silent(manifest(t, all...), "create", "-f", "-")
	if err := s.apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	const failed = `failed calling webhook "roots.validate.plainspec.dev"`
	eventually(t, func() bool { // the API server looks at registrations about once a second
		return strings.Contains(k.run("", "create", "deployment", "probe", "--image=probe:1", "--dry-run=server").Stderr, failed)
	}, func() string { return "the API server does not ask the server" })

	owner := k.get("{.metadata.uid}", "configmap/kube-root-ca.crt") // one that is there
	changes := func(t *testing.T, object, imagePath, refused string) {
		t.Helper()
		k := kubectl{t: t, namespace: k.namespace}
		k.silent("", "label", object, "team=shop")
		k.silent("", "patch", object, "--type=merge", `--patch={"metadata":{"finalizers":["example.com/hold"]}}`)
		k.silent("", "patch", object, "--type=merge", `--patch={"metadata":{"finalizers":null,"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"kube-root-ca.crt","uid":"`+owner+`"}]}}`)
		k.silent("", "patch", object, "--type=merge", `--patch={"metadata":{"ownerReferences":null}}`)
		stderr := k.fails("", "patch", object, "--type=json", `--patch=[{"op":"replace","path":"`+imagePath+`","value":"example.com/shop:2.0.0"}]`)
		if !strings.Contains(stderr, refused) {
			t.Errorf("a change of the template printed %q, want %q", stderr, refused)
		}
		k.silent("", "delete", object, "--cascade=foreground", "--timeout="+patience.String())
	}
	for _, kind := range kinds.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			refused := failed
			if kind.Name == "Job" {
				refused = "field is immutable" // the API server needs no webhook to say so
			}
			path := "/" + strings.ReplaceAll(kind.Template.SpecPath(), ".", "/") + "/containers/0/image"
			changes(t, kind.Resource+"/"+strings.ToLower(kind.Name), path, refused)
		})
	}
	t.Run("a large Deployment", func(t *testing.T) {
		t.Parallel()
		changes(t, "deployments/large", "/spec/template/spec/containers/499/image", failed)
	})
}
