package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/test/cluster"
)

// up starts what is not running and applies the examples. Interrupted, it stops
// what it started.
func up(ctx context.Context, s state, out io.Writer) error { return start(ctx, s, out, false) }

// upWithChart is up with Plainspec installed by its chart.
func upWithChart(ctx context.Context, s state, out io.Writer) error { return start(ctx, s, out, true) }

func start(ctx context.Context, s state, out io.Writer, chart bool) error {
	ctx, cancel := whileParentLives(ctx)
	defer cancel()
	_, statErr := os.Stat(s.data())
	continued := statErr == nil
	release, err := s.exclusive()
	if err != nil {
		return err
	}
	defer release()
	if chart {
		if err := s.chooseChart(); err != nil {
			return err
		}
	}
	fmt.Fprint(out, "Plainspec in front of a Kubernetes control plane on this machine\n\n")
	started, err := s.ensureRunning(ctx, out)
	if err == nil {
		err = applyAll(ctx, s, out)
	}
	// A cluster whose examples went wrong stays, so that somebody can look.
	if err == nil || errors.As(err, new(surprises)) && ctx.Err() == nil {
		fmt.Fprint(out, s.advice())
		return err
	}
	return s.giveUp(ctx, err, started, continued)
}

// giveUp undoes what a failed or interrupted up has done and returns what to say about it.
// The cluster may have been started by this up; its data may be there from an earlier one.
func (s state) giveUp(ctx context.Context, err error, started, continued bool) error {
	interrupted := ctx.Err() != nil
	remove := !continued && (interrupted || !started)
	if interrupted {
		err = errInterrupted
		if running, _ := s.supervised(); running && !started {
			err = errInterruptedBeside
		}
	}
	if started || remove {
		err = errors.Join(err, s.cleanUp(context.WithoutCancel(ctx), remove))
	}
	return err
}

// These replace whatever the interrupt broke.
var (
	errInterrupted       = errors.New("interrupted; what was started is stopped")
	errInterruptedBeside = errors.New("interrupted; the cluster that was running before keeps running")
)

// cleanUp stops what up started. An interrupted start leaves no files; a cluster
// that failed leaves its logs, and one that was there before keeps its data.
func (s state) cleanUp(ctx context.Context, remove bool) error {
	if err := s.stopSupervisor(ctx); err != nil {
		return err
	}
	if !remove {
		return nil
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove state folder: %w", err)
	}
	return nil
}

// ensureRunning returns when cluster and server are ready, and tells whether it
// started them.
func (s state) ensureRunning(ctx context.Context, out io.Writer) (started bool, err error) {
	assets, err := cluster.Binaries(ctx, out)
	if err != nil {
		return false, err
	}
	if s.chart() {
		if err := s.buildForChart(ctx, out); err != nil {
			return false, err
		}
	}
	start := time.Now()
	hash, err := s.build(ctx)
	if err != nil {
		return false, err
	}
	tell(out, "Plainspec", "built from this source tree in %s", time.Since(start).Round(time.Second))
	if err := relink(assets.Kubectl, s.kubectl()); err != nil {
		return false, err
	}
	usable, err := s.usable(ctx)
	if err != nil {
		return false, err
	}
	if !usable {
		// Whatever is left of an earlier one must not hold its data.
		if err := s.stopSupervisor(ctx); err != nil {
			return false, err
		}
		return true, s.startSupervisor(ctx, out)
	}
	tell(out, "control plane", "already running")
	// The running server is not given up for one that would not start.
	if _, err := v1alpha1.Load(s.configuration()); err != nil {
		return false, err
	}
	return false, s.refresh(ctx, hash, out)
}

// usable tells whether a cluster runs and answers.
func (s state) usable(ctx context.Context) (bool, error) {
	alive, err := s.supervised()
	if err != nil || !alive {
		return false, err
	}
	if _, ready := s.running(); !ready {
		return false, nil
	}
	result, err := s.runKubectl(ctx, "get", "--raw", "/readyz", "--request-timeout=10s")
	return err == nil && result.ExitCode == 0, err
}

// refresh makes the running server the one that was just built.
func (s state) refresh(ctx context.Context, hash string, out io.Writer) error {
	if r, _ := s.running(); r.Server == hash {
		tell(out, "Plainspec", "already running")
		return nil
	}
	if err := s.signal(syscall.SIGUSR1); err != nil {
		return err
	}
	timeout, log := readyTimeout, "plainspec.log"
	if s.chart() {
		timeout, log = installTimeout+effectTimeout, "supervisor.log"
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		if r, _ := s.running(); r.Server == hash {
			tell(out, "Plainspec", "replaced, since its source or configuration has changed")
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("restart the Plainspec server: %w: %s", ctx.Err(), lastError(s.path("logs", log)))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// follow prints the supervisor's progress until it is ready.
func follow(ctx context.Context, progress io.Reader, out io.Writer) error {
	for lines := bufio.NewScanner(progress); lines.Scan(); {
		line := lines.Text()
		if line == readyLine {
			return nil
		}
		if message, failed := strings.CutPrefix(line, errorPrefix); failed {
			return errors.New(message)
		}
		fmt.Fprintln(out, line)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.New("the supervisor ended; .local/logs/supervisor.log says why")
}

func relink(target, link string) error {
	if err := os.RemoveAll(link); err != nil {
		return fmt.Errorf("link kubectl: %w", err)
	}
	if err := os.Symlink(target, link); err != nil {
		return fmt.Errorf("link kubectl: %w", err)
	}
	return nil
}

func tell(out io.Writer, what, format string, args ...any) {
	fmt.Fprintf(out, "%-20s %s\n", what, fmt.Sprintf(format, args...))
}

// advice says how to go on.
func (s state) advice() string {
	installed := ""
	if s.chart() {
		installed = installedAdvice
	}
	return fmt.Sprintf(`
The cluster keeps running. To use it:

  export KUBECONFIG=%s
  export PATH=$PATH:%s     # kubectl plainspec, and kubectl if you have none

Try next:

  kubectl plainspec explain -f examples/01-war-init-container.yaml   # which versions run
  kubectl apply -f examples/02-volume-hidden-version.yaml            # refused: a volume hides the version
  kubectl create deployment web --image=nginx                        # refused: no tag
  kubectl create deployment web --image=nginx:1.27.3                 # admitted
  kubectl set image deployment/web nginx=nginx:latest                # refused: latest is no version
  kubectl patch deployment web -p '{"spec":{"template":{"metadata":{"annotations":{"plainspec.dev/artifact":"shop/web:v1"}}}}}'
                                                                     # refused: no profile says where nginx reads an artifact
  kubectl plainspec render --config examples/profiles.yaml -f examples/11-war-by-annotation.yaml
                                                                     # what Plainspec makes of a manifest, without a cluster
  kubectl plainspec report list                                      # what was refused: who tried, which rules, how often
  kubectl plainspec report html > rejections.html                    # the same as a page
  kubectl get pods --all-namespaces                                  # what was admitted runs, on fake nodes
%s
Logs are in %s. The server's configuration is examples/profiles.yaml.
Run "make up" again after a change to it or to the source.
To stop it and remove all that it kept: make down
`, quoted(s.kubeconfig()), quoted(filepath.Dir(s.kubectl())), installed, s.logs())
}

// quoted returns a path as a shell takes it.
func quoted(path string) string {
	word, err := syntax.Quote(path, syntax.LangPOSIX)
	if err != nil { // a control character, which POSIX shells cannot be given
		return path
	}
	return word
}
