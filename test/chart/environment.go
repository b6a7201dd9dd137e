package chart

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/test/cluster"
)

const (
	// namespace and release are what the documentation calls them.
	namespace = "plainspec-system"
	release   = "plainspec"
	// account is the user that the chart's Pods are.
	account = "system:serviceaccount:" + namespace + ":" + release
	// repository is the image's, of which nextTag is a later version than the chart's.
	repository = "plainspec.dev/webhook"
	nextTag    = "0.1.1"
	// emergency is the group that may break the glass.
	emergency = "platform-emergency"
)

// auditPolicy makes the API server log what the server asked it.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: Metadata, users: ["` + account + `"]}
  - {level: None}
`

// localValues put the Pods where they run for real, and name what a cluster needs to run.
const localValues = `
exemptNamespaces: [kube-system, cert-manager]
nodeSelector: {plainspec.dev/local-node: processes}
tolerations: [{key: plainspec.dev/local-node, operator: Exists}]
drainSeconds: 3
breakGlass: {groups: [` + emergency + `]}
`

// environment is what the tests share.
type environment struct {
	root     string // of the module
	dir      string // for files, removed at the end
	cluster  *cluster.Cluster
	client   kubernetes.Interface
	helm4    string // program
	helm3    string
	auditLog string
	tag      string // of the chart's image
}

func (e *environment) start(progress io.Writer) (err error) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if e.dir, err = os.MkdirTemp("", "plainspec-chart-"); err != nil {
		return fmt.Errorf("create folder: %w", err)
	}
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	e.root = filepath.Dir(strings.TrimSpace(string(module)))
	if err := e.readChart(); err != nil {
		return err
	}
	program := filepath.Join(e.dir, "webhook")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/webhook")
	build.Dir = e.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the server: %w\n%s", err, out)
	}
	if e.helm4, err = cluster.Helm(ctx, "4", progress); err != nil {
		return err
	}
	if e.helm3, err = cluster.Helm(ctx, "3", progress); err != nil {
		return err
	}
	return e.startCluster(ctx, program, progress)
}

func (e *environment) chart() string { return filepath.Join(e.root, "charts", "plainspec") }

// readChart finds out which image the chart installs.
func (e *environment) readChart() error {
	text, err := os.ReadFile(filepath.Join(e.chart(), "Chart.yaml"))
	if err != nil {
		return fmt.Errorf("read the chart: %w", err)
	}
	var chart struct{ AppVersion string }
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return fmt.Errorf("read the chart: %w", err)
	}
	e.tag = chart.AppVersion
	return nil
}

func (e *environment) startCluster(ctx context.Context, program string, progress io.Writer) error {
	policy := filepath.Join(e.dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("write audit policy: %w", err)
	}
	e.auditLog = filepath.Join(e.dir, "audit.log")
	var err error
	e.cluster, err = cluster.Start(ctx, cluster.Options{
		Controllers: true, Nodes: 1, ProcessNodes: 2, Progress: progress, Dir: filepath.Join(e.dir, "cluster"),
		Images:        map[string]string{repository + ":" + e.tag: program, repository + ":" + nextTag: program},
		APIServerArgs: map[string][]string{"audit-policy-file": {policy}, "audit-log-path": {e.auditLog}},
	})
	if err != nil {
		return err
	}
	config := e.cluster.Config()
	config.WarningHandler = rest.NoWarnings{}
	if e.client, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	_, err = e.cluster.RunCertManager(ctx)
	return err
}

// stop ends everything. The logs stay if they are to be read.
func (e *environment) stop(keepLogs bool) error {
	var err error
	if e.cluster != nil {
		err = e.cluster.Stop()
	}
	if !keepLogs {
		err = errors.Join(err, os.RemoveAll(e.dir))
	}
	return err
}

// helm runs a version of Helm as administrator and returns what it printed.
func (e *environment) helm(ctx context.Context, program string, values string, args ...string) (string, error) {
	args = append([]string{"--namespace", namespace}, args...)
	if values != "" {
		args = append(args, "--values", "-")
	}
	command := cluster.HelmCommand(ctx, program, e.dir, e.cluster.Kubeconfig(), args...)
	command.Stdin = strings.NewReader(values)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("helm %q: %w: %s", args, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// event is what the tests read of a line of the API server's audit log.
type event struct {
	Verb       string
	RequestURI string
	User       struct{ Username string }
	ObjectRef  *struct{ Resource, Subresource, Namespace, Name, APIGroup string }
	// ResponseStatus tells whether it was allowed.
	ResponseStatus struct{ Code int }
}

// events returns what the API server has logged.
func (e *environment) events() ([]event, error) {
	file, err := os.Open(e.auditLog)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	defer file.Close()
	var events []event
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one event
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			break // a line that is being written
		}
		events = append(events, one)
	}
	return events, lines.Err()
}
