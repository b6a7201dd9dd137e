package certificates_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"plainspec.dev/plainspec/certs"
	"plainspec.dev/plainspec/internal/registration"
	"plainspec.dev/plainspec/test/cluster"
)

const (
	// name and namespace are the installation's.
	name      = "plainspec"
	namespace = "plainspec-system"
	// host is where the server is called.
	host = "127.0.0.1"
	// patience bounds every wait: what it waits for takes seconds on an idle machine.
	patience = 2 * time.Minute
	// pollInterval is the time between two looks.
	pollInterval = 100 * time.Millisecond
)

// installation is a cluster with cert-manager and the real server, which reads a Secret as if kubelet had mounted it.
type installation struct {
	cluster     *cluster.Cluster
	certManager *cluster.CertManager
	api         client.Client
	dir         string
	address     string // of the webhook, as host:port
	probe       string // of /readyz, as host:port
	mounted     int    // how often the Secret was

	reviews, connections atomic.Int64 // how many there were
}

// newInstallation starts a cluster with cert-manager, and applies the certificates.
func newInstallation(t *testing.T) *installation {
	t.Helper()
	ctrllog.SetLogger(logr.Discard()) // else controller-runtime complains that nobody did
	c, err := cluster.Start(t.Context(), cluster.Options{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{cluster: c, dir: t.TempDir(), address: freeAddress(t), probe: freeAddress(t)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server said:\n%s", i.log(t))
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	if i.certManager, err = c.RunCertManager(t.Context()); err != nil {
		t.Fatal(err)
	}
	kinds := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(kinds), certmanagerv1.AddToScheme(kinds)); err != nil {
		t.Fatal(err)
	}
	config := c.Config()
	config.WarningHandler = rest.NoWarnings{}
	if i.api, err = client.New(config, client.Options{Scheme: kinds}); err != nil {
		t.Fatal(err)
	}
	chain, err := certs.Chain(certs.ChainOptions{Name: name, Namespace: namespace, Service: name, IPAddresses: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	i.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	i.create(t, chain...)
	return i
}

func (i *installation) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := i.api.Create(t.Context(), object); err != nil {
			t.Fatalf("create %T %s: %v", object, object.GetName(), err)
		}
	}
}

// startServer runs the server as a user who may do nothing but get its own webhook configurations.
func (i *installation) startServer(t *testing.T) {
	t.Helper()
	program, config := filepath.Join(i.dir, "webhook"), filepath.Join(i.dir, "config.yaml")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "plainspec.dev/plainspec/cmd/webhook")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	if err := os.WriteFile(config, []byte("apiVersion: config.plainspec.dev/v1alpha1\nkind: Configuration\nenforcement: enforce\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const user = "system:serviceaccount:" + namespace + ":" + name
	kubeconfig, err := i.cluster.User(user)
	if err != nil {
		t.Fatal(err)
	}
	i.create(t, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{admissionregistrationv1.GroupName}, Resources: []string{"validatingwebhookconfigurations", "mutatingwebhookconfigurations"},
			ResourceNames: []string{name}, Verbs: []string{"get"},
		}},
	}, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
	_, err = i.cluster.Run(cluster.Program{Name: name, Path: program, Args: []string{
		"--config=" + config,
		"--certificate-dir=" + i.certificates(),
		"--bind-address=" + i.address,
		"--health-probe-bind-address=" + i.probe,
		"--metrics-bind-address=0",
		"--audit-log=",
		"--webhook-configuration=" + name,
		"--kubeconfig=" + kubeconfig,
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// freeAddress finds a port below those that the kernel gives to clients.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("%s:%d", host, 20000+rand.IntN(1000))
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err == nil {
			if err := listener.Close(); err != nil {
				t.Fatal(err)
			}
			return address
		}
	}
	t.Fatal("none of 100 ports was free")
	return ""
}

// register applies the webhook configurations; without annotations nobody fills in a CA bundle.
func (i *installation) register(t *testing.T) {
	t.Helper()
	options := registration.Options{Name: name, URL: "https://" + i.address, ExemptNamespaces: []string{metav1.NamespaceSystem, namespace}}
	validating, mutating := registration.Validating(options), registration.Mutating(options)
	// Who trusts whom is looked at here, and not how fast a busy machine is.
	for j := range validating.Webhooks {
		validating.Webhooks[j].TimeoutSeconds = new(int32(30))
	}
	for j := range mutating.Webhooks {
		mutating.Webhooks[j].TimeoutSeconds = new(int32(30))
	}
	i.create(t, validating, mutating)
}

// edit changes both webhook configurations.
func (i *installation) edit(t *testing.T, change func(annotations map[string]string, reached []*admissionregistrationv1.WebhookClientConfig)) {
	t.Helper()
	validating, mutating := &admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{}
	for _, object := range []client.Object{validating, mutating} {
		err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			if err := i.api.Get(t.Context(), client.ObjectKey{Name: name}, object); err != nil {
				return err
			}
			annotations := map[string]string{}
			maps.Copy(annotations, object.GetAnnotations())
			var reached []*admissionregistrationv1.WebhookClientConfig
			switch object := object.(type) {
			case *admissionregistrationv1.ValidatingWebhookConfiguration:
				for j := range object.Webhooks {
					reached = append(reached, &object.Webhooks[j].ClientConfig)
				}
			case *admissionregistrationv1.MutatingWebhookConfiguration:
				for j := range object.Webhooks {
					reached = append(reached, &object.Webhooks[j].ClientConfig)
				}
			}
			change(annotations, reached)
			object.SetAnnotations(annotations)
			return i.api.Update(t.Context(), object)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// bundle is the CA bundle of the webhook that must not fail.
func (i *installation) bundle(ctx context.Context) ([]byte, error) {
	var configuration admissionregistrationv1.ValidatingWebhookConfiguration
	if err := i.api.Get(ctx, client.ObjectKey{Name: name}, &configuration); err != nil {
		return nil, err
	}
	return configuration.Webhooks[0].ClientConfig.CABundle, nil
}

// authorities counts the certificates in that bundle.
func (i *installation) authorities(t *testing.T) int {
	t.Helper()
	bundle, err := i.bundle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(bundle, []byte("BEGIN CERTIFICATE"))
}

// certificates is the folder where the Secret is mounted.
func (i *installation) certificates() string { return filepath.Join(i.dir, "certificates") }

// secret returns a certificate's Secret once it is complete.
func (i *installation) secret(t *testing.T, certificate string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	eventually(t, "the Secret "+certificate+" is complete", func() error {
		if err := i.api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: certificate}, secret); err != nil {
			return err
		}
		if len(secret.Data[certs.CertificateFile]) == 0 || len(secret.Data[certs.CAFile]) == 0 {
			return errors.New("there is nothing in it")
		}
		return nil
	})
	return secret
}

// mount shows a Secret as kubelet does: all files change at once, by one link.
func (i *installation) mount(t *testing.T, secret *corev1.Secret) {
	t.Helper()
	i.mounted++
	version := fmt.Sprintf("..%d", i.mounted)
	if err := os.MkdirAll(filepath.Join(i.certificates(), version), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, data := range secret.Data {
		if err := os.WriteFile(filepath.Join(i.certificates(), version, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(i.certificates(), file)
		if err := os.Symlink(filepath.Join("..data", file), link); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	next := filepath.Join(i.certificates(), "..next")
	if err := errors.Join(os.Symlink(version, next), os.Rename(next, filepath.Join(i.certificates(), "..data"))); err != nil {
		t.Fatal(err)
	}
}

// renew issues a certificate anew, as "cmctl renew" does, and returns its Secret.
func (i *installation) renew(t *testing.T, certificate string) *corev1.Secret {
	t.Helper()
	before := serial(t, i.secret(t, certificate))
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var object certmanagerv1.Certificate
		if err := i.api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: certificate}, &object); err != nil {
			return err
		}
		object.Status.Conditions = append(object.Status.Conditions, certmanagerv1.CertificateCondition{
			Type: certmanagerv1.CertificateConditionIssuing, Status: cmmetav1.ConditionTrue, ObservedGeneration: object.Generation,
			LastTransitionTime: new(metav1.Now()), Reason: "ManuallyTriggered", Message: "Certificate re-issuance manually triggered",
		})
		return i.api.Status().Update(t.Context(), &object)
	})
	if err != nil {
		t.Fatalf("renew %s: %v", certificate, err)
	}
	var secret *corev1.Secret
	eventually(t, certificate+" is issued anew", func() error {
		if secret = i.secret(t, certificate); serial(t, secret) == before {
			return errors.New("it has the serial number from before")
		}
		return nil
	})
	return secret
}

// parse returns the certificate in a Secret.
func parse(t *testing.T, secret *corev1.Secret) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(secret.Data[certs.CertificateFile])
	if block == nil {
		t.Fatalf("%s of Secret %s is no PEM", certs.CertificateFile, secret.Name)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// serial is the serial number of a Secret's certificate.
func serial(t *testing.T, secret *corev1.Secret) string {
	t.Helper()
	return parse(t, secret).SerialNumber.String()
}

// served is the serial number of the certificate that the server serves.
func (i *installation) served(t *testing.T) string {
	t.Helper()
	// Who signed it is asked elsewhere.
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	connection, err := dialer.DialContext(t.Context(), "tcp", i.address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	return connection.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String() //nolint:forcetypeassert // so says tls.Dialer
}

// ready returns what /readyz, or a check of it, says; empty if it is satisfied.
func (i *installation) ready(ctx context.Context, check string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.probe+"/readyz"+check, http.NoBody)
	if err != nil {
		return err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	if response.StatusCode == http.StatusOK {
		return ""
	}
	return strings.TrimSpace(strings.TrimPrefix(string(body), "internal server error: "))
}

// log is what the server has logged, but for reviews and probes.
func (i *installation) log(t *testing.T) string {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(i.cluster.LogDir(), name+".log"))
	if err != nil {
		return err.Error() // It has not started.
	}
	var kept strings.Builder
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, `"msg":"denied"`) && !strings.Contains(line, `"msg":"healthz check failed"`) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// apiServerMetrics are those of kube-apiserver.
func (i *installation) apiServerMetrics(t *testing.T) string {
	t.Helper()
	api, err := kubernetes.NewForConfig(i.cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := api.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(metrics)
}

// eventually waits until something is no error.
func eventually(t *testing.T, what string, is func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pollInterval) {
		if err = is(); err == nil {
			return
		}
	}
	t.Fatalf("waited in vain until %s: %v", what, err)
}
