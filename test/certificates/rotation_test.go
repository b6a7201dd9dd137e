package certificates_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"plainspec.dev/plainspec/certs"
	"plainspec.dev/plainspec/internal/workload"
)

const (
	serving   = name + "-serving"
	authority = name + "-ca"
)

// The whole life of the certificates, with reviews all the time: not one may fail.
func TestCertificatesAreIssuedAndRenewedWithoutAFailingReview(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.mount(t, i.secret(t, serving))
	i.startServer(t)
	i.becomesReadyOnlyWhenItIsTrusted(t)

	stop := i.reviewAllTheTime(t)
	i.renewsTheLeaf(t)
	i.renewsTheAuthorityAndTheSecretComesFirst(t)
	i.renewsTheAuthorityAndTheSecretComesLast(t)
	stop()
	for _, failure := range regexp.MustCompile(`(?m)^apiserver_admission_webhook_(fail_open_count|rejection_count)\{.*$`).FindAllString(i.apiServerMetrics(t), -1) {
		if !strings.Contains(failure, `error_type="no_error"`) {
			t.Errorf("the API server counts a call that failed: %s", failure)
		}
	}

	i.saysThatABundleIsWrong(t)
}

// saysWhy waits until a text is why the server is not ready.
func (i *installation) saysWhy(t *testing.T, want string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(patience); got != want && time.Now().Before(deadline); time.Sleep(pollInterval) {
		got = i.ready(t.Context(), "/trust")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("/readyz/trust mismatch (-want +got):\n%s", diff)
	}
	if i.ready(t.Context(), "") == "" {
		t.Error("/readyz says that the server is ready")
	}
}

func (i *installation) becomesReady(t *testing.T) {
	t.Helper()
	eventually(t, "the server is ready", func() error {
		if why := i.ready(t.Context(), "?verbose"); why != "" {
			return errors.New(why)
		}
		return nil
	})
}

func (i *installation) becomesReadyOnlyWhenItIsTrusted(t *testing.T) {
	t.Helper()
	i.saysWhy(t, `ValidatingWebhookConfiguration "plainspec" does not exist: install it, or name another one with --webhook-configuration`)
	i.register(t)
	i.saysWhy(t, `webhook "break-glass.validate.plainspec.dev" of ValidatingWebhookConfiguration "plainspec": its CA bundle is empty: `+
		`wait for cert-manager's cainjector to fill it in, or look at its log`)
	i.edit(t, func(annotations map[string]string, _ []*admissionregistrationv1.WebhookClientConfig) {
		annotations["cert-manager.io/inject-ca-from"] = namespace + "/" + certs.ServingName(name)
	})
	i.becomesReady(t)
	// From here on, no review may fail, not even the first.
	if err := i.review(t.Context()); err != nil {
		t.Errorf("the first review after the server was ready: %v", err)
	}
}

func (i *installation) renewsTheLeaf(t *testing.T) {
	t.Helper()
	before := i.served(t)
	renewed := i.renew(t, serving)
	i.mount(t, renewed)
	i.serves(t, renewed)
	if i.served(t) == before || i.authorities(t) != 1 {
		t.Errorf("serves %s after %s, by %d authorities; want another certificate of the same authority", i.served(t), before, i.authorities(t))
	}
}

// renewAuthority makes a new authority with a new key, and a leaf that it signed.
func (i *installation) renewAuthority(t *testing.T) *corev1.Secret {
	t.Helper()
	before, count := i.secret(t, authority), i.authorities(t)
	after := i.renew(t, authority)
	oldKey, newKey := parse(t, before).PublicKey.(*ecdsa.PublicKey), parse(t, after).PublicKey.(*ecdsa.PublicKey) //nolint:forcetypeassert // a panic would say so
	if oldKey.Equal(newKey) {
		t.Error("the new authority has the old one's key")
	}
	if i.authorities(t) != count {
		t.Error("the authority is in the CA bundle before anything was signed by it")
	}
	renewed := i.renew(t, serving)
	leaf, signer := parse(t, renewed), parse(t, after)
	if err := leaf.CheckSignatureFrom(signer); err != nil {
		t.Errorf("the leaf is not signed by the new authority: %v", err)
	}
	if !leaf.NotAfter.Before(signer.NotAfter) {
		t.Errorf("the leaf is valid until %s, the authority until %s", leaf.NotAfter, signer.NotAfter)
	}
	return renewed
}

// kubelet brings the Secret before the cainjector, which pauses, has written the new authority.
func (i *installation) renewsTheAuthorityAndTheSecretComesFirst(t *testing.T) {
	t.Helper()
	before := i.served(t)
	if err := i.certManager.CAInjector.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	renewed := i.renewAuthority(t)
	i.mount(t, renewed)
	eventually(t, "the renewed certificate is held back", func() error {
		if !strings.Contains(i.log(t), `"msg":"renewed certificate held back"`) {
			return errors.New("the log does not say so")
		}
		return nil
	})
	time.Sleep(5 * time.Second) // It looks each second.
	i.isReviewed(t)
	if got := i.served(t); got != before {
		t.Errorf("serves %s, which the API server cannot trust, instead of %s", got, before)
	}
	if why := i.ready(t.Context(), "?verbose"); why != "" {
		t.Errorf("the server is not ready while it serves the certificate from before: %s", why)
	}
	if err := i.certManager.CAInjector.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	i.serves(t, renewed)
	if got := i.authorities(t); got != 2 {
		t.Errorf("%d authorities in the CA bundle, want the new one beside the old one", got)
	}
}

