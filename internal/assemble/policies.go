package assemble

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/policies"
)

// PolicyChecker says whether policies load over the built-in ones, and whether a configuration fits them.
type PolicyChecker struct {
	// Config is the configuration that is to fit, ConfigFile where it was read from; empty for the defaults.
	Config     *v1alpha1.Configuration
	ConfigFile string
}

// CheckPolicies checks the policies of a ConfigMap's data. Its error says why no server could load them: file, line and
// column. What does not fit the configuration is a warning, because both may be about to change; so is a file that nobody
// reads.
func (c *PolicyChecker) CheckPolicies(ctx context.Context, data map[string]string) (warnings []string, err error) {
	files, err := Files(data)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if name := pathOf(key); !policy.IsSource(name) && !strings.HasSuffix(name, "_test.rego") {
			warnings = append(warnings, name+" is not read: policies end with .rego, data with .yaml, .yml or .json")
		}
	}
	_, unfit := Reviewer(ctx, Options{Config: c.Config, ConfigFile: c.ConfigFile, Overlay: files})
	if unfit == nil {
		return warnings, nil
	}
	if _, err := policy.Load(ctx, policy.Options{Library: policies.FS, Overlay: files}); err != nil {
		return warnings, err
	}
	return append(warnings, "a server does not start with them and the configuration of now: "+unfit.Error()), nil
}

// pathOf is the path that a key of a ConfigMap stands for: keys have no "/".
func pathOf(key string) string { return strings.ReplaceAll(key, "__", "/") }

// Files are policies by their paths, from the data of a ConfigMap.
func Files(data map[string]string) (fs.FS, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, key := range slices.Sorted(maps.Keys(data)) {
		name := pathOf(key)
		if !fs.ValidPath(name) || name == "." || strings.Contains(key, "___") {
			return nil, fmt.Errorf(`key %q is no path of a file: it is rules__team__registry__registry.rego for rules/team/registry/registry.rego`, key)
		}
		file, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			return nil, fmt.Errorf("add %s: %w", name, err)
		}
		if _, err := io.WriteString(file, data[key]); err != nil {
			return nil, fmt.Errorf("add %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
}
