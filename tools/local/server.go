package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"plainspec.dev/plainspec/certs"
	"plainspec.dev/plainspec/internal/registration"
	"plainspec.dev/plainspec/test/cluster"
)

const (
	// readyTimeout bounds the wait for the server: it compiles its policies,
	// on a machine that is busy with starting a cluster.
	readyTimeout = time.Minute
	// effectTimeout bounds the wait until the API server calls a webhook that
	// was registered; it looks about once a second.
	effectTimeout = 30 * time.Second
)

// configuration is that of a new cluster: nothing runs yet that enforcement
// could surprise.
const configuration = `apiVersion: config.plainspec.dev/v1alpha1
kind: Configuration
enforcement: enforce
`

// build compiles the server and the CLI into the state folder and returns the server's hash. The
// CLI gets the name by which kubectl finds a plugin.
func (s state) build(ctx context.Context) (hash string, err error) {
	// Beside the folder, because the server may be running.
	next := s.path("built")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", next+string(filepath.Separator), "./cmd/webhook", "./cmd/plainspec")
	cmd.Dir = s.root
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("build Plainspec: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	defer os.RemoveAll(next) // it is empty by then
	data, err := os.ReadFile(filepath.Join(next, "webhook"))
	if err != nil {
		return "", fmt.Errorf("build Plainspec: %w", err)
	}
	if err := os.MkdirAll(s.path("bin"), 0o755); err != nil {
		return "", fmt.Errorf("build Plainspec: %w", err)
	}
	for built, target := range map[string]string{"webhook": s.server(), "plainspec": s.path("bin", "kubectl-plainspec")} {
		if err := os.Rename(filepath.Join(next, built), target); err != nil {
			return "", fmt.Errorf("build Plainspec: %w", err)
		}
	}
	return hashOf(data), nil
}

func hashOf(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data))[:12] }

// server is the Plainspec server in front of the cluster.
type server struct {
	state    state
	process  *cluster.Process
	address  string // of the webhook
	probe    string // host and port of /readyz
	caBundle []byte
}

// startServer runs the server with fresh certificates on free ports and waits
// until it is ready.
func startServer(ctx context.Context, s state, c *cluster.Cluster) (*server, error) {
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	v := &server{state: s, address: ports[0], probe: ports[2]}
	v.caBundle, err = certs.WriteLocal(s.path("certificates"), certs.LocalOptions{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		return nil, err
	}
	config := s.path("plainspec.yaml")
	if err := os.WriteFile(config, []byte(configuration), 0o644); err != nil {
		return nil, fmt.Errorf("write the server's configuration: %w", err)
	}
	v.process, err = c.Run(cluster.Program{Name: "plainspec", Path: s.server(), Args: []string{
		"--config=" + config,
		"--certificate-dir=" + s.path("certificates"),
		"--bind-address=" + v.address,
		"--metrics-bind-address=" + ports[1],
		"--health-probe-bind-address=" + v.probe,
		"--drain-period=2s",
		"--log-format=text",
	}})
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	return v, v.waitUntilReady(ctx)
}

// freePorts returns loopback addresses that nobody listens on.
func freePorts(ctx context.Context, n int) ([]string, error) {
	var config net.ListenConfig
	addresses := make([]string, n)
	for i := range addresses {
		listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // all are held until all are found
		addresses[i] = listener.Addr().String()
	}
	return addresses, nil
}

func (v *server) waitUntilReady(ctx context.Context) error {
	// The first end may be that of the run before.
	const giveUp = 3
	ended := v.process.Ended()
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, readyTimeout, true, func(ctx context.Context) (bool, error) {
		if v.process.Ended() >= ended+giveUp {
			return false, errors.New("it ends again and again")
		}
		return v.ready(ctx), nil
	})
	if err != nil {
		return fmt.Errorf("wait for the Plainspec server: %w: %s", err, lastError(v.state.path("logs", "plainspec.log")))
	}
	return nil
}

func (v *server) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+v.probe+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// lastError returns the last error that a program printed before it ended, or
// whatever it printed last.
func lastError(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "nothing was logged"
	}
	last, lastError := "nothing was logged", ""
	for line := range strings.Lines(string(data)) {
		last = strings.TrimSpace(line)
		if message, ok := strings.CutPrefix(last, "error: "); ok {
			lastError = message
		}
	}
	return cmp.Or(lastError, last)
}

// register makes the API server ask the server, and waits until it does.
func (v *server) register(ctx context.Context, client kubernetes.Interface) error {
	wanted := registration.Validating(registration.Options{
		URL:              "https://" + v.address,
		CABundle:         v.caBundle,
		ExemptNamespaces: []string{metav1.NamespaceSystem},
	})
	api := client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	existing, err := api.Get(ctx, wanted.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = api.Create(ctx, wanted, metav1.CreateOptions{})
	case err == nil: // of a cluster that is continued: address and authority are new
		wanted.ResourceVersion = existing.ResourceVersion
		_, err = api.Update(ctx, wanted, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("register the webhook: %w", err)
	}
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, effectTimeout, true, func(ctx context.Context) (bool, error) {
		err = probe(ctx, client)
		return errors.Is(err, errDenied), nil
	})
	if err != nil {
		return fmt.Errorf("wait until the API server asks the webhook: %w", err)
	}
	return nil
}

// errDenied says that the webhook denied the probe.
var errDenied = errors.New("denied")

// probe asks for a Pod that Plainspec must deny, without creating it.
func probe(ctx context.Context, client kubernetes.Interface) error {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "plainspec-probe"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: "probe:latest"}}},
	}
	_, err := client.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil && strings.Contains(err.Error(), denied) {
		return errDenied
	}
	return err
}
