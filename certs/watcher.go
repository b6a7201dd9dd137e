// Package certs keeps the server's serving certificate: it reloads the files when they are renewed, says how long the
// certificate is valid, and makes certificates for local clusters and tests.
package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// Options configures a Watcher.
type Options struct {
	// Dir is the directory that holds tls.crt and tls.key. Required.
	Dir string
	// Logger is told of each certificate that is loaded. Default: no log.
	Logger logr.Logger
	// Registerer receives the gauge plainspec_certificate_expiry_timestamp_seconds. Default: no metric.
	Registerer prometheus.Registerer
}

// Watcher serves the certificate of a directory, and its successors without a restart. It is safe for concurrent use.
type Watcher struct {
	dir     string
	log     logr.Logger
	watcher *certwatcher.CertWatcher
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
	w := &Watcher{dir: o.Dir, log: o.Logger, watcher: watcher}
	if o.Registerer != nil {
		gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "plainspec_certificate_expiry_timestamp_seconds",
			Help: "When the serving certificate expires, in seconds since 1970.",
		}, func() float64 { return float64(w.NotAfter().Unix()) })
		if err := o.Registerer.Register(gauge); err != nil {
			return nil, fmt.Errorf("register certificate metric: %w", err)
		}
	}
	return w, nil
}

// Run reloads the certificate whenever its files change, until ctx ends. Files that cannot be used are logged and leave
// the certificate that is being served in place.
func (w *Watcher) Run(ctx context.Context) error {
	// The callback is called at once for the certificate that is there. It runs under the watcher's lock, so it must
	// not ask the watcher for anything.
	w.watcher.RegisterCallback(func(certificate tls.Certificate) {
		leaf := certificate.Leaf
		if err := w.check(certificate, time.Now()); err != nil {
			w.log.Error(err, "unusable serving certificate loaded", "notAfter", leaf.NotAfter, "dnsNames", leaf.DNSNames)
			return
		}
		w.log.Info("serving certificate loaded", "notAfter", leaf.NotAfter, "dnsNames", leaf.DNSNames)
	})
	if err := w.watcher.Start(ctx); err != nil {
		return fmt.Errorf("watch serving certificate in %s: %w", w.dir, err)
	}
	return nil
}

// GetCertificate returns the current certificate, in the form that tls.Config asks for.
func (w *Watcher) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return w.watcher.GetCertificate(hello)
}

// NotAfter returns when the current certificate expires.
func (w *Watcher) NotAfter() time.Time {
	return w.current().Leaf.NotAfter
}

// Check returns an error if the current certificate is not valid at now. The API server refuses such a certificate, so
// the server is not ready.
func (w *Watcher) Check(now time.Time) error {
	return w.check(*w.current(), now)
}

func (w *Watcher) check(certificate tls.Certificate, now time.Time) error {
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

// current returns the certificate being served: never nil and with its leaf parsed, since NewWatcher read one.
func (w *Watcher) current() *tls.Certificate {
	certificate, _ := w.watcher.GetCertificate(nil) // Its error is for other implementations of the callback: here it is always nil.
	return certificate
}
