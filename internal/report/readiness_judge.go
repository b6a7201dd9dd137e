package report

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/validate"
)

// user is who is taken to apply the workloads: no controller, so that nothing is passed over.
const user = "developer"

// mirrorAnnotation marks the API's picture of a static Pod, which nobody applies.
const mirrorAnnotation = "kubernetes.io/config.mirror"

// manualAnnotation is what kubectl create job --from=cronjob/… marks a Job with: the CronJob controls it, and somebody made it.
const manualAnnotation = "cronjob.kubernetes.io/instantiate"

func isMirror(object metav1.Object) bool {
	_, mirror := object.GetAnnotations()[mirrorAnnotation]
	return mirror
}

// isRoot reports whether somebody applies an object, as far as it tells itself: not if a workload controller made it from
// another object that is judged itself.
func isRoot(object metav1.Object) bool {
	controller := metav1.GetControllerOfNoCopy(object)
	return controller == nil || foreign(controller) || object.GetAnnotations()[manualAnnotation] == "manual"
}

// foreign reports whether a controller is of a kind that Plainspec does not know.
func foreign(controller *metav1.OwnerReference) bool {
	_, covered := kinds.Find(groupOf(controller), controller.Kind)
	return !covered
}

func groupOf(controller *metav1.OwnerReference) string {
	return schema.FromAPIVersionAndKind(controller.APIVersion, controller.Kind).Group
}

// judge says what would become of live workloads, and of what was recorded.
type judge struct {
	reviewer *validate.Reviewer
	config   *v1alpha1.Configuration
	unread   bool // another configuration may be in the cluster
	partial  bool // or other policies
	now      time.Time
}

// denies reports whether a rule still denies what it was recorded for. A record does not say how strong its evidence was:
// while the rule denies on either, it does.
func (j *judge) denies(code string) bool {
	if j.unread {
		return true
	}
	rule := j.reviewer.Set().Rule(code)
	if rule == nil {
		return j.partial
	}
	if override, ok := j.config.Rules[code]; ok {
		return override.Mode == v1alpha1.ModeDeny
	}
	return rule.Mode == policy.ModeDeny || rule.WeakMode == policy.ModeDeny
}

// makes reports whether the configuration takes a user for a workload controller.
func (j *judge) makes(user string) bool {
	return slices.ContainsFunc(j.config.Controllers, func(c v1alpha1.ControllerIdentity) bool { return c.User == user })
}

// again judges a record by the present modes of rules: these codes and findings would still deny it. An object that a
// configured controller made is never denied; of those, only what the controller made has an unknown kind for its root.
func (j *judge) again(r *auditv1alpha1.Rejection) (rules []string, findings []auditv1alpha1.Finding) {
	if _, known := kinds.Find(r.Root.Group, r.Root.Kind); !known && j.makes(r.User) {
		return nil, nil
	}
	for _, code := range r.Rules {
		if j.denies(code) {
			rules = append(rules, code)
		}
	}
	for i := range r.Findings {
		if j.denies(r.Findings[i].Code) {
			findings = append(findings, r.Findings[i])
		}
	}
	return rules, findings
}

// findings are those that would refuse an object if somebody created it now, in the order of the refusal. They hold
// nothing but redacted text. The object is changed.
func (j *judge) findings(ctx context.Context, kind *kinds.Kind, object *unstructured.Unstructured) ([]auditv1alpha1.Finding, error) {
	object.SetManagedFields(nil) // half of the object, and no rule's business
	unstructured.RemoveNestedField(object.Object, "status")
	raw, err := object.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode object: %w", err)
	}
	request := validate.Request{
		Operation: validate.Create, Group: kind.Groups[0], Kind: kind.Name, Namespace: object.GetNamespace(), Name: object.GetName(),
		User: user, Object: raw,
	}
	// The server judges what it has completed. What cannot be completed is judged as it is written, there as here.
	if completed, err := j.reviewer.Complete(ctx, request); err == nil && len(completed.Patch) > 0 {
		if request.Object, err = completed.Apply(raw); err != nil {
			return nil, fmt.Errorf("complete object: %w", err)
		}
	}
	decision, err := j.reviewer.Review(ctx, request, j.now)
	if err != nil {
		return nil, err
	}
	var found []auditv1alpha1.Finding
	for _, judgement := range decision.Refusing() {
		found = append(found, auditv1alpha1.Finding{
			Code: judgement.Code, Severity: judgement.Rule.Severity, Container: judgement.Container, Volume: judgement.Volume,
			Field: judgement.Place(), Value: redact.Text(judgement.Value), Evidence: redact.Text(judgement.Evidence),
			Message: judgement.Text, Fix: judgement.Rule.Fix,
		})
	}
	return found, nil
}

// rootOf names an object as records do.
func rootOf(kind *kinds.Kind, object metav1.Object) auditv1alpha1.Root {
	return auditv1alpha1.Root{
		Group: kind.Groups[0], Kind: kind.Name, Namespace: object.GetNamespace(), Name: object.GetName(),
		Text: kind.Name + " " + object.GetNamespace() + "/" + object.GetName(),
	}
}
