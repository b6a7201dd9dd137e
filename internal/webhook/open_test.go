package webhook_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/internal/webhook"
)

// openAdmitted is the answer to what has a uid and cannot be read.
func openAdmitted(uid, why string) string {
	return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"` + uid +
		`","allowed":true,"status":{"metadata":{},"code":200},"warnings":["plainspec: not completed: ` + why + `"]}}` + "\n"
}

func TestAnOpenHandlerAdmitsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	const unreadable = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Plainspec could not decide, retry: `
	tests := map[string]struct {
		method      string // POST if empty
		contentType string // application/json if empty
		body        string
		chunked     bool // without a Content-Length
		want        string
		wantCode    int // 200 if 0
	}{
		"a readable review is handled": {
			body: reviewOf(``),
			want: `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"1","allowed":true,"status":{"metadata":{},"code":200}}}` + "\n",
		},
		"half a review": {
			body: reviewOf(`,"object":{}`)[:90], want: openAdmitted("1", "decode AdmissionReview: jsontext: unexpected EOF within \\\"/request/object\\\" after offset 90"),
		},
		"a member of another type": {
			body: reviewOf(`,"operation":{}`), want: openAdmitted("1", "decode AdmissionReview: request.operation is an object, must be a text"),
		},
		"a review of another version": {
			body: strings.Replace(reviewOf(``), "io/v1", "io/v1beta1", 1),
			want: openAdmitted("1", `got a \"AdmissionReview\" of \"admission.k8s.io/v1beta1\", want an AdmissionReview of","… admission.k8s.io/v1`),
		},
		"a review of more than 7 MiB": {
			body: reviewOf(`,"name":"` + strings.Repeat("x", webhook.MaxReview) + `"`),
			want: openAdmitted("1", "the AdmissionReview is larger than 7 MiB"),
		},
		"one that does not say so first": {
			body: reviewOf(`,"name":"` + strings.Repeat("x", webhook.MaxReview) + `"`), chunked: true,
			want: openAdmitted("1", "the AdmissionReview is larger than 7 MiB"),
		},
		"another content type": {
			contentType: "application/yaml", body: reviewOf(``),
			want: openAdmitted("1", `content type \"application/yaml\": an AdmissionReview is application/json`),
		},
		"a uid that has to be searched for": {
			body: `{"other":{"uid":"2"},"request":{"object":{"metadata":{"uid":"3"}},"uid":"4"},"kind":1}`,
			want: openAdmitted("4", "decode AdmissionReview: kind is a number, must be a text"),
		},
		"a uid that comes too late": {
			body: `{"request":{"object":"` + strings.Repeat("x", 64<<10) + `","uid":"1"}}`, wantCode: 400,
			want: unreadable + `got a \"\" of \"\", want an AdmissionReview of admission.k8s.io/v1","reason":"BadRequest","code":400}` + "\n",
		},
		"no uid": {
			body: `{"request":{"uid":""}}`, wantCode: 400,
			want: unreadable + `got a \"\" of \"\", want an AdmissionReview of admission.k8s.io/v1","reason":"BadRequest","code":400}` + "\n",
		},
		"no JSON": {
			body: `apiVersion: admission.k8s.io/v1`, wantCode: 400,
			want: unreadable + `decode AdmissionReview: jsontext: invalid character 'a' at start of value","reason":"BadRequest","code":400}` + "\n",
		},
		"a GET": {
			method: http.MethodGet, wantCode: 405,
			want: unreadable + `method GET: an AdmissionReview is POSTed","reason":"MethodNotAllowed","code":405}` + "\n",
		},
	}
	server := httptest.NewServer(webhook.NewOpenHandler(admission.HandlerFunc(admits)))
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
			if tc.wantCode == 0 {
				tc.wantCode = http.StatusOK
			}
			var body io.Reader = strings.NewReader(tc.body)
			if tc.chunked {
				body = io.MultiReader(body)
			}
			request, err := http.NewRequestWithContext(t.Context(), tc.method, server.URL+"/mutate", body)
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
			if diff := cmp.Diff(tc.want, string(got)); diff != "" || response.StatusCode != tc.wantCode {
				t.Errorf("HTTP status %d, want %d; answer mismatch (-want +got):\n%s", response.StatusCode, tc.wantCode, diff)
			}
		})
	}
}

