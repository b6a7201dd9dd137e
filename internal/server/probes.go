package server

import (
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// probeHandler serves /healthz, which fails only if the process does not answer at all (a restart mends neither policies
// nor certificates), and /readyz, which fails while reviews should go elsewhere. Both list their checks with ?verbose;
// /readyz/NAME says why a check fails.
func (s *Server) probeHandler() http.Handler {
	checks := make(map[string]healthz.Checker)
	for name, check := range s.readiness() {
		checks[name] = func(*http.Request) error { return check() }
	}
	mux := http.NewServeMux()
	for path, handler := range map[string]*healthz.Handler{
		"/healthz": {Checks: map[string]healthz.Checker{"ping": healthz.Ping}},
		"/readyz":  {Checks: checks},
	} {
		mux.Handle("GET "+path, http.StripPrefix(path, handler))
		mux.Handle("GET "+path+"/", http.StripPrefix(path, handler))
	}
	return mux
}

// readiness is what must return nil for reviews to come here, by name.
func (s *Server) readiness() map[string]func() error {
	checks := map[string]func() error{
		"certificate": func() error { return s.options.Certificates.Check(time.Now()) },
		"listener": func() error {
			if !s.serving.Load() {
				return errors.New("not serving yet")
			}
			return nil
		},
		"shutdown": func() error {
			if s.draining.Load() {
				return errors.New("shutting down")
			}
			return nil
		},
	}
	maps.Copy(checks, s.options.Checks)
	return checks
}

// readyMetric tells who scrapes what /readyz tells the kubelet.
func (s *Server) readyMetric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "plainspec_ready", Help: "1 if reviews may come here, 0 if /readyz says why not.",
	}, func() float64 {
		for _, check := range s.readiness() {
			if check() != nil {
				return 0
			}
		}
		return 1
	})
}

func (s *Server) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.options.Registry, promhttp.HandlerOpts{}))
	return mux
}
