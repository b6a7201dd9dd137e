package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"plainspec.dev/plainspec/certs"
)

const servingHost = "webhook.plainspec-system.svc"

// configurations plays the API server's webhook configurations called plainspec; nil does not exist.
type configurations struct {
	client.Reader // for the methods that nobody calls

	mu         sync.Mutex
	validating []admissionregistrationv1.WebhookClientConfig
	mutating   []admissionregistrationv1.WebhookClientConfig
	failure    []*admissionregistrationv1.FailurePolicyType // of the validating webhooks; nil beyond
	err        error
	reads      []time.Time
}

// set lets each of two validating webhooks and the mutating one have a CA bundle.
func (c *configurations) set(bundle []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.validating = []admissionregistrationv1.WebhookClientConfig{byService(bundle), byService(bundle)}
	c.mutating = []admissionregistrationv1.WebhookClientConfig{byService(bundle)}
}

func (c *configurations) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func byService(bundle []byte) admissionregistrationv1.WebhookClientConfig {
	return admissionregistrationv1.WebhookClientConfig{
		Service:  &admissionregistrationv1.ServiceReference{Namespace: "plainspec-system", Name: "webhook"},
		CABundle: bundle,
	}
}

func byURL(url string, bundle []byte) admissionregistrationv1.WebhookClientConfig {
	return admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: bundle}
}

// Get implements client.Reader.
func (c *configurations) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	switch object := object.(type) {
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		c.reads = append(c.reads, time.Now())
		if key.Name != "plainspec" || c.validating == nil {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "validatingwebhookconfigurations"}, key.Name)
		}
		for i, reached := range c.validating {
			webhook := admissionregistrationv1.ValidatingWebhook{Name: fmt.Sprintf("v%d.plainspec.dev", i), ClientConfig: reached}
			if i < len(c.failure) {
				webhook.FailurePolicy = c.failure[i]
			}
			object.Webhooks = append(object.Webhooks, webhook)
		}
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		if key.Name != "plainspec" || c.mutating == nil {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "mutatingwebhookconfigurations"}, key.Name)
		}
		for i, reached := range c.mutating {
			object.Webhooks = append(object.Webhooks, admissionregistrationv1.MutatingWebhook{Name: fmt.Sprintf("m%d.plainspec.dev", i), ClientConfig: reached})
		}
	default:
		return fmt.Errorf("nobody asks for %T", object)
	}
	return nil
}

// newTrust runs a Trust until the test ends.
func newTrust(t *testing.T, reader client.Reader, log logr.Logger) *certs.Trust {
	t.Helper()
	trust := certs.NewTrust(certs.TrustOptions{Client: reader, Name: "plainspec", Logger: log})
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	group.Go(func() error { return trust.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Errorf("Run() error = %v", err)
		}
	})
	return trust
}

// said is what Check says now, empty if the certificate is trusted.
func said(trust *certs.Trust, certificate *tls.Certificate) string {
	if err := trust.Check(certificate, time.Now()); err != nil {
		return err.Error()
	}
	return ""
}

