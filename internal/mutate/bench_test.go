package mutate_test

import (
	"fmt"
	"strings"
	"testing"

	"plainspec.dev/plainspec/internal/workload"
)

// BenchmarkComplete says what each sort of completion costs; "nothing asked" is what every object
// of a cluster pays, and next to it what decoding alone costs.
func BenchmarkComplete(b *testing.B) {
	const resources = `
  resources:
    classes:
      - main: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
`
	config := readFile(b, "testdata/config.yaml")
	plain := strings.Replace(pod, "plainspec.dev/artifact", "note", 1)
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf(`{"name": "c%d", "image": "shop/c%d:1.0.0", "env": [{"name": "A", "value": "b"}, {"name": "C", "value": "d"}],
			"ports": [{"containerPort": 80}], "livenessProbe": {"httpGet": {"path": "/", "port": 80}}, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}`, i, i))
	}
	large := strings.Replace(plain, `"containers": [`, `"volumes": [{"name": "data", "emptyDir": {}}], "containers": [`+strings.Join(many, ",")+",", 1)
	completed := func(config, object string) string {
		in := input(b, []byte(object))
		result := complete(b, completer(b, config), in)
		return string(apply(b, &result, in.Object))
	}
	for _, tc := range []struct{ name, config, object string }{
		{"nothing asked", config, plain},
		{"nothing asked, large", config, large},
		{"artifact", config, pod},
		{"artifact is there", config, completed(config, pod)},
		{"labels", config + "  labels: {version: true}\n", plain},
		{"labels are there", config + "  labels: {version: true}\n", completed(config+"  labels: {version: true}\n", plain)},
		{"resources", config + resources, plain},
		{"resources, large", config + resources, large},
		{"resources are there, large", config + resources, completed(config+resources, large)},
	} {
		b.Run(tc.name, func(b *testing.B) {
			c := completer(b, tc.config)
			in := input(b, []byte(tc.object))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Complete(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for name, object := range map[string]string{"small": plain, "large": large} {
		b.Run("decoding alone, "+name, func(b *testing.B) {
			in := input(b, []byte(object))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := workload.Decode(in.Object, in.Kind); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
