package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"k8s.io/client-go/kubernetes"

	"plainspec.dev/plainspec/test/cluster"
)

const (
	// nodes is three because three examples ask for the same port of their host.
	nodes = 3
	// watchInterval and watchFailures say when an API server that stopped
	// answering is taken for dead.
	watchInterval = 2 * time.Second
	watchFailures = 10
	// progressFile is the descriptor on which the supervisor tells up how far
	// it is: the first after the standard ones.
	progressFile = 3
	// readyLine is the last progress.
	readyLine = "ready"
	// errorPrefix starts the last progress if it is not ready.
	errorPrefix = "error: "
)

// supervise owns the cluster and the server until it is told to end.
func supervise(ctx context.Context, s state, _ io.Writer) error {
	lock := flock.New(s.path("supervisor.lock"))
	if held, err := lock.TryLock(); err != nil || !held {
		return errors.Join(errors.New("another supervisor is running"), err)
	}
	defer lock.Unlock() //nolint:errcheck // the process ends, and the lock with it
	pid := strconv.Itoa(os.Getpid())
	if err := os.WriteFile(s.path("supervisor.pid"), []byte(pid+"\n"), 0o644); err != nil {
		return fmt.Errorf("write process id: %w", err)
	}
	// Kept apart from the signals that end it.
	restart := make(chan os.Signal, 1)
	signal.Notify(restart, syscall.SIGUSR1)

	progress := os.NewFile(progressFile, "progress")
	if progress == nil {
		return errors.New("supervise is started by up")
	}
	c, p, err := startAll(ctx, s, progress)
	if err != nil {
		fmt.Fprintf(progress, "%s%s\n", errorPrefix, strings.ReplaceAll(err.Error(), "\n", "; "))
		return err
	}
	// Nobody reads on: whoever ran up is gone, so nobody wants this cluster.
	if _, err := fmt.Fprintln(progress, readyLine); err != nil {
		return errors.Join(errors.New("up ended before the cluster was ready"), c.Stop())
	}
	_ = progress.Close()
	return errors.Join(watch(ctx, c, p, restart), os.Remove(s.path("running.json")), c.Stop())
}

// plainspec is Plainspec in front of the cluster: a server beside it, or what the chart installs.
type plainspec interface {
	// replace makes it what up has built, with the configuration as it is now.
	replace(ctx context.Context) error
	// publish tells which one runs.
	publish() error
}

// startAll starts the cluster, then Plainspec, then makes the one ask the other.
func startAll(ctx context.Context, s state, progress io.Writer) (_ *cluster.Cluster, _ plainspec, err error) {
	start := time.Now()
	options := cluster.Options{Controllers: true, Nodes: nodes, Dir: s.data(), LogDir: s.logs(), Progress: progress}
	if s.chart() {
		options.ProcessNodes, options.Images = replicas, map[string]string{chartImage + ":" + chartTag: s.server()}
	}
	c, err := cluster.Start(ctx, options)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	tell(progress, "control plane", "running, with %d fake nodes, after %s", nodes, time.Since(start).Round(time.Second))
	var p plainspec
	if s.chart() {
		p, err = startInstallation(ctx, s, c, progress)
	} else {
		p, err = startBeside(ctx, s, c, progress)
	}
	if err != nil {
		return nil, nil, err
	}
	return c, p, s.publish(c, p)
}

// startBeside runs the server as a process that the API server calls by its URL.
func startBeside(ctx context.Context, s state, c *cluster.Cluster, progress io.Writer) (plainspec, error) {
	start := time.Now()
	server, err := startServer(ctx, s, c)
	if err != nil {
		return nil, err
	}
	tell(progress, "Plainspec", "serving with enforcement: enforce, after %s", time.Since(start).Round(time.Second))
	if err := server.register(ctx); err != nil {
		return nil, err
	}
	tell(progress, "webhooks", "registered: one judges, one completes")
	return server, nil
}

// publish writes what users and up need to know.
func (s state) publish(c *cluster.Cluster, p plainspec) error {
	kubeconfig, err := os.ReadFile(c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	if err := os.WriteFile(s.kubeconfig(), kubeconfig, 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return p.publish()
}

func (v *server) publish() error {
	hash, err := v.state.serverHash()
	if err != nil {
		return err
	}
	return v.state.writeRunning(running{Server: hash, Webhook: "https://" + v.address, Since: time.Now()})
}

// watch returns nil when the context ends, or an error when the control plane
// has died. Plainspec is replaced when up has built another one.
func watch(ctx context.Context, c *cluster.Cluster, p plainspec, restart <-chan os.Signal) error {
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-restart:
			if err := p.replace(ctx); err != nil {
				fmt.Fprintf(os.Stderr, "error: %v\n", err)
			}
		case <-ticker.C:
			asked, cancel := context.WithTimeout(ctx, watchInterval)
			err := client.Discovery().RESTClient().Get().AbsPath("/livez").Do(asked).Error()
			cancel()
			if err == nil {
				failures = 0
			} else if failures++; failures == watchFailures {
				return fmt.Errorf("the API server has died: %w", err)
			}
		}
	}
}

// replace runs the server anew, as the program and its configuration now are.
func (v *server) replace(ctx context.Context) error {
	if err := v.process.Restart(); err != nil {
		return err
	}
	// The old one drains first and says at once that it is not ready.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
	}
	if err := v.waitUntilReady(ctx); err != nil {
		return err
	}
	if err := v.register(ctx); err != nil {
		return err
	}
	return v.publish()
}

// startSupervisor runs this program again in the background and follows its
// progress until the cluster is ready.
func (s state) startSupervisor(ctx context.Context, out io.Writer) error {
	if err := os.MkdirAll(s.logs(), 0o755); err != nil {
		return fmt.Errorf("create log folder: %w", err)
	}
	log, err := os.Create(filepath.Join(s.logs(), "supervisor.log"))
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer log.Close() // the supervisor has its own descriptor
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	defer read.Close()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	// It outlives this program, so its life has nothing to do with ctx.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, "supervise")
	cmd.Dir = s.root
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{write}
	// A session of its own: it stays when the terminal is closed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = write.Close()
	if err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	// An interrupt ends the wait; the caller then stops the supervisor.
	stop := context.AfterFunc(ctx, func() { _ = read.SetReadDeadline(time.Now()) })
	defer stop()
	return follow(ctx, read, out)
}
