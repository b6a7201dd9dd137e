// Package registration builds the webhook configurations by which an API server asks Plainspec,
// from the table of kinds.
package registration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/workload"
)

const (
	// Name is the name of both configurations if Options name none.
	Name = "plainspec"
	// RootsWebhook judges what people apply; a request it cannot judge is refused.
	RootsWebhook = "roots.validate.plainspec.dev"
	// ChildrenWebhook sees what controllers make of it; it never holds that up.
	ChildrenWebhook = "children.validate.plainspec.dev"
	// BreakGlassWebhook sees what people apply who are never refused, so that it is recorded; it never holds that up.
	BreakGlassWebhook = "break-glass.validate.plainspec.dev"
	// ValidatePath is the path of the server's validating handler.
	ValidatePath = "/validate"
	// BreakGlassPath is the path of the same for who is never refused. That the API server calls it says who that is, so
	// that no server has to know the groups.
	BreakGlassPath = "/validate/break-glass"
	// PoliciesWebhook checks ConfigMaps of policies before they are stored; without an answer, they are.
	PoliciesWebhook = "policies.plainspec.dev"
	// PoliciesPath is the path of the server's handler for policies.
	PoliciesPath = "/policies"
	// PoliciesLabel is the label, of any value, that makes a ConfigMap one of policies.
	PoliciesLabel = workload.AnnotationPrefix + "policies"
	// RootsCompleteWebhook completes what people apply; without an answer, it is left as it is.
	RootsCompleteWebhook = "roots.mutate.plainspec.dev"
	// PodsCompleteWebhook completes the Pods that controllers make; only resources are filled in.
	PodsCompleteWebhook = "pods.mutate.plainspec.dev"
	// MutatePath is the path of the server's mutating handler.
	MutatePath = "/mutate"

	// The timeouts are how many seconds the API server waits. A review takes milliseconds; a
	// controller, and somebody in an emergency, must not wait for a server that is gone. Completion
	// comes before judgement, and both of them, and both again for a reinvocation, fit into the ten
	// seconds that people wait. Checking policies is compiling them, which takes seconds on a busy
	// machine.
	rootsTimeout         = 5
	childrenTimeout      = 1
	breakGlassTimeout    = 1
	policiesTimeout      = 10
	completeRootsTimeout = 2
	completePodsTimeout  = 1
)

// Options say how the API server reaches Plainspec, and what it does not ask about.
type Options struct {
	// Name is the name of both configurations; empty means the constant Name.
	Name string
	// Labels and Annotations are put on both configurations.
	Labels, Annotations map[string]string
	// Namespace is the one that Plainspec runs in: of all that is in it, only its policies are asked
	// about. Empty for a server outside the cluster that has no policies there.
	Namespace string
	// Service is the Service in Namespace by which the API server calls the server, unless URL is set.
	Service Service
	// URL is the server's base URL, without a path, for a server outside the cluster.
	URL string
	// CABundle is the PEM certificates that sign the server's; nil if something else fills them in.
	CABundle []byte
	// ExemptNamespaces are never asked about: what the cluster needs to run.
	ExemptNamespaces []string
	// Controllers are users who make children, besides Kubernetes' own controllers.
	Controllers []string
	// BreakGlassGroups are groups of users who are never refused, not even while no server answers.
	BreakGlassGroups []string
	// FailOpen lets roots pass, too, when there is no answer. It belongs to a server that only
	// observes or warns: such a server must refuse nothing, not even by being overloaded or gone.
	FailOpen bool
	// CompleteAll asks about each root, because labels or resources are configured. If it is false,
	// only those are asked about that carry an annotation of Plainspec, or did.
	CompleteAll bool
	// CompletePods asks about the Pods that controllers make, too, because resources are configured.
	CompletePods bool
}

// Service names a Service.
type Service struct {
	// Name is its name.
	Name string
	// Port is its port.
	Port int32
}

