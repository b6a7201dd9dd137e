package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Mode is what a finding leads to.
type Mode string

// The modes, the strictest first.
const (
	ModeDeny  Mode = "deny"  // the request is refused
	ModeWarn  Mode = "warn"  // the request is admitted with a warning
	ModeAudit Mode = "audit" // the request is admitted; the finding is recorded
	ModeOff   Mode = "off"   // the finding is dropped
)

// modes are the modes that a rule's METADATA may name.
var modes = []Mode{ModeDeny, ModeWarn, ModeAudit}

// severities are the severities that a rule's METADATA may name.
var severities = []string{"critical", "high", "medium", "low"}

// Rule is what the METADATA of one rule says.
type Rule struct {
	// Code is "<category>.<rule>", from the rule's package; unique and permanent.
	Code string
	// Title and Description are for readers of the documentation.
	Title, Description string
	// Severity is critical, high, medium or low.
	Severity string
	// Mode is the mode of findings while Plainspec enforces.
	Mode Mode
	// WeakMode is the mode of findings whose evidence is weak; Mode where the METADATA has none.
	WeakMode Mode
	// Fix says what to change in the manifest.
	Fix string
	// Since is the release that brought the rule, such as "0.1".
	Since string

	message *template.Template
}

// Finding is one thing that a rule found in a workload.
type Finding struct {
	// Code is the rule's code.
	Code string `json:"code"`
	// Container and Volume name what the finding is about; either may be empty.
	Container string `json:"container,omitempty"`
	Volume    string `json:"volume,omitempty"`
	// Field is the field path of the offending value, such as "spec.containers[0].image".
	Field string `json:"field"`
	// Value is the offending value.
	Value string `json:"value,omitempty"`
	// Evidence says what led to the finding.
	Evidence string `json:"evidence,omitempty"`
	// Weak says that the evidence does not prove it: the rule's WeakMode applies.
	Weak bool `json:"weak,omitempty"`

	// Image and Source are the repository of the container's image and the source of the volume.
	// Rules do not give them; the caller of Evaluate joins them from the workload's facts.
	Image  string `json:"-"`
	Source string `json:"-"`
}

// Message is the sentence that tells a user about a finding.
func (r *Rule) Message(f Finding) (string, error) {
	var b strings.Builder
	if err := r.message.Execute(&b, f); err != nil {
		return "", fmt.Errorf("write message of rule %s: %w", r.Code, err)
	}
	return b.String(), nil
}

// ModeOf is the mode of a finding of this rule.
func (r *Rule) ModeOf(f Finding) Mode {
	if f.Weak {
		return r.WeakMode
	}
	return r.Mode
}

// newRule reads a rule's METADATA. Every problem is an error at the METADATA's place: a rule
// that is not understood must not load.
func newRule(code string, ref *ast.AnnotationsRef) (*Rule, error) {
	a := ref.Annotations
	if a == nil {
		return nil, fmt.Errorf("rule %s has no METADATA above findings", code)
	}
	problem := func(format string, args ...any) error {
		return fmt.Errorf("%s: METADATA of rule %s: %s", place(a.Location), code, fmt.Sprintf(format, args...))
	}
	custom := map[string]string{}
	for key, value := range a.Custom {
		text, ok := value.(string)
		if !ok || strings.TrimSpace(text) == "" {
			return nil, problem("custom.%s must be a non-empty string, quoted if it looks like a number", key)
		}
		custom[key] = strings.TrimSpace(text)
	}
	r := &Rule{
		Code: code, Title: a.Title, Description: a.Description, Severity: custom["severity"], Mode: Mode(custom["mode"]),
		WeakMode: Mode(custom["weak_mode"]), Fix: custom["fix"], Since: custom["since"],
	}
	if r.WeakMode == "" {
		r.WeakMode = r.Mode
	}
	for _, key := range slices.Sorted(maps.Keys(custom)) {
		if !slices.Contains([]string{"severity", "mode", "weak_mode", "message", "fix", "since"}, key) {
			return nil, problem("custom.%s is unknown", key)
		}
	}
	for name, value := range map[string]string{
		"title": r.Title, "description": r.Description, "custom.message": custom["message"], "custom.fix": r.Fix, "custom.since": r.Since,
	} {
		if value == "" {
			return nil, problem("%s is missing", name)
		}
	}
	if !slices.Contains(modes, r.Mode) || !slices.Contains(modes, r.WeakMode) {
		return nil, problem("custom.mode and custom.weak_mode must be one of %q", modes)
	}
	if !slices.Contains(severities, r.Severity) {
		return nil, problem("custom.severity must be one of %q", severities)
	}
	message, err := template.New(code).Parse(custom["message"])
	if err == nil {
		r.message = message
		_, err = r.Message(Finding{})
	}
	if err != nil {
		return nil, problem("custom.message: %v", err)
	}
	return r, nil
}

// strictness orders modes, the strictest first.
var strictness = []Mode{ModeDeny, ModeWarn, ModeAudit, ModeOff}

// Compare orders modes, the strictest first.
func (m Mode) Compare(other Mode) int {
	return slices.Index(strictness, m) - slices.Index(strictness, other)
}

// Milder returns the milder of two modes.
func Milder(a, b Mode) Mode {
	if a.Compare(b) >= 0 {
		return a
	}
	return b
}
