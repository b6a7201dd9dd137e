package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// slowPoll is the time between two looks at the webhook configurations while they trust all that they were asked
	// about. They change a few times a year, and what changes is then noticed by the next probe or two.
	slowPoll = 10 * time.Second
	// fastPoll is the same while somebody waits for a change.
	fastPoll = time.Second
	// readTimeout bounds one look: an API server that does not answer by then is as good as gone.
	readTimeout = 5 * time.Second
	// settle is how long an API server may still use the CA bundle before a change. It learns of one by a watch, in
	// milliseconds, and makes its list of webhooks anew once a second; the rest is for one that is busy.
	settle = 3 * time.Second
)

// Trusted says whether the API server, as its webhook configurations are now, accepts a serving certificate.
type Trusted interface {
	// Check returns an error that says which webhook's CA bundle does not sign the certificate and what to do, or that
	// none is known yet. It makes no call.
	Check(certificate *tls.Certificate, now time.Time) error
	// CheckClosed is Check of those webhooks alone that fail closed: nil if there are none.
	CheckClosed(certificate *tls.Certificate, now time.Time) error
}

// TrustOptions configures a Trust.
type TrustOptions struct {
	// Client reads webhook configurations: its scheme holds admissionregistration.k8s.io/v1, and it may get those called
	// Name. A client with a cache would list them all. Required.
	Client client.Reader
	// Name is the name of the ValidatingWebhookConfiguration and of the MutatingWebhookConfiguration. Required.
	Name string
	// Logger is told when the configurations cannot be read, and when they can again. Default: no log.
	Logger logr.Logger
}

// Trust knows the CA bundles by which the API server verifies the server, and keeps the last known ones while the API
// server is out of reach. It is safe for concurrent use.
type Trust struct {
	log logr.Logger
	// waited is set when a certificate was not trusted since the last look.
	waited atomic.Bool

	mu             sync.Mutex // guards the configurations
	configurations []*configuration
}

// configuration is one webhook configuration as it was read last.
type configuration struct {
	kind, name string
	read       func(ctx context.Context) (map[string]reached, error)

	// known is whether it was ever read, exists whether it was there then.
	known, exists bool
	webhooks      map[string]*webhook
	// err is why it could not be read the last time, nil if it could.
	err error
}

// reached is how a webhook is registered.
type reached struct {
	client  admissionregistrationv1.WebhookClientConfig
	failure *admissionregistrationv1.FailurePolicyType
}

// webhook is how the API server verifies the server for one webhook.
type webhook struct {
	// host is what the certificate must be valid for.
	host   string
	bundle []byte
	roots  *x509.CertPool
	// closed says that the API server refuses what it cannot ask about.
	closed bool
	// before is the bundle that the API server may use until settle after changed; nil if it is not known.
	before  *x509.CertPool
	changed time.Time
}

// NewTrust returns a Trust that knows nothing before Run has looked.
func NewTrust(o TrustOptions) *Trust {
	key := client.ObjectKey{Name: o.Name}
	return &Trust{log: o.Logger, configurations: []*configuration{{
		kind: "ValidatingWebhookConfiguration", name: o.Name,
		read: func(ctx context.Context) (map[string]reached, error) {
			var object admissionregistrationv1.ValidatingWebhookConfiguration
			err := o.Client.Get(ctx, key, &object)
			registered := map[string]reached{}
			for i := range object.Webhooks {
				registered[object.Webhooks[i].Name] = reached{object.Webhooks[i].ClientConfig, object.Webhooks[i].FailurePolicy}
			}
			return registered, err
		},
	}, {
		kind: "MutatingWebhookConfiguration", name: o.Name,
		read: func(ctx context.Context) (map[string]reached, error) {
			var object admissionregistrationv1.MutatingWebhookConfiguration
			err := o.Client.Get(ctx, key, &object)
			registered := map[string]reached{}
			for i := range object.Webhooks {
				registered[object.Webhooks[i].Name] = reached{object.Webhooks[i].ClientConfig, object.Webhooks[i].FailurePolicy}
			}
			return registered, err
		},
	}}}
}

// Run keeps the CA bundles up to date until ctx ends.
func (t *Trust) Run(ctx context.Context) error {
	for {
		t.waited.Store(false)
		for _, c := range t.configurations {
			t.look(ctx, c)
		}
		if !t.rest(ctx) {
			return nil
		}
	}
}

// rest waits until the next look is due, and returns false if ctx ends first.
func (t *Trust) rest(ctx context.Context) bool {
	ticker := time.NewTicker(fastPoll)
	defer ticker.Stop()
	for rested := fastPoll; ; rested += fastPoll {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
			if t.waited.Load() || rested >= slowPoll {
				return true
			}
		}
	}
}

// look reads a configuration once. That it does not exist is an answer, too; after any other error, what was known
// is still true as far as anybody knows.
func (t *Trust) look(ctx context.Context, c *configuration) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	registered, err := c.read(bounded)
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	failed := err != nil && !apierrors.IsNotFound(err)
	switch {
	case failed && c.err == nil:
		t.log.Error(err, "cannot read webhook configuration", "kind", c.kind, "name", c.name)
	case !failed && c.err != nil:
		t.log.Info("read webhook configuration again", "kind", c.kind, "name", c.name)
	}
	if failed {
		c.err = err
		return
	}
	c.err, c.known, c.exists = nil, true, err == nil
	c.learn(registered, time.Now())
}