// Validating returns the validating configuration: one webhook for roots that fails closed (unless
// FailOpen), and some that fail open: for children, for BreakGlassGroups, and for policies if Namespace
// is known. The options change what a webhook is asked about, and not whether it is there: one that
// cert-manager's cainjector has written to cannot be taken away by a server-side apply.
func Validating(o Options) *admissionregistrationv1.ValidatingWebhookConfiguration {
	child := childExpression(append(kinds.Controllers(), o.Controllers...))
	roots := admissionregistrationv1.Fail
	if o.FailOpen {
		roots = admissionregistrationv1.Ignore
	}
	member := breakGlassExpression(o.BreakGlassGroups)
	notChild := admissionregistrationv1.MatchCondition{Name: "who", Expression: "!(" + child + ")"}
	webhooks := []admissionregistrationv1.ValidatingWebhook{
		o.validating(RootsWebhook, ValidatePath, roots, rootsTimeout, notChild,
			admissionregistrationv1.MatchCondition{Name: "not-break-glass", Expression: "!(" + member + ")"},
			admissionregistrationv1.MatchCondition{Name: "not-mirror", Expression: notNodesMirror}),
		o.validating(ChildrenWebhook, ValidatePath, admissionregistrationv1.Ignore, childrenTimeout,
			admissionregistrationv1.MatchCondition{Name: "who", Expression: child}),
		o.validating(BreakGlassWebhook, BreakGlassPath, admissionregistrationv1.Ignore, breakGlassTimeout, notChild,
			admissionregistrationv1.MatchCondition{Name: "break-glass", Expression: member}),
	}
	if o.Namespace != "" {
		webhooks = append(webhooks, o.policies())
	}
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingWebhookConfiguration"},
		ObjectMeta: o.metadata(),
		Webhooks:   webhooks,
	}
}

// Mutating returns the mutating configuration: one webhook for roots, and one for the Pods that
// controllers make, which is asked about nothing unless CompletePods. Both fail open: what is missing then is judged by the validating
// webhooks. Whatever the conditions leave out would be skipped by the server, too; they save calls,
// and keep them away from what must not wait for a server that is gone.
func Mutating(o Options) *admissionregistrationv1.MutatingWebhookConfiguration {
	conditions := []admissionregistrationv1.MatchCondition{
		{Name: "not-controlled", Expression: "!(" + controlled() + ")"},
		{Name: "not-mirror", Expression: notMirror},
		{Name: "template-changes", Expression: templateChanges},
	}
	if !o.CompleteAll {
		conditions = append(conditions, admissionregistrationv1.MatchCondition{Name: "asked", Expression: asked})
	}
	pods := []admissionregistrationv1.MatchCondition{{Name: "controlled", Expression: controlled()}}
	if !o.CompletePods {
		pods = append(pods, admissionregistrationv1.MatchCondition{Name: "configured", Expression: "false"})
	}
	webhooks := []admissionregistrationv1.MutatingWebhook{
		o.mutating(RootsCompleteWebhook, completeRootsTimeout, rules(completed), conditions),
		o.mutating(PodsCompleteWebhook, completePodsTimeout, rules(completedChild), pods),
	}
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: o.metadata(),
		Webhooks:   webhooks,
	}
}

func (o *Options) metadata() metav1.ObjectMeta {
	labels := map[string]string{"app.kubernetes.io/name": "plainspec"}
	maps.Copy(labels, o.Labels)
	return metav1.ObjectMeta{Name: cmp.Or(o.Name, Name), Labels: labels, Annotations: o.Annotations}
}

func (o *Options) validating(
	name, path string, failure admissionregistrationv1.FailurePolicyType, timeout int32, who ...admissionregistrationv1.MatchCondition,
) admissionregistrationv1.ValidatingWebhook {
	return admissionregistrationv1.ValidatingWebhook{
		Name:                    name,
		ClientConfig:            o.client(path),
		Rules:                   rules(judged),
		FailurePolicy:           &failure,
		MatchPolicy:             new(admissionregistrationv1.Equivalent),
		SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
		TimeoutSeconds:          &timeout,
		AdmissionReviewVersions: []string{"v1"},
		NamespaceSelector:       o.notExempt(),
		MatchConditions:         append(slices.Clip(who), admissionregistrationv1.MatchCondition{Name: "template-changes", Expression: templateChanges}),
	}
}

