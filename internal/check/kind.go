package check

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/manifest"
	"plainspec.dev/plainspec/internal/validate"
)

// Why an object is not judged.
const (
	// SkippedNoPodSpec is a kind that is known to hold no Pod spec, such as a Service.
	SkippedNoPodSpec = "noPodSpec"
	// SkippedUnknownKind is any other kind, such as a custom resource: it may hold a Pod spec.
	SkippedUnknownKind = "unknownKind"
)

// elsewhere are the groups of kinds without a Pod spec that client-go has no types for: Kubernetes'
// own, and the configuration of Plainspec, which lies beside manifests.
var elsewhere = []string{"apiextensions.k8s.io", "apiregistration.k8s.io", v1alpha1.GroupName}

func skipped(d *manifest.Document, skip validate.Skip) string {
	switch {
	case skip != validate.SkipKind:
		return string(skip)
	case slices.Contains(elsewhere, d.Group()) || scheme.Scheme.Recognizes(schema.FromAPIVersionAndKind(d.APIVersion, d.Kind)):
		return SkippedNoPodSpec
	default:
		return SkippedUnknownKind
	}
}
