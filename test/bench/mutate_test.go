package bench

import (
	"net/http"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/assemble"
	"plainspec.dev/plainspec/internal/webhook"
)

// completion is one sort of Pod that is completed.
type completion struct {
	name string
	pod  *corev1.Pod
	fill bool // by a configuration with labels and resources
	want string
}

func completions() []completion {
	image := "registry.example.com/team/app:1." + marker + ".3"
	artifact := pod(1, 0, "tomcat:9."+marker+".1")
	artifact.Annotations["plainspec.dev/artifact"] = "team/shop:1." + marker + ".3"
	bare := pod(1, 0, image)
	bare.Spec.Containers[0].Resources = corev1.ResourceRequirements{}
	return []completion{
		{name: "nothing asked", pod: pod(1, 0, image), want: `"allowed":true,"status"`},
		{name: "nothing asked, large", pod: pod(10, 40, image), want: `"allowed":true,"status"`},
		{name: "artifact", pod: artifact, want: `"patchType":"JSONPatch"`},
		{name: "labels and resources", pod: bare, fill: true, want: `"patchType":"JSONPatch"`},
	}
}

// configuration is the examples'; with fill, it also fills in labels and resources.
func configuration(b *testing.B, fill bool) *v1alpha1.Configuration {
	b.Helper()
	config, err := v1alpha1.Load("../../examples/profiles.yaml")
	if err != nil {
		b.Fatal(err)
	}
	if fill {
		config.Completion.Labels = &v1alpha1.Labels{Version: true, Instance: true}
		config.Completion.Resources = &v1alpha1.Resources{Classes: []v1alpha1.ResourceClass{{Main: &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
		}}}}
	}
	return config
}

func completer(b *testing.B, fill bool) http.Handler {
	b.Helper()
	reviewer, err := assemble.Reviewer(b.Context(), assemble.Options{Config: configuration(b, fill)})
	if err != nil {
		b.Fatal(err)
	}
	handler, err := webhook.NewCompleter(webhook.CompleterOptions{Completion: reviewer, Registerer: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	return webhook.NewOpenHandler(handler)
}

// BenchmarkMutate is BenchmarkReview for /mutate.
func BenchmarkMutate(b *testing.B) {
	logf.SetLogger(logr.Discard())
	decodes := yardstick(b)
	for _, c := range completions() {
		bodies := reviews(b, c.pod)
		completes := completer(b, c.fill)
		b.Run(c.name+"/yardstick", func(b *testing.B) { run(b, decodes, bodies, `"allowed":true`) })
		b.Run(c.name+"/plainspec", func(b *testing.B) { run(b, completes, bodies, c.want) })
	}
}

// BenchmarkMutateServer is BenchmarkServer for /mutate.
func BenchmarkMutateServer(b *testing.B) {
	dir, client, binary := build(b)
	decodes := startYardstick(b, dir)
	completes := make(map[bool]*process)
	for _, fill := range []bool{false, true} {
		text, err := yaml.Marshal(configuration(b, fill))
		if err != nil {
			b.Fatal(err)
		}
		completes[fill] = startPlainspec(b, dir, binary, string(text))
	}
	for _, c := range completions() {
		bodies := reviews(b, c.pod)
		b.Run(c.name+"/yardstick", func(b *testing.B) { load(b, client, decodes, "/validate", bodies, `"allowed":true`) })
		b.Run(c.name+"/plainspec", func(b *testing.B) { load(b, client, completes[c.fill], "/mutate", bodies, c.want) })
	}
}
