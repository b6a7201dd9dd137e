package webhook_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/internal/webhook"
)

// reviewOf is an AdmissionReview with a request of uid 1.
func reviewOf(members string) string {
	return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1"` + members + `}}`
}

// admits refuses nothing.
func admits(context.Context, admission.Request) admission.Response { return admission.Allowed("") }

func TestAnswersOverHTTP(t *testing.T) {
	t.Parallel()
	tooLong := reviewOf(`,"name":"` + strings.Repeat("x", webhook.MaxReview) + `"`)
	exact := reviewOf(`,"name":"` + strings.Repeat("x", webhook.MaxReview-len(reviewOf(`,"name":""`))) + `"`)
	failure := func(reason, code, message string) string {
		return `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Plainspec could not decide, retry: ` + message +
			`","reason":"` + reason + `","code":` + code + "}\n"
	}
	const admitted = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"1","allowed":true,"status":{"metadata":{},"code":200}}}` + "\n"
	tests := map[string]struct {
		method      string // POST if empty
		contentType string // application/json if empty
		body        string
		chunked     bool // without a Content-Length
		want        string
		wantCode    int
	}{
		"a review is answered with its uid": {
			body: reviewOf(``), wantCode: 200, want: admitted,
		},
		"a charset changes nothing": {
			contentType: "application/json; charset=utf-8", body: reviewOf(``), wantCode: 200, want: admitted,
		},
		"members that are not known are left alone": {
			body: reviewOf(`,"fieldOfALaterRelease":[1]`), wantCode: 200, want: admitted,
		},
		"a review of 7 MiB is read": {
			body: exact, wantCode: 200, want: admitted,
		},
		"a review of more than 7 MiB is not": {
			body: tooLong, wantCode: 413, want: failure("RequestEntityTooLarge", "413", "the AdmissionReview is larger than 7 MiB"),
		},
		"nor one that does not say so first": {
			body: tooLong, chunked: true, wantCode: 413, want: failure("RequestEntityTooLarge", "413", "the AdmissionReview is larger than 7 MiB"),
		},
		"no JSON": {
			body: `apiVersion: admission.k8s.io/v1`, wantCode: 400,
			want: failure("BadRequest", "400", `decode AdmissionReview: jsontext: invalid character 'a' at start of value`),
		},
		"half a review": {
			body: reviewOf(``)[:60], wantCode: 400,
			want: failure("BadRequest", "400", `decode AdmissionReview: jsontext: unexpected EOF after offset 60`),
		},
		"a member of another type": {
			body: reviewOf(`,"operation":{}`), wantCode: 400,
			want: failure("BadRequest", "400", `decode AdmissionReview: request.operation is an object, must be a text`),
		},
		"nothing": {
			body: ``, wantCode: 400, want: failure("BadRequest", "400", `decode AdmissionReview: jsontext: unexpected EOF`),
		},
		"an empty object": {
			body: `{}`, wantCode: 400, want: failure("BadRequest", "400", `got a \"\" of \"\", want an AdmissionReview of admission.k8s.io/v1`),
		},
		"null": {
			body: `null`, wantCode: 400, want: failure("BadRequest", "400", `got a \"\" of \"\", want an AdmissionReview of admission.k8s.io/v1`),
		},
		"a review of another version": {
			body: strings.Replace(reviewOf(``), "io/v1", "io/v1beta1", 1), wantCode: 400,
			want: failure("BadRequest", "400", `got a \"AdmissionReview\" of \"admission.k8s.io/v1beta1\", want an AdmissionReview of admission.k8s.io/v1`),
		},
		"another kind": {
			body: `{"apiVersion":"v1","kind":"Pod"}`, wantCode: 400,
			want: failure("BadRequest", "400", `got a \"Pod\" of \"v1\", want an AdmissionReview of admission.k8s.io/v1`),
		},
		"a review without a request": {
			body: `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, wantCode: 400,
			want: failure("BadRequest", "400", "the AdmissionReview has no request with a uid"),
		},
		"a review of null": {
			body: `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}`, wantCode: 400,
			want: failure("BadRequest", "400", "the AdmissionReview has no request with a uid"),
		},
		"a request without a uid": {
			body: `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{}}`, wantCode: 400,
			want: failure("BadRequest", "400", "the AdmissionReview has no request with a uid"),
		},
		"a GET": {
			method: http.MethodGet, wantCode: 405, want: failure("MethodNotAllowed", "405", "method GET: an AdmissionReview is POSTed"),
		},
		"another content type": {
			contentType: "application/yaml", body: reviewOf(``), wantCode: 415,
			want: failure("UnsupportedMediaType", "415", `content type \"application/yaml\": an AdmissionReview is application/json`),
		},
		"a content type that is none": {
			contentType: ";", body: reviewOf(``), wantCode: 415,
			want: failure("UnsupportedMediaType", "415", `content type \";\": an AdmissionReview is application/json`),
		},
	}
	server := httptest.NewServer(webhook.NewHandler(admission.HandlerFunc(admits)))
	t.Cleanup(server.Close)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.method == "" {
				tc.method = http.MethodPost
			}
			if tc.contentType == "" {
				tc.contentType = "application/json"
			}
			var body io.Reader = strings.NewReader(tc.body)
			if tc.chunked {
				body = io.MultiReader(body)
			}
			request, err := http.NewRequestWithContext(t.Context(), tc.method, server.URL+"/validate", body)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", tc.contentType)
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = response.Body.Close() })
			got, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tc.wantCode {
				t.Errorf("HTTP status %d, want %d", response.StatusCode, tc.wantCode)
			}
			// The decoder says one or the other by chance, so that nobody relies on its words.
			said := strings.Replace(string(got), "json: unable to", "json: cannot", 1)
			if diff := cmp.Diff(tc.want, said); diff != "" {
				t.Errorf("answer mismatch (-want +got):\n%s", diff)
			}
			if got := response.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type %q, want application/json", got)
			}
			if got, want := response.Header.Get("Allow"), map[bool]string{true: "POST"}[tc.wantCode == 405]; got != want {
				t.Errorf("Allow is %q, want %q", got, want)
			}
		})
	}
}

