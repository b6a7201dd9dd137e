package integration

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plainspec.dev/plainspec/internal/registration"
)

// doorRule is a rule of a platform team; FACT stands for what it reads.
const doorRule = `package policies.rules.team.registry

# METADATA
# title: Image from outside our registry
# description: Images come from registry.example.com, where they are scanned.
# scope: document
# custom:
#   severity: medium
#   mode: warn
#   message: container "{{.Container}}" uses {{.Value}}, which is not from registry.example.com
#   fix: push the image to registry.example.com and name it there
#   since: "0.1.0"
findings contains {"container": image.container, "field": image.field, "value": image.value} if {
	some image in input.workload.images.all
	image.FACT != "registry.example.com"
}
`

func TestPoliciesThatDoNotLoadAreNotStored(t *testing.T) {
	t.Parallel()
	s := ownServer(t, serverOptions{name: "door", policiesNamespace: "door"})
	k := in(t, "door", "door")
	policies := func(fact string, labels map[string]string) string {
		return manifest(t, &corev1.ConfigMap{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			ObjectMeta: metav1.ObjectMeta{Name: "ours", Labels: labels},
			Data:       map[string]string{"rules__team__registry__registry.rego": strings.ReplaceAll(doorRule, "FACT", fact)},
		})
	}
	labelled := map[string]string{registration.PoliciesLabel: ""}

	golden(t, "policies-door-refused", k.fails(policies("registri", labelled), "apply", "-f", "-"))
	k.silent(policies("registry", labelled), "apply", "-f", "-")
	if text := k.fails(policies("registri", labelled), "apply", "-f", "-"); !strings.Contains(text, "rules/team/registry/registry.rego:15:2:") {
		t.Errorf("an update is refused without its place: %s", text)
	}
	if stored := k.get(`{.data}`, "configmap", "ours"); strings.Contains(stored, "registri") {
		t.Errorf("what was refused is stored: %s", stored)
	}
	k.silent("", "create", "configmap", "anything", "--from-literal=rules__team__registry__registry.rego=broken")
	elsewhere := in(t, "door-elsewhere", "door")
	elsewhere.silent(policies("registri", labelled), "apply", "-f", "-")
	k.silent("", "delete", "configmap", "ours")

	// A server that is gone holds nobody up; it would not start with these anyway.
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	k.silent(policies("registri", labelled), "apply", "-f", "-")
}