func TestTrustSaysWhichWebhookDoesNotTrustTheCertificate(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Group: "admissionregistration.k8s.io", Resource: "validatingwebhookconfigurations"}, "plainspec", errors.New("no"))
	tests := map[string]struct {
		prepare func(t *testing.T, c *configurations, ours *authority)
		want    string
	}{
		"trusted by all": {prepare: func(*testing.T, *configurations, *authority) {}},
		"trusted by a bundle of several authorities": {
			prepare: func(t *testing.T, c *configurations, ours *authority) {
				t.Helper()
				c.set(append(newAuthority(t, "other", time.Now().AddDate(0, 6, 0), nil).bundle, ours.bundle...))
			},
		},
		"called by URL": {
			prepare: func(_ *testing.T, c *configurations, ours *authority) {
				c.validating[0] = byURL("https://"+servingHost+":9443/validate", ours.bundle)
			},
		},
		"called by the URL of another host": {
			prepare: func(_ *testing.T, c *configurations, ours *authority) {
				c.validating[0] = byURL("https://127.0.0.1:9443/validate", ours.bundle)
			},
			want: `webhook "v0.plainspec.dev" of ValidatingWebhookConfiguration "plainspec": the API server refuses the serving certificate: ` +
				"x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
		},
		"called by another Service": {
			prepare: func(_ *testing.T, c *configurations, _ *authority) { c.mutating[0].Service.Name = "plainspec" },
			want: `webhook "m0.plainspec.dev" of MutatingWebhookConfiguration "plainspec": the API server refuses the serving certificate: ` +
				"x509: certificate is valid for webhook.plainspec-system.svc, not plainspec.plainspec-system.svc",
		},
		"a bundle that was not filled in yet": {
			prepare: func(_ *testing.T, c *configurations, _ *authority) { c.validating[1].CABundle = nil },
			want: `webhook "v1.plainspec.dev" of ValidatingWebhookConfiguration "plainspec": its CA bundle is empty: ` +
				"wait for cert-manager's cainjector to fill it in, or look at its log",
		},
		"the bundle of another installation": {
			prepare: func(t *testing.T, c *configurations, _ *authority) {
				t.Helper()
				c.mutating[0].CABundle = newAuthority(t, "other", time.Now().AddDate(0, 6, 0), nil).bundle
			},
			want: `webhook "m0.plainspec.dev" of MutatingWebhookConfiguration "plainspec": its CA bundle does not sign the serving certificate: ` +
				"x509: certificate signed by unknown authority: compare it with ca.crt in the certificate directory",
		},
		"an authority that has expired": {
			prepare: func(*testing.T, *configurations, *authority) { time.Sleep(40 * 24 * time.Hour) },
			want: `webhook "v0.plainspec.dev" of ValidatingWebhookConfiguration "plainspec": its CA bundle's authority "ours" is of no use: ` +
				"x509: certificate has expired or is not yet valid: current time 2000-02-10T00:01:00Z is after 2000-02-01T00:00:00Z" +
				": renew the authority, then the serving certificate",
		},
		"no validating configuration": {
			prepare: func(_ *testing.T, c *configurations, _ *authority) { c.validating = nil },
			want:    `ValidatingWebhookConfiguration "plainspec" does not exist: install it, or name another one with --webhook-configuration`,
		},
		"no mutating configuration": {
			prepare: func(_ *testing.T, c *configurations, _ *authority) { c.mutating = nil },
			want:    `MutatingWebhookConfiguration "plainspec" does not exist: install it, or name another one with --webhook-configuration`,
		},
		"no right to read": {
			prepare: func(_ *testing.T, c *configurations, _ *authority) { c.err = forbidden },
			want: `ValidatingWebhookConfiguration "plainspec" cannot be read: ` + forbidden.Error() +
				": grant the server's service account get on it",
		},
		"an API server that is gone": {
			prepare: func(_ *testing.T, c *configurations, _ *authority) { c.err = errors.New("connection refused") },
			want: `ValidatingWebhookConfiguration "plainspec" cannot be read: connection refused: ` +
				"see whether the API server can be reached from here",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ours := newAuthority(t, "ours", time.Date(2000, 2, 1, 0, 0, 0, 0, time.UTC), nil)
				certificate := ours.sign(t, time.Date(2000, 3, 1, 0, 0, 0, 0, time.UTC))
				c := &configurations{}
				c.set(ours.bundle)
				tc.prepare(t, c, ours)
				trust := newTrust(t, c, logr.Discard())
				time.Sleep(time.Minute)
				if diff := cmp.Diff(tc.want, said(trust, certificate)); diff != "" {
					t.Errorf("Check() mismatch (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTrustFollowsIntermediateAuthorities(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		expiry := time.Now().AddDate(0, 1, 0)
		root := newAuthority(t, "root", expiry, nil)
		certificate := newAuthority(t, "intermediate", expiry, root).sign(t, expiry)
		c := &configurations{}
		c.set(root.bundle)
		trust := newTrust(t, c, logr.Discard())
		time.Sleep(time.Minute)
		if got := said(trust, certificate); got != "" {
			t.Errorf("Check() = %q for a certificate that brings its intermediate", got)
		}
	})
}

// The API server learns of a change a moment after this process may have.
func TestAChangedBundleCountsAfterAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		expiry := time.Now().AddDate(0, 1, 0)
		before, after := newAuthority(t, "before", expiry, nil), newAuthority(t, "after", expiry, nil)
		old, renewed := before.sign(t, expiry), after.sign(t, expiry)
		c := &configurations{}
		c.set(before.bundle)
		trust := newTrust(t, c, logr.Discard())
		const early = `webhook "v0.plainspec.dev" of ValidatingWebhookConfiguration "plainspec": ` +
			"its CA bundle signs the serving certificate since a moment ago: the API server may not know it yet"
		synctest.Wait()
		if diff := cmp.Diff(early, said(trust, old)); diff != "" {
			t.Errorf("Check() right after the start (-want +got):\n%s", diff)
		}
		time.Sleep(3 * time.Second)
		if got := said(trust, old); got != "" {
			t.Errorf("Check() = %q three seconds after the start", got)
		}
		const unsigned = `webhook "v0.plainspec.dev" of ValidatingWebhookConfiguration "plainspec": its CA bundle does not sign the serving certificate: ` +
			"x509: certificate signed by unknown authority: compare it with ca.crt in the certificate directory"

		// An authority is added, as its successor is by cert-manager's cainjector.
		c.set(append(slices.Clone(before.bundle), after.bundle...))
		var heard []string
		for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(250 * time.Millisecond) {
			if got := said(trust, old); got != "" {
				t.Errorf("Check() = %q for the certificate of the authority that was there all the time", got)
			}
			if got := said(trust, renewed); len(heard) == 0 || heard[len(heard)-1] != got {
				heard = append(heard, got)
			}
		}
		if diff := cmp.Diff([]string{unsigned, early, ""}, heard); diff != "" {
			t.Errorf("what Check() says of the new authority's certificate, in order (-want +got):\n%s", diff)
		}

		// One is taken away: what it signed is refused from then on.
		c.set(after.bundle)
		time.Sleep(20 * time.Second)
		if diff := cmp.Diff([]string{unsigned, ""}, []string{said(trust, old), said(trust, renewed)}); diff != "" {
			t.Errorf("Check() of both certificates after the old authority is gone (-want +got):\n%s", diff)
		}
	})
}

