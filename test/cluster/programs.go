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
	"syscall"
	"time"
)

// restartDelay keeps a program that cannot start from eating a core.
const restartDelay = time.Second

// program is one child process that is started again when it ends.
type program struct {
	name string
	path string
	args []string
}

// run starts a program and keeps it running until the context ends.
func (c *Cluster) run(ctx context.Context, p program) error {
	log, err := c.openLog(p.name)
	if err != nil {
		return err
	}
	c.children.Go(func() error {
		for {
			cmd := exec.CommandContext(ctx, c.assets.Tether, append([]string{p.path}, p.args...)...)
			cmd.Stdout, cmd.Stderr = log, log
			// Its own group: an interrupt at the terminal must not end it
			// before those that depend on it.
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
			cmd.WaitDelay = stopTimeout
			err := cmd.Run()
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it ended because it was told to
			}
			fmt.Fprintf(log, "%s ended (%v) and is started again\n", p.name, err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(restartDelay):
			}
		}
	})
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
	c.logs = append(c.logs, file)
	return file, nil
}

// startControllers runs what turns Deployments into Pods on nodes, each under
// the identity that it has in a real cluster.
func (c *Cluster) startControllers(lifetime context.Context) error {
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
	return errors.Join(
		c.run(lifetime, program{name: "kube-controller-manager", path: c.assets.ControllerManager, args: append([]string{
			"--kubeconfig=" + manager,
			"--use-service-account-credentials=true",
			"--service-account-private-key-file=" + filepath.Join(c.certDir(), "sa-signer.key"),
			"--root-ca-file=" + rootCA,
		}, common...)}),
		c.run(lifetime, program{name: "kube-scheduler", path: c.assets.Scheduler, args: append([]string{
			"--kubeconfig=" + scheduler,
		}, common...)}),
	)
}
