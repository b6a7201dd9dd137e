// Package webhook speaks the admission protocol: it decodes an AdmissionReview, asks the
// reviewer, and encodes the answer.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"plainspec.dev/plainspec/internal/workload"
)

// MaxReview is the longest AdmissionReview that is read, in bytes: controller-runtime's bound
// (pkg/webhook/admission/http.go), room for two objects of the API server's 3 MiB.
const MaxReview = 7 << 20

// Handler is an http.Handler for POSTed AdmissionReviews of one admission.Handler. It decodes the
// review once, into types without the object's fields: controller-runtime's own handler spends
// most of a review's time in decoding it four times (docs/performance.md). All else stays
// controller-runtime's, through admission.Webhook.Handle.
type Handler struct {
	webhook *admission.Webhook
	open    bool
}

// NewHandler returns a Handler for h that fails closed: what is no readable review is answered with
// an HTTP error and a v1 Status, so that the API server applies the webhook's failure policy.
func NewHandler(h admission.Handler) *Handler {
	return &Handler{webhook: &admission.Webhook{
		Handler: h,
		// Values are added where something is logged: most reviews log nothing.
		LogConstructor: func(base logr.Logger, _ *admission.Request) logr.Logger { return base },
	}}
}

// NewOpenHandler returns a Handler for h that fails open: whatever happens, a review that has at
// least a uid is answered with "allowed", because the API server's failure policy Ignore covers
// calls that fail, and not answers that refuse. Why there is no better answer is a warning.
func NewOpenHandler(h admission.Handler) *Handler {
	handler := NewHandler(h)
	handler.open = true
	return handler
}

// ServeHTTP answers a review with HTTP 200 and an AdmissionReview.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, code, err := readBody(w, r)
	var request *admissionv1.AdmissionRequest
	if err == nil {
		request, err = decode(body)
	}
	if err != nil {
		logf.FromContext(r.Context()).Error(err, "unreadable review", "code", code, "remote", r.RemoteAddr)
		h.fail(w, r, io.MultiReader(bytes.NewReader(body), r.Body), code, err)
		return
	}
	response := h.webhook.Handle(r.Context(), admission.Request{AdmissionRequest: *request}).AdmissionResponse
	if h.open && !response.Allowed { // controller-runtime refuses what panics or cannot be encoded
		response = *uncompleted(request.UID, errInternal)
	}
	writeReview(r.Context(), w, &response)
}

// Overloaded answers a request that was not read, because too many are under way.
func (h *Handler) Overloaded(w http.ResponseWriter, r *http.Request) {
	h.fail(w, r, r.Body, http.StatusServiceUnavailable, errors.New("too many reviews under way"))
}

// fail answers a review that is not handled.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, review io.Reader, code int, err error) {
	if h.open {
		if uid, ok := readUID(review); ok {
			writeReview(r.Context(), w, uncompleted(uid, err))
			return
		}
	}
	writeStatus(r.Context(), w, code, err)
}

// readBody reads the body of a review: at most MaxReview bytes, into a buffer of the announced
// size. If it cannot, it returns what it has read, and the HTTP status of the error.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, int, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, http.StatusMethodNotAllowed, fmt.Errorf("method %s: an AdmissionReview is POSTed", r.Method)
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, http.StatusUnsupportedMediaType, fmt.Errorf("content type %q: an AdmissionReview is application/json", r.Header.Get("Content-Type"))
	}
	reader := http.MaxBytesReader(w, r.Body, MaxReview)
	var body []byte
	var err error
	if r.ContentLength <= 0 || r.ContentLength > MaxReview {
		body, err = io.ReadAll(reader)
	} else {
		body = make([]byte, r.ContentLength)
		var n int
		n, err = io.ReadFull(reader, body)
		body = body[:n]
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return body, http.StatusRequestEntityTooLarge, fmt.Errorf("the AdmissionReview is larger than %d MiB", MaxReview>>20)
	}
	if err != nil {
		err = fmt.Errorf("read AdmissionReview: %w", err)
	}
	return body, http.StatusBadRequest, err
}

// decode reads the request of a review.
func decode(body []byte) (*admissionv1.AdmissionRequest, error) {
	var review admissionv1.AdmissionReview
	if err := jsonv2.Unmarshal(body, &review); err != nil {
		return nil, fmt.Errorf("decode AdmissionReview: %w", workload.InWords(err))
	}
	switch {
	case review.APIVersion != admissionv1.SchemeGroupVersion.String() || review.Kind != "AdmissionReview":
		return nil, fmt.Errorf("got a %q of %q, want an AdmissionReview of %s", review.Kind, review.APIVersion, admissionv1.SchemeGroupVersion)
	case review.Request == nil || review.Request.UID == "":
		return nil, errors.New("the AdmissionReview has no request with a uid")
	}
	return review.Request, nil
}

func writeReview(ctx context.Context, w http.ResponseWriter, response *admissionv1.AdmissionResponse) {
	write(ctx, w, http.StatusOK, &admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Response: response,
	})
}

func writeStatus(ctx context.Context, w http.ResponseWriter, code int, err error) {
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	write(ctx, w, code, &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure,
		Reason:   reasons[code],
		Code:     int32(code), //nolint:gosec // an HTTP status
		Message:  "Plainspec could not decide, retry: " + err.Error(),
	})
}

// reasons are the API's names for the HTTP statuses that are answered.
var reasons = map[int]metav1.StatusReason{
	http.StatusBadRequest:            metav1.StatusReasonBadRequest,
	http.StatusMethodNotAllowed:      metav1.StatusReasonMethodNotAllowed,
	http.StatusRequestEntityTooLarge: metav1.StatusReasonRequestEntityTooLarge,
	http.StatusUnsupportedMediaType:  metav1.StatusReasonUnsupportedMediaType,
	http.StatusServiceUnavailable:    metav1.StatusReasonServiceUnavailable,
}

func write(ctx context.Context, w http.ResponseWriter, code int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		logf.FromContext(ctx).Error(err, "answer not sent")
	}
}
