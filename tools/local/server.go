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
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/certs"
	"plainspec.dev/plainspec/internal/registration"
	"plainspec.dev/plainspec/internal/workload"
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

// build compiles the server and the CLI into the state folder and returns the hash of what the
// server is. The CLI gets the name by which kubectl finds a plugin.
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
	if err := os.MkdirAll(s.path("bin"), 0o755); err != nil {
		return "", fmt.Errorf("build Plainspec: %w", err)
	}
	for built, target := range map[string]string{"webhook": s.server(), "plainspec": s.cli()} {
		if err := os.Rename(filepath.Join(next, built), target); err != nil {
			return "", fmt.Errorf("build Plainspec: %w", err)
		}
	}
	return s.serverHash()
}

// serverHash is the hash of the server's program and of its configuration: it is restarted when
// either has changed.
func (s state) serverHash() (string, error) {
	hash := sha256.New()
	for _, file := range []string{s.server(), s.configuration()} {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the server: %w", err)
		}
		hash.Write(data)
	}
	return fmt.Sprintf("%x", hash.Sum(nil))[:12], nil
}

// server is the Plainspec server in front of the cluster.
type server struct {
	state    state
	config   *rest.Config // of the cluster's administrator
	process  *cluster.Process
	address  string // of the webhook
	probe    string // host and port of /readyz
	caBundle []byte
}

// startServer runs the server with fresh certificates on free ports and waits
// until it is ready.
func startServer(ctx context.Context, s state, c *cluster.Cluster) (*server, error) {
	if err := prepareRecords(ctx, s, c); err != nil {
		return nil, err
	}
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	v := &server{state: s, config: c.Config(), address: ports[0], probe: ports[2]}
	v.caBundle, err = certs.WriteLocal(s.path("certificates"), certs.LocalOptions{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		return nil, err
	}
	v.process, err = c.Run(cluster.Program{Name: "plainspec", Path: s.server(), Args: []string{
		"--config=" + s.configuration(),
		"--certificate-dir=" + s.path("certificates"),
		"--bind-address=" + v.address,
		"--metrics-bind-address=" + ports[1],
		"--health-probe-bind-address=" + v.probe,
		"--drain-period=2s",
		"--audit-log=" + s.path("logs", "rejections.log"),
		"--kubeconfig=" + c.Kubeconfig(),
		"--rejections-namespace=" + plainspecNamespace,
		"--log-format=text",
	}})
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	return v, v.waitUntilReady(ctx)
}

// prepareRecords makes the place where the server keeps Rejections, as the chart does.
func prepareRecords(ctx context.Context, s state, c *cluster.Cluster) error {
	if err := cluster.CreateNamespace(ctx, c.Config(), plainspecNamespace, true); err != nil {
		return err
	}
	result, err := c.Kubectl(ctx, "apply", "--server-side", "-f", filepath.Join(s.root, "charts", "plainspec", "files", "crds"))
	if err == nil && result.ExitCode != 0 {
		err = errors.New(strings.TrimSpace(result.Stderr))
	}
	if err != nil {
		return fmt.Errorf("install the kind of the records: %w", err)
	}
	return nil
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
func (v *server) register(ctx context.Context) error {
	plainspec, err := v1alpha1.Load(v.state.configuration())
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(v.config)
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	o := registration.Options{
		URL:              "https://" + v.address,
		CABundle:         v.caBundle,
		ExemptNamespaces: []string{metav1.NamespaceSystem},
		CompleteAll:      plainspec.Completion.ConcernsAll(),
		CompletePods:     plainspec.Completion.ConcernsPods(),
	}
	api := client.AdmissionregistrationV1()
	if err := cluster.Put(ctx, api.ValidatingWebhookConfigurations(), registration.Validating(o)); err != nil {
		return fmt.Errorf("register the webhooks: %w", err)
	}
	if err := cluster.Put(ctx, api.MutatingWebhookConfigurations(), registration.Mutating(o)); err != nil {
		return fmt.Errorf("register the webhooks: %w", err)
	}
	return waitUntilAsked(ctx, v.config)
}

// probeAnnotation is none that Plainspec knows: completion warns about it, and so shows itself.
const probeAnnotation = workload.AnnotationPrefix + "probe"

// waitUntilAsked waits until both webhooks answer for a Pod that is never created: the one that
// completes warns about its annotation, the one that judges denies its image.
func waitUntilAsked(ctx context.Context, config *rest.Config) error {
	var said warnings
	config = rest.CopyConfig(config)
	config.WarningHandlerWithContext = &said
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "plainspec-probe", Annotations: map[string]string{probeAnnotation: ""}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: "probe:latest"}}},
	}
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, effectTimeout, true, func(ctx context.Context) (bool, error) {
		said = nil
		_, err := client.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		isDenied := err != nil && strings.Contains(err.Error(), denied)
		return isDenied && slices.ContainsFunc(said, func(text string) bool { return strings.Contains(text, probeAnnotation) }), nil
	})
	if err != nil {
		return fmt.Errorf("wait until the API server asks the webhooks: %w", err)
	}
	return nil
}

// warnings are what the API server says beside an answer.
type warnings []string

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	*w = append(*w, text)
}
