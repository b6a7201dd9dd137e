package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/internal/webhook"
)

const replicaSetController = "system:serviceaccount:kube-system:replicaset-controller"

// library is a small policy set whose texts do not change when the built-in ones do.
func library() fstest.MapFS {
	rule := func(name, mode, body string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`# METADATA
# title: ` + name + `
# description: Finds ` + name + `.
package policies.rules.test.` + name + `

# METADATA
# title: ` + name + `
# description: Finds ` + name + `.
# scope: document
# custom:
#   severity: low
#   mode: ` + mode + `
#   message: 'container "{{.Container}}" is of ` + name + `'
#   fix: leave it out
#   since: "1.0"
findings contains {"container": image.container, "field": image.field, "value": image.value} if {
	some image in input.workload.images.untagged
` + body + `
}
`)}
	}
	return fstest.MapFS{
		"rules/test/denied/denied.rego":   rule("denied", "deny", "\tcontains(image.value, \"denied\")"),
		"rules/test/warned/warned.rego":   rule("warned", "warn", "\tcontains(image.value, \"warned\")"),
		"rules/test/audited/audited.rego": rule("audited", "audit", "\tcontains(image.value, \"audited\")"),
		"rules/test/broken/broken.rego":   rule("broken", "deny", "\tstartswith(image.value, \"broken\")\n\tto_number(image.value) > 0"),
		"rules/test/endless/endless.rego": rule("endless", "deny", "\tstartswith(image.value, \"endless\")\n\tcount(numbers.range(1, 1000000000)) > 0"),
		"params.yaml":                     {Data: []byte("params: {}\n")},
		"schema/input.json":               {Data: []byte(`{"type": "object", "additionalProperties": true}`)},
	}
}

// reviewer judges by that set.
func reviewer(t *testing.T, enforcement validate.Enforcement) *validate.Reviewer {
	t.Helper()
	set, err := policy.Load(t.Context(), policy.Options{Library: library()})
	if err != nil {
		t.Fatal(err)
	}
	reviewer, err := validate.New(validate.Options{Set: set, Enforcement: enforcement})
	if err != nil {
		t.Fatal(err)
	}
	return reviewer
}

// newValidator returns a validator at noon of a day, with its metrics.
func newValidator(t *testing.T, r webhook.Reviewer) (*webhook.Validator, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	validator, err := webhook.NewValidator(webhook.ValidatorOptions{
		Reviewer: r, Registerer: registry, Now: func() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return validator, registry
}

// podOf is a Pod with a container for each image.
func podOf(metadata string, images ...string) string {
	containers := make([]string, len(images))
	for i, image := range images {
		containers[i] = `{"name":"` + image + `","image":"` + image + `"}`
	}
	return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"shop"` + metadata + `},"spec":{"containers":[` + strings.Join(containers, ",") + `]}}`
}

// owned is the metadata of a ReplicaSet's child.
const owned = `,"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"shop","uid":"1","controller":true}]`

func create(user, object string) admission.Request {
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "1", Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, Name: "shop", Namespace: "web",
		Operation: admissionv1.Create, UserInfo: authenticationv1.UserInfo{Username: user}, Object: runtime.RawExtension{Raw: []byte(object)},
	}}
}

