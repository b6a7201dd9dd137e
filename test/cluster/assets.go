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

	"golang.org/x/mod/modfile"
)

// Assets are the paths of the programs a cluster consists of.
type Assets struct {
	APIServer         string
	ControllerManager string
	Scheduler         string
	Kubectl           string
	Etcd              string
	// Tether runs a program that ends when its parent ends.
	Tether string
	// Kwok plays fake nodes and Pods, as the Stages in a YAML file say.
	Kwok   string
	Stages string
}

// assetsVariable names a folder of ready-made programs, as for envtest.
const assetsVariable = "KUBEBUILDER_ASSETS"

// Binaries returns the programs of a cluster. What is missing is built from the
// modules tools/kubernetes and tools/kwok into the user's cache folder, once
// per machine and version: that needs the go command, some 6 GiB of disk and,
// the first time, about ten minutes. It writes its progress line by line; nil
// means silence.
//
// KUBEBUILDER_ASSETS names a folder whose programs are used instead; what it
// lacks is built. The working directory must be inside Plainspec's module.
// Concurrent calls, also of other processes, build once: the others wait.
func Binaries(ctx context.Context, progress io.Writer) (Assets, error) {
	if progress == nil {
		progress = io.Discard
	}
	b, err := newBuilder(ctx, progress)
	if err != nil {
		return Assets{}, err
	}
	var a Assets
	// What needs most of the disk comes first, so that a full one is told at once.
	for _, program := range []struct {
		component func(root string) (component, error)
		file      string
		path      *string
	}{
		{kubernetesComponent, "kube-apiserver", &a.APIServer},
		{kubernetesComponent, "kube-controller-manager", &a.ControllerManager},
		{kubernetesComponent, "kube-scheduler", &a.Scheduler},
		{kubernetesComponent, "kubectl", &a.Kubectl},
		{etcdComponent, "etcd", &a.Etcd},
		{kwokComponent, "kwok", &a.Kwok},
		{kwokComponent, stagesFile, &a.Stages},
		{tetherComponent, "tether", &a.Tether},
	} {
		if path, ok := readyMade(program.file); ok {
			*program.path = path
			continue
		}
		c, err := program.component(b.root)
		if err != nil {
			return Assets{}, err
		}
		dir, err := b.ensure(ctx, c)
		if err != nil {
			return Assets{}, err
		}
		*program.path = filepath.Join(dir, program.file)
	}
	return a, nil
}

// readyMade finds a program in the folder that KUBEBUILDER_ASSETS names.
func readyMade(file string) (string, bool) {
	dir := os.Getenv(assetsVariable)
	if dir == "" {
		return "", false
	}
	path, err := exec.LookPath(filepath.Join(dir, file))
	return path, err == nil
}

// component is one folder of the cache and how to fill it.
type component struct {
	// name is for people, such as "Kubernetes v1.37.1".
	name string
	// folder starts the folder's name; a hash of the sources follows.
	folder string
	// module is the folder to build in; sources are the files and folders in
	// it that the result depends on.
	module  string
	sources []string
	// packages are built one by one, each to the file of that name.
	packages map[string]string
	ldflags  string
	// diskGiB is the space that a build with an empty build cache takes.
	diskGiB float64
	// hint tells how long that takes; empty if it is not worth telling.
	hint string
	// finish completes the folder; nil if there is nothing to do.
	finish func(ctx context.Context, module, dir string) error
}

func kubernetesComponent(root string) (component, error) {
	module := filepath.Join(root, "tools", "kubernetes")
	version, err := requiredVersion(module, "k8s.io/kubernetes")
	if err != nil {
		return component{}, err
	}
	major, minor, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	const variable = " -X k8s.io/component-base/version."
	return component{
		name:     "Kubernetes " + version,
		folder:   "kubernetes-" + version,
		module:   module,
		sources:  []string{"."},
		packages: map[string]string{"kubernetes": "."},
		// Without a version the server calls itself v0.0.0-master, and
		// clients misbehave.
		ldflags: "-s -w" + variable + "gitVersion=" + version + variable + "gitMajor=" + major + variable + "gitMinor=" + minor,
		diskGiB: 6,
		hint:    "once on this machine, about 10 minutes",
		finish: func(_ context.Context, _, dir string) error {
			for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"} {
				if err := os.Link(filepath.Join(dir, "kubernetes"), filepath.Join(dir, name)); err != nil {
					return fmt.Errorf("name a program: %w", err)
				}
			}
			return nil
		},
	}, nil
}

