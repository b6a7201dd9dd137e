package cluster

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// progressInterval is the time between two lines about the same build: enough
// to see that it lives, few enough for a log file.
const progressInterval = 20 * time.Second

// builder fills the cache.
type builder struct {
	root     string // folder of Plainspec's go.mod
	cache    string // folder of the cache
	progress io.Writer
}

func newBuilder(ctx context.Context, progress io.Writer) (*builder, error) {
	file, err := goCommand(ctx, ".", "env", "GOMOD")
	if err != nil {
		return nil, err
	}
	root := filepath.Dir(file)
	if _, err := os.Stat(filepath.Join(root, "tools", "kubernetes", "go.mod")); err != nil {
		return nil, errors.New("find tools/kubernetes: run this inside Plainspec's source tree")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the user's cache folder: %w; set HOME or XDG_CACHE_HOME", err)
	}
	cache = filepath.Join(cache, "plainspec")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("create cache folder: %w; set XDG_CACHE_HOME to a folder that you may write", err)
	}
	return &builder{root: root, cache: cache, progress: progress}, nil
}

// ensure returns the component's folder in the cache and fills it first if it
// is not there.
func (b *builder) ensure(ctx context.Context, c component) (string, error) {
	hash, err := c.hash()
	if err != nil {
		return "", fmt.Errorf("identify %s: %w", c.name, err)
	}
	dir := filepath.Join(b.cache, c.folder+"-"+hash)
	if isDir(dir) {
		return dir, nil
	}
	lock := flock.New(dir + ".lock")
	if held, err := lock.TryLock(); err == nil && !held {
		b.tell(c, "being built by another process, waiting")
	}
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return "", fmt.Errorf("lock the cache for %s: %w", c.name, err)
	}
	defer lock.Unlock() //nolint:errcheck // the process may go on: the file is closed in any case
	if isDir(dir) {
		return dir, nil
	}
	if err := b.fill(ctx, c, dir); err != nil {
		return "", fmt.Errorf("build %s: %w", c.name, err)
	}
	return dir, nil
}

// fill builds beside the folder and renames at the end, so that an interrupted
// build is never taken for a finished one.
func (b *builder) fill(ctx context.Context, c component, dir string) error {
	if err := b.checkSpace(ctx, c); err != nil {
		return err
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil { // of a build that was killed
		return err
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(partial) // the next build does it too
	start := time.Now()
	hint := ""
	if c.hint != "" {
		hint = " (" + c.hint + ")"
	}
	b.tell(c, "building from Go modules"+hint)
	for _, out := range slices.Sorted(maps.Keys(c.packages)) {
		if err := b.compile(ctx, c, c.packages[out], filepath.Join(partial, out)); err != nil {
			return err
		}
	}
	if c.finish != nil {
		if err := c.finish(ctx, c.module, partial); err != nil {
			return err
		}
	}
	if err := os.Rename(partial, dir); err != nil {
		return err
	}
	b.tell(c, "built in "+elapsed(start))
	return nil
}

// compile runs go build for one package and turns its chatter into progress.
func (b *builder) compile(ctx context.Context, c component, pkg, out string) error {
	flags := []string{"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", c.ldflags}
	stale, err := b.run(ctx, c, 0, append(append([]string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, flags...), pkg))
	if err != nil {
		return err
	}
	_, err = b.run(ctx, c, len(strings.Fields(stale)), append(append([]string{"build", "-v", "-o", out}, flags...), pkg))
	return err
}

// run runs the go command, tells how far it is with so many packages to
// compile, and returns what it printed.
func (b *builder) run(ctx context.Context, c component, packages int, args []string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = c.module
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	// The compilers end with the go command only if it is told by an interrupt.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = endWithParent()
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	complaints := b.follow(c, packages, stderr)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", explainBuild(err, complaints)
	}
	return stdout.String(), nil
}

// follow reads what the go command says until it ends, tells how far it is, and
// returns the lines that are neither packages nor downloads.
func (b *builder) follow(c component, packages int, stderr io.Reader) []string {
	const kept = 20 // the first complaints are the causes
	var complaints []string
	downloaded, compiled := 0, 0
	start, told := time.Now(), time.Now()
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			downloaded++
		case !strings.ContainsAny(line, " \t:"):
			compiled++
		case len(complaints) < kept:
			complaints = append(complaints, strings.TrimSpace(line))
		}
		if time.Since(told) < progressInterval {
			continue
		}
		told = time.Now()
		if compiled > 0 {
			b.tell(c, fmt.Sprintf("%d of %d packages compiled after %s", compiled, max(packages, compiled), elapsed(start)))
		} else {
			b.tell(c, fmt.Sprintf("%d modules downloaded after %s", downloaded, elapsed(start)))
		}
	}
	return complaints
}

// explainBuild makes one line of a failed build.
func explainBuild(err error, complaints []string) error {
	all := strings.Join(complaints, "; ")
	switch {
	case strings.Contains(all, "no space left on device"):
		return errors.New("the disk is full; free some space, or set GOCACHE, GOTMPDIR and XDG_CACHE_HOME to folders on another disk")
	case strings.Contains(all, "signal: killed"):
		return errors.New("a compiler was killed, probably for lack of memory; about 4 GiB are needed, or run with GOFLAGS=-p=1")
	case all == "":
		return err
	}
	return fmt.Errorf("%w: %s", err, all)
}

// checkSpace fails early when the disk cannot hold the build.
func (b *builder) checkSpace(ctx context.Context, c component) error {
	goCache, err := goCommand(ctx, c.module, "env", "GOCACHE")
	if err != nil {
		return err
	}
	for _, need := range []struct {
		dir, variable string
		gib           float64
	}{
		{goCache, "GOCACHE", c.diskGiB},
		{b.cache, "XDG_CACHE_HOME", 0.5}, // the programs themselves
	} {
		free, known := freeGiB(need.dir)
		if known && free < need.gib {
			return fmt.Errorf("%.1f GiB of disk are needed in %s and %.1f GiB are free; free some space, or set %s to a folder on another disk",
				need.gib, need.dir, free, need.variable)
		}
	}
	return nil
}

// hash identifies what a component is built from: its sources, which include
// the checksums of every module, and how it is built.
func (c component) hash() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.GOOS, runtime.GOARCH, c.ldflags, c.packages)
	for _, source := range c.sources {
		err := filepath.WalkDir(filepath.Join(c.module, source), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			fmt.Fprintln(h, entry.Name(), len(data))
			h.Write(data)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("read sources: %w", err)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6]), nil
}

func (b *builder) tell(c component, what string) {
	fmt.Fprintf(b.progress, "%-20s %s\n", c.name, what)
}

func elapsed(since time.Time) string {
	return time.Since(since).Round(time.Second).String()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
