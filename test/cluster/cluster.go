package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	// startTimeout bounds the start of etcd and of kube-apiserver, each. A
	// busy machine with two cores was seen to take 30 s.
	startTimeout = 2 * time.Minute
	// stopTimeout bounds how long a program may take to end by itself.
	stopTimeout = 20 * time.Second
	// startAttempts is for the ports: they are free when they are chosen, and
	// somebody else may take one before the program listens.
	startAttempts = 3
)

// Options say what a cluster consists of. The zero value is a kube-apiserver
// with etcd.
type Options struct {
	// Controllers adds kube-controller-manager and kube-scheduler, and with
	// them the admission plug-in that gives Pods a service account (without
	// the controllers no account would exist).
	Controllers bool
	// Nodes is the number of fake nodes; Pods bound to them become Ready. It
	// needs Controllers, else nothing binds Pods to nodes.
	Nodes int
	// ProcessNodes is the number of nodes that run Pods as processes of this
	// machine ([node.Node]): those that select [node.Label] and tolerate its
	// taint. With them, the API server reaches Services: webhooks may name one.
	// They need Controllers, and Linux.
	ProcessNodes int
	// Images are the programs that process nodes run: path by image, as Pods
	// write it.
	Images map[string]string
	// Dir holds certificates, kubeconfig files, logs (in Dir/logs) and etcd's
	// data (in Dir/etcd). It is created if it is missing, and kept by Stop: a
	// cluster started with it again has the same objects. Empty means a
	// temporary folder that Stop removes.
	Dir string
	// LogDir receives one log file per program; empty means Dir/logs.
	LogDir string
	// Progress receives lines about what is being done; nil means silence.
	Progress io.Writer
	// APIServerArgs are flags of kube-apiserver, without dashes, instead of
	// their defaults here.
	APIServerArgs map[string][]string
}

// Cluster is a running control plane. Its methods may be called concurrently.
type Cluster struct {
	options    Options
	assets     Assets
	dir        string
	temporary  bool
	plane      *envtest.ControlPlane
	config     *rest.Config
	kubeconfig string

	// The programs outlive the context of the start.
	lifetime context.Context //nolint:containedctx // it is the cluster's life, not a call's
	end      context.CancelFunc
	children *errgroup.Group
	services *services // nil without process nodes

	mu   sync.Mutex // guards logs
	logs []io.Closer
}

// Start builds what is missing, starts the cluster and returns when it can be
// used: the API server answers, the default service account exists, the nodes
// are ready. The context bounds the start, not the cluster's life, which
// [Cluster.Stop] ends. If it fails, nothing is left running.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if o.Nodes+o.ProcessNodes > 0 && !o.Controllers {
		return nil, errors.New("start cluster: nodes need controllers")
	}
	assets, err := Binaries(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: o, assets: assets, dir: o.Dir}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start cluster: %w", err), c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.prepareDir(); err != nil {
		return err
	}
	if c.options.ProcessNodes > 0 {
		if err := c.prepareServices(ctx); err != nil {
			return err
		}
	}
	if err := c.startPlane(ctx); err != nil {
		return err
	}
	if err := c.identify(); err != nil {
		return err
	}
	c.lifetime, c.end = context.WithCancel(context.WithoutCancel(ctx))
	c.children = &errgroup.Group{}
	if c.options.Controllers {
		if err := c.startControllers(); err != nil {
			return err
		}
	}
	if c.options.Nodes > 0 {
		if err := c.startNodes(ctx); err != nil {
			return err
		}
	}
	if c.options.ProcessNodes > 0 {
		if err := c.startServices(); err != nil {
			return err
		}
		if err := c.startProcessNodes(ctx); err != nil {
			return err
		}
	}
	return c.waitUntilUsable(ctx)
}

