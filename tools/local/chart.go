package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/test/cluster"
	"plainspec.dev/plainspec/test/node"
)

const (
	// plainspecNamespace and chartRelease are what the documentation calls them.
	plainspecNamespace = "plainspec-system"
	chartRelease       = "plainspec"
	// chartImage with chartTag is the image that the server's program stands for.
	chartImage = "plainspec.dev/webhook"
	chartTag   = "local"
	// replicas are as many as the chart's default, each on a node of its own.
	replicas = 2
	// installTimeout bounds an installation: certificates are issued, and policies compiled, on a busy machine.
	installTimeout = 3 * time.Minute
)

// installedAdvice says how to go on where the chart is installed.
const installedAdvice = `  kubectl get pods --namespace plainspec-system                      # Plainspec's replicas: processes of this machine, with logs below
  kubectl get certificates --namespace plainspec-system              # what cert-manager issued
`

// buildForChart builds what only an installation needs.
func (s state) buildForChart(ctx context.Context, out io.Writer) error {
	if _, err := cluster.CertManagerBinaries(ctx, out); err != nil {
		return err
	}
	_, err := cluster.Helm(ctx, "4", out)
	return err
}

// installation is Plainspec as its chart installs it.
type installation struct {
	state   state
	cluster *cluster.Cluster
	helm    string // program
}

// startInstallation runs cert-manager and installs the chart.
func startInstallation(ctx context.Context, s state, c *cluster.Cluster, progress io.Writer) (plainspec, error) {
	start := time.Now()
	if _, err := c.RunCertManager(ctx); err != nil {
		return nil, err
	}
	tell(progress, "cert-manager", "running, after %s", time.Since(start).Round(time.Second))
	helm, err := cluster.Helm(ctx, "4", progress)
	if err != nil {
		return nil, err
	}
	i := &installation{state: s, cluster: c, helm: helm}
	start = time.Now()
	if err := i.install(ctx); err != nil {
		return nil, err
	}
	tell(progress, "Plainspec", "installed by its chart with enforcement: enforce, %d replicas ready after %s", replicas, time.Since(start).Round(time.Second))
	return i, nil
}

// install makes the release what the source tree says, and returns when it serves.
func (i *installation) install(ctx context.Context) error {
	values, err := i.values()
	if err != nil {
		return err
	}
	command := cluster.HelmCommand(ctx, i.helm, i.state.path("helm"), i.cluster.Kubeconfig(), "upgrade", chartRelease, "charts/plainspec",
		"--install", "--namespace", plainspecNamespace, "--create-namespace", "--wait", "--timeout", installTimeout.String(), "--values", "-")
	command.Dir, command.Stdin = i.state.root, strings.NewReader(values)
	if out, err := command.CombinedOutput(); err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("install the chart: %w: %s; the Pods' logs are in %s", err, strings.TrimSpace(string(out)), i.state.logs()))
	}
	return waitUntilAsked(ctx, i.cluster.Config())
}

// values are the chart's: the examples' configuration, on the nodes that run Pods as processes.
func (i *installation) values() (string, error) {
	text, err := os.ReadFile(i.state.configuration())
	if err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	var configuration map[string]any
	if err := yaml.Unmarshal(text, &configuration); err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	enforcement := configuration["enforcement"]
	for _, member := range []string{"apiVersion", "kind", "enforcement"} {
		delete(configuration, member) // the chart writes them
	}
	hash, err := i.state.serverHash()
	if err != nil {
		return "", err
	}
	values, err := yaml.Marshal(map[string]any{
		"enforcement":      enforcement,
		"configuration":    configuration,
		"exemptNamespaces": []string{metav1.NamespaceSystem, "cert-manager"},
		"replicas":         replicas,
		"image":            map[string]any{"repository": chartImage, "tag": chartTag},
		// Another program of the same tag is rolled out, too.
		"podAnnotations": map[string]any{"plainspec.dev/program": hash},
		"nodeSelector":   map[string]any{node.Label: node.LabelValue},
		"tolerations":    []map[string]any{{"key": node.Label, "operator": "Exists"}},
		"drainSeconds":   2,
	})
	if err != nil {
		return "", fmt.Errorf("write values: %w", err)
	}
	return string(values), nil
}

// replace rolls out what up has built.
func (i *installation) replace(ctx context.Context) error {
	if err := i.install(ctx); err != nil {
		return err
	}
	return i.publish()
}

func (i *installation) publish() error {
	hash, err := i.state.serverHash()
	if err != nil {
		return err
	}
	return i.state.writeRunning(running{Server: hash, Webhook: "Service " + plainspecNamespace + "/" + chartRelease, Since: time.Now()})
}
