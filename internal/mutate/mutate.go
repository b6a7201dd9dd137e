// Package mutate completes what a manifest leaves out: artifacts that it asks for, resources and
// labels. It is a pure function of object and configuration, and writes its result as the
// operations of a JSON patch. What a user wrote is never changed, and a completed object is not
// completed again.
package mutate

import (
	"gomodules.xyz/jsonpatch/v2"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
)

// Options are what a Completer is made of.
type Options struct {
	// Completion is the configuration, valid and with its defaults.
	Completion v1alpha1.Completion
	// Servers say which server of the catalog an image's name is.
	Servers map[string]string
	// Tools are the names of images that are no application by themselves.
	Tools []string
}

// Input is one object to complete.
type Input struct {
	// Kind is the object's row in the table of kinds.
	Kind kinds.Kind
	// Update says that the object exists; Old is then what is stored.
	Update bool
	// Namespace is the object's.
	Namespace string
	// Object and Old are JSON.
	Object, Old []byte
}

// Skip is why an object is not looked at.
type Skip string

// The reasons for leaving an object as it is.
const (
	SkipNone       Skip = ""
	SkipControlled Skip = "controlled" // a controller made it from a template that was completed
	SkipMirror     Skip = "mirror"     // a static Pod's mirror
	SkipFixed      Skip = "fixed"      // its containers cannot be exchanged any more
	SkipUnchanged  Skip = "unchanged"  // the Pod template is what it was
)

// Reasons for leaving something undone, besides those of the package inject.
const (
	StrayAnnotation = "stray_annotation" // an annotation of Plainspec means nothing where it stands
	Edited          = "edited"           // what was injected is not wanted any more, but somebody changed or uses it
	NoRoom          = "no_room"          // the annotations are so long that the API server would refuse a record beside them
)

// What can be completed; Done names it, and so do the metrics.
const (
	Inject    = "inject"
	Resources = "resources"
	Labels    = "labels"
)

// Done is one thing that was completed.
type Done struct {
	// What is Inject, Resources or Labels.
	What string
	// Text says it for people, such as `artifact geektime/sample:v2 for container "tomcat"`.
	Text string
}

// Left is one thing that was not completed though somebody asked for it.
type Left struct {
	// What is Inject, Resources or Labels.
	What string
	// Reason is a code for metrics, such as inject.NoProfile.
	Reason string
	// Text is the sentence for people, Field where it was asked for.
	Text, Field string
}

// Result is what completion makes of one object.
type Result struct {
	// Skipped is why nothing was looked at.
	Skipped Skip
	// Patch turns the object into the completed one; it is empty if nothing is to be done.
	Patch []jsonpatch.Operation
	// Done and Left say what was completed and what was not, in a stable order.
	Done []Done
	Left []Left
	// InitContainers has, for each init container of the completed template, its index in the
	// template as it came, -1 for an injected one. It is nil if no index has changed.
	InitContainers []int
}