// learn takes over how the API server reaches each webhook.
func (c *configuration) learn(registered map[string]reached, now time.Time) {
	webhooks := make(map[string]*webhook, len(registered))
	for name, r := range registered {
		closed := r.failure == nil || *r.failure == admissionregistrationv1.Fail // as the API server's default is
		current := &webhook{host: host(&r.client), bundle: r.client.CABundle, closed: closed, changed: now}
		if previous := c.webhooks[name]; previous != nil && previous.host == current.host {
			if bytes.Equal(previous.bundle, current.bundle) {
				previous.closed = closed
				webhooks[name] = previous
				continue
			}
			current.before = previous.roots
		}
		current.roots = x509.NewCertPool()
		current.roots.AppendCertsFromPEM(current.bundle)
		webhooks[name] = current
	}
	c.webhooks = webhooks
}

// host is the name for which the API server verifies a webhook's certificate.
func host(reached *admissionregistrationv1.WebhookClientConfig) string {
	if service := reached.Service; service != nil {
		return service.Name + "." + service.Namespace + ".svc"
	}
	if reached.URL == nil {
		return ""
	}
	address, err := url.Parse(*reached.URL)
	if err != nil {
		return "" // The API server has accepted it, so this does not happen.
	}
	return address.Hostname()
}

// Check implements Trusted. For some seconds after a CA bundle has changed, the one before must sign the certificate, too,
// since the API server may still use it; a bundle that is new to this process counts as changed.
func (t *Trust) Check(certificate *tls.Certificate, now time.Time) error {
	return t.each(func(c *configuration) error {
		if err := c.check(); err != nil {
			return err
		}
		return c.checkWebhooks(certificate, now, false)
	})
}

// CheckClosed implements Trusted.
func (t *Trust) CheckClosed(certificate *tls.Certificate, now time.Time) error {
	return t.each(func(c *configuration) error { return c.checkWebhooks(certificate, now, true) })
}

// each checks each configuration, and remembers that somebody waits if one is not as it should be.
func (t *Trust) each(check func(*configuration) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.configurations {
		if err := check(c); err != nil {
			t.waited.Store(true)
			return err
		}
	}
	return nil
}

// check returns an error if the configuration is not known, or not there.
func (c *configuration) check() error {
	switch {
	case !c.known && apierrors.IsForbidden(c.err):
		return fmt.Errorf("%s %q cannot be read: %w: grant the server's service account get on it", c.kind, c.name, c.err)
	case !c.known && c.err != nil:
		return fmt.Errorf("%s %q cannot be read: %w: see whether the API server can be reached from here", c.kind, c.name, c.err)
	case !c.known:
		return fmt.Errorf("%s %q has not been read yet", c.kind, c.name)
	case !c.exists:
		return fmt.Errorf("%s %q does not exist: install it, or name another one with --webhook-configuration", c.kind, c.name)
	}
	return nil
}

func (c *configuration) checkWebhooks(certificate *tls.Certificate, now time.Time, closedOnly bool) error {
	for _, name := range slices.Sorted(maps.Keys(c.webhooks)) {
		if closedOnly && !c.webhooks[name].closed {
			continue
		}
		if err := c.webhooks[name].check(certificate, now); err != nil {
			return fmt.Errorf("webhook %q of %s %q: %w", name, c.kind, c.name, err)
		}
	}
	return nil
}

func (w *webhook) check(certificate *tls.Certificate, now time.Time) error {
	if w.roots.Equal(x509.NewCertPool()) {
		return errors.New("its CA bundle is empty: wait for cert-manager's cainjector to fill it in, or look at its log")
	}
	err := verify(certificate, w.roots, w.host, now)
	unknown, invalid := x509.UnknownAuthorityError{}, x509.CertificateInvalidError{}
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("its CA bundle does not sign the serving certificate: %w: compare it with %s in the certificate directory", err, CAFile)
	case errors.As(err, &invalid) && invalid.Cert.IsCA:
		return fmt.Errorf("its CA bundle's authority %q is of no use: %w: renew the authority, then the serving certificate", invalid.Cert.Subject.CommonName, err)
	case err != nil:
		return fmt.Errorf("the API server refuses the serving certificate: %w", err)
	}
	if now.Sub(w.changed) < settle && (w.before == nil || verify(certificate, w.before, w.host, now) != nil) {
		return errors.New("its CA bundle signs the serving certificate since a moment ago: the API server may not know it yet")
	}
	return nil
}

// verify does what the API server does when it connects.
func verify(certificate *tls.Certificate, roots *x509.CertPool, host string, now time.Time) error {
	intermediates := x509.NewCertPool()
	for _, der := range certificate.Certificate[1:] {
		intermediate, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("parse intermediate certificate: %w", err)
		}
		intermediates.AddCert(intermediate)
	}
	_, err := certificate.Leaf.Verify(x509.VerifyOptions{
		DNSName:       host,
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}
