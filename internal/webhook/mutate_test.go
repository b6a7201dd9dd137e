package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/internal/webhook"
)

// completion is a webhook.Completion of one function.
type completion func(context.Context, validate.Request) (mutate.Result, error)

func (c completion) Complete(ctx context.Context, req validate.Request) (mutate.Result, error) {
	return c(ctx, req)
}

// completes always has the same result.
func completes(r mutate.Result) completion {
	return func(context.Context, validate.Request) (mutate.Result, error) { return r, nil }
}

// newCompleter returns the handler of /mutate, with its metrics.
func newCompleter(t *testing.T, c webhook.Completion) (*webhook.Handler, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	completer, err := webhook.NewCompleter(webhook.CompleterOptions{Completion: c, Revision: "c0ffee", Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	return webhook.NewOpenHandler(completer), registry
}

// mutates posts a review to a handler and returns its answer, which must be one.
func mutates(ctx context.Context, t *testing.T, handler http.Handler, body io.Reader) *admissionv1.AdmissionResponse {
	t.Helper()
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/mutate", body)
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &review); err != nil || recorder.Code != http.StatusOK {
		t.Fatalf("answer %d %s: %v", recorder.Code, recorder.Body, err)
	}
	if review.APIVersion != "admission.k8s.io/v1" || review.Kind != "AdmissionReview" || review.Response == nil || review.Request != nil {
		t.Fatalf("answer is no response: %s", recorder.Body)
	}
	return review.Response
}

func TestCompleterAnswers(t *testing.T) {
	t.Parallel()
	left := func(n int) []mutate.Left {
		all := make([]mutate.Left, n)
		for i := range all {
			all[i] = mutate.Left{What: mutate.Inject, Reason: "no_profile", Text: fmt.Sprintf("no profile matches container %q", fmt.Sprint(i))}
		}
		return all
	}
	bounded := make([]string, 0, 21)
	for i := range 20 {
		bounded = append(bounded, fmt.Sprintf(`inject.no_profile: no profile matches container "%d"`, i))
	}
	bounded = append(bounded, "plainspec: and 5 more")
	tests := map[string]struct {
		completion  completion
		want        admissionv1.AdmissionResponse // with the members that differ from {uid: "1", allowed: true, status: {code: 200}}
		wantPatch   string
		wantMetrics string
	}{
		"what lacks nothing is left alone": {completion: completes(mutate.Result{})},
		"what is not looked at is counted by reason": {
			completion:  completes(mutate.Result{Skipped: mutate.SkipControlled}),
			wantMetrics: `plainspec_completions_skipped_total{reason="controlled"} 1`,
		},
		"what is missing is patched": {
			completion: completes(mutate.Result{
				Patch: []jsonpatch.Operation{
					jsonpatch.NewOperation("add", "/spec/initContainers", []any{map[string]any{"name": "artifact"}}),
					jsonpatch.NewOperation("add", "/metadata/labels/app.kubernetes.io~1version", "v2"),
				},
				Done: []mutate.Done{{What: mutate.Labels, Text: "version"}, {What: mutate.Inject, Text: "a"}, {What: mutate.Inject, Text: "b"}},
			}),
			want: admissionv1.AdmissionResponse{AuditAnnotations: map[string]string{"completed": "inject,labels", "revision": "c0ffee"}},
			wantPatch: `[{"op":"add","path":"/spec/initContainers","value":[{"name":"artifact"}]},` +
				`{"op":"add","path":"/metadata/labels/app.kubernetes.io~1version","value":"v2"}]`,
			wantMetrics: `plainspec_completions_total{outcome="completed",what="inject"} 2` + "\n" +
				`plainspec_completions_total{outcome="completed",what="labels"} 1`,
		},
		"what is left out is said, without secrets": {
			completion: completes(mutate.Result{
				Left: []mutate.Left{{What: mutate.Inject, Reason: "invalid_artifact", Text: "artifact https://ann:s3cret@example.com/a is no image reference"}},
				Done: []mutate.Done{{What: mutate.Resources, Text: "tomcat"}},
			}),
			want: admissionv1.AdmissionResponse{
				Warnings:         []string{"inject.invalid_artifact: artifact https://example.com/a is no image reference"},
				AuditAnnotations: map[string]string{"completed": "resources", "left": "inject.invalid_artifact", "revision": "c0ffee"},
			},
			wantMetrics: `plainspec_completions_total{outcome="completed",what="resources"} 1` + "\n" +
				`plainspec_completions_total{outcome="left",what="inject"} 1`,
		},
		"warnings are bounded": {
			completion: completes(mutate.Result{Left: left(25)}),
			want: admissionv1.AdmissionResponse{
				Warnings: bounded, AuditAnnotations: map[string]string{"left": "inject.no_profile", "revision": "c0ffee"},
			},
			wantMetrics: `plainspec_completions_total{outcome="left",what="inject"} 25`,
		},
		"an error changes nothing": {
			completion: func(context.Context, validate.Request) (mutate.Result, error) {
				return mutate.Result{Patch: []jsonpatch.Operation{jsonpatch.NewOperation("remove", "/spec", nil)}},
					errors.New("decode object:\nDB_PASSWORD=s3cret " + strings.Repeat("x", 200))
			},
			want: admissionv1.AdmissionResponse{
				Warnings: []string{"plainspec: not completed: decode object: DB_PASSWORD=… " + strings.Repeat("x", 65), "… " + strings.Repeat("x", 118), "… " + strings.Repeat("x", 17)},
			},
			wantMetrics: "plainspec_completions_failed_total 1",
		},
		"nor does a panic": {
			completion:  func(context.Context, validate.Request) (mutate.Result, error) { panic("a bug with s3cret") },
			want:        admissionv1.AdmissionResponse{Warnings: []string{"plainspec: not completed: internal error"}},
			wantMetrics: "plainspec_completions_failed_total 1",
		},
		"nor a patch that cannot be written": {
			completion: completes(mutate.Result{Patch: []jsonpatch.Operation{jsonpatch.NewOperation("add", "/spec", func() {})}}),
			want:       admissionv1.AdmissionResponse{Warnings: []string{"plainspec: not completed: internal error"}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler, registry := newCompleter(t, tc.completion)
			got := mutates(t.Context(), t, handler, strings.NewReader(reviewOf(``)))
			if diff := cmp.Diff(tc.wantPatch, string(got.Patch)); diff != "" {
				t.Errorf("patch mismatch (-want +got):\n%s", diff)
			}
			if (got.PatchType != nil) != (tc.wantPatch != "") {
				t.Errorf("patch type is %v", got.PatchType)
			}
			got.Patch, got.PatchType = nil, nil
			tc.want.UID, tc.want.Allowed, tc.want.Result = "1", true, &metav1.Status{Code: 200}
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Errorf("response mismatch (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantMetrics, nonZero(t, registry)); diff != "" {
				t.Errorf("metrics mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsCompletedIsLogged(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		completion completion
		want       []string
		wantNot    string
	}{
		"for developers, what was skipped": {
			completion: completes(mutate.Result{Skipped: mutate.SkipMirror}),
			want:       []string{`"level":"DEBUG+3","msg":"skipped"`, `"reason":"mirror"`, `"namespace":"web"`},
		},
		"and what was done and left": {
			completion: completes(mutate.Result{
				Done: []mutate.Done{{What: mutate.Labels}}, Left: []mutate.Left{{What: mutate.Inject, Reason: "name_taken", Text: "an object's body"}},
			}),
			want:    []string{`"level":"DEBUG+3","msg":"completed"`, `"completed":"labels","left":"inject.name_taken","revision":"c0ffee"`},
			wantNot: "body",
		},
		"not what lacks nothing": {completion: completes(mutate.Result{}), wantNot: "msg"},
		"for operators, an error": {
			completion: func(context.Context, validate.Request) (mutate.Result, error) {
				return mutate.Result{}, errors.New("decode object:\nDB_PASSWORD=s3cret")
			},
			want:    []string{`"level":"ERROR","msg":"not completed"`, `"err":"decode object: DB_PASSWORD=…"`, `"namespace":"web"`},
			wantNot: "s3cret",
		},
		"and a panic": {
			completion: func(context.Context, validate.Request) (mutate.Result, error) { panic("a bug") },
			want:       []string{`"msg":"panic in review"`, `"err":"a bug"`, "mutate_test.go", `"msg":"not completed"`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			completer, err := webhook.NewCompleter(webhook.CompleterOptions{Completion: tc.completion, Revision: "c0ffee", Registerer: prometheus.NewRegistry()})
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			ctx := logr.NewContext(t.Context(), logr.FromSlogHandler(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
			completer.Handle(ctx, create("ann", podOf("", "fine")))
			for _, want := range tc.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log has no %s: %s", want, &log)
				}
			}
			if tc.wantNot != "" && strings.Contains(log.String(), tc.wantNot) {
				t.Errorf("the log has %s: %s", tc.wantNot, &log)
			}
		})
	}
}

func TestCompletionEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	handler, _ := newCompleter(t, completion(func(ctx context.Context, _ validate.Request) (mutate.Result, error) {
		<-ctx.Done()
		return mutate.Result{}, fmt.Errorf("complete: %w", ctx.Err())
	}))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	want := &admissionv1.AdmissionResponse{
		UID: "1", Allowed: true, Result: &metav1.Status{Code: 200}, Warnings: []string{"plainspec: not completed: complete: context canceled"},
	}
	if diff := cmp.Diff(want, mutates(over, t, handler, strings.NewReader(reviewOf(``)))); diff != "" {
		t.Errorf("response mismatch (-want +got):\n%s", diff)
	}
}

// TestNoOpenHandlerRefuses is the last line: a refusal is an answer, so no failure policy covers it.
func TestNoOpenHandlerRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]admission.HandlerFunc{
		"a refusal": func(context.Context, admission.Request) admission.Response { return admission.Denied("no") },
		"a panic":   func(context.Context, admission.Request) admission.Response { panic("a bug") },
	}
	for name, handler := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := mutates(t.Context(), t, webhook.NewOpenHandler(handler), strings.NewReader(reviewOf(``)))
			want := &admissionv1.AdmissionResponse{
				UID: "1", Allowed: true, Result: &metav1.Status{Code: 200}, Warnings: []string{"plainspec: not completed: internal error"},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("response mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheCompletionSeesTheRequest(t *testing.T) {
	t.Parallel()
	var got validate.Request
	handler, _ := newCompleter(t, completion(func(_ context.Context, req validate.Request) (mutate.Result, error) {
		got = req
		return mutate.Result{}, nil
	}))
	mutates(t.Context(), t, handler, strings.NewReader(reviewOf(
		`,"kind":{"group":"apps","version":"v1","kind":"Deployment"},"name":"web","namespace":"shop","operation":"UPDATE","dryRun":true,`+
			`"userInfo":{"username":"ann","groups":["staff"]},"object":{"a":1},"oldObject":{"a":0}`)))
	want := validate.Request{
		Operation: "UPDATE", Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web", User: "ann", Groups: []string{"staff"},
		DryRun: true, Object: []byte(`{"a":1}`), OldObject: []byte(`{"a":0}`),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request mismatch (-want +got):\n%s", diff)
	}
}

func TestASecondCompleterNeedsARegistryOfItsOwn(t *testing.T) {
	t.Parallel()
	options := webhook.CompleterOptions{Completion: completes(mutate.Result{}), Registerer: prometheus.NewRegistry()}
	if _, err := webhook.NewCompleter(options); err != nil {
		t.Fatal(err)
	}
	if _, err := webhook.NewCompleter(options); err == nil || !strings.HasPrefix(err.Error(), "register metrics: ") {
		t.Errorf("error %v, want one about the metrics", err)
	}
}
