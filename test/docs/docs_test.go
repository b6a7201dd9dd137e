// Package docs holds what the documents show to what is true.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
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

// The threat model names the test that holds an answer, and no threat of SIG Security's is left out.
func TestThreatsHaveTheirTests(t *testing.T) {
	t.Parallel()
	text := documents(t)[filepath.Join("docs", "threat-model.md")]
	tests := testNames(t)
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(text, -1)
	if len(named) < 30 {
		t.Errorf("docs/threat-model.md names %d tests", len(named))
	}
	for _, name := range named {
		if !tests[name[1]] {
			t.Errorf("docs/threat-model.md names %s, which is no test", name[1])
		}
	}
	rows := regexp.MustCompile(`(?m)^\| (\d[\d, ]*) \|`).FindAllStringSubmatch(text, -1)
	answered := make(map[string]bool)
	for _, row := range rows {
		for number := range strings.SplitSeq(row[1], ",") {
			answered[strings.TrimSpace(number)] = true
		}
	}
	for number := 1; number <= 18; number++ {
		if !answered[strconv.Itoa(number)] {
			t.Errorf("docs/threat-model.md has no answer to threat %d", number)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| ---") && strings.Count(line, " test, or gap |") == 0 &&
			!strings.Contains(line, "`Test") && !strings.Contains(strings.ToLower(line), "**gap**") {
			t.Errorf("docs/threat-model.md: neither test nor gap: %s", line)
		}
	}
}

// Each metric of the server is explained, and no other one.
func TestMetricsAreExplained(t *testing.T) {
	t.Parallel()
	known := regexp.MustCompile(`"(plainspec_[a-z_]+)"`)
	explained := regexp.MustCompile("`(plainspec_[a-z_]+)[`{]")
	want, got := make(map[string]bool), make(map[string]bool)
	for _, text := range goFiles(t, func(name string) bool {
		return !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "test/") && !strings.HasPrefix(name, "tools/")
	}) {
		for _, match := range known.FindAllStringSubmatch(text, -1) {
			want[match[1]] = true
		}
	}
	for _, match := range explained.FindAllStringSubmatch(documents(t)[filepath.Join("docs", "operations.md")], -1) {
		got[match[1]] = true
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Errorf("metrics in docs/operations.md (-in code +explained):\n%s", diff)
	}
}

// testNames returns the names of all tests of the module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	test := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
	for _, text := range goFiles(t, func(name string) bool { return strings.HasSuffix(name, "_test.go") }) {
		for _, match := range test.FindAllStringSubmatch(text, -1) {
			found[match[1]] = true
		}
	}
	return found
}

// goFiles returns the text of the Go files of the module whose path is wanted.
func goFiles(t *testing.T, wanted func(name string) bool) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && name != "." {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(name) != ".go" || !wanted(filepath.ToSlash(name)) {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		found[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
