package workload

import (
	"slices"
	"strings"

	"plainspec.dev/plainspec/internal/kinds"
)

// Annotations of a Pod template by which people ask for artifacts. Each but the last may end with
// "." and a name, for Pods with several artifacts; without one it is the default for all.
const (
	// AnnotationPrefix is what the names of all annotations of Plainspec start with.
	AnnotationPrefix = "plainspec.dev/"
	// ArtifactAnnotation holds the image reference of the artifact that is asked for.
	ArtifactAnnotation = AnnotationPrefix + "artifact"
	// ProfileAnnotation names the profile to take.
	ProfileAnnotation = AnnotationPrefix + "artifact-profile"
	// ModeAnnotation names the strategy of injection.
	ModeAnnotation = AnnotationPrefix + "artifact-mode"
	// ContainerAnnotation names the container that reads the artifact.
	ContainerAnnotation = AnnotationPrefix + "artifact-container"
	// InjectedAnnotation is Plainspec's own: what was completed, and by which revision.
	InjectedAnnotation = AnnotationPrefix + "injected"
)

// Asked is an artifact that a Pod template asks for.
type Asked struct {
	// Name tells several artifacts apart: what follows "plainspec.dev/artifact.", empty for
	// "plainspec.dev/artifact" itself.
	Name string
	// Field is the field path of the annotation.
	Field string
	// Value is the annotation's value, Image what it says.
	Value string
	Image ImageName
	// Profile, Mode and Container are the values of the annotations that choose them; empty where
	// there is none.
	Profile, Mode, Container string
}

// Asked returns the artifacts that an object's template asks for, by name. Stray are the field
// paths of annotations of Plainspec that mean nothing where they stand: misspelt ones, choices for
// an artifact that is not asked for, and artifacts asked for on the object instead of its template.
func (r *Reader) Asked(o *Object) (asked []Asked, stray []string) {
	annotations, path := o.TemplateAnnotations(), o.kind.Template.AnnotationsPath()
	for key, value := range annotations {
		if !said(key) {
			continue
		}
		field := annotationField(path, key)
		switch kind, name := splitKey(key); {
		case kind == ArtifactAnnotation:
			asked = append(asked, Asked{
				Name: name, Field: field, Value: value, Image: r.images.parse(value),
				Profile:   choice(annotations, ProfileAnnotation, name),
				Mode:      choice(annotations, ModeAnnotation, name),
				Container: choice(annotations, ContainerAnnotation, name),
			})
		case !chooses(kind) || !asksFor(annotations, name):
			stray = append(stray, field)
		}
	}
	if o.kind.Template != kinds.TemplateSelf {
		for key := range o.Annotations() {
			if said(key) {
				stray = append(stray, annotationField(kinds.TemplateSelf.AnnotationsPath(), key))
			}
		}
	}
	slices.SortFunc(asked, func(a, b Asked) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(stray)
	return asked, stray
}

// Asks reports whether the object's template asks for an artifact.
func (o *Object) Asks() bool { return asksFor(o.TemplateAnnotations(), "") }

// said reports whether an annotation is one by which people tell Plainspec something.
func said(key string) bool {
	return strings.HasPrefix(key, AnnotationPrefix) && key != InjectedAnnotation
}

// splitKey splits "plainspec.dev/artifact.web" into what it says and the name of an artifact. The
// kind is empty if a dot has no name behind it.
func splitKey(key string) (kind, name string) {
	at := strings.IndexByte(key[len(AnnotationPrefix):], '.') + len(AnnotationPrefix)
	switch {
	case at < len(AnnotationPrefix):
		return key, ""
	case at == len(key)-1:
		return "", ""
	}
	return key[:at], key[at+1:]
}

// chooses reports whether a kind of annotations chooses something for artifacts.
func chooses(kind string) bool {
	return kind == ProfileAnnotation || kind == ModeAnnotation || kind == ContainerAnnotation
}

// asksFor reports whether annotations ask for the artifact of a name; without a name, for any.
func asksFor(annotations map[string]string, name string) bool {
	if name == "" {
		return countAsked(annotations) > 0
	}
	_, ok := annotations[named(ArtifactAnnotation, name)]
	return ok
}

func countAsked(annotations map[string]string) int {
	count := 0
	for key := range annotations {
		if said(key) {
			if kind, _ := splitKey(key); kind == ArtifactAnnotation {
				count++
			}
		}
	}
	return count
}

// choice is the value of an annotation for one artifact, or else that for all.
func choice(annotations map[string]string, key, name string) string {
	if value, ok := annotations[named(key, name)]; ok {
		return value
	}
	return annotations[key]
}

func named(key, name string) string {
	if name == "" {
		return key
	}
	return key + "." + name
}

func annotationField(path, key string) string { return path + `["` + key + `"]` }

// Annotations are the annotations of the object, TemplateAnnotations those of its Pod template;
// for a Pod, both are the same. They must not be changed.
func (o *Object) Annotations() map[string]string { return o.raw.Metadata.Annotations }

// TemplateAnnotations are the annotations of the object's Pod template. They must not be changed.
func (o *Object) TemplateAnnotations() map[string]string { return o.template().Metadata.Annotations }

// Labels are the labels of the object. They must not be changed.
func (o *Object) Labels() map[string]string { return o.raw.Metadata.Labels }

// TemplateLabels are the labels of the object's Pod template; for a Pod, its own. They must not be
// changed.
func (o *Object) TemplateLabels() map[string]string { return o.template().Metadata.Labels }
