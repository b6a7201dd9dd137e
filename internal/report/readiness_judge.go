package report

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/validate"
)

// user is who is taken to apply the workloads: no controller, so that nothing is passed over.
const user = "developer"

// mirrorAnnotation marks the API's picture of a static Pod, which nobody applies.
const mirrorAnnotation = "kubernetes.io/config.mirror"

// isRoot reports whether somebody applies an object: not if a workload controller made it from another object that is
// judged itself.
func isRoot(object metav1.Object) bool {
	if _, mirror := object.GetAnnotations()[mirrorAnnotation]; mirror {
		return false
	}
	controller := metav1.GetControllerOfNoCopy(object)
	if controller == nil {
		return true
	}
	_, covered := kinds.Find(schema.FromAPIVersionAndKind(controller.APIVersion, controller.Kind).Group, controller.Kind)
	return !covered
}

// judge says what would become of live workloads.
type judge struct {
	reviewer *validate.Reviewer
	now      time.Time
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
