package server_test

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plainspec.dev/plainspec/internal/server"
)

func TestProbesListTheirChecks(t *testing.T) {
	t.Parallel()
	var loaded atomic.Bool
	p := start(t, setup{options: server.Options{Checks: map[string]func() error{
		"policies": func() error {
			if !loaded.Load() {
				return errors.New("no policies loaded")
			}
			return nil
		},
	}}})
	steps := []struct {
		path, want string
	}{
		{"/healthz", "200 ok"},
		{"/readyz", "500 [+]certificate ok\n[+]listener ok\n[-]policies failed: reason withheld\n[+]shutdown ok\nhealthz check failed"},
		{"/readyz/policies", "500 internal server error: no policies loaded"},
		{"/readyz/certificate", "200 ok"},
		{"/readyz/unknown", "404 404 page not found"},
		{"/", "404 404 page not found"},
	}
	for _, step := range steps {
		if diff := cmp.Diff(step.want, p.probe(step.path)); diff != "" {
			t.Errorf("%s mismatch (-want +got):\n%s", step.path, diff)
		}
	}

	loaded.Store(true)
	want := "200 [+]certificate ok\n[+]listener ok\n[+]policies ok\n[+]shutdown ok\nhealthz check passed"
	if diff := cmp.Diff(want, p.probe("/readyz?verbose")); diff != "" {
		t.Errorf("/readyz?verbose mismatch (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("200 ok", p.probe("/readyz")); diff != "" {
		t.Errorf("/readyz mismatch (-want +got):\n%s", diff)
	}
}

func TestAnExpiredCertificateIsNotReadyUntilItIsReplaced(t *testing.T) {
	t.Parallel()
	expired := time.Now().Add(-time.Hour).Truncate(time.Second)
	p := start(t, setup{notAfter: expired})

	if got := p.probe("/readyz"); !strings.Contains(got, "[-]certificate failed") {
		t.Errorf("/readyz = %q, want a failed certificate", got)
	}
	want := "500 internal server error: serving certificate expired at " + expired.UTC().Format(time.RFC3339) + ": renew tls.crt in " + p.certDir
	if diff := cmp.Diff(want, p.probe("/readyz/certificate")); diff != "" {
		t.Errorf("/readyz/certificate mismatch (-want +got):\n%s", diff)
	}
	if got := p.probe("/healthz"); got != "200 ok" {
		t.Errorf("/healthz = %q: a restart renews no certificate", got)
	}
	if got := p.get(p.MetricsAddr(), "/metrics"); !strings.Contains(got, "\nplainspec_ready 0") {
		t.Errorf("the metrics do not say that it is not ready:\n%s", got)
	}

	p.writeCertificate(p.certDir, time.Now().Add(time.Hour))
	p.eventually("the server is ready with the renewed certificate", func() bool { return p.probe("/readyz") == "200 ok" })
	if got, err := p.post(p.client(nil), "", "{}"); err != nil || got != "200 admitted" {
		t.Errorf("post = %q, %v", got, err)
	}
}

func TestMetricsShowReviews(t *testing.T) {
	t.Parallel()
	p := start(t, setup{})
	if got, err := p.post(p.client(nil), "", "{}"); err != nil || got != "200 admitted" {
		t.Fatalf("post = %q, %v", got, err)
	}
	want := []string{
		"plainspec_ready 1",
		"plainspec_http_requests_in_flight 0",
		"plainspec_http_requests_waiting 0",
		`plainspec_http_request_duration_seconds_bucket{code="200",le="0.00025"}`,
		`plainspec_http_request_duration_seconds_bucket{code="200",le="10"} 1`,
		"plainspec_http_requests_overloaded_total 0",
		"plainspec_http_panics_total 0",
	}
	// A request is counted when its answer is complete, which may be after the client has read it.
	p.eventually("/metrics shows "+strings.Join(want, ", "), func() bool {
		got := p.get(p.MetricsAddr(), "/metrics")
		return !slices.ContainsFunc(want, func(line string) bool { return !strings.Contains(got, line) })
	})
}

func TestProbesAndMetricsCanBeOff(t *testing.T) {
	t.Parallel()
	p := start(t, setup{options: server.Options{ProbeBindAddress: server.Off, MetricsBindAddress: server.Off}})
	if p.ProbeAddr() != nil || p.MetricsAddr() != nil {
		t.Errorf("ProbeAddr(), MetricsAddr() = %v, %v; want none", p.ProbeAddr(), p.MetricsAddr())
	}
	if got, err := p.post(p.client(nil), "", "{}"); err != nil || got != "200 admitted" {
		t.Errorf("post = %q, %v", got, err)
	}
}
