// Package inject turns the artifacts that a Pod template asks for into parts of the Pod: it finds
// the profile and the container that an artifact is for, and lets a strategy make what brings its
// files there. It knows no JSON patch and no record of what was injected before.
package inject

import (
	corev1 "k8s.io/api/core/v1"

	"plainspec.dev/plainspec/api/config/v1alpha1"
	"plainspec.dev/plainspec/internal/workload"
)

// Code is why an artifact is not injected.
type Code string

// The reasons why an artifact is not injected; metrics count by them, warnings and denials say them.
const (
	NoProfile           Code = "no_profile"           // no profile matches any container
	UnknownProfile      Code = "unknown_profile"      // the annotation names a profile that the configuration lacks
	UnknownContainer    Code = "unknown_container"    // the annotation names a container that the Pod lacks
	AmbiguousServer     Code = "ambiguous_server"     // several containers match
	UnknownMode         Code = "unknown_mode"         // the annotation names a strategy that this version lacks
	InvalidName         Code = "invalid_name"         // the artifact's name is no DNS label, or too long
	InvalidArtifact     Code = "invalid_artifact"     // the value is no image reference
	UnversionedArtifact Code = "unversioned_artifact" // the reference has no tag and no digest, or latest
	PathMounted         Code = "path_mounted"         // something is mounted at the target already, or in it
	NameTaken           Code = "name_taken"           // a container or volume of that name is there, and is another
	FileTaken           Code = "file_taken"           // two artifacts would write the same file
	WrongOS             Code = "wrong_os"             // the profile is for another operating system
	Privilege           Code = "privilege"            // the copy would have more rights than the Pod asks for
	TooMany             Code = "too_many"             // more artifacts than are read
	FixedTemplate       Code = "fixed_template"       // the containers of a Pod or Job cannot be exchanged
	UnreadableRecord    Code = "unreadable_record"    // plainspec.dev/injected is not what Plainspec writes
)

// Problem is why one artifact is not injected.
type Problem struct {
	// Code is the reason.
	Code Code
	// Text is the sentence for people: what is in the way, and what to change. One line, no full stop.
	Text string
	// Field is the field path of the annotation that asks.
	Field string
}

// Target is where an asked artifact is to be read.
type Target struct {
	// Asked is the artifact.
	Asked workload.Asked
	// Container is the container that reads it, Path the path of its mount there; both are empty
	// if they cannot be told.
	Container, Path string
	// Profile is the name of the profile that says so.
	Profile string
	// Problem is why it is not injected, nil if it can be.
	Problem *Problem
}

// Parts are what is added to a Pod spec.
type Parts struct {
	// InitContainers go before all others, in this order.
	InitContainers []corev1.Container
	// Volumes are added.
	Volumes []corev1.Volume
	// Mounts are added to containers that are there, by the container's name, in the order of the
	// Pod spec.
	Mounts []Mounts
}

// Mounts are what one container gets.
type Mounts struct {
	Container string
	Mounts    []corev1.VolumeMount
}

// Options are what a Planner is made of.
type Options struct {
	// Profiles are the configured profiles, valid and with their defaults.
	Profiles []v1alpha1.Profile
	// Servers say which server of the catalog an image's name is: "tomcat" is tomcat.
	Servers map[string]string
}

// Planner plans injections. It is immutable and safe for concurrent use.
type Planner struct{ options Options }

// New returns a Planner.
func New(o Options) *Planner { return &Planner{options: o} }
