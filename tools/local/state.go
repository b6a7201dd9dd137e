package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// stopTimeout bounds how long the supervisor may take to stop the cluster.
const stopTimeout = time.Minute

// state is the folder .local: what runs, and all that it keeps.
type state struct {
	root string // of the source tree
	dir  string
}

// findState looks for the source tree from the working directory upwards.
func findState() (state, error) {
	dir, err := os.Getwd()
	if err != nil {
		return state{}, fmt.Errorf("find the source tree: %w", err)
	}
	for {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(data), "module plainspec.dev/plainspec\n") {
			return state{root: dir, dir: filepath.Join(dir, ".local")}, nil
		}
		if dir == filepath.Dir(dir) {
			return state{}, errors.New("find the source tree: run this inside Plainspec's source tree")
		}
		dir = filepath.Dir(dir)
	}
}

func (s state) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

func (s state) kubeconfig() string { return s.path("kubeconfig") }
func (s state) logs() string       { return s.path("logs") }
func (s state) kubectl() string    { return s.path("bin", "kubectl") }
func (s state) server() string     { return s.path("bin", "webhook") }
func (s state) cli() string        { return s.path("bin", "kubectl-plainspec") }
func (s state) data() string       { return s.path("cluster") }

// chart tells whether Plainspec is installed in the cluster by its chart, instead of running beside it.
func (s state) chart() bool {
	_, err := os.Stat(s.chartMark())
	return err == nil
}

func (s state) chartMark() string { return s.path("chart") }

// chooseChart notes that Plainspec is to be installed by its chart. A cluster stays what it is.
func (s state) chooseChart() error {
	if s.chart() {
		return nil
	}
	if _, err := os.Stat(s.data()); err == nil {
		return errors.New("this cluster has Plainspec beside it; for one with the chart, run make down first")
	}
	if err := os.WriteFile(s.chartMark(), nil, 0o644); err != nil {
		return fmt.Errorf("choose the chart: %w", err)
	}
	return nil
}

// configuration is the server's: the examples', which enforces, since nothing runs yet in a new
// cluster that it could surprise.
func (s state) configuration() string { return filepath.Join(s.root, "examples", profiles) }

// exclusive keeps two runs of up and down from working against each other. It
// creates the folder.
func (s state) exclusive() (release func(), err error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("create state folder: %w", err)
	}
	lock := flock.New(s.path("lock"))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock state folder: %w", err)
	}
	if !held {
		return nil, errors.New("another \"make up\" or \"make down\" is at work in this source tree; wait for it to end")
	}
	return func() { _ = lock.Unlock() }, nil
}

// running is what the supervisor says about itself once all is ready.
type running struct {
	// Server is the hash of the server program that runs.
	Server string `json:"server"`
	// Webhook is the URL, or the Service, that the API server calls.
	Webhook string    `json:"webhook"`
	Since   time.Time `json:"since"`
}

func (s state) writeRunning(r running) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	temporary := s.path("running.json.new")
	if err := os.WriteFile(temporary, data, 0o644); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	if err := os.Rename(temporary, s.path("running.json")); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// running returns what the supervisor said; false if it said nothing, since it
// is not ready or not there.
func (s state) running() (running, bool) {
	data, err := os.ReadFile(s.path("running.json"))
	if err != nil {
		return running{}, false
	}
	var r running
	return r, json.Unmarshal(data, &r) == nil
}

// supervised tells whether a supervisor lives. It holds a lock as long as it
// does; a process id alone may belong to somebody else by now.
func (s state) supervised() (bool, error) {
	if _, err := os.Stat(s.path("supervisor.lock")); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lock := flock.New(s.path("supervisor.lock"))
	held, err := lock.TryLock()
	if err != nil {
		return false, fmt.Errorf("look for the supervisor: %w", err)
	}
	if held {
		_ = lock.Unlock()
	}
	return !held, nil
}

// signal sends a signal to the living supervisor.
func (s state) signal(signal syscall.Signal) error {
	data, err := os.ReadFile(s.path("supervisor.pid"))
	if err != nil {
		return fmt.Errorf("find the supervisor: %w", err)
	}
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err != nil || pid <= 1 {
		return fmt.Errorf("find the supervisor: %q is no process id", data)
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal the supervisor: %w", err)
	}
	return nil
}

// stopSupervisor ends a living supervisor and waits until all that it owned is
// gone. It works on behalf of an interrupted run too, so its context must not
// be the interrupted one.
func (s state) stopSupervisor(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	signal := syscall.SIGTERM
	for {
		alive, err := s.supervised()
		if err != nil || !alive {
			return err
		}
		if err := s.signal(signal); err != nil {
			return err
		}
		for range 20 {
			if alive, err = s.supervised(); err != nil || !alive {
				return err
			}
			select {
			case <-ctx.Done():
				// Its children are tied to it and end as well.
				return s.signal(syscall.SIGKILL)
			case <-time.After(100 * time.Millisecond):
			}
		}
		signal = 0 // it has been told; look only
	}
}
