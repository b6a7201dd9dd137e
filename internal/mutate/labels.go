package mutate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/workload"
)

// labelPrefix starts the keys of the recommended labels.
const labelPrefix = "app.kubernetes.io/"

// Why a label is not set.
const (
	InvalidLabel   = "invalid_label"   // the value cannot be a label's
	UnknownVersion = "unknown_version" // the manifest runs no single application
)

// labelInput is what labels are made from.
type labelInput struct {
	// Kind is the object's row in the table of kinds.
	Kind kinds.Kind
	// Name is the object's, empty if the API server generates it.
	Name string
	// Labels, Annotations and TemplateLabels are what the object and its Pod template have, without
	// what was completed before.
	Labels, Annotations, TemplateLabels map[string]string
	// Application is the one application that the object runs, nil if it runs none or several;
	// ApplicationProblem may say why.
	Application        *workload.Component
	ApplicationProblem string
}

// completeLabels returns the labels to add to an object's own metadata and to its Pod template. For
// a Pod, which is its own template, they are all in template.
func completeLabels(l *v1alpha1.Labels, o labelInput) (object, template map[string]string, left []Left) {
	if l == nil {
		return nil, nil, nil
	}
	b := labeler{input: o, object: make(map[string]string), template: make(map[string]string)}
	if l.Version {
		b.version()
	}
	if o.Kind.Template == kinds.TemplateSelf {
		return b.object, b.template, b.left
	}
	if l.Name && o.Application != nil {
		b.own("name", o.Application.Name, "the application's name")
	}
	if l.Instance && o.Name != "" {
		b.own("instance", o.Name, "the object's name")
	}
	for _, name := range slices.Sorted(maps.Keys(l.Values)) {
		if name != "managed-by" || !o.helm() {
			b.own(name, l.Values[name], "the configured value")
		}
	}
	return b.object, b.template, b.left
}

// helm reports whether Helm manages the object, which adopts and refuses objects by managed-by. Where
// that label says so itself, it is there and stays.
func (o *labelInput) helm() bool {
	_, chart := o.Labels["helm.sh/chart"]
	_, release := o.Annotations["meta.helm.sh/release-name"]
	return chart || release
}

// labeler collects the labels of one object.
type labeler struct {
	input            labelInput
	object, template map[string]string
	left             []Left
}

// version sets the version where it is missing: on the template, which its Pods inherit, and on
// the object.
func (b *labeler) version() {
	_, stated := b.input.TemplateLabels[workload.VersionLabelKey]
	_, statedByObject := b.input.Labels[workload.VersionLabelKey]
	if stated && statedByObject {
		return
	}
	field := b.input.Kind.Template.LabelsPath() + `["` + workload.VersionLabelKey + `"]`
	application := b.input.Application
	if application == nil {
		if b.input.ApplicationProblem != "" {
			text := fmt.Sprintf("label %s is not set: %s", workload.VersionLabelKey, b.input.ApplicationProblem)
			b.left = append(b.left, Left{What: Labels, Reason: UnknownVersion, Text: text, Field: field})
		}
		return
	}
	// A tag without any digit, such as "stable", names no version, also beside a digest.
	if !strings.ContainsAny(application.Version, "0123456789") {
		return
	}
	if !b.valid(workload.VersionLabelKey, application.Version, "the version at "+application.Field, field) {
		return
	}
	if !stated {
		b.template[workload.VersionLabelKey] = application.Version
	}
	if !statedByObject && b.input.Kind.Template != kinds.TemplateSelf {
		b.object[workload.VersionLabelKey] = application.Version
	}
}

// own sets a label of the object's own metadata where it is missing; what says what the value is.
func (b *labeler) own(name, value, what string) {
	key := labelPrefix + name
	if _, ok := b.input.Labels[key]; ok || value == "" {
		return
	}
	if b.valid(key, value, what, kinds.TemplateSelf.LabelsPath()+`["`+key+`"]`) {
		b.object[key] = value
	}
}

// valid reports whether a value can be a label's, and notes why if it cannot.
func (b *labeler) valid(key, value, what, field string) bool {
	var why string
	switch {
	case len(validation.IsValidLabelValue(value)) == 0:
		return true
	case strings.HasPrefix(value, "sha256:"), strings.HasPrefix(value, "sha384:"), strings.HasPrefix(value, "sha512:"):
		why = what + " is only a digest, which no label can hold: add a tag to the reference, or set the label"
	case len(value) > validation.LabelValueMaxLength:
		why = fmt.Sprintf("%s has %d characters, and a label at most %d: set the label", what, len(value), validation.LabelValueMaxLength)
	default:
		why = fmt.Sprintf(`%s is %q, and a label is of letters, digits, "-", "_" and ".", the first and the last a letter or a digit: set the label`, what, value)
	}
	b.left = append(b.left, Left{What: Labels, Reason: InvalidLabel, Text: "label " + key + " is not set: " + why, Field: field})
	return false
}
