package chartrender

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/certs"
	"plainspec.dev/plainspec/cmd/webhook/options"
	"plainspec.dev/plainspec/internal/check"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/manifest"
	"plainspec.dev/plainspec/internal/registration"
)

// pem is what a bundle of certificates begins with.
const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

// Completions of all sorts, as written in a values file.
var completions = []string{
	`{}`,
	`{completion: {}}`,
	`{completion: {labels: {}}}`,
	`{completion: {labels: {version: true, values: {part-of: shop}}}}`,
	`{completion: {labels: null, resources: null}}`,
	`{completion: {resources: {classes: [{main: {requests: {cpu: 100m, memory: 64Mi}}}]}}}`,
	`{completion: {resources: {templates: true, classes: [{namespaces: ["team-*"], init: {limits: {cpu: 1}}}]}, labels: {name: true}}}`,
	`{completion: {profiles: [{name: tomcat, match: {servers: [tomcat]}, source: /app.war, target: /usr/local/tomcat/webapps, hideTarget: true}]}}`,
}

// parsed is a value as a values file says it.
func parsed(t *testing.T, text string) map[string]any {
	t.Helper()
	value := make(map[string]any)
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// as is a value of a values file as a type.
func as[T any](t *testing.T, value any) T {
	t.Helper()
	var typed T
	if err := yaml.Unmarshal([]byte(text(t, value)), &typed); err != nil {
		t.Fatal(err)
	}
	return typed
}

// anyOf returns some of the elements, in their order.
func anyOf[E any](random *rand.Rand, elements ...E) []any {
	chosen := []any{}
	for _, element := range elements {
		if random.IntN(2) == 0 {
			chosen = append(chosen, element)
		}
	}
	return chosen
}

// draw returns values that decide what the API server asks about.
func draw(t *testing.T, random *rand.Rand) values {
	t.Helper()
	configuration := parsed(t, completions[random.IntN(len(completions))])
	if random.IntN(2) == 0 {
		configuration["controllers"] = anyOf(random,
			map[string]any{"user": "system:serviceaccount:kruise-system:kruise-manager"}, map[string]any{"user": `a"b\c<d>&'{{ .Values }}`})
	}
	v := values{
		"enforcement":      []string{"observe", "warn", "enforce"}[random.IntN(3)],
		"exemptNamespaces": append(anyOf(random, "calico-system", namespace), "kube-system"),
		"configuration":    configuration,
		"breakGlass":       map[string]any{"groups": anyOf(random, "platform-emergency", `oidc:"on call" <now>`)},
		"labels":           map[string]any{"team": "platform"},
	}
	if random.IntN(2) == 0 {
		v["certificates"] = map[string]any{"certManager": map[string]any{"enabled": false}, "secretName": "ours", "caBundle": pem}
	}
	if random.IntN(4) == 0 {
		v["fullnameOverride"] = "ours"
	}
	return v
}

// asked are the options by which the server's own code registers what the chart was rendered for. What the configuration
// asks for is read from the file that the server gets.
func asked(t *testing.T, v values, rendered objects) registration.Options {
	t.Helper()
	name := "plainspec"
	if override, ok := v["fullnameOverride"].(string); ok {
		name = override
	}
	config := configuration(t, rendered, name)
	o := registration.Options{
		Name: name, Namespace: namespace, Service: registration.Service{Name: name, Port: 443},
		Labels: map[string]string{
			"app.kubernetes.io/instance": release, "app.kubernetes.io/version": "0.1.0", "app.kubernetes.io/managed-by": "Helm",
			"helm.sh/chart": "plainspec-0.1.0", "team": "platform",
		},
		FailOpen:     config.Enforcement != v1alpha1.EnforcementEnforce,
		CompleteAll:  config.Completion.ConcernsAll(),
		CompletePods: config.Completion.ConcernsPods(),
	}
	for _, controller := range config.Controllers {
		o.Controllers = append(o.Controllers, controller.User)
	}
	o.ExemptNamespaces = as[[]string](t, v["exemptNamespaces"])
	if breakGlass, ok := v["breakGlass"].(map[string]any); ok {
		o.BreakGlassGroups = as[[]string](t, breakGlass["groups"])
	}
	if v["certificates"] == nil {
		o.Annotations = map[string]string{"cert-manager.io/inject-ca-from": namespace + "/" + certs.ServingName(name)}
	} else {
		o.CABundle = []byte(pem)
	}
	return o
}

// configuration is the configuration file that the server reads.
func configuration(t *testing.T, rendered objects, name string) *v1alpha1.Configuration {
	t.Helper()
	config, err := v1alpha1.Decode([]byte(read[corev1.ConfigMap](t, rendered, "ConfigMap", name+"-configuration").Data["config.yaml"]))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestTheChartRegistersWhatTheServersCodeSays(t *testing.T) {
	t.Parallel()
	const draws = 40
	for seed := range uint64(draws) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			v := draw(t, rand.New(rand.NewPCG(seed, seed)))
			rendered := helm4.render(t, v)
			o := asked(t, v, rendered)
			if want, _ := v["enforcement"].(string); string(configuration(t, rendered, o.Name).Enforcement) != want {
				t.Errorf("the server's enforcement is %s, want %s", configuration(t, rendered, o.Name).Enforcement, want)
			}
			validating := read[admissionregistrationv1.ValidatingWebhookConfiguration](t, rendered, "ValidatingWebhookConfiguration", o.Name)
			if diff := cmp.Diff(registration.Validating(o), validating); diff != "" {
				t.Errorf("validating configuration of %v mismatch (-code +chart):\n%s", v, diff)
			}
			mutating := read[admissionregistrationv1.MutatingWebhookConfiguration](t, rendered, "MutatingWebhookConfiguration", o.Name)
			if diff := cmp.Diff(registration.Mutating(o), mutating); diff != "" {
				t.Errorf("mutating configuration of %v mismatch (-code +chart):\n%s", v, diff)
			}
		})
	}
}

