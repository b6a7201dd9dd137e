package validate

import (
	"strings"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/workload"
)

// longestGenerated is the longest generateName that a generated name begins with: the API server
// cuts it, to add five characters (k8s.io/apiserver/pkg/storage/names).
const longestGenerated = 58

// name sets what the object is called in messages, and its root.
func (d *Decision) name(object *workload.Object) {
	namespace, name := d.Request.Namespace, d.objectName(object)
	d.object = redact.Name(called(d.Request.Kind, namespace, name))
	root := auditv1alpha1.Root{Group: d.Request.Group, Kind: d.Request.Kind, Namespace: namespace, Name: name}
	if owner, owned := object.Owner(); owned {
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
	if strings.HasPrefix(name, prefix[:min(len(prefix), longestGenerated)]) {
		return prefix + "*"
	}
	return name
}

func called(kind, namespace, name string) string {
	if namespace != "" {
		name = namespace + "/" + name
	}
	return kind + " " + name
}
