package report

import (
	"testing"

	"plainspec.dev/plainspec/internal/registration"
)

// TestReadinessKnowsTheNamesOfOthers holds the names that are looked for in a cluster to those that registration gives
// there: the packages do not know each other.
func TestReadinessKnowsTheNamesOfOthers(t *testing.T) {
	t.Parallel()
	if rootsWebhook != registration.RootsWebhook || policiesLabel != registration.PoliciesLabel {
		t.Errorf("names are %q and %q, registration's are %q and %q", rootsWebhook, policiesLabel, registration.RootsWebhook, registration.PoliciesLabel)
	}
}
