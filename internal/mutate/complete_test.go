package mutate_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/workload"
)

// pod is a Pod that asks for an artifact.
const pod = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "annotations": {"plainspec.dev/artifact": "geektime/sample:v2"}},
	"spec": {"containers": [{"name": "tomcat", "image": "tomcat:10.1.30"}]}}`

func testCompleter(tb testing.TB) *mutate.Completer {
	tb.Helper()
	return completer(tb, readFile(tb, "testdata/config.yaml"))
}

// TestExamples holds that the annotated Tomcat becomes what the first example writes by hand: the
// same containers, but for names, and for what an injected part has by itself.
func TestExamples(t *testing.T) {
	t.Parallel()
	in := input(t, jsonOf(t, readFile(t, "../../examples/11-war-by-annotation.yaml")))
	result := complete(t, completer(t, readFile(t, "../../examples/profiles.yaml")), in)
	got := tree(t, apply(t, &result, in.Object))
	metadata, _ := got["metadata"].(map[string]any)
	delete(metadata, "annotations")
	spec, _ := got["spec"].(map[string]any)
	inits, _ := spec["initContainers"].([]any)
	if len(inits) != 1 {
		t.Fatalf("%d init containers, want 1", len(inits))
	}
	init, _ := inits[0].(map[string]any)
	delete(init, "securityContext")
	delete(init, "resources")

	byHand := strings.NewReplacer("name: war", "name: artifact", "app-volume", "artifact").Replace(readFile(t, "../../examples/01-war-init-container.yaml"))
	var want map[string]any
	if err := yaml.Unmarshal([]byte(byHand), &want); err != nil {
		t.Fatal(err)
	}
	for _, object := range []map[string]any{got, want} { // one kind of number
		if err := yaml.Unmarshal(encode(t, object), &object); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-by hand +completed):\n%s", diff)
	}
}

func TestCompleteCannotTell(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end()
	deployment, _ := kinds.Find("apps", "Deployment")
	for name, tc := range map[string]struct {
		ctx  context.Context
		in   mutate.Input
		want string
	}{
		"the context has ended":  {ended, input(t, []byte(pod)), "context canceled"},
		"an object is no object": {t.Context(), mutate.Input{Kind: deployment, Object: []byte(`[]`)}, "decode Deployment: "},
		"a field that is only read to complete has another type": {
			t.Context(), input(t, []byte(strings.Replace(pod, `"containers"`, `"securityContext": "none", "containers"`, 1))), "decode Pod spec: ",
		},
		"mounts are no list": {
			t.Context(), input(t, []byte(strings.Replace(pod, `"image"`, `"volumeMounts": {}, "image"`, 1))), "decode Pod: ",
		},
		"what is stored is no object": {
			t.Context(), mutate.Input{Kind: deployment, Update: true, Object: []byte(`{}`), Old: []byte(`{`)}, "decode old Deployment: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := testCompleter(t).Complete(tc.ctx, tc.in)
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if len(result.Patch) > 0 {
				t.Errorf("a patch beside an error: %v", result.Patch)
			}
		})
	}
}

// endsLater is a context that ends after it was asked about a few times.
type endsLater struct {
	context.Context
	left *int
}

func (e endsLater) Err() error {
	if *e.left--; *e.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// TestCompleteEndsInTime holds that the context is asked between the steps, and that nothing half
// done is returned.
func TestCompleteEndsInTime(t *testing.T) {
	t.Parallel()
	c := testCompleter(t)
	for left := range 5 {
		result, err := c.Complete(endsLater{t.Context(), &left}, input(t, []byte(pod)))
		if !errors.Is(err, context.DeadlineExceeded) || len(result.Patch)+len(result.Done) > 0 {
			t.Errorf("%v, %v, want nothing and that the deadline is exceeded", result, err)
		}
	}
	enough := 5
	if _, err := c.Complete(endsLater{t.Context(), &enough}, input(t, []byte(pod))); err != nil {
		t.Error(err)
	}
}

func TestRevision(t *testing.T) {
	t.Parallel()
	config := readFile(t, "testdata/config.yaml")
	one, same, other := completer(t, config), completer(t, config+"# a comment\n"), completer(t, config+"  labels: {version: true}\n")
	if one.Revision() != same.Revision() || one.Revision() == other.Revision() || len(one.Revision()) != 12 {
		t.Errorf("revisions %q, %q and %q, want one of 12 digits, the same and another", one.Revision(), same.Revision(), other.Revision())
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	c := testCompleter(t)
	in := input(t, []byte(pod))
	result := complete(t, c, in)
	completed := string(apply(t, &result, in.Object))
	type target struct{ Container, Path, Profile, Code, Text string }
	for name, tc := range map[string]struct {
		object string
		want   []target
	}{
		"nothing is asked for":             {strings.Replace(pod, "plainspec.dev/artifact", "app", 1), nil},
		"before it is injected":            {pod, []target{{Container: "tomcat", Path: "/usr/local/tomcat/webapps", Profile: "tomcat"}}},
		"what was injected is no conflict": {completed, []target{{Container: "tomcat", Path: "/usr/local/tomcat/webapps", Profile: "tomcat"}}},
		"what was injected was changed": {
			strings.Replace(completed, `"image":"geektime/sample:v2"`, `"image":"geektime/sample:v1"`, 1),
			[]target{{
				"tomcat", "/usr/local/tomcat/webapps", "tomcat", "name_taken",
				`init container "artifact" and plainspec.dev/artifact disagree: geektime/sample:v1 and geektime/sample:v2; change the annotation only, and take the init container out of the manifest if it is in it`,
			}},
		},
		"the record cannot be read": {
			strings.Replace(pod, `"plainspec.dev/artifact"`, `"plainspec.dev/injected": "yes", "plainspec.dev/artifact"`, 1),
			[]target{{
				"tomcat", "/usr/local/tomcat/webapps", "tomcat", "unreadable_record",
				"annotation plainspec.dev/injected is not what Plainspec writes, so it cannot tell what it added before: remove the annotation",
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input(t, []byte(tc.object))
			object, err := workload.Decode(in.Object, in.Kind)
			if err != nil {
				t.Fatal(err)
			}
			targets, err := c.Targets(object, in)
			if err != nil {
				t.Fatal(err)
			}
			var got []target
			for _, found := range targets {
				one := target{Container: found.Container, Path: found.Path, Profile: found.Profile}
				if found.Problem != nil {
					one.Code, one.Text = string(found.Problem.Code), found.Problem.Text
				}
				got = append(got, one)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestApplyKeepsTheRest holds that what is not patched stays as it is written, byte for byte.
func TestApplyKeepsTheRest(t *testing.T) {
	t.Parallel()
	in := input(t, []byte(strings.Replace(pod, `"spec": {`, `"spec": {"later": [1.10, 12345678901234567890, "<&>"], `, 1)))
	result := complete(t, testCompleter(t), in)
	completed := string(apply(t, &result, in.Object))
	if want := `"later":[1.10,12345678901234567890,"<&>"]`; !strings.Contains(strings.ReplaceAll(completed, ", ", ","), want) {
		t.Errorf("%s lacks %s", completed, want)
	}
	broken := mutate.Result{Patch: result.Patch}
	if _, err := broken.Apply([]byte(`{}`)); err == nil || !strings.HasPrefix(err.Error(), "apply patch: ") {
		t.Errorf("error %v, want that the patch cannot be applied to another object", err)
	}
}

// TestLongRecord holds that a record is not read at any length.
func TestLongRecord(t *testing.T) {
	t.Parallel()
	long := `"plainspec.dev/injected": "{\"revision\":\"` + strings.Repeat("x", 256<<10) + `\"}", "plainspec.dev/artifact"`
	result := complete(t, testCompleter(t), input(t, []byte(strings.Replace(pod, `"plainspec.dev/artifact"`, long, 1))))
	if len(result.Patch) > 0 || len(result.Left) != 1 || result.Left[0].Reason != "unreadable_record" {
		t.Errorf("%v, want no patch, and that the record is unreadable", result)
	}
}
