package policy

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFindingsStandInTheOrderOfTheManifest(t *testing.T) {
	t.Parallel()
	want := []Finding{
		{Code: "image.invalid", Field: "spec.containers[11].image"},
		{Code: "image.no_version", Field: "spec"},
		{Code: "image.no_version", Field: "spec.containers[1].image"},
		{Code: "image.no_version", Field: "spec.containers[2].env[9]"},
		{Code: "image.no_version", Field: "spec.containers[2].env[10]"},
		{Code: "image.no_version", Field: "spec.containers[2].image"},
		{Code: "image.no_version", Field: "spec.containers[2].image", Value: "a"},
		{Code: "image.no_version", Field: "spec.containers[2].image", Value: "a", Evidence: "b"},
		{Code: "image.no_version", Field: "spec.containers[10].image"},
		{Code: "image.no_version", Field: "spec.containers[100].image"},
		{Code: "image.no_version", Field: "spec.initContainers[0].image"},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareFindings)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order mismatch (-want +got):\n%s", diff)
	}
}
