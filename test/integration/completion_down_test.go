package integration

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// withoutAnswer is a server that is registered to complete, beside one that judges, and gives no
// answer: prepare says why.
func withoutAnswer(t *testing.T, name string, prepare func(*testing.T, *server)) kubectl {
	t.Helper()
	ownServer(t, serverOptions{name: name, only: validates, completion: labelled})
	s, err := shared.newServer(t.Context(), serverOptions{name: name + "-completes", namespacesOf: name, only: completes, completion: labelled})
	if err != nil {
		t.Fatal(err)
	}
	k := in(t, name, name)
	prepare(t, s)
	if err := s.apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The API server looks at registrations about once a second.
	eventually(t, func() bool {
		k.run("", "create", "deployment", "probe", "--image=example.com/probe:1.0.0", "--dry-run=server")
		for _, event := range k.audited() {
			if event.failedOpenToComplete() {
				return true
			}
		}
		return false
	}, func() string { return "the API server does not ask the server" })
	return k
}

// failedOpenToComplete tells whether the API server went on without completion.
func (e *auditEvent) failedOpenToComplete() bool {
	for key := range e.Annotations {
		if strings.HasPrefix(key, "failed-open.mutation.webhook.admission.k8s.io/") {
			return true
		}
	}
	return false
}

// silence accepts connections and never answers.
func silence(t *testing.T, s *server) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	var accepting errgroup.Group
	accepting.Go(func() error {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return nil //nolint:nilerr // the test ends it
			}
			context.AfterFunc(t.Context(), func() { _ = connection.Close() })
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		_ = accepting.Wait()
	})
}

// TestWithoutCompletionOnlyWhoAsksIsRefused: completion is a convenience that must not stop a cluster; but what
// asks for an artifact would run without its application.
func TestWithoutCompletionOnlyWhoAsksIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		name    string
		prepare func(*testing.T, *server)
	}{
		"the server is gone":         {name: "no-server", prepare: func(*testing.T, *server) {}},
		"the server does not answer": {name: "no-answer", prepare: silence},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := withoutAnswer(t, tc.name, tc.prepare)
			r := k.counting("Deployment", "web")
			r.after(1, manifest(t, deployment("web", 2, tomcatServer())), "apply", "-f", "-")
			if got := k.labels(".", "deployment/web"); len(got) != 0 {
				t.Errorf("the Deployment is labelled %v: the server answered", got)
			}
			k.silent(manifest(t, pod("bare", tomcatServer())), "apply", "-f", "-")
			r.after(1, "", "set", "image", "deployment/web", "tomcat=tomcat:9.0.90")
			r.after(0, "", "scale", "--replicas=3", "deployment/web")
			golden(t, "completion-"+tc.name+"-deployment-refused", k.fails(manifest(t, deployment("new", 1, shopServer("1.0.0"))), "apply", "-f", "-"))
			golden(t, "completion-"+tc.name+"-pod-refused", k.fails(manifest(t, pod("new", shopServer("1.0.0"))), "apply", "-f", "-"))
			// Whoever writes the parts down needs nobody to add them.
			whole := deployment("whole", 1, shopServer("1.0.0"))
			whole.Spec.Template.Spec = wholeShop("war", "1.0.0")
			k.silent(manifest(t, whole), "apply", "-f", "-")
			k.noFailedCreates()
			k.noControllerRefused()
		})
	}
}

// TestAnOverloadedServerAdmitsWhatAsksForNothing fills all places of a server with reviews whose
// bodies never come.
func TestAnOverloadedServerAdmitsWhatAsksForNothing(t *testing.T) {
	t.Parallel()
	ownServer(t, serverOptions{name: "overload", only: validates, completion: labelled})
	s := completer(t, "overload-completes", "overload", labelled)
	k := in(t, "overload", "overload")
	const places = 32 // the server's default
	for range places {
		s.slowReview(t).send(fmt.Sprintf("POST /mutate?timeout=30s HTTP/1.1\r\nHost: plainspec\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", len(review)))
	}
	k.works(manifest(t, deployment("web", 1, tomcatServer())), "apply", "-f", "-")
	if got := k.labels(".", "deployment/web"); len(got) != 0 {
		t.Errorf("the Deployment is labelled %v: the server was not overloaded", got)
	}
	golden(t, "completion-overload-refused", k.fails(manifest(t, deployment("new", 1, shopServer("1.0.0"))), "apply", "-f", "-"))
	k.becomes("1", "{.status.readyReplicas}", "deployment/web")
	k.noFailedCreates()
	k.noControllerRefused()
}
