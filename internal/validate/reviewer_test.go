package validate

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/policies"
)

const rules = `package policies.rules.test.%[1]s

# METADATA
# title: Test %[1]s
# description: A rule for tests.
# scope: document
# custom:
#   severity: high
#   mode: %[2]s
#   weak_mode: %[3]s
#   message: container "{{.Container}}" uses "{{.Value}}" of {{.Image}}
#   fix: name a version
#   since: "0.1"
findings contains {"container": i.container, "field": i.field, "value": i.value, "evidence": "no tag", "weak": i.role == "init"} if {
	some i in input.workload.images.untagged
	%[4]s
}
`

// set is a policy set of one rule, test.strict, which denies untagged images (and warns about
// those of init containers), and of the rules given as name, mode and condition.
func set(t *testing.T, more ...[3]string) *policy.Set {
	t.Helper()
	schema, err := fs.ReadFile(policies.FS, "schema/input.json")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{
		"schema/input.json":    {Data: schema},
		"rules/strict/a.rego":  {Data: fmt.Appendf(nil, rules, "strict", "deny", "warn", "true")},
		"rules/params.yaml":    {Data: []byte("params: {}")},
		"rules/strict/ab.yaml": {Data: []byte("x: 1")},
	}
	for _, m := range more {
		files["rules/"+m[0]+".rego"] = &fstest.MapFile{Data: fmt.Appendf(nil, rules, m[0], m[1], m[1], m[2])}
	}
	loaded, err := policy.Load(t.Context(), policy.Options{Library: files})
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func reviewer(t *testing.T, o Options) *Reviewer {
	t.Helper()
	if o.Set == nil {
		o.Set = set(t)
	}
	if o.Enforcement == "" {
		o.Enforcement = Enforce
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var day = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// podJSON is a Pod with one container of an image.
func podJSON(image string) []byte {
	return fmt.Appendf(nil, `{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":%q}]}}`, image)
}

func create(object []byte) Request {
	return Request{Operation: Create, Kind: "Pod", Namespace: "team", Name: "p", User: "jane", Object: object}
}

// outcome writes a decision as "skipped why", or "admitted"/"denied" with each finding's mode.
func outcome(d Decision, err error) string {
	if undecided := (*UndecidedError)(nil); errors.As(err, &undecided) {
		return fmt.Sprintf("undecided, binding %v", undecided.Binding)
	}
	if d.Skipped != SkipNone {
		return "skipped " + string(d.Skipped)
	}
	words := []string{"admitted"}
	if !d.Allowed() {
		words[0] = "denied"
	}
	if d.Child {
		words[0] += " child"
	}
	for i := range d.Judgements {
		word := string(d.Judgements[i].Mode) + " " + d.Judgements[i].Container
		if d.Judgements[i].Ratcheted {
			word += " as before"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func TestModes(t *testing.T) {
	t.Parallel()
	const two = `{"spec":{"initContainers":[{"name":"weak","image":"a"}],"containers":[{"name":"strong","image":"a"}]}}`
	for name, tc := range map[string]struct {
		options Options
		want    string
	}{
		"the rule's own, milder for weak evidence": {Options{}, "denied, deny strong, warn weak"},
		"warnings only":       {Options{Enforcement: Warn}, "admitted, warn strong, warn weak"},
		"records only":        {Options{Enforcement: Observe}, "admitted, audit strong, audit weak"},
		"a rule made milder":  {Options{Modes: map[string]policy.Mode{"test.strict": policy.ModeAudit}}, "admitted, audit strong, audit weak"},
		"a rule switched off": {Options{Modes: map[string]policy.Mode{"test.strict": policy.ModeOff}}, "admitted"},
		"a rule made stricter is mild on weak evidence": {Options{Modes: map[string]policy.Mode{"test.strict": policy.ModeDeny}}, "denied, deny strong, warn weak"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := outcome(reviewer(t, tc.options).Review(t.Context(), create([]byte(two)), day))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownRuleInModes(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Set: set(t), Modes: map[string]policy.Mode{"test.strikt": policy.ModeWarn}})
	if want := `rules["test.strikt"]: no such rule, known are ["test.strict"]`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

const (
	controller = "system:serviceaccount:kube-system:replicaset-controller"
	ownedPod   = `{"metadata":{"name":"web-1","ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","controller":true}]},"spec":{"containers":[{"name":"c","image":"a"}]}}`
)

func TestWhoIsJudged(t *testing.T) {
	t.Parallel()
	mirror := []byte(`{"metadata":{"annotations":{"kubernetes.io/config.mirror":"x"}},"spec":{"containers":[{"name":"c","image":"a"}]}}`)
	for name, tc := range map[string]struct {
		request Request
		want    string
	}{
		"what a person applies":                       {create(podJSON("a")), "denied, deny c"},
		"what its controller made of it":              {Request{Operation: Create, Kind: "Pod", User: controller, Object: []byte(ownedPod)}, "admitted child, audit c"},
		"a person who writes an owner":                {Request{Operation: Create, Kind: "Pod", User: "jane", Object: []byte(ownedPod)}, "denied, deny c"},
		"a controller of another kind":                {Request{Operation: Create, Kind: "Pod", User: "system:serviceaccount:kube-system:job-controller", Object: []byte(ownedPod)}, "denied, deny c"},
		"a controller without an owner":               {Request{Operation: Create, Kind: "Pod", User: controller, Object: podJSON("a")}, "denied, deny c"},
		"a configured controller":                     {Request{Operation: Create, Kind: "Pod", User: "kruise", Object: []byte(ownedPod)}, "admitted child, audit c"},
		"a configured controller without an owner":    {Request{Operation: Create, Kind: "Pod", User: "kruise", Object: podJSON("a")}, "denied, deny c"},
		"a mirror Pod of a node":                      {Request{Operation: Create, Kind: "Pod", User: "system:node:n", Groups: []string{"system:nodes"}, Object: mirror}, "skipped mirror"},
		"a person who calls a Pod a mirror":           {Request{Operation: Create, Kind: "Pod", User: "jane", Object: mirror}, "denied, deny c"},
		"a kind without Pods":                         {Request{Operation: Create, Kind: "Service", Object: []byte(`{}`)}, "skipped kind"},
		"the scale of a Deployment":                   {Request{Operation: Update, Group: "apps", Kind: "Deployment", SubResource: "scale", Object: podJSON("a")}, "skipped subresource"},
		"a subresource that this version knows not":   {Request{Operation: Update, Kind: "Pod", SubResource: "novel", Object: podJSON("a")}, "denied, deny c"},
		"a deletion":                                  {Request{Operation: "DELETE", Kind: "Pod", OldObject: podJSON("a")}, "skipped operation"},
		"an update that leaves the template":          {update(podJSON("a"), []byte(`{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"a"}]}}`)), "skipped unchanged"},
		"an update that was as bad before":            {update(podJSON("a"), []byte(`{"spec":{"nodeName":"n","containers":[{"name":"c","image":"a"}]}}`)), "admitted, warn c as before"},
		"an update with another container's finding":  {update(podJSON("a"), []byte(`{"spec":{"containers":[{"name":"c","image":"a"},{"name":"d","image":"a"}]}}`)), "denied, deny d, warn c as before"},
		"an update to another image without a tag":    {update(podJSON("a"), podJSON("b")), "denied, deny c"},
		"an update of a good object to a bad one":     {update(podJSON("a:1"), podJSON("a")), "denied, deny c"},
		"an update that mends":                        {update(podJSON("a"), podJSON("a:1")), "admitted"},
		"an object that cannot be read":               {create([]byte(`{"spec":{"containers":{}}}`)), "undecided, binding true"},
		"a controller's object that cannot be read":   {Request{Operation: Create, Kind: "Pod", User: controller, Object: []byte(`{"spec":{"containers":{}}}`)}, "undecided, binding false"},
		"an old object that cannot be read":           {update([]byte(`{"spec":{"containers":{}}}`), podJSON("a")), "undecided, binding true"},
		"containers that changed their place":         {update(twoPods("c", "d"), twoPods("d", "c")), "admitted, warn d as before, warn c as before"},
		"an old object that says no more than the id": {update([]byte(`{}`), podJSON("a")), "denied, deny c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := reviewer(t, Options{Controllers: []string{"kruise"}})
			got := outcome(r.Review(t.Context(), tc.request, day))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func update(old, object []byte) Request {
	r := create(object)
	r.Operation, r.OldObject = Update, old
	return r
}

func twoPods(first, second string) []byte {
	return fmt.Appendf(nil, `{"spec":{"containers":[{"name":%q,"image":"a"},{"name":%q,"image":"a"}]}}`, first, second)
}

func TestUndecidedPolicies(t *testing.T) {
	t.Parallel()
	broken := set(t, [3]string{"broken", "deny", "to_number(i.value) > 1"})
	for name, tc := range map[string]struct {
		options Options
		request Request
		want    string
	}{
		"a person's request":        {Options{}, create(podJSON("a")), "undecided, binding true"},
		"a controller's request":    {Options{}, Request{Operation: Create, Kind: "Pod", User: controller, Object: []byte(ownedPod)}, "undecided, binding false"},
		"while nothing is enforced": {Options{Enforcement: Warn}, create(podJSON("a")), "undecided, binding false"},
		"what the rule never reads": {Options{}, create(podJSON("a:1")), "admitted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.options.Set = broken
			if got := outcome(reviewer(t, tc.options).Review(t.Context(), tc.request, day)); got != tc.want {
				t.Errorf("outcome %q, want %q", got, tc.want)
			}
		})
	}
}

func TestPoliciesCanReadTheObject(t *testing.T) {
	t.Parallel()
	r := reviewer(t, Options{Set: set(t, [3]string{"whole", "warn", `input.object.spec.nodeName == "n"; input.request.user == "jane"`})})
	object := []byte(`{"spec":{"nodeName":"n","containers":[{"name":"c","image":"a"}]}}`)
	if got, want := outcome(r.Review(t.Context(), create(object), day)), "denied, deny c, warn c"; got != want {
		t.Errorf("outcome %q, want %q", got, want)
	}
}

// TestAWarningIsNotRatcheted holds that only what would have been denied before is let through: else
// a denial could be had past by a change in two steps, the first of which only warns.
func TestAWarningIsNotRatcheted(t *testing.T) {
	t.Parallel()
	// The same container, first as one that is prepared (weak evidence), then as one that runs.
	before := []byte(`{"metadata":{"name":"p"},"spec":{"initContainers":[{"name":"c","image":"nginx"}],"containers":[{"name":"d","image":"a:1"}]}}`)
	after := []byte(`{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"nginx"}]}}`)
	got, err := reviewer(t, Options{}).Review(t.Context(), Request{Operation: Update, Kind: "Pod", Object: after, OldObject: before}, day)
	if err != nil {
		t.Fatal(err)
	}
	if got.Allowed() {
		t.Errorf("admitted with %v, because it was only warned about before", got.Warnings())
	}
}
