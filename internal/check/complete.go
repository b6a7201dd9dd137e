package check

import (
	"context"
	"strconv"
	"strings"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/manifest"
	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/mutate/inject"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/validate"
)

// Completion is what the server does to an object before it judges it.
type Completion struct {
	// Done is what is filled in, Left what somebody asks for and does not get.
	Done []Done `json:"done"`
	Left []Left `json:"left"`
}

// Done is one thing that is filled in.
type Done struct {
	// What is inject, resources or labels.
	What string `json:"what"`
	// Text says it for people.
	Text string `json:"text"`
}

// Left is one thing that is asked for and not filled in.
type Left struct {
	// What is inject, resources or labels.
	What string `json:"what"`
	// Reason is a code, such as no_profile.
	Reason string `json:"reason"`
	// Text says for people what is in the way and what to change.
	Text string `json:"text"`
	// Field is the field path of what asks for it, Line its line in the source.
	Field string `json:"field"`
	Line  int    `json:"line"`

	unconfigured bool // a profile is missing, and no configuration was given that could have it
}

// completed is a document with its object as the server would complete it.
type completed struct {
	written *manifest.Document
	// document holds the completed object; it is written itself if nothing is to be completed.
	document *manifest.Document
	// completion is nil if nothing is filled in and nothing asked for.
	completion *Completion
	// initContainers is the field path of the init containers, indices their indices in the
	// document as it is written: -1 for injected ones, nil if they are the same.
	initContainers string
	indices        []int
}

// complete completes a document as the server would.
func (c *Checker) complete(ctx context.Context, d *manifest.Document) (*completed, error) {
	as := &completed{written: d, document: d}
	result, err := c.reviewer.Complete(ctx, c.request(d))
	if err != nil {
		return as, err
	}
	as.completion = c.completionOf(d, &result)
	if len(result.Patch) == 0 {
		return as, nil
	}
	object, err := result.Apply(d.Object)
	if err != nil {
		return as, err
	}
	document, err := d.With(object)
	if err != nil {
		return as, err
	}
	kind, _ := kinds.Find(d.Group(), d.Kind) // what has been completed is of a known kind
	as.document, as.indices, as.initContainers = &document, result.InitContainers, kind.Template.SpecPath()+".initContainers["
	return as, nil
}

func (c *Checker) completionOf(d *manifest.Document, result *mutate.Result) *Completion {
	if len(result.Done) == 0 && len(result.Left) == 0 {
		return nil
	}
	completion := &Completion{Done: []Done{}, Left: []Left{}}
	for _, done := range result.Done {
		completion.Done = append(completion.Done, Done{What: done.What, Text: redact.Text(done.Text)})
	}
	for _, left := range result.Left {
		completion.Left = append(completion.Left, Left{
			What: left.What, Reason: left.Reason, Text: redact.Text(left.Text), Field: left.Field, Line: d.LineOf(left.Field),
			unconfigured: !c.configured && left.Reason == string(inject.NoProfile),
		})
	}
	return completion
}

// request is what the server is asked about a document.
func (c *Checker) request(d *manifest.Document) validate.Request {
	namespace := d.Namespace
	if namespace == "" {
		namespace = c.assumed.Namespace
	}
	return validate.Request{
		Operation: validate.Create, Group: d.Group(), Kind: d.Kind, Namespace: namespace, Name: d.Name, User: user, Object: d.Object,
	}
}

// Spot is where a field of a completed object is written.
type Spot struct {
	// Field is its path in the source, so that an editor finds it there; within an injected init
	// container, which is not there, its path in the completed object.
	Field string `json:"field"`
	// Line is its line in the source, 0 for an injected field.
	Line int `json:"line"`
	// Injected says that the field is not in the source: the server fills it in.
	Injected bool `json:"injected,omitempty"`
}

// where writes the spot for people.
func (s *Spot) where() string { return s.Field + " (" + s.line() + ")" }

func (s *Spot) line() string {
	if s.Injected {
		return "injected"
	}
	return "line " + strconv.Itoa(s.Line)
}

// spot finds a field of the completed object in the source.
func (c *completed) spot(field string) Spot {
	written := c.source(field)
	switch {
	case written == "":
		return Spot{Field: field, Injected: true}
	case c.document.Has(field) && !c.written.Has(written):
		return Spot{Field: written, Injected: true}
	}
	return Spot{Field: written, Line: c.written.LineOf(written)}
}

// source is the path that a field of the completed object has in the source, empty for one of an
// injected init container: those stand before the others.
func (c *completed) source(field string) string {
	after, ok := strings.CutPrefix(field, c.initContainers)
	if !ok || c.indices == nil {
		return field
	}
	number, rest, _ := strings.Cut(after, "]")
	i, err := strconv.Atoi(number)
	switch {
	case err != nil || i < 0 || i >= len(c.indices):
		return field
	case c.indices[i] < 0:
		return ""
	}
	return c.initContainers + strconv.Itoa(c.indices[i]) + "]" + rest
}