func TestValidatorAnswers(t *testing.T) {
	t.Parallel()
	const refused = "Plainspec could not decide, retry: evaluate policies: rules/test/broken/broken.rego:19: eval_builtin_error: to_number: " +
		`strconv.ParseFloat: parsing "broken": invalid syntax`
	annotations := func(pairs ...string) map[string]string {
		m := map[string]string{"revision": "<revision>"}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	tests := map[string]struct {
		enforcement validate.Enforcement // enforce if empty
		request     admission.Request
		want        admissionv1.AdmissionResponse
		wantMetrics string
	}{
		"what nobody finds anything in is admitted": {
			request:     create("ann", podOf("", "fine")),
			want:        admissionv1.AdmissionResponse{Allowed: true, Result: &metav1.Status{Code: 200}, AuditAnnotations: annotations()},
			wantMetrics: `plainspec_reviews_total{reason="",result="admitted"} 1`,
		},
		"a denial says what, where, and how to mend it": {
			request: create("ann", podOf("", "denied")),
			want: admissionv1.AdmissionResponse{
				Result: &metav1.Status{
					Status: "", Code: 403, Reason: metav1.StatusReasonForbidden,
					Message: "Pod web/shop: container \"denied\" is of denied\n" +
						"- test.denied at spec.containers[0].image: container \"denied\" is of denied\n  fix: leave it out\n" +
						"rejection <id>, policies <revision>",
					Details: &metav1.StatusDetails{Name: "shop", Kind: "Pod", Causes: []metav1.StatusCause{
						{Type: "test.denied", Message: `container "denied" is of denied`, Field: "spec.containers[0].image"},
					}},
				},
				AuditAnnotations: annotations("id", "<id>", "outcome", "Denied", "deny", "test.denied"),
			},
			wantMetrics: `plainspec_findings_total{mode="deny",rule="test.denied"} 1
plainspec_reviews_total{reason="",result="denied"} 1`,
		},
		"each mode has its place": {
			request: create("ann", podOf("", "denied", "warned", "audited", "also-denied")),
			want: admissionv1.AdmissionResponse{
				Result: &metav1.Status{
					Code: 403, Reason: metav1.StatusReasonForbidden,
					Message: "Pod web/shop: container \"denied\" is of denied (and 1 more)\n" +
						"- test.denied at spec.containers[0].image: container \"denied\" is of denied\n  fix: leave it out\n" +
						"- test.denied at spec.containers[3].image: container \"also-denied\" is of denied\n  fix: leave it out\n" +
						"rejection <id>, policies <revision>",
					Details: &metav1.StatusDetails{Name: "shop", Kind: "Pod", Causes: []metav1.StatusCause{
						{Type: "test.denied", Message: `container "denied" is of denied`, Field: "spec.containers[0].image"},
						{Type: "test.denied", Message: `container "also-denied" is of denied`, Field: "spec.containers[3].image"},
					}},
				},
				Warnings:         []string{`test.warned: container "warned" is of warned`},
				AuditAnnotations: annotations("id", "<id>", "outcome", "Denied", "deny", "test.denied", "warn", "test.warned", "audit", "test.audited"),
			},
			wantMetrics: `plainspec_findings_total{mode="audit",rule="test.audited"} 1
plainspec_findings_total{mode="deny",rule="test.denied"} 2
plainspec_findings_total{mode="warn",rule="test.warned"} 1
plainspec_reviews_total{reason="",result="denied"} 1`,
		},
		"a controller's child is only audited": {
			request:     create(replicaSetController, podOf(owned, "denied", "warned")),
			want:        admissionv1.AdmissionResponse{Allowed: true, Result: &metav1.Status{Code: 200}, AuditAnnotations: annotations("audit", "test.denied,test.warned")},
			wantMetrics: "plainspec_findings_total{mode=\"audit\",rule=\"test.denied\"} 1\nplainspec_findings_total{mode=\"audit\",rule=\"test.warned\"} 1\nplainspec_reviews_total{reason=\"\",result=\"admitted\"} 1",
		},
		"what is not judged gets a bare answer": {
			request: admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
				UID: "1", Kind: metav1.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: []byte(`{}`)},
			}},
			want:        admissionv1.AdmissionResponse{Allowed: true, Result: &metav1.Status{Code: 200}},
			wantMetrics: `plainspec_reviews_total{reason="kind",result="skipped"} 1`,
		},
		"a person is refused what cannot be decided": {
			request:     create("ann", podOf("", "broken")),
			want:        admissionv1.AdmissionResponse{Result: &metav1.Status{Code: 500, Message: refused}},
			wantMetrics: `plainspec_reviews_undecided_total 1`,
		},
		"a controller is not": {
			request:     create(replicaSetController, podOf(owned, "broken")),
			want:        admissionv1.AdmissionResponse{Allowed: true, Result: &metav1.Status{Code: 200}, Warnings: []string{"Plainspec could not judge this object, and admitted it"}},
			wantMetrics: `plainspec_reviews_undecided_total 1`,
		},
		"nor is anybody while Plainspec only warns": {
			enforcement: validate.Warn,
			request:     create("ann", podOf("", "broken")),
			want:        admissionv1.AdmissionResponse{Allowed: true, Result: &metav1.Status{Code: 200}, Warnings: []string{"Plainspec could not judge this object, and admitted it"}},
			wantMetrics: `plainspec_reviews_undecided_total 1`,
		},
		"an object that cannot be read is refused to a person": {
			request:     create("ann", `{"metadata":[]}`),
			want:        admissionv1.AdmissionResponse{Result: &metav1.Status{Code: 500, Message: "Plainspec could not decide, retry: decode Pod: metadata is a list, must be an object"}},
			wantMetrics: `plainspec_reviews_undecided_total 1`,
		},
		"and admitted to a controller": {
			request:     create(replicaSetController, `{"metadata":[]}`),
			want:        admissionv1.AdmissionResponse{Allowed: true, Result: &metav1.Status{Code: 200}, Warnings: []string{"Plainspec could not judge this object, and admitted it"}},
			wantMetrics: `plainspec_reviews_undecided_total 1`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.enforcement == "" {
				tc.enforcement = validate.Enforce
			}
			reviewer := reviewer(t, tc.enforcement)
			validator, registry := newValidator(t, reviewer)
			got := validator.Handle(t.Context(), tc.request).AdmissionResponse
			mask(&got, reviewer.Set().Revision())
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("response mismatch (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantMetrics, nonZero(t, registry)); diff != "" {
				t.Errorf("metrics mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

// mask takes out of a response what is derived from hashes, or said by chance.
func mask(r *admissionv1.AdmissionResponse, revision string) {
	masks := []string{revision, "<revision>", "json: unable to", "json: cannot"}
	if id := r.AuditAnnotations["id"]; id != "" {
		masks = append(masks, id, "<id>")
	}
	replacer := strings.NewReplacer(masks...)
	r.Result.Message = replacer.Replace(r.Result.Message)
	for key, value := range r.AuditAnnotations {
		r.AuditAnnotations[key] = replacer.Replace(value)
	}
}

// nonZero is the counters of a registry that are not 0, as in the text format.
func nonZero(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var samples []string
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			if value := metric.GetCounter().GetValue(); value != 0 {
				samples = append(samples, fmt.Sprintf("%s %g", name, value))
			}
		}
	}
	return strings.Join(samples, "\n")
}

// TestTheSameTryHasTheSameID is what lets retries be counted as one, on every replica.
func TestTheSameTryHasTheSameID(t *testing.T) {
	t.Parallel()
	id := func(user string) string {
		validator, _ := newValidator(t, reviewer(t, validate.Enforce))
		return validator.Handle(t.Context(), create(user, podOf("", "denied"))).AuditAnnotations["id"]
	}
	first, again, other := id("ann"), id("ann"), id("bob")
	if first != again || first == other || len(first) != 10 {
		t.Errorf("ids are %q, %q again, and %q of another user", first, again, other)
	}
}

// panics is a reviewer that has a bug.
type panics struct{ validate.Reviewer }

func (*panics) Review(context.Context, validate.Request, time.Time) (validate.Decision, error) {
	panic("a bug")
}

func TestAPanicRefusesPeopleAndNoController(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		user         string
		wantAllowed  bool
		wantMessage  string
		wantWarnings []string
	}{
		"a person is refused":      {user: "ann", wantMessage: "Plainspec could not decide, retry: internal error"},
		"a controller is admitted": {user: replicaSetController, wantAllowed: true, wantWarnings: []string{"Plainspec could not judge this object, and admitted it"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			validator, registry := newValidator(t, &panics{Reviewer: *reviewer(t, validate.Enforce)})
			var log bytes.Buffer
			ctx := logr.NewContext(t.Context(), logr.FromSlogHandler(slog.NewJSONHandler(&log, nil)))
			got := validator.Handle(ctx, create(tc.user, podOf("", "fine")))
			if got.Allowed != tc.wantAllowed || got.Result.Message != tc.wantMessage {
				t.Errorf("allowed %t with %q, want %t with %q", got.Allowed, got.Result.Message, tc.wantAllowed, tc.wantMessage)
			}
			if diff := cmp.Diff(tc.wantWarnings, got.Warnings); diff != "" {
				t.Errorf("warnings mismatch (-want +got):\n%s", diff)
			}
			for _, want := range []string{`"msg":"panic in review"`, `"err":"a bug"`, `"namespace":"web"`, "validate_test.go", `"msg":"undecided"`} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log has no %q: %s", want, &log)
				}
			}
			if got, want := nonZero(t, registry), "plainspec_reviews_undecided_total 1"; got != want {
				t.Errorf("metrics are %q, want %q", got, want)
			}
		})
	}
}

