package mutate_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/mutate/inject"
)

const annotation = "plainspec.dev/injected"

// written is the record that an object or a template carries; nothing if it is none.
type written struct {
	Revision  string                       `json:"revision"`
	Elements  map[string]string            `json:"elements"`
	Labels    map[string]string            `json:"labels"`
	Resources map[string]map[string]string `json:"resources"`
}

func tree(tb testing.TB, object []byte) map[string]any {
	tb.Helper()
	var decoded map[string]any
	if err := json.Unmarshal(object, &decoded); err != nil {
		tb.Fatalf("%v: %s", err, object)
	}
	return decoded
}

// templateOf is where the Pod template of an object stands.
func templateOf(object map[string]any, kind kinds.Kind) map[string]any {
	if kind.Template == kinds.TemplateSelf {
		return object
	}
	for name := range strings.SplitSeq(string(kind.Template), ".") {
		object, _ = object[name].(map[string]any)
	}
	return object
}

func recordOf(holder map[string]any) written {
	metadata, _ := holder["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	text, _ := annotations[annotation].(string)
	var r written
	if json.Unmarshal([]byte(text), &r) != nil {
		return written{}
	}
	return r
}

// recordBefore is the record that an object or a template carries, or else that it carried when it was stored.
func recordBefore(holder, stored map[string]any) written {
	metadata, _ := holder["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	if _, ok := annotations[annotation]; !ok {
		holder = stored
	}
	return recordOf(holder)
}

// holdUsers holds that completion left all that is the user's as it was, and in its order.
func holdUsers(tb testing.TB, in mutate.Input, after []byte) {
	tb.Helper()
	kind := in.Kind
	b, a := tree(tb, in.Object), tree(tb, after)
	stored := map[string]any{}
	if in.Update {
		stored = tree(tb, in.Old)
	}
	records := [][2]written{
		{recordBefore(b, stored), recordBefore(templateOf(b, kind), templateOf(stored, kind))},
		{recordOf(a), recordOf(templateOf(a, kind))},
		{written{Labels: recordOf(stored).Labels}, written{Labels: recordOf(templateOf(stored, kind)).Labels}}, // an undo brings an older record
	}
	for _, object := range []map[string]any{b, a} {
		template := templateOf(object, kind)
		for _, r := range records { // before amounts, by which an injected container would be another
			withoutElements(tb, template, r[1])
		}
		for _, r := range records {
			withoutMetadata(object, r[0])
			withoutMetadata(template, r[1])
			withoutAmounts(template, r[1])
		}
	}
	if diff := cmp.Diff(prune(b), prune(a)); diff != "" {
		tb.Errorf("what the user wrote was changed (-before +after):\n%s", diff)
	}
}

func withoutMetadata(holder map[string]any, r written) {
	metadata, _ := holder["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	delete(annotations, annotation)
	labels, _ := metadata["labels"].(map[string]any)
	for key, value := range r.Labels {
		if labels[key] == value && strings.HasPrefix(key, "app.kubernetes.io/") {
			delete(labels, key)
		}
	}
}

func withoutElements(tb testing.TB, template map[string]any, r written) {
	tb.Helper()
	spec, _ := template["spec"].(map[string]any)
	without(tb, spec, "initContainers", func(c *corev1.Container) bool {
		return r.Elements["initContainers/"+c.Name] == inject.HashContainer(asInjected(c))
	})
	without(tb, spec, "volumes", func(v *corev1.Volume) bool { return r.Elements["volumes/"+v.Name] == inject.HashVolume(v) })
	for _, list := range []string{"containers", "initContainers"} {
		containers, _ := spec[list].([]any)
		for i := range containers {
			c, _ := containers[i].(map[string]any)
			name, _ := c["name"].(string)
			without(tb, c, "volumeMounts", func(m *corev1.VolumeMount) bool {
				return r.Elements["mounts/"+name+"/"+m.Name+"@"+m.MountPath] == inject.HashMount(m)
			})
		}
	}
}

// asInjected undoes what others do to injected containers in the stories.
func asInjected(c *corev1.Container) *corev1.Container {
	c.Env = nil
	if c.Resources.Limits.Memory().String() == "512Mi" && c.Resources.Requests.Memory().String() == "64Mi" {
		c.Resources.Limits = c.Resources.Requests
	}
	c.Image = strings.TrimPrefix(c.Image, "mirror.example.com/cache/")
	if name, _, pinned := strings.Cut(c.Image, "@"); pinned {
		c.Image = name + ":v2"
	}
	return c
}

// without takes the first element of each name that is ours out of a list.
func without[T any](tb testing.TB, holder map[string]any, list string, ours func(*T) bool) {
	tb.Helper()
	elements, _ := holder[list].([]any)
	rest := make([]any, 0, len(elements))
	for _, element := range elements {
		text, err := json.Marshal(element)
		if err != nil {
			tb.Fatal(err)
		}
		var typed T
		if err := json.Unmarshal(text, &typed); err != nil {
			tb.Fatal(err)
		}
		if !ours(&typed) {
			rest = append(rest, element)
		}
	}
	if holder != nil && len(elements) > 0 {
		holder[list] = rest
	}
}

func withoutAmounts(template map[string]any, r written) {
	spec, _ := template["spec"].(map[string]any)
	for _, list := range []string{"containers", "initContainers"} {
		containers, _ := spec[list].([]any)
		for i := range containers {
			c, _ := containers[i].(map[string]any)
			name, _ := c["name"].(string)
			resources, _ := c["resources"].(map[string]any)
			for key, value := range r.Resources[name] {
				kind, name, _ := strings.Cut(key, ".")
				amounts, _ := resources[kind].(map[string]any)
				if amounts[name] == value {
					delete(amounts, name)
				}
			}
		}
	}
}

// prune drops empty maps and lists: whether one that is empty is there makes no difference.
func prune(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Collect(maps.Keys(v)) {
			if v[key] = prune(v[key]); v[key] == nil {
				delete(v, key)
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			if v[i] = prune(v[i]); v[i] == nil {
				v[i] = "nothing"
			}
		}
		if len(v) == 0 {
			return nil
		}
	}
	return value
}
