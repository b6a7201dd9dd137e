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
	template := o.template()
	annotations := template.Metadata.Annotations
	path := o.kind.Template.AnnotationsPath()
	if o.kind.Template != kinds.TemplateSelf {
		for key := range o.raw.Metadata.Annotations {
			if strings.HasPrefix(key, AnnotationPrefix) && key != InjectedAnnotation {
				stray = append(stray, annotationField(kinds.TemplateSelf.AnnotationsPath(), key))
			}
		}
	}
	for key, value := range annotations {
		if !strings.HasPrefix(key, AnnotationPrefix) || key == InjectedAnnotation {
			continue
		}
		kind, name, _ := strings.Cut(key, ".dev/")
		kind, name, _ = strings.Cut(name, ".")
		switch kind = AnnotationPrefix + kind; kind {
		case ArtifactAnnotation:
			asked = append(asked, Asked{
				Name: name, Field: annotationField(path, key), Value: value, Image: r.images.parse(value),
				Profile:   choice(annotations, ProfileAnnotation, name),
				Mode:      choice(annotations, ModeAnnotation, name),
				Container: choice(annotations, ContainerAnnotation, name),
			})
		case ProfileAnnotation, ModeAnnotation, ContainerAnnotation:
			if _, ok := annotations[named(ArtifactAnnotation, name)]; !ok && !(name == "" && asksForAny(annotations)) {
				stray = append(stray, annotationField(path, key))
			}
		default:
			stray = append(stray, annotationField(path, key))
		}
	}
	slices.SortFunc(asked, func(a, b Asked) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(stray)
	return asked, stray
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

func asksForAny(annotations map[string]string) bool {
	for key := range annotations {
		if key == ArtifactAnnotation || strings.HasPrefix(key, ArtifactAnnotation+".") {
			return true
		}
	}
	return false
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
