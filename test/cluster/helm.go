package cluster

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
)

// HelmAssets are the paths of Helm's programs.
type HelmAssets struct {
	V4, V3 string
}

// Helm is [Binaries] for both versions of Helm that charts are installed with:
// building them from the modules tools/helm4 and tools/helm3 takes about two
// minutes, once.
func Helm(ctx context.Context, progress io.Writer) (HelmAssets, error) {
	if progress == nil {
		progress = io.Discard
	}
	b, err := newBuilder(ctx, progress)
	if err != nil {
		return HelmAssets{}, err
	}
	var h HelmAssets
	for _, program := range []struct {
		major string
		path  *string
	}{{"4", &h.V4}, {"3", &h.V3}} {
		c, err := helmComponent(b.root, program.major)
		if err != nil {
			return HelmAssets{}, err
		}
		dir, err := b.ensure(ctx, c)
		if err != nil {
			return HelmAssets{}, err
		}
		*program.path = filepath.Join(dir, "helm")
	}
	return h, nil
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
		hint:     "once on this machine, about a minute",
	}, nil
}
