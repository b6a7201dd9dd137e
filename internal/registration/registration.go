// Package registration builds the webhook configurations by which an API server asks Plainspec,
// from the table of kinds.
package registration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plainspec.dev/plainspec/internal/kinds"
)

const (
	// Name is the name of the ValidatingWebhookConfiguration.
	Name = "plainspec"
	// RootsWebhook judges what people apply; a request it cannot judge is refused.
	RootsWebhook = "roots.validate.plainspec.dev"
	// ChildrenWebhook sees what controllers make of it; it never holds that up.
	ChildrenWebhook = "children.validate.plainspec.dev"
	// ValidatePath is the path of the server's validating handler.
	ValidatePath = "/validate"
	// RootsCompleteWebhook completes what people apply; without an answer, it is left as it is.
	RootsCompleteWebhook = "roots.mutate.plainspec.dev"
	// PodsCompleteWebhook completes the Pods that controllers make; only resources are filled in.
	PodsCompleteWebhook = "pods.mutate.plainspec.dev"
	// MutatePath is the path of the server's mutating handler.
	MutatePath = "/mutate"

	// rootsTimeout and childrenTimeout are how many seconds the API server waits. A review takes
	// milliseconds; a controller must not wait for a server that is gone.
	rootsTimeout    = 5
	childrenTimeout = 1
)

// Options say how the API server reaches Plainspec, and what it does not ask about.
type Options struct {
	// URL is the server's base URL, without a path, for a server outside the cluster.
	URL string
	// CABundle is the PEM certificates that sign the server's.
	CABundle []byte
	// ExemptNamespaces are never asked about: what the cluster, and Plainspec itself, need to run.
	ExemptNamespaces []string
	// Controllers are users who make children, besides Kubernetes' own controllers.
	Controllers []string
	// FailOpen lets roots pass, too, when there is no answer. It belongs to a server that only
	// observes or warns: such a server must refuse nothing, not even by being overloaded or gone.
	FailOpen bool
	// CompleteAll asks about each root, because labels or resources are configured. If it is false,
	// only those are asked about that carry an annotation of Plainspec, or did.
	CompleteAll bool
	// CompletePods asks about the Pods that controllers make, too, because resources are configured.
	CompletePods bool
}

// Validating returns the validating configuration: one webhook for roots that fails closed (unless
// FailOpen), and one for children that fails open.
func Validating(o Options) *admissionregistrationv1.ValidatingWebhookConfiguration {
	child := childExpression(append(kinds.Controllers(), o.Controllers...))
	roots := admissionregistrationv1.Fail
	if o.FailOpen {
		roots = admissionregistrationv1.Ignore
	}
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: Name, Labels: map[string]string{"app.kubernetes.io/name": "plainspec"}},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{
			o.webhook(RootsWebhook, roots, rootsTimeout, "!("+child+")"),
			o.webhook(ChildrenWebhook, admissionregistrationv1.Ignore, childrenTimeout, child),
		},
	}
}

// Mutating returns the mutating configuration.
func Mutating(o Options) *admissionregistrationv1.MutatingWebhookConfiguration {
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: Name, Labels: map[string]string{"app.kubernetes.io/name": "plainspec"}},
	}
}

func (o *Options) webhook(name string, failure admissionregistrationv1.FailurePolicyType, timeout int32, who string) admissionregistrationv1.ValidatingWebhook {
	sideEffects := admissionregistrationv1.SideEffectClassNone
	equivalent := admissionregistrationv1.Equivalent
	url := strings.TrimSuffix(o.URL, "/") + ValidatePath
	return admissionregistrationv1.ValidatingWebhook{
		Name:                    name,
		ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: o.CABundle},
		Rules:                   rules(),
		FailurePolicy:           &failure,
		MatchPolicy:             &equivalent,
		SideEffects:             &sideEffects,
		TimeoutSeconds:          &timeout,
		AdmissionReviewVersions: []string{"v1"},
		NamespaceSelector:       o.namespaces(),
		MatchConditions: []admissionregistrationv1.MatchCondition{
			{Name: "who", Expression: who},
			{Name: "template-changes", Expression: templateChanges},
		},
	}
}

// namespaces leaves out the exempt namespaces, by the label that the API server gives each
// namespace and nobody can change.
func (o *Options) namespaces() *metav1.LabelSelector {
	if len(o.ExemptNamespaces) == 0 {
		return nil
	}
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
		Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: o.ExemptNamespaces,
	}}}
}

// rules are the resources of the table, by group. Subresources other than these are not asked
// about: scale, status, eviction and the like never meet the webhook, even while it is down.
func rules() []admissionregistrationv1.RuleWithOperations {
	scope := admissionregistrationv1.NamespacedScope
	var found []admissionregistrationv1.RuleWithOperations
	for _, kind := range kinds.All() {
		group := kind.Groups[0] // matchPolicy Equivalent sees the others
		i := slices.IndexFunc(found, func(r admissionregistrationv1.RuleWithOperations) bool { return r.APIGroups[0] == group })
		if i < 0 {
			i = len(found)
			found = append(found, admissionregistrationv1.RuleWithOperations{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Scope: &scope},
			})
		}
		found[i].Resources = append(found[i].Resources, kind.Resource)
	}
	return found
}

// templateChanges is true for what can change a Pod template: a CREATE, or an UPDATE after which
// it differs. Labels, finalizers, replicas and owners change without Plainspec, also while it is
// down: the garbage collector and kubectl delete depend on it.
const templateChanges = `request.operation != 'UPDATE' || (` +
	`request.kind.kind == 'PodTemplate' ? object.template != oldObject.template : ` +
	`request.kind.kind == 'CronJob' ? object.spec.jobTemplate.spec.template != oldObject.spec.jobTemplate.spec.template : ` +
	`request.kind.kind == 'Pod' ? object.spec != oldObject.spec : ` +
	`has(object.spec.template) != has(oldObject.spec.template) || has(object.spec.template) && object.spec.template != oldObject.spec.template)`

// childExpression is true for objects that one of the users made and that a controller owns.
func childExpression(users []string) string {
	quoted := make([]string, len(users))
	for i, user := range users {
		text, err := json.Marshal(user) // a JSON string is a CEL string
		if err != nil {
			panic(fmt.Sprintf("encode %q: %v", user, err)) // strings always encode
		}
		quoted[i] = string(text)
	}
	return `request.userInfo.username in [` + strings.Join(quoted, ", ") + `] && ` +
		`has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, has(o.controller) && o.controller)`
}