func TestAWebhookThatIsCalledElsewhereIsAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		expiry := time.Now().AddDate(0, 1, 0)
		ours := newAuthority(t, "ours", expiry, nil)
		certificate := ours.sign(t, expiry)
		c := &configurations{}
		c.set(ours.bundle)
		trust := newTrust(t, c, logr.Discard())
		time.Sleep(time.Minute)
		if got := said(trust, certificate); got != "" {
			t.Fatalf("Check() = %q", got)
		}
		c.mu.Lock()
		c.mutating[0].Service.Name = "other"
		c.mu.Unlock()
		time.Sleep(time.Minute)
		if got := said(trust, certificate); !strings.HasSuffix(got, "not other.plainspec-system.svc") {
			t.Errorf("Check() = %q, want the Service's name missed in the certificate", got)
		}
	})
}

// What fails closed must not go unanswered because of a webhook that does not.
func TestCheckClosedLooksAtWebhooksThatFailClosed(t *testing.T) {
	t.Parallel()
	closed, open := new(admissionregistrationv1.Fail), new(admissionregistrationv1.Ignore)
	lose := func(i int) func(*configurations) {
		return func(c *configurations) { c.validating[i].CABundle = nil }
	}
	const empty = `webhook "v0.plainspec.dev" of ValidatingWebhookConfiguration "plainspec": its CA bundle is empty: ` +
		"wait for cert-manager's cainjector to fill it in, or look at its log"
	for name, tc := range map[string]struct {
		change func(*configurations)
		want   string
	}{
		"the bundle of one that fails open is lost":   {change: lose(1)},
		"the bundle of one that fails closed is lost": {change: lose(0), want: empty},
		"one is added before its bundle is known": {change: func(c *configurations) {
			c.validating, c.failure = append(c.validating, byService(nil)), append(c.failure, open)
		}},
		"one comes to fail open, then its bundle is lost": {change: func(c *configurations) { c.failure[0] = open; lose(0)(c) }},
		"one comes to fail closed without a bundle":       {change: func(c *configurations) { c.failure[1] = nil; lose(1)(c) }, want: strings.Replace(empty, "v0", "v1", 1)},
		"a configuration is deleted":                      {change: func(c *configurations) { c.validating = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				expiry := time.Now().AddDate(0, 1, 0)
				ours := newAuthority(t, "ours", expiry, nil)
				certificate := ours.sign(t, expiry)
				c := &configurations{failure: []*admissionregistrationv1.FailurePolicyType{closed, open}}
				c.set(ours.bundle)
				trust := newTrust(t, c, logr.Discard())
				time.Sleep(time.Minute)
				if err := trust.CheckClosed(certificate, time.Now()); err != nil {
					t.Fatalf("CheckClosed() error = %v", err)
				}
				c.mu.Lock()
				tc.change(c)
				c.mu.Unlock()
				time.Sleep(time.Minute)
				got := ""
				if err := trust.CheckClosed(certificate, time.Now()); err != nil {
					got = err.Error()
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("CheckClosed() mismatch (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTrustKeepsWhatItKnowsWhileTheAPIServerIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours := newAuthority(t, "ours", time.Now().AddDate(0, 1, 0), nil)
		certificate := ours.sign(t, time.Now().AddDate(0, 1, 0))
		c := &configurations{}
		c.set(ours.bundle)
		var log bytes.Buffer
		trust := newTrust(t, c, logr.FromSlogHandler(slog.NewTextHandler(&log, nil)))
		time.Sleep(time.Minute)

		c.fail(errors.New("connection refused"))
		time.Sleep(time.Hour)
		if got := said(trust, certificate); got != "" {
			t.Errorf("Check() = %q, want what was known before the API server went away", got)
		}
		c.fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		var messages []string
		for line := range strings.Lines(log.String()) {
			_, message, _ := strings.Cut(strings.TrimSpace(line), "level=")
			messages = append(messages, message)
		}
		want := []string{
			`ERROR msg="cannot read webhook configuration" err="connection refused" kind=ValidatingWebhookConfiguration name=plainspec`,
			`ERROR msg="cannot read webhook configuration" err="connection refused" kind=MutatingWebhookConfiguration name=plainspec`,
			`INFO msg="read webhook configuration again" kind=ValidatingWebhookConfiguration name=plainspec`,
			`INFO msg="read webhook configuration again" kind=MutatingWebhookConfiguration name=plainspec`,
		}
		if diff := cmp.Diff(want, messages); diff != "" {
			t.Errorf("log mismatch (-want +got):\n%s", diff)
		}
	})
}

func TestTrustLooksOftenOnlyWhileSomebodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours := newAuthority(t, "ours", time.Now().AddDate(0, 1, 0), nil)
		certificate := ours.sign(t, time.Now().AddDate(0, 1, 0))
		c := &configurations{}
		c.set(nil)
		trust := newTrust(t, c, logr.Discard())
		time.Sleep(500 * time.Millisecond) // so that what follows never happens at the moment of a look
		looks := func() int {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.reads = nil
			c.mu.Unlock()
			for range 60 {
				time.Sleep(time.Second)
				_ = trust.Check(certificate, time.Now())
			}
			c.mu.Lock()
			return len(c.reads)
		}
		if got := looks(); got < 55 {
			t.Errorf("%d looks in a minute without trust, want one each second", got)
		}
		c.set(ours.bundle)
		time.Sleep(10 * time.Second)
		if got := looks(); got > 7 {
			t.Errorf("%d looks in a minute with trust, want one in ten seconds", got)
		}
	})
}