func TestABodyThatBreaksOffIsNoReview(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body io.Reader
		want string
	}{
		"shorter than announced":  {body: strings.NewReader(`{`), want: "Plainspec could not decide, retry: read AdmissionReview: unexpected EOF"},
		"the connection is reset": {body: iotest.ErrReader(errors.New("reset")), want: "Plainspec could not decide, retry: read AdmissionReview: reset"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/validate", tc.body)
			request.Header.Set("Content-Type", "application/json")
			request.ContentLength = 100
			recorder := httptest.NewRecorder()
			webhook.NewHandler(admission.HandlerFunc(admits)).ServeHTTP(recorder, request)
			if recorder.Code != http.StatusBadRequest || !strings.Contains(recorder.Body.String(), tc.want) {
				t.Errorf("answer %d %s, want 400 with %q", recorder.Code, recorder.Body, tc.want)
			}
		})
	}
}

func TestTheHandlerSeesTheWholeRequest(t *testing.T) {
	t.Parallel()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/validate", strings.NewReader(reviewOf(
		`,"kind":{"group":"apps","version":"v1","kind":"Deployment"},"resource":{"group":"apps","version":"v1","resource":"deployments"},`+
			`"subResource":"scale","name":"web","namespace":"shop","operation":"UPDATE","dryRun":true,`+
			`"userInfo":{"username":"ann","uid":"2","groups":["staff"],"extra":{"k":["v"]}},`+
			`"object":{"spec":{"a":1}},"oldObject":{"spec":{"a":0}},"options":{"apiVersion":"meta.k8s.io/v1","kind":"UpdateOptions"}`)))
	request.Header.Set("Content-Type", "application/json")
	var got *admission.Request
	webhook.NewHandler(admission.HandlerFunc(func(ctx context.Context, req admission.Request) admission.Response {
		got = &req
		return admits(ctx, req)
	})).ServeHTTP(httptest.NewRecorder(), request)
	if got == nil {
		t.Fatal("the handler was not asked")
	}
	if diff := cmp.Diff(
		[]string{"apps/v1, Kind=Deployment", "apps/v1, Resource=deployments", "scale", "web", "shop", "UPDATE", "ann", "staff", "v", `{"spec":{"a":1}}`, `{"spec":{"a":0}}`},
		[]string{
			got.Kind.String(), got.Resource.String(), got.SubResource, got.Name, got.Namespace, string(got.Operation),
			got.UserInfo.Username, got.UserInfo.Groups[0], got.UserInfo.Extra["k"][0], string(got.Object.Raw), string(got.OldObject.Raw),
		},
	); diff != "" {
		t.Errorf("request mismatch (-want +got):\n%s", diff)
	}
	if got.DryRun == nil || !*got.DryRun {
		t.Error("the dry run got lost")
	}
}

func TestOverloadedTellsToRetry(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	webhook.NewHandler(admission.HandlerFunc(admits)).Overloaded(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/validate", http.NoBody))
	const want = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"Plainspec could not decide, retry: too many reviews under way","reason":"ServiceUnavailable","code":503}` + "\n"
	if diff := cmp.Diff(want, recorder.Body.String()); diff != "" {
		t.Errorf("answer mismatch (-want +got):\n%s", diff)
	}
	if recorder.Code != http.StatusServiceUnavailable || recorder.Header().Get("Retry-After") != "1" {
		t.Errorf("status %d with Retry-After %q, want 503 with 1", recorder.Code, recorder.Header().Get("Retry-After"))
	}
}
