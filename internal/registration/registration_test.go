package registration_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/registration"
)

// TestTheConfigurationAsAWhole compares with testdata/validating.yaml, so that each change of what
// the API server asks about is seen in a review. UPDATE_GOLDEN=1 writes it.
func TestTheConfigurationAsAWhole(t *testing.T) {
	t.Parallel()
	got, err := yaml.Marshal(registration.Validating(registration.Options{
		URL: "https://127.0.0.1:9443/", CABundle: []byte("PEM"),
		ExemptNamespaces: []string{"kube-system", "plainspec"}, Controllers: []string{`system:serviceaccount:a:b"\`},
	}))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "validating.yaml")
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
	if len(all) != 2 || all[0].Name != registration.RootsWebhook || all[1].Name != registration.ChildrenWebhook {
		t.Fatalf("webhooks are %v, want one for roots and one for children", all)
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

func TestWithoutExemptNamespacesAllAreAskedAbout(t *testing.T) {
	t.Parallel()
	roots, children := webhooks(t, registration.Options{})
	if roots.NamespaceSelector != nil || children.NamespaceSelector != nil {
		t.Errorf("selectors are %v and %v, want none", roots.NamespaceSelector, children.NamespaceSelector)
	}
}
