// Package v1alpha1 defines what Plainspec keeps of what it refused: the Rejection, a custom resource in Plainspec's own
// namespace and, line by line, the audit log.
//
// A record holds what the rules read and nothing else: an allow-list, redacted. No environment, no annotations.
//
// +kubebuilder:object:generate=true
// +groupName=audit.plainspec.dev
package v1alpha1
