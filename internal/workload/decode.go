package workload

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"plainspec.dev/plainspec/internal/kinds"
)

// The types below hold only the fields that facts are made of: decoding a whole Pod costs five
// times as much, and none of it is needed.

type object struct {
	Metadata metadata     `json:"metadata"`
	Spec     spec         `json:"spec"`
	Template *podTemplate `json:"template"` // PodTemplate
}

type metadata struct {
	Name            string            `json:"name"`
	GenerateName    string            `json:"generateName"`
	Namespace       string            `json:"namespace"` // held to be a text; the request says which
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
	OwnerReferences []ownerReference  `json:"ownerReferences"`
}

type ownerReference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Controller *bool  `json:"controller"`
}

// spec is the union of a Pod's spec and of the specs that hold a template: no field of one
// means something else in another.
type spec struct {
	podSpec

	Template    *podTemplate `json:"template"`
	JobTemplate *struct {
		Spec struct {
			Template *podTemplate `json:"template"`
		} `json:"spec"`
	} `json:"jobTemplate"`
	VolumeClaimTemplates []struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	} `json:"volumeClaimTemplates"`
}

type podTemplate struct {
	Metadata struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec podSpec `json:"spec"`
}

type podSpec struct {
	InitContainers      []container `json:"initContainers"`
	Containers          []container `json:"containers"`
	EphemeralContainers []container `json:"ephemeralContainers"`
	Volumes             []volume    `json:"volumes"`
}

