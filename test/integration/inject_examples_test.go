package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"plainspec.dev/plainspec/internal/workload"
)

// unjudged is the label's value of namespaces about which no server is asked.
const unjudged = "nobody"

// TestTheModelCaseByAnnotation is why there is an annotation: a Tomcat without anything else, and
// the artifact's name, make the same Pod as the model case.
func TestTheModelCaseByAnnotation(t *testing.T) {
	t.Parallel()
	var stored []string
	for _, example := range []string{"01-war-init-container.yaml", "11-war-by-annotation.yaml"} {
		k := in(t, "model-"+example[:2], "")
		// A node has one such port, and there are few nodes.
		text := replaced(t, seed(t, example), "\n          hostPort: 8001", "")
		result := k.run(text, "apply", "-f", "-")
		k.isWhatCheckSays(result, text)
		if want := "pod/javaweb-2 created\n"; result.Stdout != want || result.Stderr != "" {
			t.Errorf("kubectl apply printed %q and %q, want %q", result.Stdout, result.Stderr, want)
		}
		k.becomes("True", "{.status.conditions[?(@.type=='Ready')].status}", "pod/javaweb-2")
		objects := objectsOf(t, k.silent("", "get", "pod/javaweb-2", "-o", "json"))
		stored = append(stored, shown(t, &objects[0]))
	}
	golden(t, "model-case-by-annotation", "How examples/11 differs from examples/01, as they are stored:\n"+difference(stored[0], stored[1]))
}

// TestWithoutAProfileTheModelCaseIsRefused names what is missing.
func TestWithoutAProfileTheModelCaseIsRefused(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "no-profile"})
	k := in(t, "no-profile", "no-profile")
	golden(t, "model-case-without-profile-refused", k.fails("", "apply", "-f", "examples/11-war-by-annotation.yaml"))
}

// renderable are the examples that are admitted, or would be with a tag.
func renderable(t *testing.T) map[string]string {
	t.Helper()
	examples, err := filepath.Glob(filepath.Join(shared.root, "examples", "[0-9]*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range examples {
		name := filepath.Base(file)
		text := seed(t, name)
		switch name[:2] {
		case "02":
			continue
		case "04":
			text = replaced(t, text, "image: nginx\n", "image: nginx:1.27.3\n")
		case "05":
			text = replaced(t, text, "image: ubuntu\n", "image: ubuntu:24.04\n")
		}
		texts["example-"+name[:2]] = text
	}
	return texts
}

// TestRenderPrintsWhatIsStored compares what the API server stores with Plainspec to what it makes,
// without Plainspec, of what the command line prints. Parts that differ from run to run are left
// out: they are listed at unstable and at withoutAdditions.
func TestRenderPrintsWhatIsStored(t *testing.T) {
	t.Parallel()
	asking := program("server", "geektime/tomcat:7.0")
	asking.annotations = map[string]string{workload.ArtifactAnnotation: "geektime/sample:v2"}
	asking.init = []corev1.Container{{Name: "migrate", Image: "example.com/migrate:1.0.0"}}
	texts := renderable(t)
	for kind, object := range ofEveryKind(t, asking) {
		texts[strings.ToLower(kind)] = manifest(t, object)
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			render := exec.CommandContext(t.Context(), shared.cli, "render", "-f", "-", "--config", shared.server.config())
			render.Stdin, render.Stderr = strings.NewReader(text), os.Stderr
			rendered, err := render.Output()
			if err != nil {
				t.Fatal(err)
			}
			off := in(t, "render-off-"+name, unjudged)
			got := objectsOf(t, off.silent(string(rendered), "apply", "-f", "-", "--dry-run=server", "-o", "json"))
			on := in(t, "render-on-"+name, "")
			on.silent(text, "apply", "-f", "-")
			want := objectsOf(t, on.silent(text, "get", "-f", "-", "-o", "json"))
			if len(want) != len(got) {
				t.Fatalf("%d objects are stored and %d rendered", len(want), len(got))
			}
			for i := range want {
				if want[i].GetKind() == "Service" { // its addresses are the API server's
					continue
				}
				withoutAdditions(t, &want[i])
				withoutAdditions(t, &got[i])
				stored := shown(t, &want[i])
				if diff := cmp.Diff(stored, shown(t, &got[i])); diff != "" {
					t.Errorf("plainspec render differs from what is stored (-stored +rendered):\n%s", diff)
				}
				if asks, has := strings.Contains(stored, "plainspec.dev/artifact:"), strings.Contains(stored, "plainspec.dev/injected:"); asks != has {
					t.Errorf("what is stored asks for an artifact: %t, has one: %t:\n%s", asks, has, stored)
				}
			}
		})
	}
}

// jobLabels are labels that the API server gives to the template of a Job, and to the Job itself if
// no webhook has changed it: then they share one map in its memory.
var jobLabels = []string{"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"}

// withoutAdditions takes out of an object what the API server itself adds to it in another way if
// Plainspec has completed it.
func withoutAdditions(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	for _, label := range jobLabels {
		unstructured.RemoveNestedField(object.Object, "metadata", "labels", label)
	}
	if object.GetKind() != "Pod" {
		return
	}
	// The service account's token: the last of a Pod's volumes and mounts, but before those that
	// Plainspec adds to what is about to be stored.
	withoutToken(object.Object["spec"], "volumes")
	for _, containers := range []string{"initContainers", "containers"} {
		list, _, err := unstructured.NestedSlice(object.Object, "spec", containers)
		if err != nil {
			t.Fatal(err)
		}
		for _, container := range list {
			withoutToken(container, "volumeMounts")
		}
		if err := unstructured.SetNestedSlice(object.Object, list, "spec", containers); err != nil {
			t.Fatal(err)
		}
	}
}

// withoutToken takes the service account's token out of a list of volumes or mounts.
func withoutToken(holder any, list string) {
	members, _ := holder.(map[string]any)
	elements, _ := members[list].([]any)
	members[list] = slices.DeleteFunc(elements, func(element any) bool {
		volume, _ := element.(map[string]any)
		name, _ := volume["name"].(string)
		return strings.HasPrefix(name, "kube-api-access-")
	})
}

// objectsOf are the objects that kubectl printed: one, or a list.
func objectsOf(t *testing.T, text string) []unstructured.Unstructured {
	t.Helper()
	var object unstructured.Unstructured
	if err := json.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if !object.IsList() {
		return []unstructured.Unstructured{object}
	}
	list, err := object.ToList()
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("no list of objects: %v: %s", err, text)
	}
	return list.Items
}
