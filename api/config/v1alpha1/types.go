package v1alpha1

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	// GroupName is the API group of the configuration file.
	GroupName = "config.plainspec.dev"
	// Version is the version of the group that this package defines.
	Version = "v1alpha1"
	// APIVersion is what a file writes as its apiVersion.
	APIVersion = GroupName + "/" + Version
	// Kind is what a file writes as its kind.
	Kind = "Configuration"
)

// Enforcement is the highest mode that bites, whatever the rules say.
type Enforcement string

const (
	// EnforcementObserve admits everything without a word; findings are only recorded.
	EnforcementObserve Enforcement = "observe"
	// EnforcementWarn admits everything; what would be denied or warned about becomes a warning.
	EnforcementWarn Enforcement = "warn"
	// EnforcementEnforce lets each rule act in its own mode.
	EnforcementEnforce Enforcement = "enforce"
)

// Mode is what a finding of one rule does to a request.
type Mode string

const (
	// ModeDeny refuses the request.
	ModeDeny Mode = "deny"
	// ModeWarn admits the request with a warning.
	ModeWarn Mode = "warn"
	// ModeAudit admits the request and records the finding.
	ModeAudit Mode = "audit"
	// ModeOff drops the finding.
	ModeOff Mode = "off"
)

// UnmarshalJSON also reads false as ModeOff: it is what an unquoted `off` means in YAML, and nobody quotes it.
func (m *Mode) UnmarshalJSON(data []byte) error {
	if string(data) == "false" {
		*m = ModeOff
		return nil
	}
	return json.Unmarshal(data, (*string)(m))
}

// Configuration is the content of the configuration file.
//
// +kubebuilder:object:root=true
type Configuration struct {
	metav1.TypeMeta `json:",inline"`

	// Enforcement is the highest mode that bites: observe, warn or enforce. Default: observe.
	Enforcement Enforcement `json:"enforcement,omitempty"`

	// Rules overrides rules by code, such as "image.moving_tag". A rule that is not named keeps its own mode.
	Rules map[string]RuleConfiguration `json:"rules,omitempty"`

	// Parameters are handed to the policies as data.params.<key>. A key replaces the library's default of the same
	// name as a whole; a key that is not named keeps its default. Any JSON value is allowed.
	Parameters map[string]runtime.RawExtension `json:"parameters,omitempty"`

	// Controllers are further identities whose requests for children are audited and never denied, in addition to
	// Kubernetes' own workload controllers.
	Controllers []ControllerIdentity `json:"controllers,omitempty"`

	// Completion says what is filled in where a manifest leaves it out: artifacts, resources, labels. Default: nothing.
	Completion Completion `json:"completion,omitempty"`

	// Contact is one line of at most 200 characters at the end of each denial, such as "Questions: #platform on
	// chat". Default: none.
	Contact string `json:"contact,omitempty"`
}

// RuleConfiguration overrides one rule.
type RuleConfiguration struct {
	// Mode replaces the rule's own mode: deny, warn, audit or off. Required.
	Mode Mode `json:"mode"`
}

// ControllerIdentity is a user whom the API server authenticates as a workload controller.
type ControllerIdentity struct {
	// User is the complete user name, such as "system:serviceaccount:kruise-system:kruise-manager". Required.
	User string `json:"user"`
}
