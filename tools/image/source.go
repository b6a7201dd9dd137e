package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// source is what an image is built from, as the go command records it in the program.
type source struct {
	// version is a tag or a commit's pseudo-version, with "+dirty" if files were changed; "(devel)" outside a repository.
	version string
	// revision is the commit, and when it was made; zero outside a repository.
	revision string
	time     time.Time
}

// describe builds the server for this machine and reads what `webhook --version` prints: the go command tells it in no
// other way.
func describe(ctx context.Context, root string) (_ source, err error) {
	dir, err := os.MkdirTemp("", "plainspec-image-")
	if err != nil {
		return source{}, fmt.Errorf("create folder: %w", err)
	}
	defer func() {
		if removed := os.RemoveAll(dir); err == nil {
			err = removed
		}
	}()
	program := filepath.Join(dir, "webhook")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=auto", "-o", program, command)
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return source{}, fmt.Errorf("build %s: %w\n%s", command, err, out)
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return source{}, fmt.Errorf("read version: %w", err)
	}
	s := source{version: info.Main.Version}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			s.revision = setting.Value
		case "vcs.time":
			if s.time, err = time.Parse(time.RFC3339, setting.Value); err != nil {
				return source{}, fmt.Errorf("read time of the commit: %w", err)
			}
		}
	}
	return s, nil
}

// tag is the version as an image's tag, written as the chart's appVersion is: 0.1.0 for v0.1.0. A tag has no "+".
func (s source) tag() string {
	return strings.ReplaceAll(strings.TrimPrefix(strings.Trim(s.version, "()"), "v"), "+", "-")
}

// annotations describe the image, as the OCI's image specification names them.
func (s source) annotations() map[string]string {
	found := map[string]string{
		"org.opencontainers.image.title":       "Plainspec webhook",
		"org.opencontainers.image.description": "The Plainspec admission webhook: every Pod spec says what it runs.",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.source":      "https://plainspec.dev/plainspec",
		"org.opencontainers.image.version":     s.version,
	}
	if s.revision != "" {
		found["org.opencontainers.image.revision"] = s.revision
	}
	return found
}
