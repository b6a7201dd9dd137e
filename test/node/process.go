package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// command is a program to run, with all that it gets.
type command struct {
	program string
	args    []string
	env     []string
	dir     string
}

// process is a running program.
type process struct {
	command *exec.Cmd
	started metav1.Time
	told    bool // to end
	over    chan struct{}
	waiter  errgroup.Group
	end     metav1.Time // once over is closed
}

// startProcess runs a command that ends with this process, and appends what it prints to a file.
func startProcess(tether string, c command, logPath string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()                                                      // the process has its own descriptor
	cmd := exec.Command(tether, append([]string{c.program}, c.args...)...) //nolint:noctx // stop ends it
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.env, c.dir, log, log
	// An interrupt at the terminal must not end it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start program: %w", err)
	}
	p := &process{command: cmd, started: metav1.Now(), over: make(chan struct{})}
	p.waiter.Go(func() error {
		defer close(p.over)
		err := cmd.Wait()
		p.end = metav1.Now()
		return err
	})
	return p, nil
}

func (p *process) id() int { return p.command.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

func (p *process) signal(signal syscall.Signal) {
	_ = p.command.Process.Signal(signal) // it can only have ended
}

// signalOnce tells the process to end; not a second time, which some take for "at once".
func (p *process) signalOnce(signal syscall.Signal) {
	if !p.told {
		p.told = true
		p.signal(signal)
	}
}

// stop returns when the process has ended; it is killed after the grace period.
func (p *process) stop(grace time.Duration) {
	p.signalOnce(syscall.SIGTERM)
	select {
	case <-p.over:
	case <-time.After(grace):
		p.signal(syscall.SIGKILL)
		<-p.over
	}
}

// terminated is how a process that is over ended.
func (p *process) terminated() *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{StartedAt: p.started, FinishedAt: p.end, Reason: "Completed"}
	var exit *exec.ExitError
	if err := p.waiter.Wait(); errors.As(err, &exit) {
		t.Reason, t.ExitCode = "Error", int32(exit.ExitCode())
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			t.Signal = int32(status.Signal())
			t.ExitCode = 128 + t.Signal // as shells and container runtimes say it
		}
	}
	return t
}
