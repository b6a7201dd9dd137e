package validate

import (
	"fmt"
	"slices"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/mutate/inject"
	"plainspec.dev/plainspec/internal/workload"
)

// destinations says where the artifacts that an object asks for are to be read, and why those that
// cannot be injected cannot.
func (r *Reviewer) destinations(req *Request, object *workload.Object) ([]workload.Destination, error) {
	targets, err := r.options.Completer.Targets(object, req.completion(object.Kind()))
	if err != nil {
		return nil, fmt.Errorf("find the artifacts' servers: %w", err)
	}
	before, err := r.askedBefore(req, object)
	if err != nil {
		return nil, err
	}
	made := made(object)
	blocked := slices.IndexFunc(targets, func(t inject.Target) bool { return t.Problem != nil })
	destinations := make([]workload.Destination, len(targets))
	for i := range targets {
		t := &targets[i]
		d := workload.Destination{Asked: t.Asked, Container: t.Container, Path: t.Path}
		switch {
		case made != "":
			d.Problem = made
		case before != nil && before[t.Asked.Name] != t.Asked.Value:
			d.Problem = fmt.Sprintf("the containers of a %s that exists cannot be exchanged; delete it and apply it again: kubectl replace --force -f FILE", req.Kind)
		case t.Problem != nil:
			d.Problem = t.Problem.Text
		case blocked >= 0:
			d.Problem = fmt.Sprintf("artifact %s cannot be injected, and those of one Pod are injected together or not at all", targets[blocked].Asked.Value)
		}
		destinations[i] = d
	}
	return destinations, nil
}

// askedBefore are the artifacts that the stored object asks for, by name, if its containers cannot
// be exchanged any more; nil if they can.
func (r *Reviewer) askedBefore(req *Request, object *workload.Object) (map[string]string, error) {
	if req.Operation != Update || len(req.OldObject) == 0 || !object.Kind().Fixed {
		return nil, nil
	}
	old, err := workload.Decode(req.OldObject, object.Kind())
	if err != nil {
		return nil, fmt.Errorf("old object: %w", err)
	}
	before := make(map[string]string)
	asked, _ := r.reader.Asked(old)
	for i := range asked {
		before[asked[i].Name] = asked[i].Value
	}
	return before, nil
}

// made says why nothing is injected into an object that a controller made; it is empty for others.
// Pods are completed unless what made them was.
func made(object *workload.Object) string {
	owner, owned := object.Owner()
	kind := object.Kind()
	_, covered := kinds.Find(owner.Group, owner.Kind)
	if !owned || !covered && kind.Template == kinds.TemplateSelf {
		return ""
	}
	return fmt.Sprintf("%s %s controls this %s, and what a controller makes is not completed; add the init container to what it makes it from", owner.Kind, owner.Name, kind.Name)
}