// overloaded is what a handler answers without having read the body.
func overloaded(t *testing.T, handler *webhook.Handler, body io.Reader) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.Overloaded(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body))
	return recorder
}

func TestAnOpenHandlerAdmitsWhatItHasNoTimeFor(t *testing.T) {
	t.Parallel()
	const retry = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"Plainspec could not decide, retry: too many reviews under way","reason":"ServiceUnavailable","code":503}` + "\n"
	tests := map[string]struct {
		body      io.Reader
		want      string
		wantCode  int
		wantRetry string // the header
	}{
		"a review is read as far as its uid": {
			body: io.MultiReader(strings.NewReader(strings.TrimSuffix(reviewOf(``), "}}")), iotest.ErrReader(errors.New("read on"))),
			want: openAdmitted("1", "too many reviews under way"), wantCode: 200,
		},
		"a review without one is to be tried again": {
			body: strings.NewReader(`{"request":{}}`), want: retry, wantCode: 503, wantRetry: "1",
		},
		"so is one that breaks off": {
			body: strings.NewReader(reviewOf(``)[:70]), want: retry, wantCode: 503, wantRetry: "1",
		},
		"nothing is read on for ever": {
			body: io.MultiReader(strings.NewReader(`{"request":{"object":"`), endless{t: t, most: 128 << 10}), want: retry, wantCode: 503, wantRetry: "1",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := overloaded(t, webhook.NewOpenHandler(admission.HandlerFunc(admits)), tc.body)
			if diff := cmp.Diff(tc.want, got.Body.String()); diff != "" {
				t.Errorf("answer mismatch (-want +got):\n%s", diff)
			}
			if got.Code != tc.wantCode || got.Header().Get("Retry-After") != tc.wantRetry {
				t.Errorf("status %d with Retry-After %q, want %d with %q", got.Code, got.Header().Get("Retry-After"), tc.wantCode, tc.wantRetry)
			}
		})
	}
}

// endless never ends, and says when somebody has read too much of it.
type endless struct {
	t    *testing.T
	most int
}

func (e endless) Read(p []byte) (int, error) {
	if len(p) > e.most {
		e.t.Errorf("somebody wants to read %d bytes at once", len(p))
	}
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func FuzzOverloaded(f *testing.F) {
	for _, seed := range []string{
		reviewOf(``), reviewOf(`,"object":{"a":[1,{"b":null}]}`), `{"request":{"uid":"\u0031"}}`, `{"request":{"uid":1}}`, `{"request":null}`,
		`{"a":"x"}`, `[`, ``, `{"request":{"uid":"1"},"request":{"uid":"2"}}`, `{"request":{"uid":"\ud800"}}`, "\xff",
	} {
		f.Add(seed)
	}
	handler := webhook.NewOpenHandler(admission.HandlerFunc(admits))
	f.Fuzz(func(t *testing.T, body string) {
		got := overloaded(t, handler, strings.NewReader(body))
		var answer admissionv1.AdmissionReview
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil {
			t.Fatalf("answer %d %s: %v", got.Code, got.Body, err)
		}
		answered := got.Code == http.StatusOK && answer.Response != nil && answer.Response.Allowed && answer.Response.UID != ""
		if !answered && got.Code != http.StatusServiceUnavailable {
			t.Fatalf("answer %d %s", got.Code, got.Body)
		}
		// What the other decoder reads has its own uid, if that is not too far.
		var review struct {
			Request struct {
				UID string `json:"uid"`
			} `json:"request"`
		}
		if jsonv2.Unmarshal([]byte(body), &review) != nil || len(body) > 64<<10 {
			return
		}
		if want := review.Request.UID; answered != (want != "") || answered && string(answer.Response.UID) != want {
			t.Fatalf("uid %q was answered by %d %s", want, got.Code, got.Body)
		}
	})
}
