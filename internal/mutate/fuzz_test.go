package mutate_test

import (
	"encoding/json"
	"testing"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/workload"
)

// FuzzComplete holds that no bytes make completion panic, and that its patch can be applied to the
// object that it was made for.
func FuzzComplete(f *testing.F) {
	f.Add([]byte(pod), uint8(0), false)
	f.Add([]byte(`{"metadata":{"annotations":{"plainspec.dev/injected":"{\"elements\":{\"\":\"\"}}","plainspec.dev/artifact":"a:1"}},"spec":{"containers":[null]}}`), uint8(0), false)
	f.Add([]byte(`{"metadata":null,"spec":{"template":{"metadata":{"annotations":{"plainspec.dev/artifact":"a:1"}},"spec":{"initContainers":[{}],"containers":[{"image":"tomcat"}],"volumes":[null]}}}}`), uint8(3), true)
	f.Add([]byte(`{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"resources":{"limits":null}},{"name":"a","resources":null}]}}}}}}`), uint8(8), false)
	c := completer(f, propertyConfig+propertyDefaults)
	f.Fuzz(func(t *testing.T, object []byte, kind uint8, update bool) {
		in := mutate.Input{Kind: kinds.All()[int(kind)%len(kinds.All())], Namespace: "shop", Update: update, Object: object}
		result, err := c.Complete(t.Context(), in)
		if err != nil {
			return
		}
		completed, err := result.Apply(object)
		if err != nil {
			t.Fatalf("%v: %s", err, patchText(t, result.Patch))
		}
		if len(result.Patch) > 0 && !json.Valid(completed) {
			t.Fatalf("what was completed is no JSON: %s", completed)
		}
		if decoded, err := workload.Decode(completed, in.Kind); err == nil {
			in.Object = completed
			if _, err := c.Targets(decoded, in); err != nil {
				t.Fatal(err)
			}
		}
	})
}
