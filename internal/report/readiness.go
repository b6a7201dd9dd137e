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
	// Groups are the namespaces and owners with something that would be denied, or may be, the one with most of it first.
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
	// Controllers are the users that the configuration takes for workload controllers, besides Kubernetes' own.
	Controllers []string `json:"controllers"`
	// Notes say what else is not known, and does not hide that what lives would be denied.
	Notes []string `json:"notes"`

	home, release string // Plainspec's namespace and Helm release
	prefix        string // the names of what the chart makes begin so
	absent        bool   // no configuration is in the cluster
	unread        bool   // what is in the cluster may not be read
	refused       bool   // something may not be read for want of rights
	file          bool   // a file stands in for it
	begin         string // why records do not begin earlier; empty if they may
}

// ReadinessSummary counts what was looked at. Live workloads are those that exist and were not made by a workload controller.
type ReadinessSummary struct {
	// Ready says that something was looked at, that everything could be read and judged, and that nothing would be denied
	// but for Conditional, and for what is applied again of namespaces that are deleted (ReadinessRecorded.Deleted).
	Ready bool `json:"ready"`
	// Workloads is how many live ones were judged, Denied how many of them would be denied, Conditional how many more unless
	// one of ReadinessBasis.Controllers makes them.
	Workloads   int `json:"workloads"`
	Denied      int `json:"denied"`
	Conditional int `json:"conditional"`
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
	// Since is how far back records were read or, if that is later, when they began to be kept, in UTC.
	Since time.Time `json:"since"`
	// Requests is how many there were, Workloads for how many workloads.
	Requests  int64 `json:"requests"`
	Workloads int   `json:"workloads"`
	// Admitted is how many of the workloads would be admitted now: as they live, or because no rule that they were recorded
	// for denies any more.
	Admitted int `json:"admittedNow"`
	// Of those that would still be denied, Gone is how many do not exist any more, Unknown of how many that is not known,
	// and Deleted how many were in namespaces that do not exist any more.
	Gone    int `json:"gone"`
	Unknown int `json:"unknown"`
	Deleted int `json:"deleted"`
	// OtherPolicies is how many records were made under other policies than the present ones.
	OtherPolicies int `json:"otherPolicies"`
}

// ReadinessGroup is what would be denied in one namespace of one owner.
type ReadinessGroup struct {
	// Namespace is the namespace, Owner the team to talk to, NoOwner if no label names it.
	Namespace string `json:"namespace"`
	Owner     string `json:"owner"`
	// Live is how many live workloads of theirs were judged; the others count Workloads by their State.
	Live        int `json:"live"`
	Denied      int `json:"denied"`
	Conditional int `json:"conditional"`
	Gone        int `json:"gone"`
	Unknown     int `json:"unknown"`
	// Rules are the rules that would deny, and how many of Workloads each, the most first.
	Rules []RuleCount `json:"rules"`
	// Workloads are those that would be denied, or may be, the worst first.
	Workloads []ReadinessWorkload `json:"workloads"`
}

// WorkloadState says how a workload is known that would be denied.
type WorkloadState string

// The states. What is gone or unknown is told by its record only.
const (
	StateDenied      WorkloadState = "denied"      // it exists and would be denied
	StateConditional WorkloadState = "conditional" // it exists and would be denied, unless a configured controller makes it
	StateGone        WorkloadState = "gone"        // it does not exist any more
	StateUnknown     WorkloadState = "unknown"     // whether it exists is not known
)

// ReadinessWorkload is a workload that would be denied.
type ReadinessWorkload struct {
	// Root names it, State says how it is known.
	Root  auditv1alpha1.Root `json:"root"`
	State WorkloadState      `json:"state"`
	// By is the tool that applies it or the object that controls it, such as "Helm release web"; empty if that is unknown.
	By string `json:"by,omitempty"`
	// Recorded are the recorded requests for it, nil if there are none. What was recorded for several workloads in common,
	// such as those of a generated name, is told with the first of them.
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

// Complete reports whether something was looked at, and everything that is there could be read and judged.
func (r *Readiness) Complete() bool { return r.Summary.Workloads > 0 && !r.gaps() }

// gaps reports whether something could not be read or judged.
func (r *Readiness) gaps() bool { return len(r.Unjudged) > 0 || len(r.Unread) > 0 }

// Denied reports whether something would be denied.
func (r *Readiness) Denied() bool {
	recorded := r.Summary.Recorded
	return r.Summary.Denied > 0 || recorded != nil && recorded.Gone+recorded.Unknown > 0
}
