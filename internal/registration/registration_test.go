package registration_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/registration"
)

// TestTheConfigurationsAsAWhole compares with testdata/, so that each change of what the API server
// asks about is seen in a review. UPDATE_GOLDEN=1 writes it.
func TestTheConfigurationsAsAWhole(t *testing.T) {
	t.Parallel()
	o := registration.Options{
		URL: "https://127.0.0.1:9443/", CABundle: []byte("PEM"),
		ExemptNamespaces: []string{"kube-system", "plainspec"}, Controllers: []string{`system:serviceaccount:a:b"\`},
		CompletePods: true,
	}
	golden(t, "validating.yaml", registration.Validating(o))
	golden(t, "mutating.yaml", registration.Mutating(o))

	// In a cluster, with everything that can be configured.
	o = registration.Options{
		Name: "ours", Labels: map[string]string{"team": "platform"}, Annotations: map[string]string{"note": "text"},
		Namespace: "plainspec-system", Service: registration.Service{Name: "webhook", Port: 443},
		ExemptNamespaces: []string{"kube-system"}, BreakGlassGroups: []string{"platform-emergency", `a"b`}, FailOpen: true,
		CompleteAll: true, CompletePods: true,
	}
	golden(t, "validating_in_cluster.yaml", registration.Validating(o))
	golden(t, "mutating_in_cluster.yaml", registration.Mutating(o))
}

func golden(t *testing.T, name string, configuration any) {
	t.Helper()
	got, err := yaml.Marshal(configuration)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

func webhooks(t *testing.T, o registration.Options) (roots, children admissionregistrationv1.ValidatingWebhook) {
	t.Helper()
	all := registration.Validating(o).Webhooks
	if len(all) != 3 || all[0].Name != registration.RootsWebhook || all[1].Name != registration.ChildrenWebhook || all[2].Name != registration.BreakGlassWebhook {
		t.Fatalf("webhooks are %v, want one each for roots, children and break-glass", all)
	}
	return all[0], all[1]
}

func TestNothingFailsClosedWhereNothingIsRefused(t *testing.T) {
	t.Parallel()
	roots, children := webhooks(t, registration.Options{URL: "https://127.0.0.1:9443", FailOpen: true})
	if *roots.FailurePolicy != admissionregistrationv1.Ignore || *children.FailurePolicy != admissionregistrationv1.Ignore {
		t.Errorf("failure policies are %s for roots and %s for children", *roots.FailurePolicy, *children.FailurePolicy)
	}
}

func TestOnlyRootsFailClosed(t *testing.T) {
	t.Parallel()
	roots, children := webhooks(t, registration.Options{URL: "https://127.0.0.1:9443"})
	if *roots.FailurePolicy != admissionregistrationv1.Fail || *children.FailurePolicy != admissionregistrationv1.Ignore {
		t.Errorf("failure policies are %s for roots and %s for children", *roots.FailurePolicy, *children.FailurePolicy)
	}
	// A controller waits at most the shortest time that the API server knows.
	if *children.TimeoutSeconds != 1 {
		t.Errorf("controllers wait %d s", *children.TimeoutSeconds)
	}
	who, child := roots.MatchConditions[0].Expression, children.MatchConditions[0].Expression
	if who != "!("+child+")" {
		t.Errorf("roots are %s, want what is not %s", who, child)
	}
	for _, controller := range kinds.Controllers() {
		if !strings.Contains(child, `"`+controller+`"`) {
			t.Errorf("children are made by %s, and not by %s", child, controller)
		}
	}
}

func TestEveryKindIsAskedAbout(t *testing.T) {
	t.Parallel()
	roots, children := webhooks(t, registration.Options{})
	for _, webhook := range []admissionregistrationv1.ValidatingWebhook{roots, children} {
		var asked []string
		for _, rule := range webhook.Rules {
			if diff := cmp.Diff([]admissionregistrationv1.OperationType{"CREATE", "UPDATE"}, rule.Operations); diff != "" {
				t.Errorf("%s: operations of %v mismatch (-want +got):\n%s", webhook.Name, rule.Resources, diff)
			}
			for _, resource := range rule.Resources {
				asked = append(asked, rule.APIGroups[0]+"/"+resource)
			}
		}
		var want []string
		for _, kind := range kinds.All() {
			want = append(want, kind.Groups[0]+"/"+kind.Resource)
		}
		slices.Sort(asked)
		slices.Sort(want)
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("%s: resources mismatch (-want +got):\n%s", webhook.Name, diff)
		}
	}
}

// selected are the namespaces of a selector, with its operator before them.
func selected(selector *metav1.LabelSelector) []string {
	if selector == nil {
		return nil
	}
	var texts []string
	for _, e := range selector.MatchExpressions {
		texts = append(append(texts, e.Key, string(e.Operator)), e.Values...)
	}
	return texts
}

func TestOfPlainspecsOwnNamespaceOnlyPoliciesAreAskedAbout(t *testing.T) {
	t.Parallel()
	o := registration.Options{
		Namespace: "own", Service: registration.Service{Name: "webhook", Port: 443}, BreakGlassGroups: []string{"emergency"}, CompletePods: true,
	}
	got := make(map[string][]string)
	for _, webhook := range registration.Validating(o).Webhooks {
		got[webhook.Name] = selected(webhook.NamespaceSelector)
	}
	for _, webhook := range registration.Mutating(o).Webhooks {
		got[webhook.Name] = selected(webhook.NamespaceSelector)
	}
	exempt := []string{"kubernetes.io/metadata.name", "NotIn", "own"}
	want := map[string][]string{
		registration.RootsWebhook: exempt, registration.ChildrenWebhook: exempt, registration.BreakGlassWebhook: exempt,
		registration.RootsCompleteWebhook: exempt, registration.PodsCompleteWebhook: exempt,
		registration.PoliciesWebhook: {"kubernetes.io/metadata.name", "In", "own"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("namespaces mismatch (-want +got):\n%s", diff)
	}

	o.ExemptNamespaces = []string{"own", "kube-system"}
	if diff := cmp.Diff([]string{"kubernetes.io/metadata.name", "NotIn", "own", "kube-system"}, selected(registration.Validating(o).Webhooks[0].NamespaceSelector)); diff != "" {
		t.Errorf("its own namespace is exempt twice (-want +got):\n%s", diff)
	}
}

func TestBreakGlassAsksButNeverHoldsUp(t *testing.T) {
	t.Parallel()
	all := registration.Validating(registration.Options{BreakGlassGroups: []string{"emergency"}}).Webhooks
	if len(all) != 3 || all[2].Name != registration.BreakGlassWebhook {
		t.Fatalf("webhooks are %v, want a third one for break-glass", all)
	}
	glass := all[2]
	if *glass.FailurePolicy != admissionregistrationv1.Ignore || *glass.TimeoutSeconds != 1 {
		t.Errorf("failure policy %s after %d s", *glass.FailurePolicy, *glass.TimeoutSeconds)
	}
	// Who is asked about there is not asked about where a dead server refuses.
	member := `request.userInfo.?groups.orValue([]).exists(g, g in ["emergency"])`
	if got := all[0].MatchConditions[1].Expression; got != "!("+member+")" {
		t.Errorf("roots are asked about if %s", got)
	}
	if got := glass.MatchConditions[1].Expression; got != member {
		t.Errorf("break-glass is asked about if %s", got)
	}
}

func TestWithoutExemptNamespacesAllAreAskedAbout(t *testing.T) {
	t.Parallel()
	roots, children := webhooks(t, registration.Options{})
	if roots.NamespaceSelector != nil || children.NamespaceSelector != nil {
		t.Errorf("selectors are %v and %v, want none", roots.NamespaceSelector, children.NamespaceSelector)
	}
}

// conditions are the names of a webhook's match conditions.
func conditions(webhook *admissionregistrationv1.MutatingWebhook) []string {
	var names []string
	for _, condition := range webhook.MatchConditions {
		names = append(names, condition.Name)
	}
	return names
}

func TestCompletionAsksOnlyAboutWhatItCanComplete(t *testing.T) {
	t.Parallel()
	unasked := []string{"not-controlled", "not-mirror", "template-changes"}
	asked := append(slices.Clone(unasked), "asked")
	nothing := []string{"controlled", "configured"}
	tests := map[string]struct {
		options registration.Options
		want    map[string][]string // the conditions of each webhook
	}{
		"artifacts are asked for by annotations": {
			want: map[string][]string{registration.RootsCompleteWebhook: asked, registration.PodsCompleteWebhook: nothing},
		},
		"labels are for each root": {
			options: registration.Options{CompleteAll: true},
			want:    map[string][]string{registration.RootsCompleteWebhook: unasked, registration.PodsCompleteWebhook: nothing},
		},
		"resources are for the Pods of controllers, too": {
			options: registration.Options{CompleteAll: true, CompletePods: true},
			want:    map[string][]string{registration.RootsCompleteWebhook: unasked, registration.PodsCompleteWebhook: {"controlled"}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(map[string][]string)
			for _, webhook := range registration.Mutating(tc.options).Webhooks {
				got[webhook.Name] = conditions(&webhook)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("conditions mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompletionNeverHoldsAnythingUp(t *testing.T) {
	t.Parallel()
	for _, webhook := range registration.Mutating(registration.Options{CompletePods: true}).Webhooks {
		if *webhook.FailurePolicy != admissionregistrationv1.Ignore || *webhook.TimeoutSeconds > 2 {
			t.Errorf("%s: failure policy %s after %d s", webhook.Name, *webhook.FailurePolicy, *webhook.TimeoutSeconds)
		}
		for _, rule := range webhook.Rules {
			for _, resource := range rule.Resources {
				update := slices.Contains(rule.Operations, admissionregistrationv1.Update)
				if fixed := resource == "pods" || resource == "jobs"; update == fixed {
					t.Errorf("%s: %s are asked about at %v", webhook.Name, resource, rule.Operations)
				}
				if webhook.Name == registration.PodsCompleteWebhook && resource != "pods" {
					t.Errorf("%s: %s that a controller made are completed, and would differ from its template", webhook.Name, resource)
				}
			}
		}
	}
}
