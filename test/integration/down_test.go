package integration

import (
	"strings"
	"testing"
	"time"
)

// ownServer starts and registers a server for namespaces of its own, and ends both with the test.
func ownServer(t *testing.T, o serverOptions) *server {
	t.Helper()
	s, err := shared.newServer(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// eviction is what kubectl drain posts for each Pod.
const eviction = `{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "evicted", "namespace": "down"}}`

func TestWithoutTheServerEverythingWorksButNewRoots(t *testing.T) {
	t.Parallel()
	s := ownServer(t, serverOptions{name: "down"})
	k := in(t, "down", "down")
	good := program("web", "example.com/web:1.0.0")
	k.silent(manifest(t, deployment("web", 2, good), deployment("doomed", 1, good), pod("held", good), pod("evicted", good)), "apply", "-f", "-")
	k.silent("", "patch", "pod/held", "--type=merge", `--patch={"metadata":{"finalizers":["example.com/hold"]}}`)
	k.becomes("2", "{.status.readyReplicas}", "deployment/web")
	k.becomes("1", "{.status.readyReplicas}", "deployment/doomed")
	k.becomes("True", "{.status.conditions[?(@.type=='Ready')].status}", "pod/evicted")

	s.kill()

	before := k.get("{.items[*].metadata.name}", "pods", "-l", "app=web")
	k.works("", "delete", "pods", "-l", "app=web")
	k.becomes("2", "{.status.readyReplicas}", "deployment/web")
	if after := k.get("{.items[*].metadata.name}", "pods", "-l", "app=web"); after == before {
		t.Errorf("the Pods of the Deployment are still %s", after)
	}
	k.silent("", "scale", "--replicas=3", "deployment/web")
	k.becomes("3", "{.status.readyReplicas}", "deployment/web")
	k.silent("", "label", "deployment/web", "team=shop")
	k.silent("", "annotate", "deployment/web", "note=down")
	k.silent("", "rollout", "pause", "deployment/web")
	k.silent(eviction, "create", "--raw", "/api/v1/namespaces/down/pods/evicted/eviction", "-f", "-")
	k.silent("", "wait", "--for=delete", "pod/evicted", "--timeout="+patience.String())
	k.silent("", "delete", "pod/held", "--wait=false")
	k.silent("", "patch", "pod/held", "--type=merge", `--patch={"metadata":{"finalizers":null}}`)
	k.silent("", "wait", "--for=delete", "pod/held", "--timeout="+patience.String())
	// The garbage collector adds and removes a finalizer of the Deployment.
	k.silent("", "delete", "deployment/doomed", "--cascade=foreground", "--timeout="+patience.String())

	root := manifest(t, deployment("new", 1, good))
	golden(t, "down-refused", k.fails(root, "apply", "-f", "-"))
	golden(t, "down-image-refused", k.fails("", "set", "image", "deployment/web", "web=example.com/web:1.0.1"))

	k.noFailedCreates()
	k.noControllerRefused()
	open := false
	for _, event := range k.audited() {
		open = open || event.byController() && event.failedOpen()
	}
	if !open {
		t.Error("the audit log says of no controller's request that the webhook was left out: the server was not down")
	}

	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := k.silent(root, "apply", "-f", "-"), "deployment.apps/new created\n"; got != want {
		t.Errorf("after the server's return kubectl apply printed %q, want %q", got, want)
	}
	if stderr := k.fails("", "create", "deployment", "untagged", "--image=nginx"); !strings.Contains(stderr, "- image.no_version at ") {
		t.Errorf("after the server's return a violation is refused with %q", stderr)
	}
}

func TestReviewsAreAnsweredUntilTheServerHasDrained(t *testing.T) {
	t.Parallel()
	s := ownServer(t, serverOptions{name: "drain", drain: 5 * time.Second})
	k := in(t, "drain", "drain")
	root := manifest(t, deployment("web", 1, program("web", "example.com/web:1.0.0")))

	inFlight := s.slowReview(t)
	inFlight.begin()
	ended := s.terminate(t)
	// Nobody knows yet that the server is going, so the API server still asks it.
	for range 3 {
		if got, want := k.silent(root, "create", "-f", "-", "--dry-run=server"), "deployment.apps/web created (server dry run)\n"; got != want {
			t.Errorf("during the drain kubectl create printed %q, want %q", got, want)
		}
	}
	if got, want := inFlight.finish(), "200 OK"; got != want {
		t.Errorf("the review in flight was answered %q, want %q", got, want)
	}
	if err := ended(); err != nil {
		t.Error(err)
	}
	if stderr := k.fails(root, "create", "-f", "-", "--dry-run=server"); !strings.Contains(stderr, "connection refused") {
		t.Errorf("after the drain kubectl create printed %q", stderr)
	}
}
