// Package integration runs the real Plainspec server in front of a real Kubernetes control plane
// and looks at what people see: what kubectl prints, and what the controllers can still do.
//
// All tests share one cluster (package test/cluster). Each has a namespace of its own, and those
// that stop the server or change its registration have a server of their own too.
package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/test/cluster"
)

// judgedBy is the label of namespaces that a server of their own judges, with its name as value;
// the shared server judges all others.
const judgedBy = "integration.plainspec.dev/judged-by"

// auditPolicy makes the API server log who asked for what, what was answered, and what webhooks
// annotated.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    verbs: [get, list, watch]
  - level: None
    resources: [{group: coordination.k8s.io}, {group: "", resources: [events, nodes/status, pods/status]}]
  - level: Metadata
`

// environment is what the tests share: a cluster, the programs, and one server.
type environment struct {
	root     string // of the module
	dir      string // for files, removed at the end
	assets   cluster.Assets
	cluster  *cluster.Cluster
	client   kubernetes.Interface
	program  string // the server
	cli      string // plainspec
	auditLog string
	server   *server      // judges every namespace that has no server of its own
	ports    atomic.Int64 // given out, from a random one on
}

// startEnvironment starts a cluster with controllers and two fake nodes, and a registered server
// that enforces, and completes by the profiles of examples/. It fails rather than leave something out.
func startEnvironment(progress io.Writer) (_ *environment, err error) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	e := &environment{}
	e.ports.Store(rand.Int64N(11000))
	defer func() {
		if err != nil {
			// The error may point to logs, unless somebody ended the start.
			tried := e.assets != (cluster.Assets{}) && ctx.Err() == nil
			err = errors.Join(err, e.stop(tried))
		}
	}()
	if e.dir, err = os.MkdirTemp("", "plainspec-integration-"); err != nil {
		return nil, fmt.Errorf("create folder: %w", err)
	}
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	e.root = filepath.Dir(strings.TrimSpace(string(module)))
	if err := e.build(ctx); err != nil {
		return nil, err
	}
	if err := e.startCluster(ctx, progress); err != nil {
		return nil, err
	}
	completion, err := e.exampleCompletion()
	if err != nil {
		return nil, err
	}
	if e.server, err = e.newServer(ctx, serverOptions{completion: completion}); err != nil {
		return nil, err
	}
	if err := e.server.start(ctx); err != nil {
		return nil, err
	}
	return e, e.server.register(ctx)
}

// exampleCompletion is the member completion of examples/profiles.yaml, as a YAML document.
func (e *environment) exampleCompletion() (string, error) {
	text, err := os.ReadFile(filepath.Join(e.root, "examples", "profiles.yaml"))
	if err != nil {
		return "", fmt.Errorf("read the example's profiles: %w", err)
	}
	var config struct {
		Completion map[string]any `json:"completion"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return "", fmt.Errorf("read the example's profiles: %w", err)
	}
	text, err = yaml.Marshal(config)
	return string(text), err
}

// build compiles the programs as they are shipped.
func (e *environment) build(ctx context.Context) error {
	e.program, e.cli = filepath.Join(e.dir, "webhook"), filepath.Join(e.dir, "plainspec")
	build := exec.CommandContext(ctx, "go", "build", "-o", e.dir, "./cmd/webhook", "./cmd/plainspec")
	build.Dir = e.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

func (e *environment) startCluster(ctx context.Context, progress io.Writer) error {
	e.auditLog = filepath.Join(e.dir, "audit.log")
	policy := filepath.Join(e.dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("write audit policy: %w", err)
	}
	var err error
	if e.assets, err = cluster.Binaries(ctx, progress); err != nil {
		return fmt.Errorf("find the cluster's programs: %w", err)
	}
	e.cluster, err = cluster.Start(ctx, cluster.Options{
		Controllers: true, Nodes: 2, Progress: progress, Dir: filepath.Join(e.dir, "cluster"),
		APIServerArgs: map[string][]string{"audit-policy-file": {policy}, "audit-log-path": {e.auditLog}},
	})
	if err != nil {
		return err
	}
	config := rest.CopyConfig(e.cluster.Config())
	config.WarningHandler = rest.NoWarnings{} // people see them through kubectl
	if e.client, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	return nil
}

// stop ends everything. The logs stay if they are to be read.
func (e *environment) stop(keepLogs bool) error {
	var errs []error
	if e.server != nil {
		errs = append(errs, e.server.stop())
	}
	if e.cluster != nil {
		errs = append(errs, e.cluster.Stop())
	}
	if e.dir != "" && !keepLogs {
		errs = append(errs, os.RemoveAll(e.dir))
	}
	return errors.Join(errs...)
}

// createNamespace makes a namespace that the named server judges; none means the shared one.
func (e *environment) createNamespace(ctx context.Context, name, server string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if server != "" {
		namespace.Labels = map[string]string{judgedBy: server}
	}
	_, err := e.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %q: %w", name, err)
	}
	return e.cluster.CreateNamespace(ctx, name) // waits until Pods can be made in it
}