// everything are values that render all that the chart has.
func everything(t *testing.T) values {
	t.Helper()
	return values(parsed(t, `
enforcement: enforce
exemptNamespaces: [kube-system, cert-manager]
configuration:
  contact: "Questions: #platform on chat"
  rules: {image.moving_tag: {mode: off}}
  parameters: {moving_tags: [stable, nightly]}
  controllers: [{user: "system:serviceaccount:kruise-system:kruise-manager"}]
  completion:
    labels: {version: true}
    resources: {classes: [{main: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 64Mi}}}]}
breakGlass: {groups: [platform-emergency]}
policies:
  files:
    catalog/team.yaml: "servers: {}\n"
    rules/team/registry/registry.rego: "package policies.rules.team.registry\n"
labels: {team: platform}
podLabels: {team: other, tier: admission}
podAnnotations: {note: text}
annotations: {note: text}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists, effect: NoSchedule}]
affinity: {nodeAffinity: {}}
imagePullSecrets: [{name: registry}]
serviceAccount: {annotations: {note: text}}
networkPolicy: {enabled: true, metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}
metrics: {serviceMonitor: {enabled: true, labels: {release: prometheus}}, prometheusRule: {enabled: true, labels: {release: prometheus}}}
`))
}

func TestBothHelmsRenderTheSame(t *testing.T) {
	t.Parallel()
	tests := map[string]values{
		"the least":            minimal(nil),
		"everything":           everything(t),
		"without cert-manager": draw(t, rand.New(rand.NewPCG(2, 2))),
		"few":                  minimal(values{"rejections": map[string]any{"enabled": false}, "crds": map[string]any{"install": false}, "rbac": map[string]any{"viewers": false}, "replicas": 1}),
	}
	for name, v := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(helm3.render(t, v), helm4.render(t, v)); diff != "" {
				t.Errorf("Helm 3 and 4 differ (-3 +4):\n%s", diff)
			}
		})
	}
}

