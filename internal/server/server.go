// Package server runs the HTTP servers of the webhook process: reviews over TLS, probes and metrics. It owns what
// controller-runtime's webhook server leaves no room for: time limits, a bound on concurrent reviews, deadlines that
// follow the API server's, and a drain that answers every request which reaches it.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Off is the address of a server that is not wanted.
const Off = "0"

// Certificates gives the server its certificate.
type Certificates interface {
	// GetCertificate returns the certificate for a new connection.
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Check returns an error if clients refuse the certificate at now.
	Check(now time.Time) error
}

// Options configures a Server.
type Options struct {
	// BindAddress is the host:port of the reviews. Port 0 chooses a free one. Required.
	BindAddress string
	// MetricsBindAddress is the host:port of /metrics, over plain HTTP, or Off. Required.
	MetricsBindAddress string
	// ProbeBindAddress is the host:port of /healthz and /readyz, over plain HTTP, or Off. Required.
	ProbeBindAddress string
	// DrainPeriod is how long new requests are still answered after the context of Run ends. It must be longer than
	// it takes until the API server has learnt that this replica is gone.
	DrainPeriod time.Duration
	// MaxInFlight bounds how many requests are handled at once; more wait for their turn. At least 1.
	MaxInFlight int
	// Handler answers reviews. Its request contexts end at the request's deadline or when the client leaves, not when
	// the server is told to stop. Required.
	Handler http.Handler
	// Overloaded answers a request that got no turn before its deadline. It has the margin that was left for the answer;
	// the request's context is over and its body still unread. Default: status 503.
	Overloaded http.Handler
	// Certificates is where the serving certificate comes from. Required.
	Certificates Certificates
	// Checks must all return nil for the server to be ready, in addition to the server's own checks "certificate",
	// "listener" and "shutdown". They are called for each probe, so they must be quick.
	Checks map[string]func() error
	// Logger is told about starts, stops and broken connections. Default: no log.
	Logger logr.Logger
	// Registry receives the server's metrics and is what /metrics shows. Required.
	Registry metrics.RegistererGatherer
}

// Server is the process's HTTP servers. Listen, then Run, each once.
type Server struct {
	options  Options
	limits   limits
	metrics  *requestMetrics
	reviews  *endpoint
	probes   *endpoint
	scrapes  *endpoint
	serving  atomic.Bool
	draining atomic.Bool
}

// endpoint is one server and its address.
type endpoint struct {
	name     string
	address  string
	flag     string // What the operator changes if the address is taken.
	server   *http.Server
	listener net.Listener
}

// New checks o and makes a Server that does not listen yet.
func New(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("configure server: %w", err)
	}
	requests, err := newRequestMetrics(o.Registry)
	if err != nil {
		return nil, fmt.Errorf("register server metrics: %w", err)
	}
	if o.Overloaded == nil {
		o.Overloaded = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "overloaded", http.StatusServiceUnavailable)
		})
	}
	s := &Server{
		options: o,
		limits:  defaultLimits(),
		metrics: requests,
		reviews: &endpoint{name: "reviews", address: o.BindAddress, flag: "--bind-address"},
		probes:  &endpoint{name: "probes", address: o.ProbeBindAddress, flag: "--health-probe-bind-address"},
		scrapes: &endpoint{name: "metrics", address: o.MetricsBindAddress, flag: "--metrics-bind-address"},
	}
	if err := o.Registry.Register(s.readyMetric()); err != nil {
		return nil, fmt.Errorf("register server metrics: %w", err)
	}
	return s, nil
}

func (o *Options) validate() error {
	switch {
	case o.Handler == nil:
		return errors.New("no handler")
	case o.Certificates == nil:
		return errors.New("no certificates")
	case o.Registry == nil:
		return errors.New("no metrics registry")
	case o.MaxInFlight < 1:
		return fmt.Errorf("max in flight is %d, must be at least 1", o.MaxInFlight)
	case o.DrainPeriod < 0:
		return fmt.Errorf("drain period is %s, must not be negative", o.DrainPeriod)
	case o.BindAddress == "" || o.BindAddress == Off:
		return errors.New("no bind address")
	case o.ProbeBindAddress == "" || o.MetricsBindAddress == "":
		return errors.New("no address for probes or metrics: set one, or Off")
	default:
		return nil
	}
}

// Listen opens all addresses, so that one that is taken is found before anything is promised. From here on clients can
// connect, and wait for Run.
func (s *Server) Listen(ctx context.Context) error {
	var opened []net.Listener
	for _, e := range []*endpoint{s.reviews, s.probes, s.scrapes} {
		if e.address == Off {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", e.address)
		if err != nil {
			for _, other := range opened {
				err = errors.Join(err, other.Close())
			}
			return listenError(e, err)
		}
		e.listener = listener
		opened = append(opened, listener)
	}
	return nil
}

// listenError says which address cannot be had and what to change; the net package says each of it twice.
func listenError(e *endpoint, err error) error {
	reason := err
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		reason = errno
	}
	return fmt.Errorf("listen on %s: %w: choose another address with %s", e.address, reason, e.flag)
}

