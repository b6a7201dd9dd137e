package cluster_test

import (
	"strings"
	"testing"
	"time"

	"plainspec.dev/plainspec/test/cluster"
)

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      initContainers:
        - name: prepare
          image: example.com/prepare:1.0
      containers:
        - name: web
          image: example.com/web:1.0
`

func TestDeploymentBecomesReadyPods(t *testing.T) {
	t.Parallel()
	c, err := cluster.Start(t.Context(), cluster.Options{Controllers: true, Nodes: 1, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubectl := func(stdin string, args ...string) string {
		t.Helper()
		result, err := c.KubectlStdin(t.Context(), strings.NewReader(stdin), args...)
		if err != nil {
			t.Fatal(err)
		}
		if result.ExitCode != 0 {
			t.Fatalf("kubectl %q: exit code %d: %s", args, result.ExitCode, result.Stderr)
		}
		return result.Stdout
	}

	if got, want := kubectl(deployment, "apply", "-f", "-"), "deployment.apps/web created\n"; got != want {
		t.Errorf("kubectl apply printed %q, want %q", got, want)
	}
	kubectl("", "wait", "--for=jsonpath={.status.readyReplicas}=3", "deployment/web", "--timeout="+time.Minute.String())
	pods := kubectl("", "get", "pods", "-o", `jsonpath={range .items[*]}{.spec.serviceAccountName} {.spec.nodeName} {.metadata.ownerReferences[0].kind}{"\n"}{end}`)
	if want := strings.Repeat("default fake-node-1 ReplicaSet\n", 3); pods != want {
		t.Errorf("Pods have service account, node and owner\n%swant\n%s", pods, want)
	}

	// RBAC decides what other users may do.
	alice, err := c.User("alice", "developers")
	if err != nil {
		t.Fatal(err)
	}
	refused, err := c.KubectlAs(t.Context(), alice, nil, "get", "pods")
	if err != nil {
		t.Fatal(err)
	}
	const want = `Error from server (Forbidden): pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"` + "\n"
	if refused.Stderr != want || refused.ExitCode != 1 {
		t.Errorf("alice got exit code %d and\n%swant 1 and\n%s", refused.ExitCode, refused.Stderr, want)
	}

	// Owned objects go with their owner only where the controllers run.
	kubectl("", "delete", "deployment/web", "--cascade=foreground", "--timeout="+time.Minute.String())
	kubectl("", "wait", "--for=delete", "pods", "-l", "app=web", "--timeout="+time.Minute.String())
}
