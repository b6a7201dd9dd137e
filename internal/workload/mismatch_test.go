package workload

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plainspec.dev/plainspec/internal/kinds"
)

func TestFieldPath(t *testing.T) {
	t.Parallel()
	for want, elements := range map[string][]string{
		"":                            nil,
		"spec.containers[0].image":    {"spec", "containers", "0", "image"},
		`metadata.labels["a.b/c"]`:    {"metadata", "labels", "a.b/c"},
		`spec.volumes[1].csi["x[0]"]`: {"spec", "volumes", "1", "csi", "x[0]"},
	} {
		if got := fieldPath(elements); got != want {
			t.Errorf("fieldPath(%q) = %q, want %q", elements, got, want)
		}
	}
}

func TestDecodeErrorsNameFieldsInOneWay(t *testing.T) {
	t.Parallel()
	pod, _ := kinds.Find("", "Pod")
	for object, want := range map[string]string{
		`[]`:                          "decode Pod: it is a list, must be an object",
		`{"metadata":[]}`:             "decode Pod: metadata is a list, must be an object",
		`{"spec":{"containers":"x"}}`: "decode Pod: spec.containers is a text, must be a list",
		`{"spec":{"containers":[{},{"volumeMounts":[{"readOnly":"s3cret"}]}]}}`: "decode Pod: spec.containers[1].volumeMounts[0].readOnly is a text, must be a boolean",
		`{"spec":{"volumes":[{"name":"a"},7]}}`:                                 "decode Pod: spec.volumes[1] cannot be read: a volume is not an object",
	} {
		_, err := Decode([]byte(object), pod)
		if mismatch := (*MismatchError)(nil); !errors.As(err, &mismatch) {
			t.Errorf("Decode(%s) gives %v, want a MismatchError", object, err)
		} else if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("Decode(%s) (-want +got):\n%s", object, diff)
		}
	}
}

func TestNullIsNothing(t *testing.T) {
	t.Parallel()
	pod, _ := kinds.Find("", "Pod")
	for _, object := range []string{
		`null`, `{"metadata":null,"spec":null}`, `{"spec":{"containers":null,"initContainers":[null],"volumes":[null]}}`,
		`{"spec":{"containers":[{"env":null,"args":[null],"volumeMounts":[null],"lifecycle":null}],"volumes":[{"name":null,"csi":null}]}}`,
		`{"spec":{"containers":[{"env":[null],"lifecycle":{"postStart":null,"preStop":{"exec":null}}}],"volumes":[{"csi":{"volumeAttributes":null}}]}}`,
	} {
		o, err := Decode([]byte(object), pod)
		if err != nil {
			t.Errorf("Decode(%s): %v", object, err)
			continue
		}
		NewReader().Read(o, AllGroups())
	}
}
