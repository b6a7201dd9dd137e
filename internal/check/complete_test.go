package check

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plainspec.dev/plainspec/internal/manifest"
)

// TestSpot looks fields of a completed object up in the file: its init containers have moved by
// the injected one before them, the other injected elements stand at the end of their lists.
func TestSpot(t *testing.T) {
	t.Parallel()
	as := completedOf(t, `apiVersion: v1
kind: Pod
metadata:
  annotations:
    a: b
spec:
  initContainers:
    - name: migrate
      image: migrate:1
    - name: seed
  containers:
    - name: tomcat
`, `{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{"a":"b","plainspec.dev/injected":"{}"},"labels":{"x":"y"}},
"spec":{"initContainers":[{"name":"artifact","image":"shop:1"},{"name":"migrate","image":"migrate:1","resources":{"limits":{}}},{"name":"seed"}],
"containers":[{"name":"tomcat","volumeMounts":[{}]}],"volumes":[{"emptyDir":{}}]}}`)
	as.initContainers, as.indices = "spec.initContainers[", []int{-1, 0, 1}
	tests := map[string]struct {
		field string
		want  Spot
	}{
		"an injected init container":                {"spec.initContainers[0]", Spot{Field: "spec.initContainers[0]", Injected: true}},
		"its image":                                 {"spec.initContainers[0].image", Spot{Field: "spec.initContainers[0].image", Injected: true}},
		"what it does not say either":               {"spec.initContainers[0].args[0]", Spot{Field: "spec.initContainers[0].args[0]", Injected: true}},
		"the user's first init container":           {"spec.initContainers[1].image", Spot{Field: "spec.initContainers[0].image", Line: 9}},
		"the user's second, which lacks the field":  {"spec.initContainers[2].image", Spot{Field: "spec.initContainers[1].image", Line: 10}},
		"what is filled in, in the user's":          {"spec.initContainers[1].resources.limits", Spot{Field: "spec.initContainers[0].resources.limits", Injected: true}},
		"what nobody says, in the user's":           {"spec.initContainers[1].resources.requests", Spot{Field: "spec.initContainers[0].resources.requests", Line: 8}},
		"a container":                               {"spec.containers[0].name", Spot{Field: "spec.containers[0].name", Line: 12}},
		"an injected mount":                         {"spec.containers[0].volumeMounts[0]", Spot{Field: "spec.containers[0].volumeMounts[0]", Injected: true}},
		"an injected volume":                        {"spec.volumes[0].emptyDir", Spot{Field: "spec.volumes[0].emptyDir", Injected: true}},
		"the user's annotation":                     {`metadata.annotations["a"]`, Spot{Field: `metadata.annotations["a"]`, Line: 5}},
		"an injected annotation":                    {`metadata.annotations["plainspec.dev/injected"]`, Spot{Field: `metadata.annotations["plainspec.dev/injected"]`, Injected: true}},
		"an injected label":                         {`metadata.labels["x"]`, Spot{Field: `metadata.labels["x"]`, Injected: true}},
		"an init container that is not there":       {"spec.initContainers[3].image", Spot{Field: "spec.initContainers[3].image", Line: 7}},
		"an init container whose index is no index": {"spec.initContainers[x]", Spot{Field: "spec.initContainers[x]", Line: 7}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, as.spot(tc.field)); diff != "" {
				t.Errorf("spot(%q) (-want +got):\n%s", tc.field, diff)
			}
		})
	}
}

// TestSpotOfUncompleted holds that an object as it is written has no injected fields.
func TestSpotOfUncompleted(t *testing.T) {
	t.Parallel()
	as := completedOf(t, "apiVersion: v1\nkind: Pod\nspec:\n  initContainers: [{name: a}]\n", "")
	for field, line := range map[string]int{"spec.initContainers[0].name": 4, "spec.initContainers[0].image": 4, "spec.volumes[0]": 3} {
		if diff := cmp.Diff(Spot{Field: field, Line: line}, as.spot(field)); diff != "" {
			t.Errorf("spot(%q) (-want +got):\n%s", field, diff)
		}
	}
}

func completedOf(t *testing.T, text, object string) *completed {
	t.Helper()
	batch := manifest.Read(manifest.Options{Paths: []string{manifest.Stdin}, Stdin: strings.NewReader(text)})
	if len(batch.Documents) != 1 {
		t.Fatalf("%d documents: %v", len(batch.Documents), batch.Problems)
	}
	d := &batch.Documents[0]
	if object == "" {
		return &completed{written: d, document: d}
	}
	with, err := d.With([]byte(object))
	if err != nil {
		t.Fatal(err)
	}
	return &completed{written: d, document: &with}
}
