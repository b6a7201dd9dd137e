// Package certs keeps the server's serving certificate: it reloads the files when they are renewed, serves a renewed one
// once the API server trusts it, says how long the certificate is valid, describes to cert-manager what it is made from,
// and makes certificates for local clusters and tests.
package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// heldBackPoll is the time between two looks at whether a renewed certificate is trusted. A look makes no call.
const heldBackPoll = time.Second

// Options configures a Watcher.
type Options struct {
	// Dir is the directory that holds tls.crt and tls.key, and may hold ca.crt. Required.
	Dir string
	// Trusted says whether the API server accepts a certificate. Default: it accepts any.
	Trusted Trusted
	// Logger is told of each certificate that is served or held back. Default: no log.
	Logger logr.Logger
	// Registerer receives the gauge plainspec_certificate_days_left. Default: no metric.
	Registerer prometheus.Registerer
}

// Watcher serves the certificate of a directory, and its successors without a restart. It is safe for concurrent use.
//
// A renewed certificate may arrive before the API server trusts who signed it: kubelet brings the one here, and
// cert-manager's cainjector the other there, in any order. So it is held back until it is trusted, for as long as the one
// before it is valid and trusted itself.
type Watcher struct {
	dir     string
	trusted Trusted
	log     logr.Logger
	watcher *certwatcher.CertWatcher
	served  atomic.Pointer[tls.Certificate]
	// wasTrusted says that the API server once trusted a certificate of this process for all webhooks.
	wasTrusted atomic.Bool
}

// NewWatcher reads the certificate in o.Dir. A missing or broken certificate is an error; an expired one is not, because
// whoever renews it must not have to restart the server too: until then Check returns an error. Run keeps the certificate
// up to date.
func NewWatcher(o Options) (*Watcher, error) {
	certificate, key := filepath.Join(o.Dir, CertificateFile), filepath.Join(o.Dir, KeyFile)
	watcher, err := certwatcher.New(certificate, key)
	if pathErr := new(fs.PathError); errors.As(err, &pathErr) && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load serving certificate: %s does not exist: put %s and %s into %s, or choose another directory with --certificate-dir",
			pathErr.Path, CertificateFile, KeyFile, o.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("load serving certificate from %s and %s: %w", certificate, key, err)
	}
	if o.Trusted == nil {
		o.Trusted = trustAll{}
	}
	w := &Watcher{dir: o.Dir, trusted: o.Trusted, log: o.Logger, watcher: watcher}
	w.served.Store(w.loaded())
	if o.Registerer != nil {
		if err := o.Registerer.Register(&expiryCollector{watcher: w}); err != nil {
			return nil, fmt.Errorf("register certificate metric: %w", err)
		}
	}
	return w, nil
}

// trustAll is for a server that is not told by which webhook configurations it is called.
type trustAll struct{}

// Check implements Trusted.
func (trustAll) Check(*tls.Certificate, time.Time) error { return nil }

// CheckClosed implements Trusted.
func (trustAll) CheckClosed(*tls.Certificate, time.Time) error { return nil }

// Run reloads the certificate whenever its files change, until ctx ends. Files that cannot be used are logged and leave
// the certificate that is being served in place.
func (w *Watcher) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	// The callback is called at once for the certificate that is there, under the watcher's lock, and later from
	// goroutines of which nobody knows the order: so it only wakes who looks.
	w.watcher.RegisterCallback(func(tls.Certificate) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := w.watcher.Start(ctx); err != nil {
			return fmt.Errorf("watch serving certificate in %s: %w", w.dir, err)
		}
		return nil
	})
	group.Go(func() error {
		w.follow(ctx, changed)
		return nil
	})
	return group.Wait()
}

// follow serves what is loaded as soon as it may be.
func (w *Watcher) follow(ctx context.Context, changed <-chan struct{}) {
	ticker := time.NewTicker(heldBackPoll)
	defer ticker.Stop()
	w.announce(time.Now())
	var held *tls.Certificate // has been announced
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-ticker.C:
		}
		now, loaded := time.Now(), w.loaded()
		if loaded == w.served.Load() {
			continue
		}
		if err := w.mayServe(loaded, now); err != nil {
			if held != loaded {
				w.log.Info("renewed certificate held back", "reason", err.Error(), "notAfter", loaded.Leaf.NotAfter, "serial", serial(loaded))
			}
			held = loaded
			continue
		}
		w.served.Store(loaded)
		w.announce(now)
	}
}

// mayServe returns why the certificate is not to be served yet. If the one that is served is of no use, any other is
// as good.
func (w *Watcher) mayServe(certificate *tls.Certificate, now time.Time) error {
	if w.usable(w.served.Load(), now) != nil {
		return nil //nolint:nilerr // it is the other certificate's
	}
	return w.usable(certificate, now)
}

func (w *Watcher) usable(certificate *tls.Certificate, now time.Time) error {
	if err := w.check(certificate, now); err != nil {
		return err
	}
	return w.trusted.Check(certificate, now)
}

// announce logs which certificate is served.
func (w *Watcher) announce(now time.Time) {
	served := w.served.Load()
	values := []any{"notAfter", served.Leaf.NotAfter, "dnsNames", served.Leaf.DNSNames, "serial", serial(served)}
	if err := w.check(served, now); err != nil {
		w.log.Error(err, "unusable serving certificate loaded", values...)
		return
	}
	w.log.Info("serving certificate loaded", values...)
}

// serial is how tools print a serial number.
func serial(certificate *tls.Certificate) string {
	return fmt.Sprintf("%x", certificate.Leaf.SerialNumber)
}

// GetCertificate returns the certificate to serve, in the form that tls.Config asks for.
func (w *Watcher) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return w.served.Load(), nil
}

// NotAfter returns when the certificate that is served expires.
func (w *Watcher) NotAfter() time.Time {
	return w.served.Load().Leaf.NotAfter
}

// Check returns an error if the certificate that is served is not valid at now. The API server refuses such a
// certificate, so the server is not ready.
func (w *Watcher) Check(now time.Time) error {
	return w.check(w.served.Load(), now)
}

// CheckTrust returns an error if the API server does not trust the certificate that is served. It refuses such a
// certificate, so the server is not ready. All webhooks count at first, and those alone that fail closed once all have
// trusted one: a CA bundle that gets lost in another one must not take away the answers to these.
func (w *Watcher) CheckTrust(now time.Time) error {
	served := w.served.Load()
	if w.wasTrusted.Load() {
		return w.trusted.CheckClosed(served, now)
	}
	err := w.trusted.Check(served, now)
	w.wasTrusted.Store(err == nil)
	return err
}

func (w *Watcher) check(certificate *tls.Certificate, now time.Time) error {
	switch leaf := certificate.Leaf; {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("serving certificate expired at %s: renew %s in %s", leaf.NotAfter.UTC().Format(time.RFC3339), CertificateFile, w.dir)
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("serving certificate is not valid before %s: compare the clocks, or renew %s in %s",
			leaf.NotBefore.UTC().Format(time.RFC3339), CertificateFile, w.dir)
	default:
		return nil
	}
}

// loaded returns the newest certificate that could be read: never nil and with its leaf parsed, since NewWatcher read one.
func (w *Watcher) loaded() *tls.Certificate {
	certificate, _ := w.watcher.GetCertificate(nil) // Its error is for other implementations of the callback: here it is always nil.
	return certificate
}
