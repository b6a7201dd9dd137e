package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"plainspec.dev/plainspec/certs"
	"plainspec.dev/plainspec/internal/server"
)

// process is a running server with a client that trusts it.
type process struct {
	*server.Server
	t        *testing.T
	registry *prometheus.Registry
	certDir  string
	roots    *x509.CertPool
	stop     context.CancelFunc // As a signal would.
	done     chan error         // The result of Run.
}

// setup is what a test changes before the server runs.
type setup struct {
	options  server.Options
	notAfter time.Time            // Of the certificate. Default: in an hour.
	prepare  func(*server.Server) // Called between New and Listen.
}

// start runs a server on free ports until the test ends.
func start(t *testing.T, s setup) *process {
	t.Helper()
	p := &process{t: t, registry: prometheus.NewRegistry(), certDir: t.TempDir(), roots: x509.NewCertPool(), done: make(chan error, 1)}
	if s.notAfter.IsZero() {
		s.notAfter = time.Now().Add(time.Hour)
	}
	p.writeCertificate(p.certDir, s.notAfter)
	watcher, err := certs.NewWatcher(certs.Options{Dir: p.certDir})
	if err != nil {
		t.Fatalf("certs.NewWatcher() error = %v", err)
	}
	options := s.options
	options.BindAddress, options.Certificates, options.Registry = "127.0.0.1:0", watcher, p.registry
	if options.ProbeBindAddress == "" {
		options.ProbeBindAddress = "127.0.0.1:0"
	}
	if options.MetricsBindAddress == "" {
		options.MetricsBindAddress = "127.0.0.1:0"
	}
	if options.MaxInFlight == 0 {
		options.MaxInFlight = 8
	}
	if options.Handler == nil {
		options.Handler = answer("admitted")
	}
	p.Server, err = server.New(options)
	if err != nil {
		t.Fatalf("New() error = %v", err)
	}
	if s.prepare != nil {
		s.prepare(p.Server)
	}
	if err := p.Listen(t.Context()); err != nil {
		t.Fatalf("Listen() error = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.stop = cancel
	var group errgroup.Group
	group.Go(func() error { return watcher.Run(ctx) })
	group.Go(func() error {
		p.done <- p.Run(ctx)
		close(p.done)
		return nil
	})
	t.Cleanup(func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Errorf("watch certificates: %v", err)
		}
	})
	p.eventually("the listener is ready", func() bool {
		return options.ProbeBindAddress == server.Off || p.probe("/readyz/listener") == "200 ok"
	})
	return p
}

