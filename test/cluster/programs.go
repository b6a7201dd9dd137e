package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// restartDelay keeps a program that cannot start from eating a core.
const restartDelay = time.Second

// childStopTimeout bounds how long such a program may take to end by itself.
// Kubernetes' controllers wait for an API server that may be gone.
const childStopTimeout = 5 * time.Second

// Program is something that runs beside a cluster, such as a webhook server.
type Program struct {
	// Name is the log file's name, without ".log".
	Name string
	// Path is the executable file.
	Path string
	Args []string
}

// Process is a [Program] that is kept running.
type Process struct {
	mu      sync.Mutex
	current *os.Process // nil between two runs
	ended   int
}

// Run starts a program and starts it again whenever it ends, until the cluster
// is stopped. What it prints goes to a log file in [Cluster.LogDir].
func (c *Cluster) Run(p Program) (*Process, error) {
	log, err := c.openLog(p.Name)
	if err != nil {
		return nil, err
	}
	process := &Process{}
	c.children.Go(func() error {
		for {
			err := process.runOnce(c.lifetime, c.assets.Tether, p, log)
			if c.lifetime.Err() != nil {
				return nil //nolint:nilerr // it ended because it was told to
			}
			process.end()
			fmt.Fprintf(log, "%s ended (%v) and is started again\n", p.Name, err)
			select {
			case <-c.lifetime.Done():
				return nil
			case <-time.After(restartDelay):
			}
		}
	})
	return process, nil
}

func (p *Process) runOnce(ctx context.Context, tether string, program Program, log io.Writer) error {
	cmd := exec.CommandContext(ctx, tether, append([]string{program.Path}, program.Args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	// A process group of its own: an interrupt at the terminal must not end it
	// before those that depend on it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = childStopTimeout
	if err := cmd.Start(); err != nil {
		return err
	}
	p.set(cmd.Process)
	defer p.set(nil)
	return cmd.Wait()
}

func (p *Process) set(current *os.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = current
}

func (p *Process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended++
}

// Ended returns how many runs have ended so far.
func (p *Process) Ended() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// Restart asks the program to end; a new run, of what is then at its path,
// follows a second after that.
func (p *Process) Restart() error { return p.Signal(syscall.SIGTERM) }

// Signal sends a signal to the program if it runs; SIGSTOP and SIGCONT make it
// pause and go on.
func (p *Process) Signal(signal os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil { // it is about to start anyway
		return nil
	}
	if err := p.current.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to program: %w", signal, err)
	}
	return nil
}

// tethered writes a script that runs a program as part of this process's life.
// envtest starts etcd and kube-apiserver itself and leaves them running when
// the test is killed; it takes a path and no arguments before its own.
func (c *Cluster) tethered(path string) (string, error) {
	script := filepath.Join(c.programDir(), filepath.Base(path))
	text := fmt.Sprintf("#!/bin/sh\nexec %s %s \"$@\"\n", quote(c.assets.Tether), quote(path))
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		return "", fmt.Errorf("write start script: %w", err)
	}
	return script, nil
}

// quote makes one word of the shell from any text.
func quote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func (c *Cluster) logPath(name string) string {
	return filepath.Join(c.options.LogDir, name+".log")
}

// openLog starts a program's log file anew; Stop closes it.
func (c *Cluster) openLog(name string) (io.Writer, error) {
	file, err := os.Create(c.logPath(name))
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logs = append(c.logs, file)
	return file, nil
}

// startControllers runs what turns Deployments into Pods on nodes, each under
// the identity that it has in a real cluster.
func (c *Cluster) startControllers() error {
	rootCA := filepath.Join(c.certDir(), "root-ca.crt")
	if err := os.WriteFile(rootCA, c.config.CAData, 0o600); err != nil {
		return fmt.Errorf("write certificate authority: %w", err)
	}
	manager, managerErr := c.User("system:kube-controller-manager")
	scheduler, schedulerErr := c.User("system:kube-scheduler")
	if err := errors.Join(managerErr, schedulerErr); err != nil {
		return err
	}
	common := []string{
		"--leader-elect=false",
		// They serve health and metrics that nobody asks for here: without a
		// port there is none to be taken.
		"--secure-port=0",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	}
	_, managerErr = c.Run(Program{Name: "kube-controller-manager", Path: c.assets.ControllerManager, Args: append([]string{
		"--kubeconfig=" + manager,
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + filepath.Join(c.certDir(), "sa-signer.key"),
		"--root-ca-file=" + rootCA,
	}, common...)})
	_, schedulerErr = c.Run(Program{Name: "kube-scheduler", Path: c.assets.Scheduler, Args: append([]string{
		"--kubeconfig=" + scheduler,
	}, common...)})
	return errors.Join(managerErr, schedulerErr)
}
