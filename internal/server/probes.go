package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// probeHandler serves /healthz, which fails only if the process does not answer at all (a restart mends neither policies
// nor certificates), and /readyz, which fails while reviews should go elsewhere. Both list their checks with ?verbose;
// /readyz/NAME says why a check fails.
func (s *Server) probeHandler() http.Handler {
	checks := map[string]healthz.Checker{
		"certificate": func(*http.Request) error { return s.options.Certificates.Check(time.Now()) },
		"listener": func(*http.Request) error {
			if !s.serving.Load() {
				return errors.New("not serving yet")
			}
			return nil
		},
		"shutdown": func(*http.Request) error {
			if s.draining.Load() {
				return errors.New("shutting down")
			}
			return nil
		},
	}
	for name, check := range s.options.Checks {
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

func (s *Server) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.options.Registry, promhttp.HandlerOpts{}))
	return mux
}
