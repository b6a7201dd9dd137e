package webhook

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/validate"
)

// Completion says what is missing in an object; *validate.Reviewer is one.
type Completion interface {
	// Complete says what is missing in the object of a request. Its error means that nothing could
	// be told.
	Complete(ctx context.Context, req validate.Request) (mutate.Result, error)
}

var _ Completion = (*validate.Reviewer)(nil)

// Completer is the mutating admission.Handler. It admits everything: an object that it cannot
// complete stays as it is.
type Completer struct {
	completion Completion
	revision   string
	metrics    *completionMetrics
}

// CompleterOptions are what a Completer is made of.
type CompleterOptions struct {
	// Completion says what is missing.
	Completion Completion
	// Revision is that of the configuration that completes, for the audit log.
	Revision string
	// Registerer takes the metrics of completions.
	Registerer prometheus.Registerer
}

// NewCompleter returns a Completer. It is an error if its metrics are registered already.
func NewCompleter(o CompleterOptions) (*Completer, error) {
	metrics, err := newCompletionMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return &Completer{completion: o.Completion, revision: o.Revision, metrics: metrics}, nil
}

// Handle answers with the patch that completes an object. What was asked for and is not done is a
// warning.
func (c *Completer) Handle(ctx context.Context, req admission.Request) admission.Response {
	result, err := c.complete(ctx, &req)
	if err != nil {
		c.metrics.failed.Inc()
		logger(ctx, &req).Error(redacted(err), "not completed")
		return admission.Response{AdmissionResponse: *uncompleted(req.UID, err)}
	}
	c.metrics.count(&result)
	if result.Skipped != mutate.SkipNone {
		logDebug(ctx, &req, "skipped", "reason", result.Skipped)
		return admission.Allowed("")
	}
	response := admission.Allowed("").WithWarnings(leftOut(&result)...)
	response.Patches = result.Patch
	response.AuditAnnotations = c.annotations(&result)
	if len(response.AuditAnnotations) > 0 {
		logDebug(ctx, &req, "completed", "completed", response.AuditAnnotations["completed"], "left", response.AuditAnnotations["left"], "revision", c.revision)
	}
	return response
}

func (c *Completer) complete(ctx context.Context, req *admission.Request) (result mutate.Result, err error) {
	defer recovered(ctx, req, &err)
	return c.completion.Complete(ctx, requestOf(req))
}

// annotations are what the API server's audit log keeps of a completion: nothing where nothing was
// to be done.
func (c *Completer) annotations(r *mutate.Result) map[string]string {
	var done, left []string
	for i := range r.Done {
		done = append(done, r.Done[i].What)
	}
	for i := range r.Left {
		left = append(left, code(&r.Left[i]))
	}
	annotations := make(map[string]string)
	for key, values := range map[string][]string{"completed": done, "left": left} {
		if len(values) > 0 {
			slices.Sort(values)
			annotations[key] = strings.Join(slices.Compact(values), ",")
			annotations["revision"] = c.revision
		}
	}
	return annotations
}

// leftOut are the warnings about what was not completed.
func leftOut(r *mutate.Result) []string {
	texts := make([]string, len(r.Left))
	for i := range r.Left {
		texts[i] = code(&r.Left[i]) + ": " + redact.Text(r.Left[i].Text)
	}
	return validate.Warnings(texts)
}

// code says what was left out and why, in the form of a rule's code.
func code(l *mutate.Left) string { return l.What + "." + l.Reason }

// uncompleted is the answer to what could not be completed: it is admitted as it is.
func uncompleted(uid types.UID, err error) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{
		UID: uid, Allowed: true, Result: &metav1.Status{Code: http.StatusOK},
		Warnings: validate.Warnings([]string{"plainspec: not completed: " + redacted(err).Error()}),
	}
}
