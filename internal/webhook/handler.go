// Package webhook speaks the admission protocol: it decodes an AdmissionReview, asks the
// reviewer, and encodes the answer.
package webhook

import (
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
type Handler struct{ webhook *admission.Webhook }

// NewHandler returns a Handler for h.
func NewHandler(h admission.Handler) *Handler {
	return &Handler{webhook: &admission.Webhook{
		Handler: h,
		// Values are added where something is logged: most reviews log nothing.
		LogConstructor: func(base logr.Logger, _ *admission.Request) logr.Logger { return base },
	}}
}

// ServeHTTP answers a review with HTTP 200 and an AdmissionReview. What is no readable review is
// answered with an HTTP error and a v1 Status, so that the API server applies the webhook's
// failure policy.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request, code, err := readReview(w, r)
	if err != nil {
		logf.FromContext(r.Context()).Error(err, "unreadable review", "code", code, "remote", r.RemoteAddr)
		writeStatus(r.Context(), w, code, err)
		return
	}
	response := h.webhook.Handle(r.Context(), admission.Request{AdmissionRequest: *request})
	write(r.Context(), w, http.StatusOK, &admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Response: &response.AdmissionResponse,
	})
}

// readReview reads the request of a review, or says with which HTTP status it is unreadable.
func readReview(w http.ResponseWriter, r *http.Request) (*admissionv1.AdmissionRequest, int, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, http.StatusMethodNotAllowed, fmt.Errorf("method %s: an AdmissionReview is POSTed", r.Method)
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, http.StatusUnsupportedMediaType, fmt.Errorf("content type %q: an AdmissionReview is application/json", r.Header.Get("Content-Type"))
	}
	body, err := readBody(w, r)
	if err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the AdmissionReview is larger than %d MiB", MaxReview>>20)
		}
		return nil, http.StatusBadRequest, fmt.Errorf("read AdmissionReview: %w", err)
	}
	var review admissionv1.AdmissionReview
	if err := jsonv2.Unmarshal(body, &review); err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("decode AdmissionReview: %w", workload.InWords(err))
	}
	switch {
	case review.APIVersion != admissionv1.SchemeGroupVersion.String() || review.Kind != "AdmissionReview":
		return nil, http.StatusBadRequest, fmt.Errorf("got a %q of %q, want an AdmissionReview of %s", review.Kind, review.APIVersion, admissionv1.SchemeGroupVersion)
	case review.Request == nil || review.Request.UID == "":
		return nil, http.StatusBadRequest, errors.New("the AdmissionReview has no request with a uid")
	}
	return review.Request, http.StatusOK, nil
}

// readBody reads at most MaxReview bytes, into a buffer of the announced size.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body := http.MaxBytesReader(w, r.Body, MaxReview)
	if r.ContentLength <= 0 || r.ContentLength > MaxReview {
		return io.ReadAll(body)
	}
	buffer := make([]byte, r.ContentLength)
	_, err := io.ReadFull(body, buffer)
	return buffer, err
}

// Overloaded answers a request that could not even be read: too many are under way.
func Overloaded(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "1")
	writeStatus(r.Context(), w, http.StatusServiceUnavailable, errors.New("too many reviews under way"))
}

func writeStatus(ctx context.Context, w http.ResponseWriter, code int, err error) {
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