func (c *Cluster) prepareDir() error {
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "plainspec-cluster-")
		if err != nil {
			return fmt.Errorf("create the cluster's folder: %w", err)
		}
		c.dir, c.temporary = dir, true
	}
	absolute, err := filepath.Abs(c.dir)
	if err != nil {
		return fmt.Errorf("find the cluster's folder: %w", err)
	}
	c.dir = absolute
	if c.options.LogDir == "" {
		c.options.LogDir = filepath.Join(c.dir, "logs")
	}
	// Certificates are made anew at each start, with the certificate
	// authority's key known to this process only.
	if err := os.RemoveAll(c.certDir()); err != nil {
		return fmt.Errorf("remove old certificates: %w", err)
	}
	for _, dir := range []string{c.dir, c.certDir(), c.etcdDir(), c.programDir(), c.options.LogDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create the cluster's folder: %w", err)
		}
	}
	return nil
}

func (c *Cluster) certDir() string    { return filepath.Join(c.dir, "certificates") }
func (c *Cluster) etcdDir() string    { return filepath.Join(c.dir, "etcd") }
func (c *Cluster) programDir() string { return filepath.Join(c.dir, "programs") }

// startPlane starts etcd and kube-apiserver, on other ports if one is taken.
func (c *Cluster) startPlane(ctx context.Context) error {
	etcdPath, err := c.tethered(c.assets.Etcd)
	if err != nil {
		return err
	}
	apiServerPath, err := c.tethered(c.assets.APIServer)
	if err != nil {
		return err
	}
	etcdLog, err := c.openLog("etcd")
	if err != nil {
		return err
	}
	apiServerLog, err := c.openLog("kube-apiserver")
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.plane = &envtest.ControlPlane{
			KubectlPath: c.assets.Kubectl,
			Etcd: &envtest.Etcd{
				Path: etcdPath, DataDir: c.etcdDir(), Out: etcdLog, Err: etcdLog,
				StartTimeout: startTimeout, StopTimeout: stopTimeout,
			},
			APIServer: &envtest.APIServer{
				Path: apiServerPath, CertDir: c.certDir(), Out: apiServerLog, Err: apiServerLog,
				StartTimeout: startTimeout, StopTimeout: stopTimeout,
			},
		}
		c.configureAPIServer()
		err := c.plane.Start()
		if err == nil {
			return nil
		}
		c.plane = nil
		err = c.explainStart(err)
		if attempt == startAttempts || !errors.Is(err, errPortTaken) {
			return err
		}
	}
}

// errPortTaken says that somebody was faster.
var errPortTaken = errors.New("a port was taken by another program between being chosen and being used; try again")

// explainStart says in one line why etcd or kube-apiserver did not start. What
// envtest says is only that.
func (c *Cluster) explainStart(err error) error {
	for _, name := range []string{"etcd", "kube-apiserver"} {
		data, readErr := os.ReadFile(c.logPath(name))
		if readErr != nil {
			continue
		}
		log := string(data)
		switch {
		case strings.Contains(log, "no space left on device"):
			return fmt.Errorf("the disk of %s is full; free some space", c.dir)
		case strings.Contains(log, "address already in use"):
			return errPortTaken
		}
		if complaint := fatalLine(log); complaint != "" {
			return fmt.Errorf("%w: %s: %s (all of it is in %s)", err, name, complaint, c.logPath(name))
		}
	}
	return fmt.Errorf("%w; logs are in %s", err, c.options.LogDir)
}