func etcdComponent(root string) (component, error) {
	const pkg = "go.etcd.io/etcd/server/v3"
	module := filepath.Join(root, "tools", "kubernetes")
	version, err := requiredVersion(module, pkg)
	if err != nil {
		return component{}, err
	}
	return component{
		name:     "etcd " + version,
		folder:   "etcd-" + version,
		module:   module,
		sources:  []string{"go.mod", "go.sum"},
		packages: map[string]string{"etcd": pkg},
		ldflags:  "-s -w",
		diskGiB:  1,
	}, nil
}

// stagesFile holds kwok's Stages: how nodes and Pods come up and go.
const stagesFile = "stages.yaml"

func kwokComponent(root string) (component, error) {
	const path = "sigs.k8s.io/kwok"
	module := filepath.Join(root, "tools", "kwok")
	version, err := requiredVersion(module, path)
	if err != nil {
		return component{}, err
	}
	return component{
		name:     "kwok " + version,
		folder:   "kwok-" + version,
		module:   module,
		sources:  []string{"go.mod", "go.sum"},
		packages: map[string]string{"kwok": path + "/cmd/kwok"},
		ldflags:  "-s -w",
		diskGiB:  1.5,
		finish: func(ctx context.Context, module, dir string) error {
			return collectStages(ctx, module, path, filepath.Join(dir, stagesFile))
		},
	}, nil
}

// collectStages joins the Stages that kwok publishes beside its code.
func collectStages(ctx context.Context, module, path, out string) error {
	source, err := goCommand(ctx, module, "list", "-m", "-f", "{{.Dir}}", path)
	if err != nil {
		return fmt.Errorf("find kwok's stages: %w", err)
	}
	var all []byte
	for _, name := range []string{
		"node/fast/node-initialize.yaml",
		"node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
		"pod/fast/pod-ready.yaml",
		"pod/fast/pod-complete.yaml",
		"pod/fast/pod-delete.yaml",
	} {
		stage, err := os.ReadFile(filepath.Join(source, "kustomize", "stage", filepath.FromSlash(name)))
		if err != nil {
			return fmt.Errorf("read kwok's stages: %w", err)
		}
		all = append(append(all, "---\n"...), stage...)
	}
	if err := os.WriteFile(out, all, 0o644); err != nil {
		return fmt.Errorf("write kwok's stages: %w", err)
	}
	return nil
}

// tetherComponent is built from the main module and without version: it uses nothing
// but the standard library.
func tetherComponent(root string) (component, error) {
	module := filepath.Join(root, "test", "cluster", "tether")
	return component{
		name:     "tether",
		folder:   "tether",
		module:   module,
		sources:  []string{"."},
		packages: map[string]string{"tether": "."},
		ldflags:  "-s -w",
		diskGiB:  0.3,
	}, nil
}

// requiredVersion reads the version of a dependency from a module's go.mod.
func requiredVersion(module, path string) (string, error) {
	file := filepath.Join(module, "go.mod")
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read module file: %w", err)
	}
	mod, err := modfile.ParseLax(file, data, nil)
	if err != nil {
		return "", fmt.Errorf("parse module file: %w", err)
	}
	for _, r := range mod.Require {
		if r.Mod.Path == path {
			return r.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("read module file: %s does not require %s", file, path)
}

// errNoGo tells a stranger what to install.
var errNoGo = errors.New("find the go command: it is not in PATH; install Go from https://go.dev/dl")

// goCommand runs the go command in a folder and returns what it printed.
func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", errNoGo
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, lastLine(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