// kubelet brings the Secret when the new authority has been in the webhook configurations for long.
func (i *installation) renewsTheAuthorityAndTheSecretComesLast(t *testing.T) {
	t.Helper()
	before := i.served(t)
	renewed := i.renewAuthority(t)
	eventually(t, "the new authority is in the CA bundle", func() error {
		if got := i.authorities(t); got != 3 {
			return fmt.Errorf("there are %d", got)
		}
		return nil
	})
	i.isReviewed(t)
	if got := i.served(t); got != before {
		t.Errorf("serves %s, which was not mounted, instead of %s", got, before)
	}
	i.mount(t, renewed)
	i.serves(t, renewed)
}

// serves waits until the server serves a Secret's certificate, and has been reviewed with it.
func (i *installation) serves(t *testing.T, secret *corev1.Secret) {
	t.Helper()
	want := serial(t, secret)
	eventually(t, "the renewed certificate is served", func() error {
		if got := i.served(t); got != want {
			return fmt.Errorf("it serves %s, not %s", got, want)
		}
		return nil
	})
	i.isReviewed(t)
	i.becomesReady(t)
}

// isReviewed waits for some more reviews and connections; whether they succeed is seen where they are made.
func (i *installation) isReviewed(t *testing.T) {
	t.Helper()
	reviews, connections := i.reviews.Load()+20, i.connections.Load()+20
	eventually(t, "there were 20 more reviews and connections", func() error {
		if i.reviews.Load() < reviews || i.connections.Load() < connections {
			return fmt.Errorf("there were %d of %d and %d of %d", i.reviews.Load(), reviews, i.connections.Load(), connections)
		}
		return nil
	})
}

func (i *installation) saysThatABundleIsWrong(t *testing.T) {
	t.Helper()
	other, err := certs.WriteLocal(t.TempDir(), certs.LocalOptions{Hosts: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	i.edit(t, func(annotations map[string]string, reached []*admissionregistrationv1.WebhookClientConfig) {
		clear(annotations)
		for _, webhook := range reached {
			webhook.CABundle = other
		}
	})
	i.saysWhy(t, `webhook "roots.validate.plainspec.dev" of ValidatingWebhookConfiguration "plainspec": its CA bundle does not sign the serving certificate: `+
		`x509: certificate signed by unknown authority: compare it with ca.crt in the certificate directory`)
}

// reviewAllTheTime lets people apply things, and another API server connect, until the returned function is called. Each
// review that fails is an error of the test.
func (i *installation) reviewAllTheTime(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	repeat := func(what string, count *atomic.Int64, do func(context.Context) error) {
		group.Go(func() error {
			for ctx.Err() == nil {
				if err := do(ctx); err != nil && ctx.Err() == nil {
					t.Errorf("%s: %s: %v", time.Now().Format(time.TimeOnly), what, err)
				}
				count.Add(1)
				time.Sleep(10 * time.Millisecond) // else it takes the processors from those who renew
			}
			return nil
		})
	}
	for range 3 {
		repeat("a review", &i.reviews, i.review)
	}
	repeat("a new connection", &i.connections, i.lateConnection())
	return func() {
		cancel()
		_ = group.Wait() // nobody returns an error
	}
}

// review lets the API server ask about a Pod that must pass, to be completed and to be judged, and about one that must not.
func (i *installation) review(ctx context.Context) error {
	pod := func(image string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				GenerateName: "review-", Namespace: metav1.NamespaceDefault,
				Annotations: map[string]string{workload.AnnotationPrefix + "probe": "asks for nothing"},
			},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: image}}},
		}
	}
	if err := i.api.Create(ctx, pod("example.com/web:1.0.0"), client.DryRunAll); err != nil {
		return fmt.Errorf("create a Pod that says its version: %w", err)
	}
	if err := i.api.Create(ctx, pod("example.com/web"), client.DryRunAll); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "image.no_version") {
		return fmt.Errorf("create a Pod that does not say its version: error = %w, want its refusal", err)
	}
	return nil
}

// lateConnection makes new connections, as an API server does that is a second late in learning of a CA bundle. The one
// that is running keeps its connections for long, and would show little.
func (i *installation) lateConnection() func(context.Context) error {
	type known struct {
		bundle []byte
		at     time.Time
	}
	var history []known
	return func(ctx context.Context) error {
		bundle, err := i.bundle(ctx)
		if err != nil {
			return err
		}
		history = append(history, known{bundle, time.Now()})
		for len(history) > 1 && time.Since(history[1].at) > time.Second {
			history = history[1:]
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(history[0].bundle)
		dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
		connection, err := dialer.DialContext(ctx, "tcp", i.address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}