func TestTheCertificatesAreThoseOfTheChain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		values map[string]any
		issuer *cmmetav1.IssuerReference
	}{
		"an authority of its own":    {},
		"an issuer of the namespace": {map[string]any{"name": "company"}, &cmmetav1.IssuerReference{Name: "company", Kind: "Issuer", Group: "cert-manager.io"}},
		"an issuer of somebody else": {
			map[string]any{"name": "company", "kind": "AWSPCAClusterIssuer", "group": "awspca.cert-manager.io"},
			&cmmetav1.IssuerReference{Name: "company", Kind: "AWSPCAClusterIssuer", Group: "awspca.cert-manager.io"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkChain(t, tc.values, tc.issuer)
		})
	}
}

func checkChain(t *testing.T, issuerRef map[string]any, issuer *cmmetav1.IssuerReference) {
	t.Helper()
	certificates := map[string]any{"certManager": map[string]any{"enabled": true, "issuerRef": issuerRef}}
	rendered := helm4.render(t, minimal(values{"labels": map[string]any{"team": "platform"}, "certificates": certificates}))
	chain, err := certs.Chain(certs.ChainOptions{
		Name: "plainspec", Namespace: namespace, Service: "plainspec", Issuer: issuer,
		Labels: map[string]string{
			"app.kubernetes.io/name": "plainspec", "app.kubernetes.io/instance": release, "app.kubernetes.io/version": "0.1.0",
			"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "plainspec-0.1.0", "team": "platform",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := make(objects)
	for _, link := range chain {
		text, err := json.Marshal(link)
		if err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(text, &object.Object); err != nil {
			t.Fatal(err)
		}
		unstructured.RemoveNestedField(object.Object, "status")
		want[object.GetKind()+" "+object.GetName()] = object
	}
	got := make(objects)
	for _, object := range append(rendered.of("Issuer"), rendered.of("Certificate")...) {
		got[object.GetKind()+" "+object.GetName()] = object
	}
	// As JSON has them, where numbers have one type.
	if diff := cmp.Diff(text(t, want), text(t, got)); diff != "" {
		t.Errorf("certificates mismatch (-code +chart):\n%s", diff)
	}
	// The Service's name is in the certificate, and the server mounts what cert-manager writes.
	if rendered["Service plainspec"] == nil {
		t.Error("the certificate is for a Service that is not there")
	}
	pod := read[appsv1.Deployment](t, rendered, "Deployment", "plainspec").Spec.Template.Spec
	if got, want := pod.Volumes[0].Secret.SecretName, certs.ServingName("plainspec"); got != want {
		t.Errorf("the server mounts Secret %s, want %s", got, want)
	}
}

func text(t *testing.T, value any) string {
	t.Helper()
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheServerUnderstandsItsFlags(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]values{"the least": minimal(nil), "everything": everything(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			container := read[appsv1.Deployment](t, helm4.render(t, v), "Deployment", "plainspec").Spec.Template.Spec.Containers[0]
			o := options.New()
			flags := pflag.NewFlagSet("webhook", pflag.ContinueOnError)
			o.AddFlags(flags)
			if err := flags.Parse(container.Args); err != nil {
				t.Fatal(err)
			}
			mounts := make(map[string]bool)
			for _, mount := range container.VolumeMounts {
				mounts[mount.MountPath] = true
			}
			for flag, folder := range map[string]string{
				o.Config: "/etc/plainspec/configuration", o.CertificateDir: "/etc/plainspec/certificates", o.Policies: "/etc/plainspec/overlay",
			} {
				if flag != "" && (!mounts[folder] || !strings.HasPrefix(flag, folder)) {
					t.Errorf("%s is in none of %v", flag, slices.Sorted(maps.Keys(mounts)))
				}
			}
			if o.WebhookConfiguration != "plainspec" || o.RejectionsNamespace != namespace {
				t.Errorf("webhook configuration %q, namespace of Rejections %q", o.WebhookConfiguration, o.RejectionsNamespace)
			}
			o.Policies = "" // is a folder of the container
			if err := o.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheConfigurationArrivesAsWritten(t *testing.T) {
	t.Parallel()
	v := everything(t)
	got := configuration(t, helm4.render(t, v), "plainspec")

	file := as[map[string]any](t, v["configuration"])
	file["apiVersion"], file["kind"] = v1alpha1.APIVersion, v1alpha1.Kind
	file["enforcement"] = v["enforcement"]
	want, err := v1alpha1.Decode([]byte(text(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text(t, want), text(t, got)); diff != "" {
		t.Errorf("configuration mismatch (-want +got):\n%s", diff)
	}
}

func TestPoliciesArriveUnderTheirPaths(t *testing.T) {
	t.Parallel()
	v := everything(t)
	rendered := helm4.render(t, v)
	stored := read[corev1.ConfigMap](t, rendered, "ConfigMap", "plainspec-policies")
	if _, ok := stored.Labels[registration.PoliciesLabel]; !ok {
		t.Errorf("labels are %v: policies come through no door", stored.Labels)
	}
	got := make(map[string]string)
	for _, volume := range read[appsv1.Deployment](t, rendered, "Deployment", "plainspec").Spec.Template.Spec.Volumes {
		if volume.Name == "policies" {
			for _, item := range volume.ConfigMap.Items {
				got[strings.TrimPrefix(item.Path, "policies/")] = stored.Data[item.Key]
			}
		}
	}
	if diff := cmp.Diff(as[map[string]map[string]string](t, v["policies"])["files"], got); diff != "" {
		t.Errorf("policies mismatch (-want +got):\n%s", diff)
	}
}

// TestItNeedsNoMoreThanThis lists all that the chart's roles allow: a new line is a decision.
func TestItNeedsNoMoreThanThis(t *testing.T) {
	t.Parallel()
	rendered := helm4.render(t, everything(t))
	var got []string
	list := func(role string, rules []rbacv1.PolicyRule) {
		for _, rule := range rules {
			if len(rule.NonResourceURLs) > 0 {
				t.Errorf("%s allows %v", role, rule.NonResourceURLs)
			}
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					line := fmt.Sprintf("%s: %s %s/%s", role, strings.Join(rule.Verbs, ","), group, resource)
					if len(rule.ResourceNames) > 0 {
						line += " " + strings.Join(rule.ResourceNames, ",")
					}
					got = append(got, line)
				}
			}
		}
	}
	for _, object := range rendered.of("ClusterRole") {
		list("ClusterRole "+object.GetName(), read[rbacv1.ClusterRole](t, rendered, "ClusterRole", object.GetName()).Rules)
	}
	for _, object := range rendered.of("Role") {
		list("Role "+object.GetName(), read[rbacv1.Role](t, rendered, "Role", object.GetName()).Rules)
	}
	want := []string{"ClusterRole plainspec: get admissionregistration.k8s.io/mutatingwebhookconfigurations plainspec",
		"ClusterRole plainspec: get admissionregistration.k8s.io/validatingwebhookconfigurations plainspec",
		"ClusterRole plainspec-readiness-viewer: get apiextensions.k8s.io/customresourcedefinitions rejections.audit.plainspec.dev",
		"ClusterRole plainspec-readiness-viewer: get,list /namespaces"}
	for _, kind := range kinds.All() {
		want = append(want, fmt.Sprintf("ClusterRole plainspec-readiness-viewer: get,list %s/%s", kind.Groups[0], kind.Resource))
	}
	want = append(want,
		"ClusterRole plainspec-readiness-viewer: get,list admissionregistration.k8s.io/validatingwebhookconfigurations",
		"ClusterRole plainspec-rejections-viewer: get,list audit.plainspec.dev/rejections",
		"Role plainspec-readiness-viewer: get,list /configmaps",
		"Role plainspec-readiness-viewer: get,list audit.plainspec.dev/rejections",
		"Role plainspec-rejections: create,delete,get,list,update audit.plainspec.dev/rejections",
	)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rights mismatch (-want +got):\n%s", diff)
	}
	// The server is bound to its own roles, and nobody to those of readers.
	for _, kind := range []string{"ClusterRoleBinding", "RoleBinding"} {
		for _, object := range rendered.of(kind) {
			binding := read[rbacv1.RoleBinding](t, rendered, kind, object.GetName())
			subject := rbacv1.Subject{Kind: "ServiceAccount", Name: "plainspec", Namespace: namespace}
			if diff := cmp.Diff([]rbacv1.Subject{subject}, binding.Subjects); diff != "" {
				t.Errorf("%s %s binds others (-want +got):\n%s", kind, object.GetName(), diff)
			}
			if strings.HasSuffix(binding.RoleRef.Name, "-viewer") {
				t.Errorf("%s %s binds the server to %s", kind, object.GetName(), binding.RoleRef.Name)
			}
		}
	}
}

func TestPlainspecAdmitsItself(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		values values
		want   []string // the findings
	}{
		"as it is": {values: everything(t)},
		"by digest": {values: minimal(values{"image": map[string]any{
			"repository": "registry.example.com/plainspec/webhook", "digest": "sha256:" + strings.Repeat("0123456789abcdef", 4),
		}})},
		"with a tag of its own": {values: minimal(values{"image": map[string]any{"tag": "v0.1.1"}})},
		"on the nodes' network": {values: minimal(values{"hostNetwork": true})},
		"not by a moving tag":   {values: minimal(values{"image": map[string]any{"tag": "latest"}}), want: []string{"deny image.no_version"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := helm4.template(t, tc.values)
			if err != nil {
				t.Fatal(err)
			}
			checker, err := check.New(t.Context(), check.Options{Enforcement: "enforce", Namespace: namespace, Now: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			result := checker.Check(t.Context(), manifest.Read(manifest.Options{Paths: []string{manifest.Stdin}, Stdin: strings.NewReader(text)}))
			if s := result.Summary; s.Checked != 1 || s.Undecided > 0 || len(result.Problems) > 0 {
				t.Errorf("summary %+v, problems %v", s, result.Problems)
			}
			var found []string
			for _, object := range result.Objects {
				for _, finding := range object.Findings {
					found = append(found, finding.Mode+" "+finding.Code)
				}
			}
			if diff := cmp.Diff(tc.want, found); diff != "" {
				t.Errorf("findings mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		values string
		want   string // in what Helm says
	}{
		"nothing is filled in":             {`{}`, "exemptNamespaces: name the namespaces that the cluster needs to run, kube-system among them"},
		"kube-system is forgotten":         {`{exemptNamespaces: [calico-system]}`, "exemptNamespaces: name the namespaces that the cluster needs to run, kube-system among them"},
		"a namespace that is none":         {`{exemptNamespaces: [kube_system]}`, `'kube_system' does not match pattern`},
		"an unknown value":                 {`{exemptNamespace: [kube-system]}`, `additional properties 'exemptNamespace' not allowed`},
		"an unknown enforcement":           {`{enforcement: block}`, `at '/enforcement': value must be one of 'observe', 'warn', 'enforce'`},
		"an unknown member":                {`{configuration: {rule: {}}}`, `at '/configuration': additional properties 'rule' not allowed`},
		"an unknown mode":                  {`{configuration: {rules: {image.no_version: {mode: refuse}}}}`, `at '/configuration/rules/image.no_version/mode': value must be one of`},
		"enforcement in two places":        {`{configuration: {enforcement: enforce}}`, `at '/configuration': additional properties 'enforcement' not allowed`},
		"break-glass in two places":        {`{configuration: {breakGlass: {groups: [a]}}}`, `at '/configuration': additional properties 'breakGlass' not allowed`},
		"a profile without a target":       {`{configuration: {completion: {profiles: [{name: a, match: {}, source: /a}]}}}`, `missing property 'target'`},
		"a break-glass group of nothing":   {`{breakGlass: {groups: [""]}}`, `at '/breakGlass/groups/0': '' does not match pattern`},
		"a break-glass group of everybody": {`{exemptNamespaces: [kube-system], breakGlass: {groups: ["system:authenticated"]}}`, "breakGlass.groups: system:authenticated is a group that Kubernetes itself puts users in, always; name one"},
		"an account that nobody makes":     {`{exemptNamespaces: [kube-system], serviceAccount: {create: false}}`, "serviceAccount.name: without serviceAccount.create, name an account"},
		"a tag that is no label":           {`{image: {tag: 1.2.3-}}`, `at '/image/tag'`},
		"a policy above its folder":        {`{policies: {files: {../x.rego: ""}}}`, `at '/policies/files': additional properties '../x.rego' not allowed`},
		"a policy that is no policy":       {`{policies: {files: {rules/x.txt: ""}}}`, `at '/policies/files'`},
		"a path that is ambiguous":         {`{policies: {files: {rules/a__b.rego: ""}}}`, `at '/policies/files'`},
		"no replica":                       {`{replicas: 0}`, `at '/replicas': minimum: got 0, want 1`},
		"a wrong digest":                   {`{image: {digest: "sha256:1234"}}`, `at '/image/digest'`},
		"a label of the chart's":           {`{labels: {app.kubernetes.io/name: other}}`, `at '/labels/app.kubernetes.io~1name': false schema`},
		"no bundle without cert-manager":   {`{exemptNamespaces: [kube-system], certificates: {certManager: {enabled: false}, secretName: ours}}`, "certificates.caBundle: without cert-manager, give the PEM certificates"},
		"no Secret without cert-manager":   {`{exemptNamespaces: [kube-system], certificates: {certManager: {enabled: false}, caBundle: "-----BEGIN CERTIFICATE-----"}}`, "certificates.secretName: without cert-manager, name the Secret"},
		"an issuer without a name":         {`{certificates: {certManager: {issuerRef: {kind: ClusterIssuer}}}}`, `at '/certificates/certManager/issuerRef': missing property 'name'`},
		"a bundle that is none":            {`{certificates: {caBundle: LS0t}}`, `at '/certificates/caBundle'`},
		"a part that is taken away":        {`{exemptNamespaces: [kube-system], breakGlass: null}`, `missing property 'breakGlass'`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, h := range []helm{helm4, helm3} {
				_, err := h.template(t, parsed(t, tc.values))
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("%s says %v, want %q", h, err, tc.want)
				}
			}
		})
	}
}

func TestOldClustersAreRefused(t *testing.T) {
	t.Parallel()
	_, err := helm4.run(t.Context(), "template", release, chart, "--kube-version", "1.29.9", "--set", "exemptNamespaces={kube-system}")
	if err == nil || !strings.Contains(err.Error(), "chart requires kubeVersion: >=1.30.0-0") {
		t.Errorf("error is %v", err)
	}
}

func TestItCreatesNothingAtRunTime(t *testing.T) {
	t.Parallel()
	for key, object := range helm4.render(t, everything(t)) {
		if hook := object.GetAnnotations()["helm.sh/hook"]; hook != "" {
			t.Errorf("%s is a hook: %s", key, hook)
		}
	}
}

func TestEveryValueIsDocumentedAndInTheSchema(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(chart, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-zA-Z.]+) \| [a-z]+ \| .* \| (.*) \|$`).FindAllStringSubmatch(string(readme), -1) {
		if documented = append(documented, row[1]); strings.TrimSpace(row[2]) == "" {
			t.Errorf("value %s has no description: write one in values.yaml", row[1])
		}
	}
	text, err := os.ReadFile(filepath.Join(chart, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct{ Properties map[string]any }
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	delete(schema.Properties, "global") // is Helm's, for charts that contain this one
	inSchema := leaves("", schema.Properties, documented)
	slices.Sort(inSchema)
	slices.Sort(documented)
	if diff := cmp.Diff(documented, inSchema); diff != "" {
		t.Errorf("values mismatch (-README +schema):\n%s", diff)
	}
}

// leaves are the paths of a schema's properties, no further down than where one is documented as a whole.
func leaves(path string, properties map[string]any, documented []string) []string {
	var found []string
	for name, property := range properties {
		below, _ := property.(map[string]any)
		if next, ok := below["properties"].(map[string]any); ok && !slices.Contains(documented, path+name) {
			found = append(found, leaves(path+name+".", next, documented)...)
			continue
		}
		found = append(found, path+name)
	}
	return found
}
