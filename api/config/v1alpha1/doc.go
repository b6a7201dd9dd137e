// Package v1alpha1 defines the configuration file of the Plainspec server: what it enforces, how each rule bites and
// what the policies are told. The process itself (addresses, paths, logs) is configured by flags.
//
// A file is one YAML or JSON document:
//
//	apiVersion: config.plainspec.dev/v1alpha1
//	kind: Configuration
//	enforcement: enforce
//	rules:
//	  image.moving_tag: {mode: audit}
//	contact: "Questions: #platform on chat"
//
// Decoding is strict: a field that this version does not know is an error, because a misspelt `enforcement` that is
// silently ignored would switch a cluster's gate off.
//
// +kubebuilder:object:generate=true
// +groupName=config.plainspec.dev
package v1alpha1
