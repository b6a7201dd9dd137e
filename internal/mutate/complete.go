package mutate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"plainspec.dev/plainspec/internal/mutate/inject"
	"plainspec.dev/plainspec/internal/workload"
)

// Completer completes objects. It is immutable and safe for concurrent use.
type Completer struct {
	options  Options
	revision string
	reader   *workload.Reader
	planner  *inject.Planner
}

// New returns a Completer.
func New(o Options) (*Completer, error) {
	text, err := json.Marshal(o.Completion)
	if err != nil {
		return nil, fmt.Errorf("encode completion: %w", err)
	}
	sum := sha256.Sum256(text)
	return &Completer{
		options: o, revision: hex.EncodeToString(sum[:6]), reader: workload.NewReader(),
		planner: inject.New(inject.Options{Profiles: o.Completion.Profiles, Servers: o.Servers}),
	}, nil
}

// Revision is the content hash of the configuration that completes: 12 hexadecimal digits.
func (c *Completer) Revision() string { return c.revision }

// Complete says what is missing in an object. Its error means that nothing could be told, because
// the object is not of the form that its kind has, or the context ended.
func (c *Completer) Complete(ctx context.Context, in Input) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	object, child, skip, err := c.scope(&in)
	if err != nil || skip != SkipNone {
		return Result{Skipped: skip}, err
	}
	t := c.task(object, &in)
	t.child = child
	t.notice()
	if t.idle() {
		return t.result, nil
	}
	if found, err := t.open(); err != nil || !found {
		return t.result, err
	}
	for _, step := range []func() error{t.inject, t.fill, t.label, t.finish} {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		if err := step(); err != nil {
			return Result{}, err
		}
	}
	return t.result, nil
}

// Targets says, for each artifact that an object's template asks for, where it is to be read, and
// why it could not be injected if it is not there. It is nil for objects that ask for none, which
// costs next to nothing.
func (c *Completer) Targets(object *workload.Object, in Input) ([]inject.Target, error) {
	if !object.Asks() {
		return nil, nil
	}
	t := c.task(object, &in)
	if found, err := t.open(); err != nil || !found {
		return nil, err
	}
	_, _, targets, err := t.plan()
	return targets, err
}