// fails is a reviewer whose error says nothing about who may be refused.
type fails struct{ validate.Reviewer }

func (*fails) Review(context.Context, validate.Request, time.Time) (validate.Decision, error) {
	return validate.Decision{}, errors.New("first line\nsecond line")
}

func TestAnErrorThatSaysNothingRefusesInOneLine(t *testing.T) {
	t.Parallel()
	validator, _ := newValidator(t, &fails{})
	got := validator.Handle(t.Context(), create(replicaSetController, podOf(owned, "fine")))
	if want := "Plainspec could not decide, retry: first line second line"; got.Allowed || got.Result.Message != want {
		t.Errorf("allowed %t with %q, want a refusal with %q", got.Allowed, got.Result.Message, want)
	}
}

func TestAReviewEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	validator, _ := newValidator(t, reviewer(t, validate.Enforce))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	t.Cleanup(cancel)
	got := validator.Handle(ctx, create("ann", podOf("", "endless")))
	if want := "Plainspec could not decide, retry: evaluate policies: "; got.Allowed || !strings.HasPrefix(got.Result.Message, want) {
		t.Errorf("allowed %t with %q, want a refusal with %q", got.Allowed, got.Result.Message, want)
	}
	t.Log(got.Result.Message)
}

func TestASecondValidatorNeedsARegistryOfItsOwn(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	options := webhook.ValidatorOptions{Reviewer: &fails{}, Registerer: registry}
	if _, err := webhook.NewValidator(options); err != nil {
		t.Fatal(err)
	}
	if _, err := webhook.NewValidator(options); err == nil || !strings.HasPrefix(err.Error(), "register metrics: ") {
		t.Errorf("error %v, want one about the metrics", err)
	}
}

