package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/workload"
)

// storyCompletion are the profiles of the stories in testdata/stories. They have nothing in common
// with those of examples/: any server and any path work by configuration alone.
const storyCompletion = `
completion:
  profiles:
    - name: shop-server
      match: {images: [example.com/shop-server], artifacts: [example.com/shop]}
      source: /shop.war
      target: /srv/apps
      hideTarget: true
    - name: help
      match: {images: [example.com/shop-server], artifacts: [example.com/help]}
      source: /help.war
      target: /srv/apps
      hideTarget: true
    - name: extensions
      match: {images: [example.com/shop-server], artifacts: [example.com/extension]}
      source: /extension.jar
      rename: first.jar
      target: /srv/extensions
      readOnly: true
    - name: as-root
      match: {images: [example.com/shop-server], artifacts: [example.com/rooted]}
      source: /rooted/
      target: /srv/rooted
      hideTarget: true
      init: {user: 0, rootBecause: its files belong to root}
    - name: iis
      match: {images: [example.com/iis]}
      os: windows
      source: /shop/
      target: /inetpub/wwwroot
      hideTarget: true
      init: {command: [robocopy, /shop, /plainspec/artifact]}
`

// TestStories runs what people do with kubectl, through a real API server, as testdata/stories
// tells it: each file is a manifest or more, commands, and after each command what it printed and
// how the stored objects differ from before. UPDATE_GOLDEN=1 writes what is told.
func TestStories(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "stories", completion: storyCompletion})
	files, err := filepath.Glob("testdata/stories/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			told, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			archive := txtar.Parse(told)
			archive.Comment = newStoryteller(t, archive).tell(archive.Comment)
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(told), string(txtar.Format(archive))); diff != "" {
				t.Errorf("%s differs (-want +got):\n%s", file, diff)
			}
		})
	}
}

// storyteller runs the commands of one story in a namespace and a folder of its own.
type storyteller struct {
	kubectl

	dir    string
	env    []string
	stored string // the objects after the last command
}

func newStoryteller(t *testing.T, archive *txtar.Archive) *storyteller {
	t.Helper()
	s := &storyteller{kubectl: in(t, "story-"+filepath.Base(t.Name()), "stories"), dir: t.TempDir()}
	for _, file := range archive.Files {
		if err := os.WriteFile(filepath.Join(s.dir, file.Name), file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kubeconfig, err := os.ReadFile(shared.cluster.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(private, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "KUBECONFIG="+private, "KUBERC=off", "KUBECACHEDIR="+filepath.Join(t.TempDir(), "cache"),
		"PATH="+filepath.Dir(shared.assets.Kubectl)+":"+shared.dir+":"+os.Getenv("PATH"),
		"EXAMPLES="+filepath.Join(shared.root, "examples"), "NAMESPACE="+s.namespace)
	if out := s.shell("kubectl config set-context --current --namespace=" + s.namespace); !strings.HasPrefix(out, "Context ") {
		t.Fatal(out)
	}
	s.stored = s.objects()
	return s
}

// tell runs a story's commands, the lines that start with a dollar (a backslash at the end goes on
// in the next), and returns the story with what they did. Other lines before the first command, and
// those that start with "# ", stay.
func (s *storyteller) tell(story []byte) []byte {
	s.t.Helper()
	var told strings.Builder
	command, begun := "", false
	for line := range strings.Lines(string(story)) {
		switch {
		case strings.HasPrefix(line, "$ "), strings.HasSuffix(command, "\\\n"):
			if !strings.HasSuffix(command, "\\\n") {
				command = ""
			}
			command, begun = command+line, true
			told.WriteString(line)
			if !strings.HasSuffix(command, "\\\n") {
				told.WriteString(s.shell(strings.TrimPrefix(command, "$ ")) + s.changes() + "\n")
			}
		case !begun, strings.HasPrefix(line, "# "):
			told.WriteString(line)
		}
	}
	return []byte(strings.TrimSuffix(told.String(), "\n"))
}

// shell runs one command and returns what it printed.
func (s *storyteller) shell(command string) string {
	s.t.Helper()
	sh := exec.CommandContext(s.t.Context(), "sh", "-c", command)
	sh.Dir, sh.Env = s.dir, s.env
	out, err := sh.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	printed := string(out)
	if code := sh.ProcessState.ExitCode(); code != 0 {
		printed += fmt.Sprintf("(exit code %d)\n", code)
	}
	return masked(printed)
}

// changes returns how the stored objects differ from those after the last command.
func (s *storyteller) changes() string {
	s.t.Helper()
	before := s.stored
	s.stored = s.objects()
	return difference(before, s.stored)
}

// hunk is the first line of each part of a unified diff.
var hunk = regexp.MustCompile(`(?m)^@@ .*$`)

// difference is a unified diff of two texts, without line numbers.
func difference(before, after string) string {
	_, diff, _ := strings.Cut(udiff.Unified("before", "after", before, after), "+++ after\n")
	return hunk.ReplaceAllString(diff, "@@")
}

// objects are the workloads of the namespace that people made.
func (s *storyteller) objects() string {
	s.t.Helper()
	var all strings.Builder
	for _, kind := range kinds.All() {
		raw, err := shared.client.CoreV1().RESTClient().Get().AbsPath(s.path(kind)).DoRaw(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		var list unstructured.UnstructuredList
		if err := list.UnmarshalJSON(raw); err != nil {
			s.t.Fatal(err)
		}
		for i := range list.Items {
			if item := &list.Items[i]; metav1.GetControllerOf(item) == nil {
				item.SetKind(kind.Name)
				all.WriteString("---\n" + shown(s.t, item))
			}
		}
	}
	return all.String()
}

// unstable are the parts of a stored object that differ from run to run.
var unstable = [][]string{
	{"status"},
	{"metadata", "uid"}, {"metadata", "resourceVersion"}, {"metadata", "creationTimestamp"}, {"metadata", "managedFields"}, {"metadata", "namespace"},
	{"metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"}, // the manifest as it was written
	{"metadata", "annotations", "deployment.kubernetes.io/revision"},                // by the controller, some time after
	{"spec", "nodeName"}, // by the scheduler
}

// shown is an object as YAML, without what is unstable; what Plainspec keeps in its annotation is
// shown as YAML, too.
func shown(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	for _, field := range unstable {
		unstructured.RemoveNestedField(object.Object, field...)
	}
	if len(object.GetAnnotations()) == 0 {
		object.SetAnnotations(nil)
	}
	kind, _ := kinds.Find(object.GroupVersionKind().Group, object.GetKind())
	for _, path := range []string{kinds.TemplateSelf.AnnotationsPath(), kind.Template.AnnotationsPath()} {
		fields := strings.Split(path, ".")
		annotations, _, err := unstructured.NestedMap(object.Object, fields...)
		if err != nil {
			t.Fatal(err)
		}
		var record map[string]any
		if text, ok := annotations[workload.InjectedAnnotation].(string); ok && json.Unmarshal([]byte(text), &record) == nil {
			annotations[workload.InjectedAnnotation] = record
			if err := unstructured.SetNestedMap(object.Object, annotations, fields...); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := yaml.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	return masked(string(text))
}
