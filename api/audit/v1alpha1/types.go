package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Outcome is what became of the request.
//
// +kubebuilder:validation:Enum=Denied;Observed;Bypassed
type Outcome string

const (
	// OutcomeDenied says that the request was refused.
	OutcomeDenied Outcome = "Denied"
	// OutcomeObserved says that the request was admitted, and would be refused under enforcement: enforce.
	OutcomeObserved Outcome = "Observed"
	// OutcomeBypassed says that the request was admitted because the user belongs to a break-glass group.
	OutcomeBypassed Outcome = "Bypassed"
)

// Rejection is the record of a request that was refused, or that would have been. All tries of the same thing by the same
// user on the same day (UTC) are one record; its name is the id that the refusal showed.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=rej
// +kubebuilder:printcolumn:name="Outcome",type=string,JSONPath=`.outcome`
// +kubebuilder:printcolumn:name="Root",type=string,JSONPath=`.root.text`
// +kubebuilder:printcolumn:name="Rules",type=string,JSONPath=`.rules`
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.user`
// +kubebuilder:printcolumn:name="Count",type=integer,JSONPath=`.count`
// +kubebuilder:printcolumn:name="Last",type=date,JSONPath=`.lastTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.firstTime`
// +kubebuilder:printcolumn:name="Operation",type=string,JSONPath=`.operation`,priority=1
// +kubebuilder:printcolumn:name="Policies",type=string,JSONPath=`.policyRevision`,priority=1
type Rejection struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Outcome is what became of the request: Denied, Observed or Bypassed.
	Outcome Outcome `json:"outcome"`
	// Operation is CREATE or UPDATE.
	Operation string `json:"operation"`
	// User is the name of the user who made the request.
	User string `json:"user"`
	// Root is what was applied, or what its controller made the object from.
	Root Root `json:"root"`
	// Rules are the codes of Findings, sorted, each once.
	// +listType=atomic
	Rules []string `json:"rules"`
	// FirstTime and LastTime are when it was tried first and last.
	FirstTime metav1.Time `json:"firstTime"`
	LastTime  metav1.Time `json:"lastTime"`
	// Count is how often it was tried, at least 1.
	Count int64 `json:"count"`
	// Findings are those that refuse, or would, in the order of the refusal's message: at most 20.
	// +listType=atomic
	Findings []Finding `json:"findings"`
	// FindingsOmitted is how many more there were.
	FindingsOmitted int `json:"findingsOmitted,omitempty"`
	// PolicyRevision is the content hash of the policies: 12 hexadecimal digits.
	PolicyRevision string `json:"policyRevision"`
	// Manifest is what the rules read of the object.
	Manifest Manifest `json:"manifest"`
}

// RejectionList is a list of Rejections.
//
// +kubebuilder:object:root=true
type RejectionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Rejection `json:"items"`
}

// Root names an object.
type Root struct {
	// Group is the API group, empty for the core group.
	Group string `json:"group,omitempty"`
	// Kind is the kind, such as Deployment.
	Kind string `json:"kind"`
	// Namespace is the object's namespace.
	Namespace string `json:"namespace"`
	// Name is the object's name; a generated one ends with "*".
	Name string `json:"name"`
	// Text is how messages name it: "Deployment shop/web".
	Text string `json:"text"`
}

// Finding is one thing that a rule found.
type Finding struct {
	// Code is the rule's code, such as image.no_version; Severity is critical, high, medium or low.
	Code     string `json:"code"`
	Severity string `json:"severity"`
	// Container and Volume name what it is about; either may be empty.
	Container string `json:"container,omitempty"`
	Volume    string `json:"volume,omitempty"`
	// Field is the field path of the offending value.
	Field string `json:"field"`
	// Value is the offending value, Evidence what led to the finding; both are redacted.
	Value    string `json:"value,omitempty"`
	Evidence string `json:"evidence,omitempty"`
	// Message is the sentence for people, Fix what to change.
	Message string `json:"message"`
	Fix     string `json:"fix"`
}

// Manifest is the part of a Pod template that rules read: an allow-list, redacted.
type Manifest struct {
	// Labels are the recommended labels (app.kubernetes.io/…) of the object and its Pod template; the template's win.
	Labels map[string]string `json:"labels,omitempty"`
	// Containers are the init containers, then the containers, then the ephemeral ones.
	// +listType=atomic
	Containers []Container `json:"containers,omitempty"`
	// Volumes are the volumes, and a StatefulSet's claim templates, but for those of the platform (tokens).
	// +listType=atomic
	Volumes []Volume `json:"volumes,omitempty"`
	// Omitted is how many containers, volumes, mounts and words of commands were left out to bound the record's size.
	Omitted int `json:"omitted,omitempty"`
}

// Container is one container.
type Container struct {
	// Name is its name, Role is init, sidecar, main or ephemeral, Image its image reference as written.
	Name  string `json:"name"`
	Role  string `json:"role"`
	Image string `json:"image"`
	// Command and Args are what it runs, without credentials; WorkingDir is where.
	// +listType=atomic
	Command []string `json:"command,omitempty"`
	// +listType=atomic
	Args       []string `json:"args,omitempty"`
	WorkingDir string   `json:"workingDir,omitempty"`
	// Mounts are its mounts of Volumes.
	// +listType=atomic
	Mounts []Mount `json:"mounts,omitempty"`
}

// Mount is one volume mount.
type Mount struct {
	// Volume is the volume's name, Path where it is mounted, SubPath which part of it.
	Volume  string `json:"volume"`
	Path    string `json:"path"`
	SubPath string `json:"subPath,omitempty"`
	// ReadOnly says that the container cannot write.
	ReadOnly bool `json:"readOnly,omitempty"`
}

// Volume is one volume.
type Volume struct {
	// Name is its name.
	Name string `json:"name"`
	// Class says whether it tells a version: image, declared, filled, opaque, config or scratch.
	Class string `json:"class"`
	// Source is its source's field and what identifies it: "flexVolume alicloud/disk".
	Source string `json:"source"`
}