type container struct {
	Name          string   `json:"name"`
	Image         string   `json:"image"`
	Command       []string `json:"command"`
	Args          []string `json:"args"`
	WorkingDir    string   `json:"workingDir"`
	RestartPolicy string   `json:"restartPolicy"`
	Env           []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`
	VolumeMounts []struct {
		Name      string `json:"name"`
		MountPath string `json:"mountPath"`
		SubPath   string `json:"subPath"`
		ReadOnly  bool   `json:"readOnly"`
	} `json:"volumeMounts"`
	Lifecycle struct {
		PostStart *hook `json:"postStart"`
		PreStop   *hook `json:"preStop"`
	} `json:"lifecycle"`
}

type hook struct {
	Exec *struct {
		Command []string `json:"command"`
	} `json:"exec"`
}

// volume keeps its source undecoded: what is in it depends on the source's type, and types that
// this version does not know must be seen, not dropped.
type volume struct {
	name   string
	kind   string // the source's field, such as "persistentVolumeClaim"; empty if there is none
	source jsontext.Value
}

// UnmarshalJSONFrom reads the name, and takes the first other member that is not null for the source.
func (v *volume) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	start, err := dec.ReadToken()
	if err != nil {
		return err
	}
	switch start.Kind() {
	case 'n':
		return nil
	case '{':
	default:
		return errors.New("a volume is not an object")
	}
	for dec.PeekKind() != '}' {
		key, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if err := v.member(key.String(), dec); err != nil {
			return err
		}
	}
	_, err = dec.ReadToken()
	return err
}

func (v *volume) member(key string, dec *jsontext.Decoder) error {
	if key == "name" {
		return json.UnmarshalDecode(dec, &v.name)
	}
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	if v.kind == "" && value.Kind() != 'n' {
		v.kind, v.source = key, value.Clone()
	}
	return nil
}

// Object is a decoded manifest of a known kind.
type Object struct {
	kind   kinds.Kind
	raw    object
	weight int
}

// Decode reads an object of a known kind from JSON. An error means that it cannot be judged:
// a field that facts are made of has another type than Kubernetes gives it (*MismatchError),
// or there is more of them than is read (*TooHeavyError).
func Decode(raw []byte, kind kinds.Kind) (*Object, error) {
	o := &Object{kind: kind}
	if err := json.Unmarshal(raw, &o.raw); err != nil {
		return nil, fmt.Errorf("decode %s: %w", kind.Name, InWords(err))
	}
	if o.weight = o.weigh(); o.weight > heaviest {
		return nil, &TooHeavyError{Weight: o.weight}
	}
	return o, nil
}

// Weight is about how many facts can be read off the object: what judging it takes grows with that.
func (o *Object) Weight() int { return o.weight }

// Kind is the row of the object's kind.
func (o *Object) Kind() kinds.Kind { return o.kind }

// Name is the object's name, or its generateName followed by "*" while the API server has not
// given it one.
func (o *Object) Name() string {
	if o.raw.Metadata.Name == "" && o.raw.Metadata.GenerateName != "" {
		return o.raw.Metadata.GenerateName + "*"
	}
	return o.raw.Metadata.Name
}

// GenerateName is what the object's name is generated from, empty if it is not.
func (o *Object) GenerateName() string { return o.raw.Metadata.GenerateName }

// Owner is the object that controls another.
type Owner struct{ Group, Kind, Name, UID string }

// Owner returns the controlling owner that the object claims to have; false if it claims none.
// Anybody can claim one: who asks must also be its controller (kinds.MakesChildren).
func (o *Object) Owner() (Owner, bool) {
	for _, ref := range o.raw.Metadata.OwnerReferences {
		if ref.Controller == nil || !*ref.Controller {
			continue
		}
		group, _, found := strings.Cut(ref.APIVersion, "/")
		if !found {
			group = ""
		}
		return Owner{Group: group, Kind: ref.Kind, Name: ref.Name, UID: ref.UID}, true
	}
	return Owner{}, false
}

// Mirror reports whether the object is a mirror Pod: the API's picture of a static Pod that runs
// already, whatever is answered.
func (o *Object) Mirror() bool {
	_, ok := o.raw.Metadata.Annotations["kubernetes.io/config.mirror"]
	return ok && o.kind.Name == "Pod"
}

// template returns where the Pod's labels, annotations and spec stand in the decoded object.
func (o *Object) template() podTemplate {
	var found *podTemplate
	switch o.kind.Template {
	case kinds.TemplateSelf:
		self := podTemplate{Spec: o.raw.Spec.podSpec}
		self.Metadata.Labels = o.raw.Metadata.Labels
		self.Metadata.Annotations = o.raw.Metadata.Annotations
		return self
	case kinds.TemplateTop:
		found = o.raw.Template
	case kinds.TemplateJob:
		if o.raw.Spec.JobTemplate != nil {
			found = o.raw.Spec.JobTemplate.Spec.Template
		}
	case kinds.TemplateSpec:
		found = o.raw.Spec.Template
	}
	if found == nil {
		return podTemplate{}
	}
	return *found
}

// SameTemplate reports whether two versions of an object hold the same Pod template, byte for
// byte: the API server writes both in one way, so that equal templates are equal text. For a Pod
// it compares the spec and the artifacts that are asked for, because Pods change their other
// metadata while they run.
func SameTemplate(raw, old []byte, kind kinds.Kind) (bool, error) {
	where := string(kind.Template)
	if kind.Template == kinds.TemplateSelf {
		where = kind.Template.SpecPath()
	}
	same, err := sameAt(where, raw, old, kind, bytes.Equal)
	if same && kind.Template == kinds.TemplateSelf {
		return sameAt(kind.Template.AnnotationsPath(), raw, old, kind, sameRequests)
	}
	return same, err
}

// sameAt compares what stands at a field path in two versions of an object.
func sameAt(where string, raw, old []byte, kind kinds.Kind, same func(a, b []byte) bool) (bool, error) {
	value, err := Find(raw, strings.SplitSeq(where, "."))
	if err != nil {
		return false, fmt.Errorf("decode %s: %w", kind.Name, err)
	}
	before, err := Find(old, strings.SplitSeq(where, "."))
	if err != nil {
		return false, fmt.Errorf("decode old %s: %w", kind.Name, err)
	}
	return same(value, before), nil
}

// sameRequests reports whether two sets of annotations ask for the same artifacts in the same way.
// What cannot be read is not the same.
func sameRequests(raw, old []byte) bool {
	if bytes.Equal(raw, old) {
		return true
	}
	after, err := requests(raw)
	if err != nil {
		return false
	}
	before, err := requests(old)
	return err == nil && maps.Equal(after, before)
}

func requests(raw []byte) (map[string]string, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var annotations map[string]string
	err := json.Unmarshal(raw, &annotations)
	maps.DeleteFunc(annotations, func(key, _ string) bool { return !strings.HasPrefix(key, ArtifactAnnotation) })
	return annotations, err
}

// Find returns a value in a JSON document as it is written, by the names of members and the indexes
// of elements that lead to it; nil if there is nothing. It is a part of the document, not a copy.
func Find(document jsontext.Value, names iter.Seq[string]) (jsontext.Value, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(document))
	for name := range names {
		if found, err := enter(dec, name); err != nil || !found {
			return nil, err
		}
	}
	found, err := dec.ReadValue()
	if err != nil {
		return nil, err
	}
	end := dec.InputOffset()
	return document[end-int64(len(found)) : end], nil // which the decoder does not overwrite
}

// enter goes into what comes next and stops before the member of a name or the element of an index.
func enter(dec *jsontext.Decoder, name string) (found bool, err error) {
	start, err := dec.ReadToken()
	if err != nil || start.Kind() != '{' && start.Kind() != '[' {
		return false, err
	}
	for i := 0; dec.PeekKind() != '}' && dec.PeekKind() != ']'; i++ {
		if start.Kind() == '{' {
			key, err := dec.ReadToken()
			if err != nil {
				return false, err
			}
			found = key.String() == name
		} else {
			found = strconv.Itoa(i) == name
		}
		if found {
			return true, nil
		}
		if err := dec.SkipValue(); err != nil {
			return false, err
		}
	}
	return false, nil
}
