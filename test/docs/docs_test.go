// Package docs holds what the documents show to what is true.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/assemble"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/policies"
)

const root = "../.."

var (
	fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")
	link  = regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`)
)

// documents returns the text of every Markdown file of the project by its path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && name != "." {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		found[name] = string(text)
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("read documents: %d found, %v", len(found), err)
	}
	return found
}

// snippets returns the code blocks of a language.
func snippets(t *testing.T, language string) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	for name, text := range documents(t) {
		for _, block := range fence.FindAllStringSubmatch(text, -1) {
			if block[1] == language {
				found[name] = append(found[name], block[2])
			}
		}
	}
	return found
}

func TestRegoInDocumentsLoads(t *testing.T) {
	t.Parallel()
	if len(snippets(t, "rego")["README.md"]) == 0 {
		t.Error("README.md shows no policy")
	}
	for name, blocks := range snippets(t, "rego") {
		for _, block := range blocks {
			if !strings.HasPrefix(block, "package ") && !strings.HasPrefix(block, "# METADATA") {
				continue // a part of a module
			}
			overlay := fstest.MapFS{"rules/shown.rego": {Data: []byte(block)}}
			if _, err := policy.Load(t.Context(), policy.Options{Library: policies.FS, Overlay: overlay}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestConfigurationInDocumentsLoads(t *testing.T) {
	t.Parallel()
	seen := 0
	for name, blocks := range snippets(t, "yaml") {
		for _, block := range blocks {
			if !strings.Contains(block, "kind: Configuration") {
				continue
			}
			seen++
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(block), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := v1alpha1.Load(file); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if seen == 0 {
		t.Error("no document shows a configuration")
	}
}

func TestLinksLead(t *testing.T) {
	t.Parallel()
	for name, text := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if target := match[1]; !strings.Contains(target, "://") && !strings.HasPrefix(target, "mailto:") {
				if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), target)); err != nil {
					t.Errorf("%s links to %s: %v", name, target, err)
				}
			}
		}
	}
}

// The refusal that README.md shows is the one that is given, but for its id and revision.
func TestREADMEShowsTheRefusal(t *testing.T) {
	t.Parallel()
	reviewer, err := assemble.Reviewer(t.Context(), assemble.Options{Config: &v1alpha1.Configuration{Enforcement: v1alpha1.EnforcementEnforce}})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(root, "examples", "02-volume-hidden-version.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	object, err := yaml.YAMLToJSON(manifest)
	if err != nil {
		t.Fatal(err)
	}
	decision, err := reviewer.Review(t.Context(), validate.Request{
		Operation: validate.Create, Kind: "Pod", Namespace: "default", Name: "javaweb-2", Object: object,
	}, time.Time{})
	if err != nil || decision.Allowed() {
		t.Fatalf("allowed: %v, error: %v", decision.Allowed(), err)
	}
	shown := documents(t)["README.md"]
	for line := range strings.Lines(decision.Message()) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "rejection ") && !strings.Contains(shown, line) {
			t.Errorf("README.md does not show %q", line)
		}
	}
}

func TestREADMEIsShort(t *testing.T) {
	t.Parallel()
	if n := strings.Count(documents(t)["README.md"], "\n"); n > 150 {
		t.Errorf("README.md has %d lines, at most 150 are read", n)
	}
}
