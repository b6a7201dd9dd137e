package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/semaphore"
)

// requestMetrics describe the reviews' HTTP requests.
type requestMetrics struct {
	inFlight   prometheus.Gauge
	waiting    atomic.Int64
	duration   *prometheus.HistogramVec
	overloaded prometheus.Counter
	panics     prometheus.Counter
}

func newRequestMetrics(registerer prometheus.Registerer) (*requestMetrics, error) {
	m := &requestMetrics{
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "plainspec_http_requests_in_flight",
			Help: "Requests being handled or waiting for their turn.",
		}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "plainspec_http_request_duration_seconds",
			Help: "Time from a request's header to the end of its answer, in seconds, waiting included.",
			// A review takes about a millisecond, and 10 s is where the API server gives up by default.
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"code"}),
		overloaded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plainspec_http_requests_overloaded_total",
			Help: "Requests that got no turn before their deadline.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plainspec_http_panics_total",
			Help: "Requests whose handler panicked.",
		}),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "plainspec_http_requests_waiting",
		Help: "Requests waiting for their turn, because as many are being handled as may.",
	}, func() float64 { return float64(m.waiting.Load()) })
	for _, collector := range []prometheus.Collector{m.inFlight, waiting, m.duration, m.overloaded, m.panics} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// middleware wraps the handler of reviews, outermost first.
func (s *Server) middleware(handler http.Handler) http.Handler {
	handler = s.limit(handler)
	handler = s.limitLarge(handler)    // Outside of the other, so that what is large waits without a place.
	handler = s.recoverPanics(handler) // Inside the metrics, which would not see a request that panics.
	handler = withDeadline(handler)
	handler = s.closeWhileDraining(handler)
	handler = promhttp.InstrumentHandlerDuration(s.metrics.duration, handler)
	return promhttp.InstrumentHandlerInFlight(s.metrics.inFlight, handler)
}

// closeWhileDraining makes clients look for another replica with their next request. Closing idle connections at once
// would break requests that are on their way, and the API server does not try those again.
func (s *Server) closeWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// recoverPanics answers 500 instead of cutting the connection, and logs the stack once.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			reason := recover()
			if reason == nil {
				return
			}
			if err, ok := reason.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(reason) // A handler's request to cut the connection.
			}
			s.metrics.panics.Inc()
			s.options.Logger.Error(fmt.Errorf("panic: %v", reason), "handler panicked", "path", r.URL.Path, "stack", string(debug.Stack()))
			// If the handler had begun its answer, this adds to a broken one and changes nothing.
			http.Error(w, "internal error", http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}

// limit lets MaxInFlight requests through at once. Others wait, first come first served, until their deadline. The body
// is not read while a request waits, so waiting is cheap; the number of those that wait is bounded all the same.
func (s *Server) limit(next http.Handler) http.Handler {
	slots := semaphore.NewWeighted(int64(s.options.MaxInFlight))
	maxWaiting := int64(s.options.MaxInFlight) * s.limits.waitersPerSlot
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := errQueueFull
		if s.metrics.waiting.Add(1) <= maxWaiting {
			err = slots.Acquire(r.Context(), 1)
		}
		s.metrics.waiting.Add(-1)
		if err != nil {
			s.turnAway(w, r, err)
			return
		}
		defer slots.Release(1)
		next.ServeHTTP(w, r)
	})
}

// limitLarge lets as many large requests through at once as their bodies fit into largeBodies. Others wait for them, but no
// more are under way and wait than requests may be handled at once.
func (s *Server) limitLarge(next http.Handler) http.Handler {
	bodies := semaphore.NewWeighted(s.limits.largeBodies)
	places := semaphore.NewWeighted(int64(s.options.MaxInFlight))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := r.ContentLength
		if 0 <= size && size <= s.limits.largeBody {
			next.ServeHTTP(w, r)
			return
		}
		if size < 0 || size > s.limits.largeBodies { // unknown, or too large for any handler
			size = s.limits.largeBodies
		}
		err := errQueueFull
		if places.TryAcquire(1) {
			defer places.Release(1)
			err = bodies.Acquire(r.Context(), size)
		}
		if err != nil {
			s.turnAway(w, r, err)
			return
		}
		defer bodies.Release(size)
		next.ServeHTTP(w, r)
	})
}

// turnAway answers a request that got no turn, for the reason of err.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		return // The client left; nobody reads an answer.
	}
	s.metrics.overloaded.Inc()
	s.options.Overloaded.ServeHTTP(w, r)
}

// errQueueFull says that as many requests wait as may.
var errQueueFull = errors.New("too many requests wait")
