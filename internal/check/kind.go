package check

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"plainspec.dev/plainspec/internal/manifest"
	"plainspec.dev/plainspec/internal/validate"
)

// Why an object is not judged.
const (
	// SkippedNoPodSpec is a kind of Kubernetes' own that holds no Pod spec, such as a Service.
	SkippedNoPodSpec = "noPodSpec"
	// SkippedUnknownKind is any other kind, such as a custom resource: it may hold a Pod spec.
	SkippedUnknownKind = "unknownKind"
)

// elsewhere are the groups of Kubernetes' own kinds that client-go has no types for.
var elsewhere = []string{"apiextensions.k8s.io", "apiregistration.k8s.io"}

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
