package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/jsonschema-go/jsonschema"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/certs"
	"plainspec.dev/plainspec/internal/registration"
)

const chartFolder = "charts/plainspec"

// What stands in the generated objects where the chart has a value.
const (
	name       = "xx-name"
	namespace  = "xx-own"
	labels     = "xx-labels"
	exempt     = "xx-exempt"
	controller = "xx-controller"
	group      = "xx-group"
	failure    = "xx-failure"
	authority  = "xx-authority"
	issuer     = "xx-issuer"
)

// expressions are what the chart has there. The expressions of match conditions are block scalars, where quotes need no
// escape.
var expressions = strings.NewReplacer(
	`,"`+controller+`"]`, `{{ range .Values.configuration.controllers }},{{ toJson .user }}{{ end }}]`,
	`["`+group+`"]`, `{{ include "plainspec.breakGlassGroups" . }}`,
	name, `{{ include "plainspec.fullname" . }}`,
	"namespace: "+namespace, `namespace: {{ .Release.Namespace | quote }}`,
	namespace, `{{ .Release.Namespace }}`,
	failure, `{{ ternary "Fail" "Ignore" (eq .Values.enforcement "enforce") }}`,
)

// lines are whole lines that templates of the chart write, with the indent at which they stand.
var lines = []struct {
	line     *regexp.Regexp
	template string
}{
	{regexp.MustCompile(`(?m)^( *)` + labels + `: "[^\n]*$`), `{{- include "plainspec.labels" . | nindent %d }}`},
	{regexp.MustCompile(`(?m)^( *)name: ` + issuer + `$`), `{{- include "plainspec.issuerRef" . | nindent %d }}`},
	{regexp.MustCompile(`(?m)^( *)- ` + exempt + `\n *- ` + namespace + `$`), `{{- include "plainspec.exemptNamespaces" . | nindent %d }}`},
	{regexp.MustCompile(`(?m)^( *)caBundle: ` + base64.StdEncoding.EncodeToString([]byte(authority)) + `$`), `{{- include "plainspec.caBundle" . | nindent %d }}`},
}

// conditions are what match conditions are there for only if it is true.
var conditions = map[string]string{
	"asked":      `not (include "plainspec.completeAll" .)`,
	"configured": `not (include "plainspec.completePods" .)`,
}