func answer(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

// writeCertificate writes a certificate into dir and makes the process's clients trust it.
func (p *process) writeCertificate(dir string, notAfter time.Time) {
	p.t.Helper()
	caBundle, err := certs.WriteLocal(dir, certs.LocalOptions{
		Hosts:     []string{"127.0.0.1"},
		NotBefore: notAfter.Add(-24 * time.Hour),
		NotAfter:  notAfter,
	})
	if err != nil {
		p.t.Fatalf("certs.WriteLocal() error = %v", err)
	}
	p.roots.AppendCertsFromPEM(caBundle)
}

// client returns a client with connections of its own, which end with the test.
func (p *process) client(change func(*tls.Config)) *http.Client {
	config := &tls.Config{RootCAs: p.roots}
	if change != nil {
		change(config)
	}
	transport := &http.Transport{TLSClientConfig: config}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// post sends a review and returns "CODE body", or the error.
func (p *process) post(client *http.Client, query, body string) (string, error) {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost,
		"https://"+p.Addr().String()+"/validate"+query, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	return do(client, request)
}

// probe gets path from the probes and returns "CODE body", or the error's text.
func (p *process) probe(path string) string {
	return p.get(p.ProbeAddr(), path)
}

func (p *process) get(address net.Addr, path string) string {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+address.String()+path, http.NoBody)
	if err != nil {
		return err.Error()
	}
	got, err := do(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, request)
	if err != nil {
		return err.Error()
	}
	return got
}

func do(client *http.Client, request *http.Request) (string, error) {
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s", response.StatusCode, strings.TrimSpace(string(body))), err
}

// eventually waits until condition holds.
func (p *process) eventually(what string, condition func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// metric returns the value of the counter or gauge, or the count of the histogram, summed over labels.
func (p *process) metric(name string) float64 {
	p.t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		p.t.Fatalf("gather metrics: %v", err)
	}
	var sum float64
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name {
				sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func TestOnlyTLS13AndHTTP11AreSpoken(t *testing.T) {
	t.Parallel()
	p := start(t, setup{})
	tests := map[string]struct {
		config  func(*tls.Config)
		wantErr string
	}{
		"TLS 1.3 is answered": {},
		"TLS 1.2 is refused": {
			config:  func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
			wantErr: "tls: protocol version not supported",
		},
		"HTTP/2 is refused": {
			config:  func(c *tls.Config) { c.NextProtos = []string{"h2"} },
			wantErr: "tls: no application protocol",
		},
		"a client that does not know the authority is told by its own library": {
			config:  func(c *tls.Config) { c.RootCAs = x509.NewCertPool() },
			wantErr: "x509: certificate signed by unknown authority",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := p.post(p.client(tc.config), "", "{}")
			if tc.wantErr == "" {
				if err != nil || got != "200 admitted" {
					t.Errorf("post = %q, %v; want 200 admitted", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("post error = %v, want %q", err, tc.wantErr)
			}
		})
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	p := start(t, setup{options: server.Options{
		DrainPeriod: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("slow") != "" {
				close(arrived)
				<-release
			}
			if err := r.Context().Err(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			_, _ = io.WriteString(w, "admitted")
		}),
	}})
	kept := p.client(nil) // Keeps its connection from before the drain.
	if got, err := p.post(kept, "", "{}"); err != nil || got != "200 admitted" {
		t.Fatalf("before the drain: %q, %v", got, err)
	}
	var group errgroup.Group
	group.Go(func() error {
		got, err := p.post(p.client(nil), "?timeout=30s&slow=1", "{}")
		if err != nil || got != "200 admitted" {
			return fmt.Errorf("the request in flight got %q, %w", got, err)
		}
		return nil
	})
	<-arrived
	if got := p.probe("/readyz"); got != "200 ok" {
		t.Errorf("/readyz before the drain = %q", got)
	}

	p.stop()
	p.eventually("readiness turns false", func() bool { return strings.HasPrefix(p.probe("/readyz"), "500") })
	if got := p.probe("/readyz/shutdown"); got != "500 internal server error: shutting down" {
		t.Errorf("/readyz/shutdown = %q", got)
	}
	if got := p.probe("/healthz"); got != "200 ok" {
		t.Errorf("/healthz during the drain = %q: the kubelet would kill reviews in flight", got)
	}
	if got, err := p.post(kept, "", "{}"); err != nil || got != "200 admitted" {
		t.Errorf("a kept connection during the drain got %q, %v", got, err)
	}
	if got, err := p.post(p.client(nil), "", "{}"); err != nil || got != "200 admitted" {
		t.Errorf("a new connection during the drain got %q, %v", got, err)
	}

	p.eventually("new connections are refused after the drain period", func() bool {
		_, err := p.post(p.client(nil), "", "{}")
		return err != nil && strings.Contains(err.Error(), "connection refused")
	})
	close(release)
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if err := <-p.done; err != nil {
		t.Errorf("Run() error = %v", err)
	}
	if got := p.probe("/healthz"); !strings.Contains(got, "connection refused") {
		t.Errorf("/healthz after the drain = %q", got)
	}
}

func TestConnectionsAreGivenBackWhileDraining(t *testing.T) {
	t.Parallel()
	p := start(t, setup{options: server.Options{DrainPeriod: 5 * time.Second}})
	closes := func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+p.Addr().String(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := p.client(nil).Do(request)
		if err != nil {
			t.Fatalf("post error = %v", err)
		}
		return errors.Join(response.Body.Close()) == nil && response.Close
	}
	if closes() {
		t.Error("the connection is closed although nothing drains")
	}
	p.stop()
	p.eventually("the answer closes its connection", closes)
}

func TestRequestsThatOutlastTheDrainAreCutOff(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	p := start(t, setup{
		prepare: func(s *server.Server) { s.Shorten(0, 50*time.Millisecond, 0) },
		options: server.Options{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			close(arrived)
			<-release
		})},
	})
	t.Cleanup(func() { close(release) })
	var group errgroup.Group
	group.Go(func() error {
		got, err := p.post(p.client(nil), "", "{}")
		if err == nil {
			return fmt.Errorf("the request got %q, want a broken connection", got)
		}
		return nil
	})
	<-arrived
	p.stop()
	err := <-p.done
	if want := "stop reviews: requests still in flight after 50ms were cut off"; err == nil || err.Error() != want {
		t.Errorf("Run() error = %v, want %q", err, want)
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestListenNamesTheTakenAddressAndTheFlag(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	tests := map[string]struct {
		change func(*server.Options)
		want   string
	}{
		"reviews": {
			change: func(o *server.Options) { o.BindAddress = taken.Addr().String() },
			want:   "listen on ADDRESS: address already in use: choose another address with --bind-address",
		},
		"probes": {
			change: func(o *server.Options) { o.ProbeBindAddress = taken.Addr().String() },
			want:   "listen on ADDRESS: address already in use: choose another address with --health-probe-bind-address",
		},
		"metrics": {
			change: func(o *server.Options) { o.MetricsBindAddress = taken.Addr().String() },
			want:   "listen on ADDRESS: address already in use: choose another address with --metrics-bind-address",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := validOptions()
			tc.change(&options)
			s, err := server.New(options)
			if err != nil {
				t.Fatalf("New() error = %v", err)
			}
			err = s.Listen(t.Context())
			if err == nil {
				t.Fatal("Listen() error = nil")
			}
			if diff := cmp.Diff(tc.want, strings.ReplaceAll(err.Error(), taken.Addr().String(), "ADDRESS")); diff != "" {
				t.Errorf("Listen() error mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

// always is a source of certificates that are never asked for.
type always struct{}

func (always) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return nil, errors.New("none")
}

func (always) Check(time.Time) error { return nil }

func validOptions() server.Options {
	return server.Options{
		BindAddress:        "127.0.0.1:0",
		MetricsBindAddress: server.Off,
		ProbeBindAddress:   server.Off,
		MaxInFlight:        1,
		Handler:            answer("admitted"),
		Certificates:       always{},
		Registry:           prometheus.NewRegistry(),
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change  func(*server.Options)
		wantErr string
	}{
		"no handler":             {change: func(o *server.Options) { o.Handler = nil }, wantErr: "configure server: no handler"},
		"no certificates":        {change: func(o *server.Options) { o.Certificates = nil }, wantErr: "configure server: no certificates"},
		"no registry":            {change: func(o *server.Options) { o.Registry = nil }, wantErr: "configure server: no metrics registry"},
		"no address":             {change: func(o *server.Options) { o.BindAddress = "" }, wantErr: "configure server: no bind address"},
		"no address for probes":  {change: func(o *server.Options) { o.ProbeBindAddress = "" }, wantErr: "configure server: no address for probes or metrics: set one, or Off"},
		"nothing may be handled": {change: func(o *server.Options) { o.MaxInFlight = 0 }, wantErr: "configure server: max in flight is 0, must be at least 1"},
		"a drain into the past":  {change: func(o *server.Options) { o.DrainPeriod = -time.Second }, wantErr: "configure server: drain period is -1s, must not be negative"},
		"metrics that are taken": {
			change: func(o *server.Options) {
				if _, err := server.New(*o); err != nil {
					panic(err)
				}
			},
			wantErr: "register server metrics: duplicate metrics collector registration attempted",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := validOptions()
			tc.change(&options)
			_, err := server.New(options)
			if err == nil {
				t.Fatal("New() error = nil")
			}
			if diff := cmp.Diff(tc.wantErr, err.Error()); diff != "" {
				t.Errorf("New() error mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunNeedsListen(t *testing.T) {
	t.Parallel()
	s, err := server.New(validOptions())
	if err != nil {
		t.Fatalf("New() error = %v", err)
	}
	if err := s.Run(t.Context()); err == nil || err.Error() != "run server: not listening" {
		t.Errorf("Run() error = %v", err)
	}
}

func TestARenewedCertificateIsServedUnderLoadWithoutAFailure(t *testing.T) {
	t.Parallel()
	p := start(t, setup{})
	renewed := time.Now().Add(10 * time.Hour).Truncate(time.Second)
	next := t.TempDir()
	p.writeCertificate(next, renewed) // Trusted before it is served, as a rotated caBundle must be.

	var seen, sent atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: p.roots}}}
			for ctx.Err() == nil {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+p.Addr().String(), http.NoBody)
				if err != nil {
					return err
				}
				response, err := client.Do(request)
				if err != nil {
					return err
				}
				if err := response.Body.Close(); err != nil {
					return err
				}
				sent.Add(1)
				if response.TLS.PeerCertificates[0].NotAfter.Equal(renewed) {
					seen.Add(1)
				}
			}
			return nil
		})
	}
	p.eventually("requests are answered", func() bool { return sent.Load() > 10 })
	for _, name := range []string{certs.KeyFile, certs.CertificateFile} {
		if err := os.Rename(filepath.Join(next, name), filepath.Join(p.certDir, name)); err != nil {
			t.Fatal(err)
		}
	}
	p.eventually("the renewed certificate is served", func() bool { return seen.Load() > 10 })
	cancel()
	if err := group.Wait(); err != nil {
		t.Errorf("a request failed during the renewal: %v", err)
	}
}
