package mutate

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/workload"
)

// document is where, in an object, the things stand that are completed.
type document struct {
	// own and template say whether the object and its Pod template have metadata.
	own, template bool
	// path is the JSON pointer of the Pod template, empty for a Pod.
	path string
	spec jsontext.Value
}

// readDocument finds the Pod template of an object; false if it has none.
func readDocument(raw []byte, kind *kinds.Kind) (document, bool, error) {
	var d document
	node, err := members(raw)
	if err != nil {
		return d, false, fmt.Errorf("decode %s: %w", kind.Name, workload.InWords(err))
	}
	d.own = node["metadata"].Kind() == '{'
	if kind.Template != kinds.TemplateSelf {
		for name := range strings.SplitSeq(string(kind.Template), ".") {
			if node[name].Kind() != '{' {
				return d, false, nil
			}
			if node, err = members(node[name]); err != nil {
				return d, false, fmt.Errorf("decode %s: %w", kind.Name, workload.InWords(err))
			}
			d.path = pointer(d.path, name)
		}
	}
	d.template = node["metadata"].Kind() == '{'
	d.spec = node["spec"]
	return d, d.spec.Kind() == '{', nil
}

func members(raw []byte) (map[string]jsontext.Value, error) {
	var found map[string]jsontext.Value
	err := json.Unmarshal(raw, &found)
	return found, err
}

// pod is a Pod spec, twice: as what it means, and as it is written, for its stored form has
// members that the types of this version may lack.
type pod struct {
	path string // JSON pointer
	spec corev1.PodSpec
	raw  struct {
		InitContainers []jsontext.Value `json:"initContainers"`
		Containers     []jsontext.Value `json:"containers"`
		Volumes        []jsontext.Value `json:"volumes"`
	}
}

func (d *document) pod() (*pod, error) {
	p := &pod{path: pointer(d.path, "spec")}
	for _, form := range []any{&p.spec, &p.raw} {
		if err := json.Unmarshal(d.spec, form); err != nil {
			return nil, fmt.Errorf("decode Pod spec: %w", workload.InWords(err, strings.Split(p.path[1:], "/")...))
		}
	}
	return p, nil
}
