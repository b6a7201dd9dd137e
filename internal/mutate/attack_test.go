package mutate_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plainspec.dev/plainspec/internal/mutate"
)

// podOf is a Pod of the given annotations and spec, as JSON.
func podOf(tb testing.TB, annotations object, spec string) []byte {
	tb.Helper()
	text := encode(tb, object{"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": "web", "annotations": annotations}, "spec": object{}})
	return []byte(strings.Replace(string(text), `"spec":{}`, `"spec":`+spec, 1))
}

// TestImmenseAmounts holds that no amount makes completion take minutes, wherever it stands: if one
// does, the test does not end.
func TestImmenseAmounts(t *testing.T) {
	t.Parallel()
	const immense = `"1e99999999"`
	server := `{"containers": [{"name": "tomcat", "image": "tomcat:10.1.30", "resources": {"requests": {"memory": ` + immense + `}, "limits": {"cpu": %s}}}]}`
	record := `{"resources": {"tomcat": {"limits.cpu": %s}}}`
	for name, in := range map[string][]byte{
		"an amount that is compared with a record":    podOf(t, object{annotation: fmt.Sprintf(record, `"1"`)}, fmt.Sprintf(server, immense)),
		"a record of such an amount":                  podOf(t, object{annotation: fmt.Sprintf(record, immense)}, fmt.Sprintf(server, `"1"`)),
		"a record of many digits":                     podOf(t, object{annotation: fmt.Sprintf(record, `"`+strings.Repeat("1", 30)+`e99999999"`)}, fmt.Sprintf(server, `"1"`)),
		"a record of next to nothing":                 podOf(t, object{annotation: fmt.Sprintf(record, `"1e-99999999"`)}, fmt.Sprintf(server, `"1"`)),
		"both":                                        podOf(t, object{annotation: fmt.Sprintf(record, immense)}, fmt.Sprintf(server, immense)),
		"what the whole Pod requests":                 podOf(t, object{"plainspec.dev/artifact": "geektime/sample:v2"}, `{"resources": {"requests": {"memory": `+immense+`}}, "containers": [{"name": "tomcat", "image": "tomcat:10.1.30"}]}`),
		"an init container of the artifact's name":    podOf(t, object{"plainspec.dev/artifact": "geektime/sample:v2"}, `{"initContainers": [{"name": "artifact", "image": "a:1", "resources": {"limits": {"cpu": `+immense+`}}}], "containers": [{"name": "tomcat", "image": "tomcat:10.1.30"}]}`),
		"a volume of the artifact's name is as large": podOf(t, object{"plainspec.dev/artifact": "geektime/sample:v2"}, `{"volumes": [{"name": "artifact", "emptyDir": {"sizeLimit": `+immense+`}}], "containers": [{"name": "tomcat", "image": "tomcat:10.1.30"}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			holdProperties(t, completer(t, propertyConfig+propertyDefaults), input(t, in))
		})
	}
}

// TestRecordOfTooMuch holds that a record names no more than can have been injected, and that only
// so many references are tried for what it names: all of them for each would take minutes.
func TestRecordOfTooMuch(t *testing.T) {
	t.Parallel()
	elements, asked := object{}, object{}
	var inits []any
	for i := range 4000 {
		name := fmt.Sprintf("c%d", i)
		elements["initContainers/"+name] = "0"
		asked["plainspec.dev/artifact."+name] = fmt.Sprintf("r%d.example.com/geektime/sample:v2", i)
		inits = append(inits, object{"name": name, "image": "geektime/sample:v2"})
	}
	spec := string(encode(t, object{"initContainers": inits, "containers": []any{object{"name": "tomcat", "image": "tomcat:10.1.30"}}}))
	deployment := func(annotations object) mutate.Input {
		in := input(t, []byte(`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":`+string(podOf(t, annotations, spec))+`}}`))
		in.Update, in.Old = true, podOf(t, nil, "{}")
		return in
	}
	record := func(elements object) string { return string(encode(t, object{"elements": elements})) }
	c := testCompleter(t)

	before := maps.Clone(asked)
	before[annotation] = record(elements)
	in := deployment(object{"plainspec.dev/artifact": "geektime/sample:v2", annotation: before[annotation]})
	in.Old = deployment(before).Object
	result := complete(t, c, in)
	if len(result.Patch) > 0 || len(result.Left) != 1 || result.Left[0].Reason != "unreadable_record" {
		t.Errorf("%v, want no patch, and that the record is unreadable", result)
	}

	few := object{}
	for i := range 48 {
		few[fmt.Sprintf("initContainers/c%d", i)] = "0"
	}
	before[annotation] = record(few)
	in = deployment(object{"plainspec.dev/artifact": "geektime/sample:v2", annotation: before[annotation]})
	in.Old = deployment(before).Object
	if result := complete(t, c, in); len(result.Patch) == 0 {
		t.Errorf("%v, want the artifact injected", result)
	}
}

// TestRecordOfInjectedAmounts holds that a record of amounts has none taken out of what is injected,
// which is changed and removed as a whole: the API server would refuse such a patch.
func TestRecordOfInjectedAmounts(t *testing.T) {
	t.Parallel()
	in := input(t, []byte(pod))
	c := completer(t, propertyConfig+propertyDefaults)
	result := complete(t, c, in)
	injected := tree(t, apply(t, &result, in.Object))
	metadata, _ := injected["metadata"].(object)
	annotations, _ := metadata["annotations"].(object)
	record, _ := annotations[annotation].(string)
	annotations[annotation] = strings.Replace(record, `"resources":{`, `"resources":{"artifact":{"limits.memory":"64Mi"},`, 1)
	none := strings.Replace(propertyConfig, "hideTarget: true\n", "hideTarget: true\n      init: {resources: {}}\n", 1)
	for name, config := range map[string]string{"a profile with amounts": propertyConfig, "one without": none} {
		for _, asks := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, still asked for: %v", name, asks), func(t *testing.T) {
				edited := tree(t, encode(t, injected))
				metadata, _ := edited["metadata"].(object)
				if annotations, _ := metadata["annotations"].(object); asks {
					annotations["plainspec.dev/artifact"] = "geektime/sample:v3"
				} else {
					delete(annotations, "plainspec.dev/artifact")
				}
				c, in := completer(t, config+propertyDefaults), input(t, encode(t, edited))
				result := complete(t, c, in)
				in.Object = apply(t, &result, in.Object)
				if second := complete(t, c, in); len(second.Patch) > 0 {
					t.Errorf("after %sthe second patch is not empty: %s", patchText(t, result.Patch), patchText(t, second.Patch))
				}
			})
		}
	}
}