// chart writes the parts of the chart that follow from the code.
func chart() error {
	// Everything that can be there is; what is not always there is among conditions.
	o := registration.Options{
		Name: name, Namespace: namespace, Service: registration.Service{Name: name, Port: 443}, CABundle: []byte(authority),
		ExemptNamespaces: []string{exempt}, Controllers: []string{controller}, BreakGlassGroups: []string{group},
	}
	validating, mutating := registration.Validating(o), registration.Mutating(o)
	for i := range validating.Webhooks {
		if validating.Webhooks[i].Name == registration.RootsWebhook {
			*validating.Webhooks[i].FailurePolicy = failure
		}
	}
	var texts [2]string
	for i, configuration := range []any{validating, mutating} {
		text, err := configurationTemplate(configuration)
		if err != nil {
			return fmt.Errorf("write the template of a webhook configuration: %w", err)
		}
		texts[i] = text
	}
	chain, err := chainTemplate()
	if err != nil {
		return fmt.Errorf("write the template of the certificates: %w", err)
	}
	for file, text := range map[string]string{
		"validating-webhooks.yaml": "{{/* Generated from internal/registration by make generate; do not edit. */}}\n" + texts[0],
		"mutating-webhooks.yaml":   "{{/* Generated from internal/registration by make generate; do not edit. */}}\n" + texts[1],
		"certificates.yaml":        "{{/* Generated from certs.Chain by make generate; do not edit. */}}\n" + chain,
	} {
		if err := os.WriteFile(filepath.Join(chartFolder, "templates", file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return valuesSchema(filepath.Join(chartFolder, "values.schema.json"))
}

// configurationTemplate is a webhook configuration with its metadata in the chart's words.
func configurationTemplate(configuration any) (string, error) {
	var c struct {
		APIVersion, Kind string
		Webhooks         []map[string]any
	}
	if err := convert(configuration, &c); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n  labels:\n    %s: \"\"\n", c.APIVersion, c.Kind, name, labels)
	fmt.Fprintf(&b, "  {{- if .Values.certificates.certManager.enabled }}\n  annotations:\n    cert-manager.io/inject-ca-from: %s/%s\n  {{- end }}\n",
		namespace, certs.ServingName(name))
	b.WriteString("webhooks:\n")
	for _, webhook := range c.Webhooks {
		text, err := webhookTemplate(webhook)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return fill(b.String())
}

// webhookTemplate is a webhook as an element of a list, with its match conditions last.
func webhookTemplate(webhook map[string]any) (string, error) {
	var found []admissionregistrationv1.MatchCondition
	if err := convert(webhook["matchConditions"], &found); err != nil {
		return "", err
	}
	delete(webhook, "matchConditions")
	text, err := yaml.Marshal([]any{webhook})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(indent("  ", string(text)))
	if len(found) > 0 {
		b.WriteString("    matchConditions:\n")
	}
	for _, condition := range found {
		element := fmt.Sprintf("      - name: %s\n        expression: |-\n          %s\n", condition.Name, condition.Expression)
		if given, ok := conditions[condition.Name]; ok {
			element = fmt.Sprintf("      {{- if %s }}\n%s      {{- end }}\n", given, element)
		}
		b.WriteString(element)
	}
	return b.String(), nil
}

// chainTemplate is the certificates, for cert-manager.
func chainTemplate() (string, error) {
	o := certs.ChainOptions{Name: name, Namespace: namespace, Service: name, Labels: map[string]string{labels: ""}}
	chain, err := certs.Chain(o)
	if err != nil {
		return "", err
	}
	o.Issuer = &cmmetav1.IssuerReference{Name: issuer}
	serving, err := certs.Chain(o)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, part := range []struct {
		condition string
		links     []client.Object
	}{
		{`and .Values.certificates.certManager.enabled (not .Values.certificates.certManager.issuerRef)`, chain[:len(chain)-len(serving)]},
		{`.Values.certificates.certManager.enabled`, serving},
	} {
		text, err := linkTemplates(part.links)
		if err != nil {
			return "", err
		}
		b.WriteString("{{- if " + part.condition + " }}\n" + text + "{{- end }}\n")
	}
	return fill(b.String())
}

// linkTemplates are the objects of a certificate chain.
func linkTemplates(links []client.Object) (string, error) {
	var b strings.Builder
	for _, link := range links {
		object := make(map[string]any)
		if err := convert(link, &object); err != nil {
			return "", err
		}
		delete(object, "status") // is cert-manager's
		text, err := yaml.Marshal(object)
		if err != nil {
			return "", err
		}
		b.WriteString("---\n" + string(text))
	}
	return b.String(), nil
}

// fill replaces what stands in for the chart's values.
func fill(text string) (string, error) {
	for _, l := range lines {
		text = l.line.ReplaceAllStringFunc(text, func(line string) string {
			indent := len(l.line.FindStringSubmatch(line)[1])
			return strings.Repeat(" ", indent) + fmt.Sprintf(l.template, indent)
		})
	}
	text = expressions.Replace(text)
	if left := regexp.MustCompile(`.*\bxx-.*`).FindString(text); left != "" {
		return "", fmt.Errorf("nothing is filled in at %q", strings.TrimSpace(left))
	}
	return text, nil
}

func indent(by, text string) string {
	return regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(text, by+"$1")
}

// convert reads a value as another type, by its JSON.
func convert(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// valuesSchema writes the members of the configuration file into the schema of the chart's values, where they are the
// value "configuration". The rest of the schema is written by hand.
func valuesSchema(file string) error {
	configuration, err := jsonschema.For[v1alpha1.Configuration](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[runtime.RawExtension](): {}, // a parameter of policies is any value
		reflect.TypeFor[resource.Quantity]():    {Types: []string{"string", "number"}},
		reflect.TypeFor[intstr.IntOrString]():   {Types: []string{"string", "integer"}},
		// false is what an unquoted off means in YAML.
		reflect.TypeFor[v1alpha1.Mode](): {Enum: []any{v1alpha1.ModeDeny, v1alpha1.ModeWarn, v1alpha1.ModeAudit, v1alpha1.ModeOff, false}},
		reflect.TypeFor[v1alpha1.OS]():   {Enum: []any{v1alpha1.Linux, v1alpha1.Windows}},
	}})
	if err != nil {
		return fmt.Errorf("derive the schema of the configuration: %w", err)
	}
	// What the chart writes itself, or has a value of its own for.
	for _, member := range []string{"apiVersion", "kind", "enforcement"} {
		delete(configuration.Properties, member)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	schema := make(map[string]any)
	if err := json.Unmarshal(text, &schema); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	schema["$defs"] = map[string]any{"configuration": configuration}
	if text, err = json.MarshalIndent(schema, "", "  "); err != nil {
		return fmt.Errorf("encode %s: %w", file, err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
