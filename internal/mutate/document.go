package mutate

import (
	"errors"
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
	object jsontext.Value
	// own and template say whether the object and its Pod template have metadata.
	own, template bool
	// path is the JSON pointer of the Pod template, empty for a Pod.
	path string
	spec jsontext.Value
}

// node is an object of a manifest that holds a Pod template, or is one.
type node struct {
	Metadata    jsontext.Value `json:"metadata"`
	Spec        jsontext.Value `json:"spec"`
	Template    jsontext.Value `json:"template"`
	JobTemplate jsontext.Value `json:"jobTemplate"`
}

// readDocument finds the Pod template of an object; false if it has none.
func readDocument(raw []byte, kind *kinds.Kind) (document, bool, error) {
	d := document{object: raw}
	var n node
	if err := json.Unmarshal(raw, &n); err != nil {
		return d, false, fmt.Errorf("decode %s: %w", kind.Name, workload.InWords(err))
	}
	d.own = n.Metadata.Kind() == '{'
	if kind.Template != kinds.TemplateSelf {
		for name := range strings.SplitSeq(string(kind.Template), ".") {
			value := map[string]jsontext.Value{"spec": n.Spec, "template": n.Template, "jobTemplate": n.JobTemplate}[name]
			if value.Kind() != '{' {
				return d, false, nil
			}
			n = node{}
			if err := json.Unmarshal(value, &n); err != nil {
				return d, false, fmt.Errorf("decode %s: %w", kind.Name, workload.InWords(err))
			}
			d.path = pointer(d.path, name)
		}
	}
	d.template, d.spec = n.Metadata.Kind() == '{', n.Spec
	return d, d.spec.Kind() == '{', nil
}

// pod is a Pod spec as what it means. What it is made of is also there as it is written, for its
// stored form has members that the types of this version may lack.
type pod struct {
	document *document
	path     string // JSON pointer
	spec     corev1.PodSpec
}

func (d *document) pod() (*pod, error) {
	p := &pod{document: d, path: pointer(d.path, "spec")}
	if err := json.Unmarshal(d.spec, &p.spec); err != nil {
		return nil, fmt.Errorf("decode Pod spec: %w", workload.InWords(err, strings.Split(p.path[1:], "/")...))
	}
	return p, nil
}

// raw is, as it is written, what is at the JSON pointer of an element of a list.
func (p *pod) raw(path string) (jsontext.Value, error) {
	value, err := workload.Find(p.document.object, jsontext.Pointer(path).Tokens())
	if err == nil && value == nil {
		err = errors.New("there is nothing")
	}
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	return value, nil
}