// TestNoRoomForARecord holds that an object with all the annotations that the API server admits is
// left as it is: with a record, it would be refused.
func TestNoRoomForARecord(t *testing.T) {
	t.Parallel()
	const spec = `{"containers": [{"name": "tomcat", "image": "tomcat:10.1.30"}]}`
	const asked, note = "plainspec.dev/artifact", "example.com/note"
	const text = `%s have 256 KiB at the most, and no room for what Plainspec adds: shorten them`
	long := object{asked: "geektime/sample:v2", note: strings.Repeat("x", 256<<10-len(asked+note+"geektime/sample:v2"))}
	left := func(field string, whats ...string) []mutate.Left {
		var all []mutate.Left
		for _, what := range whats {
			all = append(all, mutate.Left{What: what, Reason: "no_room", Text: fmt.Sprintf(text, field), Field: field})
		}
		return all
	}
	short := object{asked: "geektime/sample:v2"}
	deployment := func(own, template object) []byte {
		return []byte(`{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": ` + string(encode(t, object{"name": "web", "annotations": own})) +
			`, "spec": {"template": ` + string(podOf(t, template, spec)) + `}}`)
	}
	for name, tc := range map[string]struct {
		object []byte
		want   []mutate.Left
	}{
		"of a Pod":      {podOf(t, long, spec), left("metadata.annotations", "inject", "resources", "labels")},
		"of a template": {deployment(object{}, long), left("spec.template.metadata.annotations", "inject", "resources", "labels")},
		"of the object": {deployment(object{note: strings.Repeat("x", 256<<10-len(note))}, short), left("metadata.annotations", "inject", "resources", "labels")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := complete(t, completer(t, propertyConfig+propertyDefaults), input(t, tc.object))
			if diff := cmp.Diff(mutate.Result{Left: tc.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
