package report

import (
	"time"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

const (
	// KindReadiness is the kind of a Readiness.
	KindReadiness = "Readiness"
	// NoOwner stands for the owner of a workload that no label names.
	NoOwner = "-"
)

// Readiness says what would be refused if a cluster enforced its policies now: by the workloads that live in it, and by the
// records of what was applied lately.
type Readiness struct {
	// APIVersion is APIVersion, Kind is KindReadiness.
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// GeneratedAt is when the cluster was looked at, in UTC.
	GeneratedAt time.Time `json:"generatedAt"`
	// Basis is what was judged by, and what was left out.
	Basis ReadinessBasis `json:"basis"`
	// Summary counts.
	Summary ReadinessSummary `json:"summary"`
	// Groups are the namespaces and owners with something that would be denied, the one with most of it first.
	Groups []ReadinessGroup `json:"groups"`
	// Unjudged are workloads that could not be judged, Unread is what could not be read: neither is known to be fine.
	Unjudged []Unjudged `json:"unjudged"`
	Unread   []Unread   `json:"unread"`
}

// ReadinessBasis is what was judged by.
type ReadinessBasis struct {
	// Configuration and Policies say where they were read: a ConfigMap, a file, or that the built-in ones stand in.
	Configuration string `json:"configuration"`
	Policies      string `json:"policies"`
	// PolicyRevision is the content hash of the policies: 12 hexadecimal digits.
	PolicyRevision string `json:"policyRevision"`
	// Enforcement is the present one (observe, warn or enforce); empty if no configuration was read.
	Enforcement string `json:"enforcement,omitempty"`
	// Namespace is the only namespace that was looked at, empty for all.
	Namespace string `json:"namespace,omitempty"`
	// Exempt are the namespaces that were left out, sorted; ExemptFrom says who exempts them.
	Exempt     []string `json:"exempt"`
	ExemptFrom string   `json:"exemptFrom"`
	// Notes say what else is not known and does not hide a denial.
	Notes []string `json:"notes"`

	home, release string // Plainspec's namespace and Helm release
	absent        bool   // no configuration is in the cluster
}

// ReadinessSummary counts what was looked at. Live workloads are those that exist and were not made by a workload controller.
type ReadinessSummary struct {
	// Ready says that nothing would be denied, and that everything could be read and judged.
	Ready bool `json:"ready"`
	// Workloads is how many live ones were judged, Denied how many of them would be denied.
	Workloads int `json:"workloads"`
	Denied    int `json:"denied"`
	// Namespaces is how many namespaces those live in, DeniedNamespaces how many have some that would be denied.
	Namespaces       int `json:"namespaces"`
	DeniedNamespaces int `json:"deniedNamespaces"`
	// Rules are the rules that would deny, and how many live workloads each, the most first.
	Rules []RuleCount `json:"rules"`
	// Recorded counts the recorded requests, nil if no records could be read.
	Recorded *ReadinessRecorded `json:"recorded,omitempty"`
}

// RuleCount is how many workloads a rule would deny.
type RuleCount struct {
	Code      string `json:"code"`
	Workloads int    `json:"workloads"`
}

// ReadinessRecorded counts requests that were admitted and would have been denied.
type ReadinessRecorded struct {
	// Since is how far back records were read, in UTC.
	Since time.Time `json:"since"`
	// Requests is how many there were, Workloads for how many workloads.
	Requests  int64 `json:"requests"`
	Workloads int   `json:"workloads"`
	// Mended is how many of the workloads live and would be admitted now, Gone how many do not exist any more.
	Mended int `json:"mended"`
	Gone   int `json:"gone"`
	// OtherPolicies is how many records were made under other policies than the present ones.
	OtherPolicies int `json:"otherPolicies"`
}

// ReadinessGroup is what would be denied in one namespace of one owner.
type ReadinessGroup struct {
	// Namespace is the namespace, Owner the team to talk to, NoOwner if no label names it.
	Namespace string `json:"namespace"`
	Owner     string `json:"owner"`
	// Live is how many live workloads of theirs were judged, Denied how many of them would be denied, Gone how many are
	// known by records only.
	Live   int `json:"live"`
	Denied int `json:"denied"`
	Gone   int `json:"gone"`
	// Rules are the rules that would deny, and how many of Workloads each, the most first.
	Rules []RuleCount `json:"rules"`
	// Workloads are those that would be denied, the worst first.
	Workloads []ReadinessWorkload `json:"workloads"`
}

// ReadinessWorkload is a workload that would be denied.
type ReadinessWorkload struct {
	// Root names it.
	Root auditv1alpha1.Root `json:"root"`
	// Live says that it exists; what does not is known by its record only.
	Live bool `json:"live"`
	// By is the tool that applies it or the object that controls it, such as "Helm release web"; empty if that is unknown.
	By string `json:"by,omitempty"`
	// Recorded are the recorded requests for it, nil if there are none.
	Recorded *Recorded `json:"recorded,omitempty"`
	// Rules are the codes of its findings, sorted, each once.
	Rules []string `json:"rules"`
	// Findings are those that would deny it, in the order of the denial: at most 20.
	Findings []auditv1alpha1.Finding `json:"findings"`
	// FindingsOmitted is how many more there are.
	FindingsOmitted int `json:"findingsOmitted,omitempty"`
}

// Recorded is what the records say about one workload.
type Recorded struct {
	// Requests is how many requests there were, LastTime when the last one came.
	Requests int64     `json:"requests"`
	LastTime time.Time `json:"lastTime"`
	// Users are who made them, sorted: at most 10.
	Users []string `json:"users"`
	// UsersOmitted is how many more there were.
	UsersOmitted int `json:"usersOmitted,omitempty"`
}

// Unjudged is a workload that could not be judged.
type Unjudged struct {
	Root auditv1alpha1.Root `json:"root"`
	// Reason says why.
	Reason string `json:"reason"`
}

// Unread is what could not be read.
type Unread struct {
	// Resource is the resource, such as "deployments.apps".
	Resource string `json:"resource"`
	// Namespaces are where it could not be read; empty means anywhere.
	Namespaces []string `json:"namespaces,omitempty"`
	// Reason says why.
	Reason string `json:"reason"`
}

// Complete reports whether everything could be read and judged.
func (r *Readiness) Complete() bool { return len(r.Unjudged) == 0 && len(r.Unread) == 0 }

// Denied reports whether something would be denied.
func (r *Readiness) Denied() bool { return len(r.Groups) > 0 }
