package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Helm is [Binaries] for a major version of Helm, "4" or "3", and returns the
// program's path. Building it from the module tools/helm4 or tools/helm3 takes
// about two minutes, once.
func Helm(ctx context.Context, major string, progress io.Writer) (string, error) {
	if progress == nil {
		progress = io.Discard
	}
	b, err := newBuilder(ctx, progress)
	if err != nil {
		return "", err
	}
	c, err := helmComponent(b.root, major)
	if err != nil {
		return "", err
	}
	dir, err := b.ensure(ctx, c)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "helm"), nil
}

// HelmCommand is a run of a Helm program that reads and writes nothing of the user's own Helm: what it keeps is in home.
func HelmCommand(ctx context.Context, program, home, kubeconfig string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home)
	return command
}

func helmComponent(root, major string) (component, error) {
	path := "helm.sh/helm/v" + major
	module := filepath.Join(root, "tools", "helm"+major)
	version, err := requiredVersion(module, path)
	if err != nil {
		return component{}, err
	}
	return component{
		name:     "Helm " + version,
		folder:   "helm-" + version,
		module:   module,
		sources:  []string{"go.mod", "go.sum"},
		packages: map[string]string{"helm": path + "/cmd/helm"},
		ldflags:  fmt.Sprintf("-s -w -X %s/internal/version.version=%s", path, version),
		diskGiB:  2,
		hint:     "once on this machine, about 2 minutes",
	}, nil
}
