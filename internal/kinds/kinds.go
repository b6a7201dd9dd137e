// Package kinds is the table of the kinds that hold a Pod spec: where each holds it, and which
// controller makes what from it. Adding a kind to Plainspec starts here.
package kinds

// Template says where, in an object, the Pod's metadata and spec stand.
type Template string

// The places where a Pod template can stand.
const (
	// TemplateSelf is the object itself: a Pod is its own template.
	TemplateSelf Template = ""
	// TemplateSpec is spec.template, as in Deployments.
	TemplateSpec Template = "spec.template"
	// TemplateJob is spec.jobTemplate.spec.template, as in CronJobs.
	TemplateJob Template = "spec.jobTemplate.spec.template"
	// TemplateTop is template, as in PodTemplates.
	TemplateTop Template = "template"
)

// SpecPath is the field path of the Pod spec, such as "spec.template.spec".
func (t Template) SpecPath() string { return t.join("spec") }

// LabelsPath is the field path of the Pod's labels, such as "spec.template.metadata.labels".
func (t Template) LabelsPath() string { return t.join("metadata.labels") }

// AnnotationsPath is the field path of the Pod's annotations, such as
// "spec.template.metadata.annotations".
func (t Template) AnnotationsPath() string { return t.join("metadata.annotations") }

func (t Template) join(field string) string {
	if t == TemplateSelf {
		return field
	}
	return string(t) + "." + field
}

// Kind is one row of the table.
type Kind struct {
	// Groups are the API groups that have served the kind, the present one first.
	Groups []string
	// Name is the kind, such as "Deployment".
	Name string
	// Resource is the plural under which it is served, such as "deployments".
	Resource string
	// Template is where the Pod template stands.
	Template Template
	// Controller is the user name of the controller that makes children from objects of this
	// kind, empty where none does. Source: the controllers' service accounts in
	// k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go.
	Controller string
	// Fixed says that the containers of an object's template cannot be exchanged once it exists.
	Fixed bool
}

// controllerPrefix starts the user name of each of Kubernetes' own controllers.
const controllerPrefix = "system:serviceaccount:kube-system:"

// ControllerManager is the user of every workload controller in a cluster whose
// kube-controller-manager runs without --use-service-account-credentials.
const ControllerManager = "system:kube-controller-manager"

var table = []Kind{
	{Groups: []string{""}, Name: "Pod", Resource: "pods", Template: TemplateSelf, Fixed: true},
	{Groups: []string{""}, Name: "PodTemplate", Resource: "podtemplates", Template: TemplateTop},
	{Groups: []string{""}, Name: "ReplicationController", Resource: "replicationcontrollers", Template: TemplateSpec, Controller: controllerPrefix + "replication-controller"},
	{Groups: []string{"apps", "extensions"}, Name: "Deployment", Resource: "deployments", Template: TemplateSpec, Controller: controllerPrefix + "deployment-controller"},
	{Groups: []string{"apps", "extensions"}, Name: "ReplicaSet", Resource: "replicasets", Template: TemplateSpec, Controller: controllerPrefix + "replicaset-controller"},
	{Groups: []string{"apps", "extensions"}, Name: "DaemonSet", Resource: "daemonsets", Template: TemplateSpec, Controller: controllerPrefix + "daemon-set-controller"},
	{Groups: []string{"apps"}, Name: "StatefulSet", Resource: "statefulsets", Template: TemplateSpec, Controller: controllerPrefix + "statefulset-controller"},
	{Groups: []string{"batch"}, Name: "Job", Resource: "jobs", Template: TemplateSpec, Controller: controllerPrefix + "job-controller", Fixed: true},
	{Groups: []string{"batch"}, Name: "CronJob", Resource: "cronjobs", Template: TemplateJob, Controller: controllerPrefix + "cronjob-controller"},
}

type groupKind struct{ group, kind string }

var byGroupKind = func() map[groupKind]*Kind {
	index := make(map[groupKind]*Kind, len(table))
	for i := range table {
		for _, group := range table[i].Groups {
			index[groupKind{group, table[i].Name}] = &table[i]
		}
	}
	return index
}()

// All returns the table, in a stable order. The caller may change the copy.
func All() []Kind { return append([]Kind(nil), table...) }

// Find returns the row of a kind, whatever its version; false if Plainspec does not cover it.
func Find(group, kind string) (Kind, bool) {
	k, ok := byGroupKind[groupKind{group, kind}]
	if !ok {
		return Kind{}, false
	}
	return *k, true
}

// Controllers returns the users that make children, in the order of the table, without duplicates.
func Controllers() []string {
	users := []string{ControllerManager}
	for _, k := range table {
		if k.Controller != "" {
			users = append(users, k.Controller)
		}
	}
	return users
}

// MakesChildren reports whether user is the controller that makes children from owners of this
// kind. It is false for kinds outside the table.
func MakesChildren(user, ownerGroup, ownerKind string) bool {
	k, ok := Find(ownerGroup, ownerKind)
	return ok && k.Controller != "" && (user == k.Controller || user == ControllerManager)
}
