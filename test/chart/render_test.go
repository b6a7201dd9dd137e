package chart

import (
	"strings"
	"testing"

	"plainspec.dev/plainspec/certs"
)

// TestRenderedChartIsValid has the API server check what the chart renders to, for values that change what
// is rendered. A Prometheus operator's kinds are not among them: they are not here.
func TestRenderedChartIsValid(t *testing.T) {
	s := &story{T: t, environment: shared, program: shared.helm4}
	s.team("rendered")
	authority, err := certs.WriteLocal(t.TempDir(), certs.LocalOptions{Hosts: []string{"plainspec.rendered.svc"}})
	if err != nil {
		t.Fatal(err)
	}
	const exempt = "exemptNamespaces: [kube-system]\n"
	for name, values := range map[string]string{
		"the least that is needed": exempt,
		"enforcement":              exempt + enforce,
		"a certificate of one's own": exempt + "certificates:\n  certManager: {enabled: false}\n  secretName: own\n  caBundle: |\n    " +
			strings.ReplaceAll(strings.TrimSpace(string(authority)), "\n", "\n    ") + "\n",
		"the network of the nodes": exempt + "hostNetwork: true\nports: {webhook: 10443, metrics: 10080, probes: 10081}\n",
		"everything that can be completed": exempt + `
configuration:
  completion:
    resources: {classes: [{main: {requests: {cpu: 100m, memory: 128Mi}}}]}
    labels: {}
  controllers: [{user: "system:serviceaccount:kruise-system:kruise-manager"}]
  contact: "Questions: #platform"
  rules: {image.moving_tag: {mode: deny}}
`,
		"everything around the Pods": exempt + `
replicas: 5
breakGlass: {groups: [platform-emergency, "with \"quotes\""]}
policies: {files: {rules/team/registry/registry.rego: "package policies.rules.team.registry\n"}}
rejections: {enabled: false}
crds: {keep: false}
networkPolicy: {enabled: true, metricsFrom: [{namespaceSelector: {matchLabels: {team: monitoring}}}]}
imagePullSecrets: [{name: registry}]
image: {digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
priorityClassName: ""
topologySpreadConstraints: []
podDisruptionBudget: {enabled: false}
nodeSelector: {kubernetes.io/os: linux}
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}
tolerations: [{operator: Exists}]
serviceAccount: {name: own, annotations: {a: b}}
fullnameOverride: gate
labels: {team: platform}
annotations: {a: b}
podLabels: {a: b}
podAnnotations: {a: b}
resources: {}
`,
		"one replica of little": exempt + "replicas: 1\ncrds: {install: false}\nserviceAccount: {create: false, name: default}\nrbac: {viewers: false}\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := &story{T: t, environment: s.environment, program: s.program}
			rendered, err := s.helm(t.Context(), s.program, values, "template", release, s.chart(), "--namespace=rendered")
			if err != nil {
				t.Fatal(err)
			}
			result, err := s.cluster.KubectlStdin(t.Context(), strings.NewReader(rendered), "apply", "--dry-run=server", "--validate=strict", "--namespace=rendered", "-f", "-")
			if err != nil {
				t.Fatal(err)
			}
			if result.ExitCode != 0 || result.Stderr != "" || !strings.Contains(result.Stdout, "deployment.apps/") {
				t.Errorf("exit code %d\n%s%s", result.ExitCode, result.Stdout, result.Stderr)
			}
		})
	}
}
