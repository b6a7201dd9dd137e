package mutate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	evanphx "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/mutate"
)

// inputs are the sections that a story may have.
var inputs = []string{"config.yaml", "object.yaml", "edit.json", "config-after.yaml", "old.yaml"}

// wants are the sections that each story has: the patch, the completed object, and what is said.
var wants = []string{"want.patch.json", "want.yaml", "want.notes"}

// TestStories runs each story of testdata. Its first line says what it proves. "object.yaml" is
// applied under "config.yaml" (testdata/config.yaml if there is none). If there is an "edit.json",
// that was before: somebody then changes what is stored by this JSON patch, which is an UPDATE, under
// "config-after.yaml" if there is one. With "old.yaml", the object is an UPDATE of that.
// In records, REVISION stands for the revision of the configuration.
func TestStories(t *testing.T) {
	t.Parallel()
	stories, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range stories {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runStory(t, path)
		})
	}
}

func runStory(t *testing.T, path string) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(archive.Comment)) == "" {
		t.Fatal("the first line does not say what the story proves")
	}
	sections := make(map[string]string)
	for _, file := range archive.Files {
		if !slices.Contains(inputs, file.Name) && !slices.Contains(wants, file.Name) {
			t.Fatalf("section %q is unknown", file.Name)
		}
		sections[file.Name] = string(file.Data)
	}
	c, in := situation(t, sections)
	result := complete(t, c, in)
	completed := apply(t, &result, in.Object)

	again := in
	again.Object = completed
	if second := complete(t, c, again); len(second.Patch) > 0 && second.Skipped == mutate.SkipNone {
		t.Errorf("the second patch is not empty: %s", patchText(t, second.Patch))
	}
	holdUsers(t, in, completed)

	got := map[string]string{
		"want.patch.json": patchText(t, result.Patch), "want.yaml": yamlText(t, completed), "want.notes": notes(&result),
	}
	for name := range got {
		got[name] = strings.ReplaceAll(got[name], c.Revision(), "REVISION")
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "want.") })
		for _, name := range wants {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
		}
		if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, name := range wants {
		if diff := cmp.Diff(sections[name], got[name]); diff != "" {
			t.Errorf("%s (-want +got; UPDATE_GOLDEN=1 rewrites it):\n%s", name, diff)
		}
	}
}

// situation is what a story's sections describe.
func situation(t *testing.T, sections map[string]string) (*mutate.Completer, mutate.Input) {
	t.Helper()
	config := sections["config.yaml"]
	if config == "" {
		config = readFile(t, "testdata/config.yaml")
	}
	c := completer(t, config)
	in := input(t, jsonOf(t, strings.ReplaceAll(sections["object.yaml"], "REVISION", c.Revision())))
	if old := sections["old.yaml"]; old != "" {
		in.Update, in.Old = true, jsonOf(t, old)
	}
	edit := sections["edit.json"]
	if edit == "" {
		return c, in
	}
	result := complete(t, c, in)
	in.Update, in.Old = true, apply(t, &result, in.Object)
	patch, err := evanphx.DecodePatch([]byte(strings.ReplaceAll(edit, "REVISION", c.Revision())))
	if err != nil {
		t.Fatal(err)
	}
	if in.Object, err = patch.Apply(in.Old); err != nil {
		t.Fatal(err)
	}
	if after := sections["config-after.yaml"]; after != "" {
		c = completer(t, after)
	}
	return c, in
}

func completer(tb testing.TB, config string) *mutate.Completer {
	tb.Helper()
	decoded, err := v1alpha1.Decode([]byte(config))
	if err != nil {
		tb.Fatal(err)
	}
	c, err := mutate.New(mutate.Options{
		Completion: decoded.Completion, Servers: map[string]string{"tomcat": "tomcat"}, Tools: []string{"busybox"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// input is the CREATE of an object, whose kind it states.
func input(tb testing.TB, object []byte) mutate.Input {
	tb.Helper()
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(object, &head); err != nil {
		tb.Fatal(err)
	}
	group, _, found := strings.Cut(head.APIVersion, "/")
	if !found {
		group = ""
	}
	kind, ok := kinds.Find(group, head.Kind)
	if !ok {
		tb.Fatalf("kind %q of group %q is not in the table", head.Kind, group)
	}
	return mutate.Input{Kind: kind, Namespace: "shop", Object: object}
}

func complete(tb testing.TB, c *mutate.Completer, in mutate.Input) mutate.Result {
	tb.Helper()
	result, err := c.Complete(tb.Context(), in)
	if err != nil {
		tb.Fatal(err)
	}
	return result
}

func apply(tb testing.TB, result *mutate.Result, object []byte) []byte {
	tb.Helper()
	completed, err := result.Apply(object)
	if err != nil {
		tb.Fatal(err)
	}
	return completed
}

func readFile(tb testing.TB, path string) string {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func jsonOf(tb testing.TB, text string) []byte {
	tb.Helper()
	converted, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return converted
}

func yamlText(t *testing.T, object []byte) string {
	t.Helper()
	text, err := yaml.JSONToYAML(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// patchText is a patch, an operation a line.
func patchText[T any](t *testing.T, patch []T) string {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	for i := range patch {
		if err := encoder.Encode(&patch[i]); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

// notes is what a result says besides its patch.
func notes(r *mutate.Result) string {
	var text strings.Builder
	if r.Skipped != mutate.SkipNone {
		fmt.Fprintf(&text, "skipped: %s\n", r.Skipped)
	}
	for _, d := range r.Done {
		fmt.Fprintf(&text, "done: %s: %s\n", d.What, d.Text)
	}
	for _, l := range r.Left {
		fmt.Fprintf(&text, "left: %s: %s: %s\n  at %s\n", l.What, l.Reason, l.Text, l.Field)
	}
	if r.InitContainers != nil {
		fmt.Fprintf(&text, "init containers: %v\n", r.InitContainers)
	}
	return text.String()
}
