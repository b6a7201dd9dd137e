package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/audit"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/validate"
)

// Reviewer judges requests; *validate.Reviewer is one.
type Reviewer interface {
	// Review judges a request. Its error means that nothing is decided.
	Review(ctx context.Context, req validate.Request, now time.Time) (validate.Decision, error)
	// Binding reports whether a finding could deny a request of a user in these groups.
	Binding(user string) bool
}

var _ Reviewer = (*validate.Reviewer)(nil)

// Recorder keeps records of what the rules refuse; *audit.Recorder is one. It must not block.
type Recorder interface {
	// Record takes one record.
	Record(rejection *auditv1alpha1.Rejection)
}

// Validator is the validating admission.Handler.
type Validator struct {
	reviewer Reviewer
	recorder Recorder
	metrics  *metrics
	now      func() time.Time
}

// ValidatorOptions are what a Validator is made of.
type ValidatorOptions struct {
	// Reviewer judges.
	Reviewer Reviewer
	// Recorder keeps what the rules refuse, but for dry runs; nil for none.
	Recorder Recorder
	// Registerer takes the metrics of decisions.
	Registerer prometheus.Registerer
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// NewValidator returns a Validator. It is an error if its metrics are registered already.
func NewValidator(o ValidatorOptions) (*Validator, error) {
	metrics, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Validator{reviewer: o.Reviewer, recorder: o.Recorder, metrics: metrics, now: o.Now}, nil
}

// Handle judges one request. What cannot be decided is refused if a finding could have refused
// it; otherwise it is admitted with a warning, because nothing found could change that.
func (v *Validator) Handle(ctx context.Context, req admission.Request) admission.Response {
	return v.handle(ctx, &req, false)
}

// BreakGlass is the admission.Handler of requests that are admitted in any case, and recorded if the rules refuse them.
func (v *Validator) BreakGlass() admission.Handler {
	return admission.HandlerFunc(func(ctx context.Context, req admission.Request) admission.Response {
		return v.handle(ctx, &req, true)
	})
}

func (v *Validator) handle(ctx context.Context, req *admission.Request, breakGlass bool) admission.Response {
	decision, err := v.review(ctx, req, breakGlass)
	if err != nil {
		return v.undecided(ctx, req, err, breakGlass)
	}
	v.metrics.count(&decision)
	if decision.Skipped != validate.SkipNone {
		logDebug(ctx, req, "skipped", "reason", decision.Skipped)
		return admission.Allowed("")
	}
	v.record(ctx, req, &decision)
	if !decision.Allowed() {
		return withAnnotations(denied(&decision), &decision)
	}
	logDebug(ctx, req, "admitted", "findings", len(decision.Judgements), "revision", decision.Revision)
	return withAnnotations(admission.Allowed("").WithWarnings(decision.Warnings()...), &decision)
}

// record logs and records what the rules refuse. What is only observed is not logged: while nothing
// is enforced it can be every request, and the records are counted once a minute.
func (v *Validator) record(ctx context.Context, req *admission.Request, d *validate.Decision) {
	switch d.Outcome {
	case "":
		return
	case auditv1alpha1.OutcomeObserved:
		logDebug(ctx, req, "observed", "id", d.ID, "codes", d.RefusingCodes(), "revision", d.Revision)
	default:
		logger(ctx, req).Info(strings.ToLower(string(d.Outcome)), "id", d.ID, "codes", d.RefusingCodes(), "revision", d.Revision, "dryRun", d.Request.DryRun)
	}
	if v.recorder != nil && !d.Request.DryRun {
		rejection := audit.NewRejection(d, v.now())
		v.recorder.Record(&rejection)
	}
}

// logger is the context's logger with what says which request is meant.
func logger(ctx context.Context, req *admission.Request) logr.Logger {
	return admission.DefaultLogConstructor(logf.FromContext(ctx), req)
}

// logDebug logs for developers, and costs nothing while nobody wants it.
func logDebug(ctx context.Context, req *admission.Request, message string, keysAndValues ...any) {
	if logf.FromContext(ctx).V(1).Enabled() {
		logger(ctx, req).V(1).Info(message, keysAndValues...)
	}
}

// review calls the reviewer.
func (v *Validator) review(ctx context.Context, req *admission.Request, breakGlass bool) (decision validate.Decision, err error) {
	defer recovered(ctx, req, &err)
	request := requestOf(req)
	request.BreakGlass = breakGlass
	return v.reviewer.Review(ctx, request, v.now())
}

// errInternal is what others are told of a panic.
var errInternal = errors.New("internal error")

// recovered, deferred, makes a panic an error like any other: controller-runtime would answer it
// with a refusal, even to a controller.
func recovered(ctx context.Context, req *admission.Request, err *error) {
	if cause := recover(); cause != nil {
		logger(ctx, req).Error(redacted(fmt.Errorf("%v", cause)), "panic in review", "stack", string(debug.Stack()))
		*err = errInternal
	}
}

// requestOf is a request without its envelope.
func requestOf(req *admission.Request) validate.Request {
	return validate.Request{
		Operation: string(req.Operation), Group: req.Kind.Group, Kind: req.Kind.Kind, Namespace: req.Namespace, Name: req.Name,
		SubResource: req.SubResource, User: req.UserInfo.Username, Groups: req.UserInfo.Groups,
		DryRun: req.DryRun != nil && *req.DryRun, Object: req.Object.Raw, OldObject: req.OldObject.Raw,
	}
}

func (v *Validator) undecided(ctx context.Context, req *admission.Request, err error, breakGlass bool) admission.Response {
	binding := true
	if undecided := (*validate.UndecidedError)(nil); errors.As(err, &undecided) {
		binding, err = undecided.Binding, undecided.Err
	} else if errors.Is(err, errInternal) {
		binding = !breakGlass && v.reviewer.Binding(req.UserInfo.Username)
	}
	v.metrics.undecided.Inc()
	err = redacted(err)
	logger(ctx, req).Error(err, "undecided", "binding", binding)
	message := "Plainspec could not decide, retry: " + err.Error()
	if binding {
		return admission.Errored(http.StatusInternalServerError, errors.New(message))
	}
	return admission.Allowed("").WithWarnings("Plainspec could not judge this object, and admitted it")
}

// redacted is an error on one line, without the secrets of the object, which it can quote.
func redacted(err error) error {
	return errors.New(redact.Text(strings.ReplaceAll(err.Error(), "\n", " ")))
}

// mostCauses bounds the answer: an object of 3 MiB can have ten thousand findings, each of which
// would take as much room as its container. The message says how many there are.
const mostCauses = 100

// denied is the refusal of a request, readable by people (message) and by programs (causes).
func denied(d *validate.Decision) admission.Response {
	response := admission.Denied(d.Message())
	response.Warnings = d.Warnings()
	response.Result.Details = &metav1.StatusDetails{Name: d.Request.Name, Group: d.Request.Group, Kind: d.Request.Kind}
	for i := range d.Judgements {
		if j := &d.Judgements[i]; j.Mode == policy.ModeDeny && len(response.Result.Details.Causes) < mostCauses {
			response.Result.Details.Causes = append(response.Result.Details.Causes, metav1.StatusCause{
				Type: metav1.CauseType(j.Code), Message: j.Text, Field: j.Place(),
			})
		}
	}
	return response
}

// withAnnotations adds what the API server's audit log keeps of the decision.
func withAnnotations(response admission.Response, d *validate.Decision) admission.Response {
	response.AuditAnnotations = map[string]string{"revision": d.Revision}
	if d.ID != "" {
		response.AuditAnnotations["id"], response.AuditAnnotations["outcome"] = d.ID, string(d.Outcome)
	}
	for _, mode := range []policy.Mode{policy.ModeDeny, policy.ModeWarn, policy.ModeAudit} {
		if codes := d.Codes(mode); len(codes) > 0 {
			response.AuditAnnotations[string(mode)] = strings.Join(codes, ",")
		}
	}
	return response
}