// failing is a reviewer that cannot decide.
type failing struct{ err error }

func (f failing) Review(context.Context, validate.Request, time.Time) (validate.Decision, error) {
	return validate.Decision{}, &validate.UndecidedError{Binding: true, Err: f.err}
}

func (failing) Binding(string) bool { return true }

// TestWhatFailedIsToldWithoutSecrets holds that an error of a built-in, which can quote the object, is
// redacted like any other text.
func TestWhatFailedIsToldWithoutSecrets(t *testing.T) {
	t.Parallel()
	validator, _ := newValidator(t, failing{errors.New("to_number: parsing\n\"DB_PASSWORD=s3cret\"")})
	var logged bytes.Buffer
	ctx := logf.IntoContext(t.Context(), logr.FromSlogHandler(slog.NewTextHandler(&logged, nil)))
	got := validator.Handle(ctx, create("ann", podOf("", "a"))).Result.Message
	if want := `Plainspec could not decide, retry: to_number: parsing "DB_PASSWORD=…"`; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
	if strings.Contains(logged.String(), "s3cret") {
		t.Errorf("log has the secret: %s", logged.String())
	}
}

func TestARefusalHasABoundedNumberOfCauses(t *testing.T) {
	t.Parallel()
	validator, _ := newValidator(t, reviewer(t, validate.Enforce))
	images := make([]string, 150)
	for i := range images {
		images[i] = fmt.Sprintf("denied%d", i)
	}
	got := validator.Handle(t.Context(), create("ann", podOf("", images...))).Result
	if len(got.Details.Causes) != 100 || !strings.Contains(got.Message, "(and 149 more)") {
		t.Errorf("%d causes, message %q", len(got.Details.Causes), got.Message)
	}
}
