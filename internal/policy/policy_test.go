package policy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/open-policy-agent/opa/v1/ast"
)

const metadata = `# METADATA
# title: A title
# description: A description.
# scope: document
# custom:
#   severity: high
#   mode: deny
#   weak_mode: warn
#   message: container {{.Container}} has {{.Value}}
#   fix: mend it
#   since: "0.1"
`

// rule is a module of one rule, test.found, with the METADATA and the body given.
func rule(metadata, body string) string {
	return "package policies.rules.test.found\n\n" + metadata + body
}

const finds = "findings contains {\"field\": thing.field, \"value\": data.params.word} if some thing in input.things\n"

const schema = `{"type": "object", "additionalProperties": false, "properties": {
	"things": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"field": {"type": "string"}}}},
	"text": {"type": "string"}, "map": {"type": "object"}}}`

// library is a library of one rule.
func library(module string) fstest.MapFS {
	return fstest.MapFS{
		"schema/input.json":            {Data: []byte(schema)},
		"params.yaml":                  {Data: []byte("params: {word: a, list: [x]}\n")},
		"rules/test/found/found.rego":  {Data: []byte(module)},
		"rules/test/found/x_test.rego": {Data: []byte("no Rego at all")},
		"checks/check.rego":            {Data: []byte("no Rego at all")},
	}
}

