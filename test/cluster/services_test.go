package cluster

import (
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const service = `
apiVersion: v1
kind: Service
metadata: {name: app}
spec:
  clusterIP: 10.0.0.77
  selector: {app: app}
  ports: [{name: web, port: 80, targetPort: web}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 2
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      nodeSelector: {plainspec.dev/local-node: processes}
      tolerations: [{key: plainspec.dev/local-node, operator: Exists}]
      containers:
        - name: app
          image: example.com/app:1.0
          args: ["--listen=:8080", "--drain=5s"]
          ports: [{name: web, containerPort: 8080}]
          readinessProbe: {periodSeconds: 1, httpGet: {path: /ready, port: web}}
          env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
`

func TestServicesLeadToReadyPods(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "app")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../node/testdata/app").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	c, err := Start(t.Context(), Options{Controllers: true, ProcessNodes: 2, Images: map[string]string{"example.com/app:1.0": program}, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubectl := func(stdin string, args ...string) {
		t.Helper()
		result, err := c.KubectlStdin(t.Context(), strings.NewReader(stdin), args...)
		if err != nil || result.ExitCode != 0 {
			t.Fatalf("kubectl %q: %v %s", args, err, result.Stderr)
		}
	}
	kubectl(service, "apply", "-f", "-")
	kubectl("", "wait", "--for=condition=Available", "deployment/app", "--timeout=1m")

	// Both answer, by turns, as soon as both are endpoints.
	until := func(want int) map[string]int {
		t.Helper()
		seen := map[string]int{}
		for range 600 {
			clear(seen)
			for range 4 {
				answer, err := c.connectAndGet(t, "10.0.0.77:80")
				if err != nil {
					t.Fatal(err)
				}
				seen[answer]++
			}
			if len(seen) == want {
				return seen
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatalf("%d Pods answer, want %d", len(seen), want)
		return nil
	}
	for pod, times := range until(2) {
		if times != 2 {
			t.Errorf("of 4 requests, %s answered %d, want 2", pod, times)
		}
	}

	// While all are ending, those that still serve are asked; then nobody is.
	kubectl("", "scale", "deployment/app", "--replicas=1")
	until(1)
	kubectl("", "scale", "deployment/app", "--replicas=0")
	var last error
	for range 600 {
		if _, last = c.connectAndGet(t, "10.0.0.77:80"); last != nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if diff := cmp.Diff("no Pod behind 10.0.0.77:80 is ready", message(last)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}

	const nobody = "neither a Service nor a Pod that runs as a process has this address"
	for _, address := range []string{"10.0.0.77:81", "127.0.0.1:10250"} {
		_, err := c.connectAndGet(t, address)
		if diff := cmp.Diff(nobody, message(err)); diff != "" {
			t.Errorf("error for %s (-want +got):\n%s", address, diff)
		}
	}
}

// connectAndGet returns the name of the Pod that answers at an address.
func (c *Cluster) connectAndGet(t *testing.T, address string) (string, error) {
	t.Helper()
	connection, err := c.services.connect(t.Context(), address)
	if err != nil {
		return "", err
	}
	dial := func(context.Context, string, string) (net.Conn, error) { return connection, nil }
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
	response, err := client.Get("http://app/") //nolint:noctx // a local process
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	_, rest, _ := strings.Cut(string(text), "POD=")
	name, _, _ := strings.Cut(rest, `"`)
	return name, err
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