// policies is the door for policies: ConfigMaps with a label, in Plainspec's own namespace.
func (o *Options) policies() admissionregistrationv1.ValidatingWebhook {
	return admissionregistrationv1.ValidatingWebhook{
		Name:         PoliciesWebhook,
		ClientConfig: o.client(PoliciesPath),
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule: admissionregistrationv1.Rule{
				APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}, Scope: new(admissionregistrationv1.NamespacedScope),
			},
		}},
		FailurePolicy:           new(admissionregistrationv1.Ignore),
		MatchPolicy:             new(admissionregistrationv1.Equivalent),
		SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
		TimeoutSeconds:          new(int32(policiesTimeout)),
		AdmissionReviewVersions: []string{"v1"},
		NamespaceSelector:       namespaces(metav1.LabelSelectorOpIn, []string{o.Namespace}),
		ObjectSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: PoliciesLabel, Operator: metav1.LabelSelectorOpExists,
		}}},
	}
}

func (o *Options) mutating(name string, timeout int32, rules []admissionregistrationv1.RuleWithOperations, conditions []admissionregistrationv1.MatchCondition) admissionregistrationv1.MutatingWebhook {
	return admissionregistrationv1.MutatingWebhook{
		Name:                    name,
		ClientConfig:            o.client(MutatePath),
		Rules:                   rules,
		FailurePolicy:           new(admissionregistrationv1.Ignore),
		MatchPolicy:             new(admissionregistrationv1.Equivalent),
		SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
		TimeoutSeconds:          &timeout,
		AdmissionReviewVersions: []string{"v1"},
		NamespaceSelector:       o.notExempt(),
		MatchConditions:         conditions,
		// Another webhook may add a container after this one has looked.
		ReinvocationPolicy: new(admissionregistrationv1.IfNeededReinvocationPolicy),
	}
}

func (o *Options) client(path string) admissionregistrationv1.WebhookClientConfig {
	if o.URL == "" {
		return admissionregistrationv1.WebhookClientConfig{CABundle: o.CABundle, Service: &admissionregistrationv1.ServiceReference{
			Namespace: o.Namespace, Name: o.Service.Name, Path: &path, Port: &o.Service.Port,
		}}
	}
	url := strings.TrimSuffix(o.URL, "/") + path
	return admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: o.CABundle}
}

// notExempt leaves out the exempt namespaces and Plainspec's own, without which it could not start.
func (o *Options) notExempt() *metav1.LabelSelector {
	exempt := o.ExemptNamespaces
	if o.Namespace != "" && !slices.Contains(exempt, o.Namespace) {
		exempt = append(slices.Clip(exempt), o.Namespace)
	}
	if len(exempt) == 0 {
		return nil
	}
	return namespaces(metav1.LabelSelectorOpNotIn, exempt)
}

// namespaces selects namespaces by the label that the API server gives each and nobody can change.
func namespaces(operator metav1.LabelSelectorOperator, names []string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
		Key: corev1.LabelMetadataName, Operator: operator, Values: names,
	}}}
}

// The operations on a kind that the webhooks are asked about.

// judged: whatever brings a Pod spec.
func judged(kinds.Kind) []admissionregistrationv1.OperationType {
	return []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}
}

// completed: nothing can be added to an object whose containers cannot be exchanged.
func completed(kind kinds.Kind) []admissionregistrationv1.OperationType {
	if kind.Fixed {
		return []admissionregistrationv1.OperationType{admissionregistrationv1.Create}
	}
	return judged(kind)
}

// completedChild: of what controllers make, they compare all but Pods with a template.
func completedChild(kind kinds.Kind) []admissionregistrationv1.OperationType {
	if kind.Template == kinds.TemplateSelf {
		return completed(kind)
	}
	return nil
}

// rules are the resources of the table, by group and operations. Subresources are not asked about:
// scale, status, eviction and the like never meet the webhook, even while it is down.
func rules(operations func(kinds.Kind) []admissionregistrationv1.OperationType) []admissionregistrationv1.RuleWithOperations {
	scope := admissionregistrationv1.NamespacedScope
	var found []admissionregistrationv1.RuleWithOperations
	for _, kind := range kinds.All() {
		group := kind.Groups[0] // matchPolicy Equivalent sees the others
		operations := operations(kind)
		if len(operations) == 0 {
			continue
		}
		i := slices.IndexFunc(found, func(r admissionregistrationv1.RuleWithOperations) bool {
			return r.APIGroups[0] == group && slices.Equal(r.Operations, operations)
		})
		if i < 0 {
			i = len(found)
			found = append(found, admissionregistrationv1.RuleWithOperations{
				Operations: operations,
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Scope: &scope},
			})
		}
		found[i].Resources = append(found[i].Resources, kind.Resource)
	}
	return found
}