// Addr returns the address of the reviews, or nil before Listen.
func (s *Server) Addr() net.Addr { return s.reviews.addr() }

// ProbeAddr returns the address of the probes, or nil if they are off or before Listen.
func (s *Server) ProbeAddr() net.Addr { return s.probes.addr() }

// MetricsAddr returns the address of the metrics, or nil if they are off or before Listen.
func (s *Server) MetricsAddr() net.Addr { return s.scrapes.addr() }

func (e *endpoint) addr() net.Addr {
	if e.listener == nil {
		return nil
	}
	return e.listener.Addr()
}

// Run serves until ctx ends, then drains: readiness turns false, new requests are answered for the drain period, those
// in flight finish. It returns nil after a complete drain, and an error if a server broke or requests had to be cut off.
func (s *Server) Run(ctx context.Context) error {
	if s.reviews.listener == nil {
		return errors.New("run server: not listening")
	}
	s.build(ctx)
	// The servers outlive ctx by the drain; group ends early only if one of them breaks.
	group, broken := errgroup.WithContext(context.WithoutCancel(ctx))
	for _, e := range []*endpoint{s.reviews, s.probes, s.scrapes} {
		if e.listener != nil {
			group.Go(func() error { return s.serve(e) })
		}
	}
	group.Go(func() error {
		select {
		case <-ctx.Done():
			s.drain(broken)
		case <-broken.Done():
		}
		return s.stop(context.WithoutCancel(ctx))
	})
	s.serving.Store(true)
	return group.Wait()
}

// build makes the servers, late enough for tests to have changed the limits.
func (s *Server) build(ctx context.Context) {
	// A request's context carries the logger, and does not end when ctx does: reviews in flight finish.
	base := logr.NewContext(context.WithoutCancel(ctx), s.options.Logger)
	s.reviews.server = s.newHTTPServer(base, s.middleware(s.options.Handler))
	s.reviews.server.TLSConfig = &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: s.options.Certificates.GetCertificate,
	}
	s.probes.server = s.newHTTPServer(base, s.probeHandler())
	s.scrapes.server = s.newHTTPServer(base, s.metricsHandler())
}

func (s *Server) newHTTPServer(base context.Context, handler http.Handler) *http.Server {
	// kube-apiserver speaks HTTP/1.1 to webhooks whatever is offered (k8s.io/apiserver/pkg/util/webhook/client.go), so
	// HTTP/2 would only add a protocol's worth of attacks.
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return base },
		Protocols:         protocols,
		ReadHeaderTimeout: s.limits.readHeader,
		ReadTimeout:       s.limits.read,
		WriteTimeout:      s.limits.write,
		IdleTimeout:       s.limits.idle,
		MaxHeaderBytes:    s.limits.headerBytes,
		// Failed handshakes arrive here: with a wrong caBundle they are the only trace on this side.
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(s.options.Logger), slog.LevelInfo),
	}
}

func (s *Server) serve(e *endpoint) error {
	s.options.Logger.Info("serving", "endpoint", e.name, "address", e.listener.Addr().String())
	var err error
	if e.server.TLSConfig != nil {
		err = e.server.ServeTLS(e.listener, "", "")
	} else {
		err = e.server.Serve(e.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s on %s: %w", e.name, e.address, err)
}

// drain answers for the drain period, since the API server keeps sending requests until it has learnt that this replica
// is going. It returns early if a server breaks.
func (s *Server) drain(broken context.Context) {
	s.options.Logger.Info("draining", "period", s.options.DrainPeriod.String())
	s.draining.Store(true)
	timer := time.NewTimer(s.options.DrainPeriod)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-broken.Done():
	}
}

// stop closes the servers: the reviews first, and when they have finished, probes and metrics, which show the drain.
func (s *Server) stop(ctx context.Context) error {
	var errs []error
	for _, e := range []*endpoint{s.reviews, s.probes, s.scrapes} {
		if e.listener == nil {
			continue
		}
		bound := s.limits.probeShutdown
		if e == s.reviews {
			bound = s.limits.reviewShutdown
		}
		if err := e.stop(ctx, bound); err != nil {
			errs = append(errs, err)
		}
	}
	s.options.Logger.Info("stopped")
	return errors.Join(errs...)
}

func (e *endpoint) stop(ctx context.Context, bound time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	err := e.server.Shutdown(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(fmt.Errorf("stop %s: requests still in flight after %s were cut off", e.name, bound), e.server.Close())
	}
	if err != nil {
		return fmt.Errorf("stop %s: %w", e.name, err)
	}
	return nil
}
