package server

import (
	"context"
	"net/http"
	"time"
)

const (
	// defaultTimeout is for requests that name none: timeoutSeconds of a webhook defaults to 10
	// (admissionregistration.k8s.io/v1).
	defaultTimeout = 10 * time.Second
	// maxTimeout is the longest timeoutSeconds that the API server accepts.
	maxTimeout = 30 * time.Second
	// maxMargin is how much earlier than the API server the review gives up, so that its answer ("could not decide")
	// arrives in place of a timeout that says nothing. It covers the way there and back and the scheduling of both.
	maxMargin = 500 * time.Millisecond
	// marginShare of a short timeout is margin: of 1 s, a fifth.
	marginShare = 5
)

// clientTimeout returns how long the client waits for the answer to r. kube-apiserver says so in the query, as in
// ?timeout=10s, rounded up to whole seconds.
func clientTimeout(r *http.Request) time.Duration {
	timeout, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || timeout <= 0 {
		return defaultTimeout
	}
	return min(timeout, maxTimeout)
}

// margin returns how much of timeout is kept for the answer.
func margin(timeout time.Duration) time.Duration {
	return min(maxMargin, timeout/marginShare)
}

// withDeadline ends the request's context a margin before the client gives up. The context descends from the
// connection's and not from the server's, so a shutdown does not cancel reviews in flight.
func withDeadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, timeout := time.Now(), clientTimeout(r)
		// A slow body must not hold a place in the queue for longer than its sender waits. The bound is later than the
		// context's deadline, so that a request that got no turn can still be read for its answer. What knows no
		// deadlines is a test's recorder.
		_ = http.NewResponseController(w).SetReadDeadline(start.Add(timeout))

		ctx, cancel := context.WithDeadline(r.Context(), start.Add(timeout-margin(timeout)))
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