func load(t *testing.T, o Options) *Set {
	t.Helper()
	set, err := Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	input := ast.MustParseTerm(`{"things": [{"field": "b"}, {"field": "a"}]}`).Value
	set := load(t, Options{Library: library(rule(metadata, finds))})
	got, err := set.Evaluate(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	want := []Finding{{Code: "test.found", Field: "a", Value: "a"}, {Code: "test.found", Field: "b", Value: "a"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	none, err := set.Evaluate(t.Context(), ast.MustParseTerm(`{}`).Value)
	if err != nil || len(none) != 0 {
		t.Errorf("without things: %v, %v, want nothing", none, err)
	}
}

func TestRuleMetadata(t *testing.T) {
	t.Parallel()
	got := load(t, Options{Library: library(rule(metadata, finds))}).Rule("test.found")
	want := &Rule{
		Code: "test.found", Title: "A title", Description: "A description.", Severity: "high", Mode: ModeDeny, WeakMode: ModeWarn, Fix: "mend it", Since: "0.1",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Rule{})); diff != "" {
		t.Errorf("rule (-want +got):\n%s", diff)
	}
	text, err := got.Message(Finding{Container: "c", Value: "v"})
	if want := "container c has v"; err != nil || text != want {
		t.Errorf("Message = %q, %v, want %q", text, err, want)
	}
	if got.ModeOf(Finding{}) != ModeDeny || got.ModeOf(Finding{Weak: true}) != ModeWarn {
		t.Error("ModeOf does not follow the strength of the evidence")
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	lib := library(rule(metadata, finds))
	set := load(t, Options{Library: lib, Parameters: map[string]any{"word": "b"}})
	got, err := set.Evaluate(t.Context(), ast.MustParseTerm(`{"things": [{"field": "f"}]}`).Value)
	if err != nil || len(got) != 1 || got[0].Value != "b" {
		t.Errorf("findings %v, %v, want the configured word", got, err)
	}
	if same := load(t, Options{Library: lib}); same.Revision() == set.Revision() {
		t.Error("the revision does not tell other parameters apart")
	}
	_, err = Load(t.Context(), Options{Library: lib, Parameters: map[string]any{"words": 1}})
	if want := `load policies: parameter "words" is unknown: known are ["list" "word"]`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	lib := library(rule(metadata, finds))
	other := strings.ReplaceAll(rule(metadata, finds), "test.found", "team.own")
	set := load(t, Options{Library: lib, Overlay: fstest.MapFS{
		"rules/test/found/found.rego": {Data: []byte(rule(strings.ReplaceAll(metadata, "mode: deny", "mode: audit"), finds))},
		"rules/team/own/own.rego":     {Data: []byte(other)},
		"README.md":                   {Data: []byte("not a policy")},
	}})
	var codes []string
	for _, r := range set.Rules() {
		codes = append(codes, r.Code+" "+string(r.Mode))
	}
	if diff := cmp.Diff([]string{"team.own deny", "test.found audit"}, codes); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if base := load(t, Options{Library: lib}); base.Revision() == set.Revision() {
		t.Error("the revision does not tell the overlay apart")
	}
	if again := load(t, Options{Library: lib}); again.Revision() != load(t, Options{Library: lib}).Revision() {
		t.Error("the revision changes from load to load")
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ module, want string }{
		"a syntax error":                         {rule(metadata, "findings contains {{ if true\n"), "rules/test/found/found.rego:14:22: rego_parse_error"},
		"a type error":                           {rule(metadata, strings.Replace(finds, "thing.field", "thing.feild", 1)), "rules/test/found/found.rego:14:29: rego_type_error: undefined ref: thing.feild"},
		"an unknown input":                       {rule(metadata, "findings contains {\"field\": \"f\"} if input.thnigs\n"), "undefined ref: input.thnigs"},
		"the network":                            {rule(metadata, "findings contains {\"field\": \"f\"} if http.send({\"url\": \"x\", \"method\": \"get\"})\n"), "undefined function http.send"},
		"the clock":                              {rule(metadata, "findings contains {\"field\": \"f\"} if time.now_ns() > 0\n"), "undefined function time.now_ns"},
		"the machine":                            {rule(metadata, "findings contains {\"field\": \"f\"} if opa.runtime().env.HOME\n"), "undefined function opa.runtime"},
		"an unused variable":                     {rule(metadata, "findings contains {\"field\": \"f\"} if x := 1\n"), "assigned var x unused"},
		"no METADATA":                            {rule("", finds), "rule test.found has no METADATA above findings"},
		"METADATA without a fix":                 {rule(strings.Replace(metadata, "#   fix: mend it\n", "", 1), finds), "found.rego:3:1: METADATA of rule test.found: custom.fix is missing"},
		"METADATA with a misspelt key":           {rule(strings.Replace(metadata, "weak_mode", "weakmode", 1), finds), "custom.weakmode is unknown"},
		"a mode that is none":                    {rule(strings.Replace(metadata, "mode: deny", "mode: block", 1), finds), "custom.mode and custom.weak_mode must be one of"},
		"a severity that is none":                {rule(strings.Replace(metadata, "severity: high", "severity: huge", 1), finds), "custom.severity must be one of"},
		"a message with an unknown field":        {rule(strings.Replace(metadata, ".Value", ".Velue", 1), finds), "custom.message: "},
		"a number where text is due":             {rule(strings.Replace(metadata, `"0.1"`, "0.1", 1), finds), "custom.since must be a non-empty string"},
		"findings that are no set":               {rule(metadata, "findings := []\n"), "findings of rule test.found must be a set"},
		"no findings":                            {rule("", "x := 1\n"), "package policies.rules.test.found does not define findings"},
		"a finding with an unknown key":          {rule(metadata, "findings contains {\"field\": \"f\", \"pod\": \"c\"} if true\n"), `has the key "pod"`},
		"a finding without a field":              {rule(metadata, "findings contains {\"value\": \"f\"} if true\n"), `has no key "field"`},
		"a rule outside of a category":           {strings.Replace(rule(metadata, finds), "rules.test.found", "rules.found", 1), "a rule's package is policies.rules.<category>.<rule>"},
		"a set without any rule":                 {"package policies.lib.x\n\ny := 1\n", "no rule found below data.policies.rules.*"},
		"a package that a bracket would address": {strings.Replace(rule(metadata, finds), "rules.test.found", `rules.test["a-b"]`, 1), "in snake_case"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(t.Context(), Options{Library: library(tc.module)})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestLoadRefusesBrokenData(t *testing.T) {
	t.Parallel()
	lib := library(rule(metadata, finds))
	for name, overlay := range map[string]fstest.MapFS{
		"YAML that does not parse":    {"catalog/a.yaml": {Data: []byte("a: [")}},
		"a value given twice":         {"catalog/a.yaml": {Data: []byte("params: {word: z}")}},
		"a schema that does not":      {"schema/input.json": {Data: []byte("{")}},
		"parameters that are no list": {"params.yaml": {Data: []byte("params: 1")}},
	} {
		if _, err := Load(t.Context(), Options{Library: lib, Overlay: overlay, Parameters: map[string]any{"word": "x"}}); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

func TestUndecidedIsAnError(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"a built-in that fails":         {"findings contains {\"field\": \"f\"} if to_number(input.text) > 1\n", "eval_builtin_error"},
		"a finding of unknown shape":    {"findings contains input.map if true\n", "rule test.found: a finding has"},
		"a finding that is no object":   {"findings contains input.text if true\n", "rule test.found: a finding is no object"},
		"a finding with an empty field": {"findings contains {\"field\": \"\"} if true\n", "rule test.found: a finding has no field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, Options{Library: library(rule(metadata, tc.body))})
			findings, err := set.Evaluate(t.Context(), ast.MustParseTerm(`{"text": "abc", "map": {"other": "x"}}`).Value)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("findings %v, error %v, want an error with %q", findings, err, tc.want)
			}
		})
	}
}

func TestEvaluateEndsWithTheContext(t *testing.T) {
	t.Parallel()
	set := load(t, Options{Library: library(rule(metadata,
		"findings contains {\"field\": \"f\"} if {\n\tsome a in numbers.range(1, 100000)\n\tsome b in numbers.range(1, 100000)\n\ta + b == -1\n}\n"))})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := set.Evaluate(ctx, ast.MustParseTerm(`{}`).Value); !errors.Is(err, context.Canceled) && (err == nil || !strings.Contains(err.Error(), "cancel")) {
		t.Errorf("error %v, want the context's end", err)
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	set := load(t, Options{Library: library(rule(metadata, finds))})
	for path, want := range map[string]bool{"things": true, "things/0/field": true, "text": false} {
		if got := set.Reads(strings.Split(path, "/")...); got != want {
			t.Errorf("Reads(%q) = %v, want %v", path, got, want)
		}
	}
	if !set.Reads() {
		t.Error("Reads() of the whole input = false")
	}
}
