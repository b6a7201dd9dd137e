package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/certs"
)

// wide is a Pod with 500 containers.
func wide(image func(i int) string) *corev1.Pod {
	var v violation
	for i := range 500 {
		v.containers = append(v.containers, corev1.Container{Name: fmt.Sprintf("c%03d", i), Image: image(i)})
	}
	return pod("wide", v)
}

func TestAPodWith500ContainersIsJudgedLikeAnyOther(t *testing.T) {
	t.Parallel()
	k := in(t, "wide", "")
	tagged := func(int) string { return "example.com/shop:1.0.0" }
	// Plainspec answers within the API server's patience, else this is a refusal.
	if got, want := k.silent(manifest(t, wide(tagged)), "create", "-f", "-", "--dry-run=server"), "pod/wide created (server dry run)\n"; got != want {
		t.Errorf("kubectl create printed %q, want %q", got, want)
	}
	lastUntagged := func(i int) string {
		if i == 499 {
			return "example.com/shop"
		}
		return tagged(i)
	}
	golden(t, "wide-one-refused", k.fails(manifest(t, wide(lastUntagged)), "create", "-f", "-", "--dry-run=server"))
	golden(t, "wide-all-refused", k.fails(manifest(t, wide(func(int) string { return "example.com/shop" })), "create", "-f", "-", "--dry-run=server"))
}

func TestAnImageWithASpaceIsNoImage(t *testing.T) {
	t.Parallel()
	k := in(t, "space", "")
	golden(t, "space-refused", k.fails(manifest(t, deployment("shop", 1, program("shop", "example.com/the shop:1.0.0"))), "apply", "-f", "-"))
}

// brokenRule fails on a workload whose label weight is no number: a mistake that no compiler sees.
const brokenRule = `# METADATA
# title: Too heavy
# description: Finds what weighs too much.
package policies.rules.shop.weight

# METADATA
# title: Too heavy
# description: Finds what weighs too much.
# scope: document
# custom:
#   severity: low
#   mode: deny
#   message: it weighs {{.Value}}
#   fix: make it lighter
#   since: "1.0"
findings contains {"field": "metadata.labels", "value": weight} if {
	weight := input.object.metadata.labels.weight
	to_number(weight) > 10
}
`

func TestAPolicyThatFailsRefusesPeopleAndNoController(t *testing.T) {
	t.Parallel()
	overlay := t.TempDir()
	dir := filepath.Join(overlay, "rules", "shop", "weight")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "weight.rego"), []byte(brokenRule), 0o600); err != nil {
		t.Fatal(err)
	}
	good := program("shop", "example.com/shop:1.0.0")
	weighed := func(name, weight string) string {
		d := deployment(name, 1, good)
		d.Labels = map[string]string{"weight": weight}
		d.Spec.Template.Labels["weight"] = weight
		return manifest(t, d)
	}
	k := in(t, "broken", "broken")
	k.silent(weighed("old", "heavy"), "apply", "-f", "-") // nobody judges yet
	k.becomes("1", "{.status.readyReplicas}", "deployment/old")

	ownServer(t, serverOptions{name: "broken", policies: overlay})
	golden(t, "broken-policy-refused", k.fails(weighed("new", "heavy"), "apply", "-f", "-"))
	golden(t, "working-policy-refused", k.fails(weighed("new", "11"), "apply", "-f", "-"))
	k.silent(weighed("light", "9"), "apply", "-f", "-")

	pod := k.get("{.items[*].metadata.uid}", "pods", "-l", "app=old")
	k.works("", "delete", "pods", "-l", "app=old")
	k.becomes("1", "{.status.readyReplicas}", "deployment/old")
	if after := k.get("{.items[*].metadata.uid}", "pods", "-l", "app=old"); after == pod {
		t.Errorf("the Pod of the Deployment is still %s", after)
	}
	k.noFailedCreates()
	k.noControllerRefused()
}

func TestAnExpiredCertificateIsNamedAndReplacedWithoutARestart(t *testing.T) {
	t.Parallel()
	s, err := shared.newServer(t.Context(), serverOptions{name: "expired", certificate: certs.LocalOptions{
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2020, 4, 1, 0, 0, 0, 0, time.UTC),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := s.launch(t.Context()); err != nil { // it does not become ready
		t.Fatal(err)
	}
	k := in(t, "expired", "expired")
	good := program("shop", "example.com/shop:1.0.0")
	k.silent(manifest(t, deployment("old", 1, good)), "apply", "-f", "-")
	k.becomes("1", "{.status.readyReplicas}", "deployment/old")
	if err := s.apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	root := manifest(t, deployment("new", 1, good))
	stderr := ""
	eventually(t, func() bool { // the API server looks at registrations about once a second
		result := k.run(root, "create", "-f", "-", "--dry-run=server")
		stderr = result.Stderr
		return result.ExitCode != 0
	}, func() string { return "the API server does not ask the server with the expired certificate" })
	golden(t, "expired-refused", stderr)
	k.works("", "delete", "pods", "-l", "app=old")
	k.becomes("1", "{.status.readyReplicas}", "deployment/old")

	runs := s.logged(`"msg":"starting"`)
	if err := s.certify(certs.LocalOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.register(t.Context()); err != nil { // the new authority
		t.Fatal(err)
	}
	if got, want := k.silent(root, "create", "-f", "-"), "deployment.apps/new created\n"; got != want {
		t.Errorf("with the new certificate kubectl create printed %q, want %q", got, want)
	}
	if runs != 1 || s.logged(`"msg":"starting"`) != 1 {
		t.Errorf("the server has started %d times before and %d times after, want once in all", runs, s.logged(`"msg":"starting"`))
	}
	if !strings.Contains(stderr, "2020-04-01T00:00:00Z") {
		t.Errorf("kubectl printed %q, want when the certificate expired", stderr)
	}
	k.noFailedCreates()
	k.noControllerRefused()
}
