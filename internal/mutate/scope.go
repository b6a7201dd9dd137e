package mutate

import (
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/workload"
)

// scope decodes an object, and says why it is left as it is, or whether it is a child: a Pod that a
// controller made from a template. Artifacts and labels belong to that template; only resources
// are filled in on the Pod itself, which no controller compares with its template.
func (c *Completer) scope(in *Input) (object *workload.Object, child bool, skip Skip, err error) {
	if in.Update {
		if in.Kind.Fixed {
			return nil, false, SkipFixed, nil
		}
		same, err := unchanged(in)
		if err != nil || same {
			return nil, false, SkipUnchanged, err
		}
	}
	if object, err = workload.Decode(in.Object, in.Kind); err != nil {
		return nil, false, SkipNone, err
	}
	if object.Mirror() {
		return nil, false, SkipMirror, nil
	}
	owner, owned := object.Owner()
	if owned && in.Kind.Template == kinds.TemplateSelf {
		_, child = kinds.Find(owner.Group, owner.Kind) // others' templates are not completed, so their Pods are
		owned = child && c.options.Completion.Resources == nil
	}
	if owned {
		return nil, false, SkipControlled, nil
	}
	return object, child, SkipNone, nil
}

// unchanged reports whether an update leaves the Pod template as it is. Completing it would then be
// a rollout that nobody asked for.
func unchanged(in *Input) (bool, error) {
	if len(in.Old) == 0 {
		return false, nil
	}
	return workload.SameTemplate(in.Object, in.Old, in.Kind)
}