// fatalLine returns the line by which etcd (JSON) or kube-apiserver (klog, or an
// error of its command line) ended; empty if there is none.
func fatalLine(log string) string {
	for line := range strings.Lines(log) {
		for _, mark := range []string{`"level":"fatal"`, `"level":"panic"`, "panic:", "Error:"} {
			if strings.Contains(line, mark) {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}

func (c *Cluster) configureAPIServer() {
	args := c.plane.APIServer.Configure()
	args.Set("service-account-issuer", "https://kubernetes.default.svc")
	// Endpoints of the service "kubernetes" must not be a loopback address,
	// and nothing here has another: they are left out.
	args.Set("endpoint-reconciler-type", "none")
	if c.options.Controllers {
		args.Disable("disable-admission-plugins") // by which envtest turns service accounts off
	}
	if c.services != nil {
		args.Set("egress-selector-config-file", c.services.config)
	}
	for flag, values := range c.options.APIServerArgs {
		args.Set(flag, values...)
	}
}

// identify makes the administrator's credentials.
func (c *Cluster) identify() error {
	admin, err := c.plane.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, &rest.Config{QPS: 1000, Burst: 2000})
	if err != nil {
		return fmt.Errorf("create administrator: %w", err)
	}
	c.config = admin.Config()
	c.kubeconfig, err = c.writeKubeconfig("admin", admin)
	return err
}

// Config returns a client configuration with all rights, as a copy.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Kubeconfig returns the path of a kubeconfig file with all rights.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// LogDir returns the folder of the programs' log files.
func (c *Cluster) LogDir() string { return c.options.LogDir }

// User creates credentials (a client certificate) for a user in groups and
// returns the path of a kubeconfig file. What the user may do is up to RBAC.
// The name must be fit for a file name but for colons.
func (c *Cluster) User(name string, groups ...string) (kubeconfigPath string, err error) {
	user, err := c.plane.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		return "", fmt.Errorf("create user %q: %w", name, err)
	}
	return c.writeKubeconfig(name, user)
}

func (c *Cluster) writeKubeconfig(name string, user *envtest.AuthenticatedUser) (string, error) {
	data, err := user.KubeConfig()
	if err != nil {
		return "", fmt.Errorf("write kubeconfig of %q: %w", name, err)
	}
	path := filepath.Join(c.certDir(), strings.ReplaceAll(name, ":", "-")+".kubeconfig")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", fmt.Errorf("write kubeconfig of %q: %w", name, err)
	}
	return path, nil
}

// waitUntilUsable waits for what a real cluster has when it is handed over.
func (c *Cluster) waitUntilUsable(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	waiting := "the namespace default"
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		waiting, err = c.missing(ctx, client)
		return err == nil && waiting == "", nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w (logs are in %s)", waiting, err, c.options.LogDir)
	}
	return nil
}

// missing names what does not exist yet.
func (c *Cluster) missing(ctx context.Context, client kubernetes.Interface) (string, error) {
	if _, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{}); err != nil {
		return "the namespace default", err
	}
	if !c.options.Controllers {
		return "", nil
	}
	if err := accountIn(ctx, client, metav1.NamespaceDefault); err != nil {
		return "the service account default", err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "the nodes", err
	}
	ready := 0
	for i := range nodes.Items {
		for _, condition := range nodes.Items[i].Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				ready++
			}
		}
	}
	if ready < c.options.Nodes+c.options.ProcessNodes {
		return "the nodes", nil
	}
	return "", nil
}

// accountIn tells whether Pods can be created in a namespace.
func accountIn(ctx context.Context, client kubernetes.Interface, namespace string) error {
	if _, err := client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return fmt.Errorf("get service account: %w", err)
	}
	return nil
}

// CreateNamespace creates a namespace and waits until Pods can be created in
// it, which takes the controllers a moment. It is no error if it exists.
func (c *Cluster) CreateNamespace(ctx context.Context, name string) error {
	return CreateNamespace(ctx, c.config, name, c.options.Controllers)
}

// Stop ends all programs and waits for them. It may be called twice.
func (c *Cluster) Stop() error {
	var errs []error
	if c.end != nil {
		c.end()
		errs = append(errs, c.children.Wait())
	}
	if c.plane != nil {
		errs = append(errs, c.plane.Stop())
		c.plane = nil
	}
	if c.services != nil {
		errs = append(errs, c.services.close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, log := range c.logs {
		errs = append(errs, log.Close())
	}
	c.logs = nil
	if c.temporary {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop cluster: %w", err)
	}
	return nil
}
