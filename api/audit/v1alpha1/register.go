package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// GroupName is the API group of the records.
	GroupName = "audit.plainspec.dev"
	// KindRejection is the kind of a Rejection.
	KindRejection = "Rejection"
	// NamespaceLabel is the label of a Rejection with the namespace of its root: what a tenant may fill is bounded by it.
	NamespaceLabel = GroupName + "/namespace"
)

// GroupVersion is the group and version of the records.
var GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

// AddToScheme adds the records to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &Rejection{}, &RejectionList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
