package check

import (
	"encoding/json"
	"io"

	"plainspec.dev/plainspec/internal/manifest"
	"plainspec.dev/plainspec/internal/policy"
)

// APIVersion is the version of the JSON that Result and Explanation are written as. Within it,
// members are added and none is changed or taken away.
const APIVersion = "cli.plainspec.dev/v1alpha1"

// Assumed is what a manifest does not say and a review needs.
type Assumed struct {
	// Operation is always CREATE.
	Operation string `json:"operation"`
	// User is who is taken to apply the manifests.
	User string `json:"user"`
	// Namespace is that of objects that name none.
	Namespace string `json:"namespace"`
	// Enforcement is observe, warn or enforce.
	Enforcement string `json:"enforcement"`
	// EnforcementFrom says who told the enforcement: a file's path or "the command line"; empty if
	// it is assumed.
	EnforcementFrom string `json:"enforcementFrom,omitempty"`
}

// Result is what the server would answer to a batch of manifests.
type Result struct {
	// APIVersion is APIVersion, Kind is CheckResult.
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Assumed is what the answer rests on besides the manifests.
	Assumed Assumed `json:"assumed"`
	// PolicyRevision is the content hash of the policies: 12 hexadecimal digits.
	PolicyRevision string `json:"policyRevision"`
	// Summary counts the objects.
	Summary Summary `json:"summary"`
	// Objects are the objects in the order in which they were read.
	Objects []Object `json:"objects"`
	// Problems are what could not be read or judged, and warnings about what was read.
	Problems []manifest.Problem `json:"problems"`

	contact string
}

// Summary counts objects.
type Summary struct {
	// Checked is how many were judged: Denied and those that are admitted.
	Checked int `json:"checked"`
	// Denied is how many would be refused.
	Denied int `json:"denied"`
	// Warned is how many would be admitted with a warning.
	Warned int `json:"warned"`
	// Skipped is how many are not judged, because they hold no Pod spec that Plainspec knows.
	Skipped int `json:"skipped"`
	// Undecided is how many could not be judged.
	Undecided int `json:"undecided"`
}

// Place says where an object is.
type Place struct {
	// Source is the file's path, or stdin.
	Source string `json:"source"`
	// Index counts the objects of the source, from 0.
	Index int `json:"index"`
	// Line is where the object starts, from 1.
	Line int `json:"line"`
	// Object says what it is.
	Object ObjectName `json:"object"`
}

// ObjectName says what an object is, as its manifest says.
type ObjectName struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Namespace is empty if the manifest names none.
	Namespace string `json:"namespace,omitempty"`
	// Name is empty if the manifest names none; a generated one ends with "*".
	Name string `json:"name,omitempty"`
}

// Object is the answer to one object.
type Object struct {
	Place

	// Allowed says that it would be admitted; it is false if that could not be decided.
	Allowed bool `json:"allowed"`
	// Skipped says why it was not judged (noPodSpec, unknownKind), empty if it was.
	Skipped string `json:"skipped,omitempty"`
	// Error says why it could not be decided.
	Error string `json:"error,omitempty"`
	// Completion is what the server does to the object before it judges it, nil if that is nothing.
	Completion *Completion `json:"completion,omitempty"`
	// Findings are what the policies found, the strictest mode first.
	Findings []Finding `json:"findings"`
}

// Finding is one thing that a rule found. Nothing in it is a secret: value, evidence and message
// are redacted.
type Finding struct {
	// Code is the rule's code, Severity its severity.
	Code string `json:"code"`
	// Mode is deny, warn or audit.
	Mode string `json:"mode"`
	// Severity is critical, high, medium or low.
	Severity string `json:"severity"`
	// Container and Volume name what it is about; either may be empty.
	Container string `json:"container,omitempty"`
	Volume    string `json:"volume,omitempty"`
	// Spot is where the offending value is.
	Spot

	// Value is the offending value, Evidence what led to the finding.
	Value    string `json:"value,omitempty"`
	Evidence string `json:"evidence,omitempty"`
	// Message is the sentence for people, Fix what to change.
	Message string `json:"message"`
	Fix     string `json:"fix"`
}

// Denied reports whether an object would be refused.
func (r *Result) Denied() bool { return r.Summary.Denied > 0 }

// Incomplete reports whether something could not be read or judged.
func (r *Result) Incomplete() bool { return incomplete(r.Problems) }

// WriteJSON writes the result as JSON.
func (r *Result) WriteJSON(w io.Writer) error { return writeJSON(w, r) }

func incomplete(problems []manifest.Problem) bool {
	for i := range problems {
		if !problems[i].Warning {
			return true
		}
	}
	return false
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func placeOf(d *manifest.Document) Place {
	return Place{
		Source: d.Source, Index: d.Index, Line: d.Line,
		Object: ObjectName{APIVersion: d.APIVersion, Kind: d.Kind, Namespace: d.Namespace, Name: d.Name},
	}
}

func summarize(objects []Object) Summary {
	var s Summary
	for i := range objects {
		switch o := &objects[i]; {
		case o.Error != "":
			s.Undecided++
		case o.Skipped != "":
			s.Skipped++
		case !o.Allowed:
			s.Checked++
			s.Denied++
		default:
			s.Checked++
			if len(o.Findings) > 0 && o.Findings[0].Mode == string(policy.ModeWarn) {
				s.Warned++
			}
		}
	}
	return s
}
