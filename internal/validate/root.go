package validate

import (
	"strings"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/workload"
)

const (
	// longestGenerated is the longest generateName that a generated name begins with: the API server
	// cuts it, to add randomLength characters of randomLetters (k8s.io/apiserver/pkg/storage/names).
	longestGenerated = 58
	randomLength     = 5
	randomLetters    = "bcdfghjklmnpqrstvwxz2456789"
)

// serviceAccount starts the user names of programs in the cluster. The API server gives them to nobody else.
const serviceAccount = "system:serviceaccount:"

// place says whether a controller made the object, what it is called in messages, and what its root is.
func (r *Reviewer) place(d *Decision, object *workload.Object) {
	owner, owned := object.Owner()
	if d.Child = owned && r.makesChildren(d.Request.User, owner); d.Child {
		d.Owner = &owner
	}
	namespace, name := d.Request.Namespace, d.objectName(object)
	d.object = redact.Name(called(d.Request.Kind, namespace, name))
	root := auditv1alpha1.Root{Group: d.Request.Group, Kind: d.Request.Kind, Namespace: namespace, Name: name}
	if owned && r.mayControl(d.Request.User) {
		// What a controller of an unknown kind makes gets another name with each try. A kind of the
		// table would have been judged itself.
		if _, known := kinds.Find(owner.Group, owner.Kind); !known {
			root.Group, root.Kind, root.Name = owner.Group, owner.Kind, owner.Name
		}
	}
	d.Root = auditv1alpha1.Root{
		Group: redact.Name(root.Group), Kind: redact.Name(root.Kind), Namespace: redact.Name(root.Namespace), Name: redact.Name(root.Name),
		Text: redact.Name(called(root.Kind, root.Namespace, root.Name)),
	}
}

// mayControl reports whether a user may be the controller of an owner of any kind, as far as a name
// tells: a person who writes an owner would choose what the record says.
func (r *Reviewer) mayControl(user string) bool {
	return r.controllers[user] || strings.HasPrefix(user, serviceAccount)
}

// objectName is the object's name. One that is generated anew with each try is what it is generated
// from, and "*": at validation it is there already.
func (d *Decision) objectName(object *workload.Object) string {
	name := d.Request.Name
	if name == "" {
		name = object.Name()
	}
	prefix := object.GenerateName()
	if prefix == "" || d.Request.Operation != Create {
		return name
	}
	if name == prefix+"*" || isGenerated(name, prefix) {
		return prefix + "*"
	}
	return name
}

// isGenerated reports whether the API server can have made a name from a prefix. Who chooses one that
// only begins with it is not to hide it.
func isGenerated(name, prefix string) bool {
	random, ok := strings.CutPrefix(name, prefix[:min(len(prefix), longestGenerated)])
	return ok && len(random) == randomLength && strings.Trim(random, randomLetters) == ""
}

func called(kind, namespace, name string) string {
	if namespace != "" {
		name = namespace + "/" + name
	}
	return kind + " " + name
}