// templateChanges is true for what can change a Pod template: a CREATE, or an UPDATE after which
// it differs. Labels, finalizers, replicas and owners change without Plainspec, also while it is
// down: the garbage collector and kubectl delete depend on it. The annotations of a Pod that ask for
// artifacts count as its template, in which they stand for all other kinds.
const templateChanges = `request.operation != 'UPDATE' || (` +
	`request.kind.kind == 'PodTemplate' ? object.template != oldObject.template : ` +
	`request.kind.kind == 'CronJob' ? object.spec.jobTemplate.spec.template != oldObject.spec.jobTemplate.spec.template : ` +
	`request.kind.kind == 'Pod' ? object.spec != oldObject.spec || [object, oldObject].exists(o, ` +
	`o.metadata.?annotations.orValue({}).exists(k, k.startsWith('` + workload.ArtifactAnnotation + `') && ` +
	`object.metadata.?annotations[?k] != oldObject.metadata.?annotations[?k])) : ` +
	`has(object.spec.template) != has(oldObject.spec.template) || has(object.spec.template) && object.spec.template != oldObject.spec.template)`

// asked is true for objects that carry an annotation of Plainspec or did before, wherever their
// Pod template stands. One on the object itself, where it means nothing, is worth a warning.
var asked = func() string {
	places := []string{"o.metadata.?annotations"}
	for _, kind := range kinds.All() {
		if kind.Template == kinds.TemplateSelf {
			continue
		}
		place := "o.?" + strings.ReplaceAll(kind.Template.AnnotationsPath(), ".", ".?")
		if !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	return `(request.operation == 'UPDATE' ? [object, oldObject] : [object]).exists(o, [` + strings.Join(places, ", ") +
		`].exists(a, a.orValue({}).exists(k, k.startsWith('` + workload.AnnotationPrefix + `'))))`
}()

// notMirror is false for the API's pictures of static Pods, which run whatever is answered.
const notMirror = `request.kind.kind != 'Pod' || !('kubernetes.io/config.mirror' in object.metadata.?annotations.orValue({}))`

// notNodesMirror is false for them, too, but not for what somebody else calls one.
const notNodesMirror = `!request.userInfo.?groups.orValue([]).exists(g, g == 'system:nodes') || ` + notMirror

// controlled is true for what a controller compares with a template, or made from one that was
// completed: objects with a controller, but Pods only if it is of a kind in the table, because no
// other controller's template is completed.
func controlled() string {
	names := make(map[string][]string)
	var groups []string
	for _, kind := range kinds.All() {
		for _, group := range kind.Groups {
			if !slices.Contains(groups, group) {
				groups = append(groups, group)
			}
			names[group] = append(names[group], kind.Name)
		}
	}
	owners := make([]string, len(groups))
	for i, group := range groups {
		in := `o.apiVersion.startsWith('` + group + `/')`
		if group == "" {
			in = `!o.apiVersion.contains('/')`
		}
		owners[i] = in + ` && o.kind in ['` + strings.Join(names[group], "', '") + `']`
	}
	return `has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, has(o.controller) && o.controller && ` +
		`(request.kind.kind != 'Pod' || ` + strings.Join(owners, " || ") + `))`
}

// childExpression is true for objects that one of the users made and that a controller owns.
func childExpression(users []string) string {
	return `request.userInfo.username in ` + list(users) + ` && ` +
		`has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, has(o.controller) && o.controller)`
}

// breakGlassExpression is true for members of one of the groups.
func breakGlassExpression(groups []string) string {
	return `request.userInfo.?groups.orValue([]).exists(g, g in ` + list(groups) + `)`
}

// list is a list of texts in CEL, which JSON's is, too.
func list(texts []string) string {
	list, err := json.Marshal(append([]string{}, texts...)) // none is [], and not null
	if err != nil {
		panic(fmt.Sprintf("encode %q: %v", texts, err)) // texts always encode
	}
	return string(list)
}
