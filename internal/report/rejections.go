package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// Rejections are the rejections of a cluster, the latest first, as far as somebody asked for them.
type Rejections struct {
	// APIVersion is APIVersion, Kind is RejectionReport.
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// GeneratedAt is when they were read, in UTC.
	GeneratedAt time.Time `json:"generatedAt"`
	// Filter is what was asked for.
	Filter Filter `json:"filter"`
	// Summary counts the rejections.
	Summary Summary `json:"summary"`
	// Gaps are the namespaces of which rejections may be missing, because no more are kept.
	Gaps []Gap `json:"gaps,omitempty"`
	// Rejections are the rejections, the latest first.
	Rejections []Rejection `json:"rejections"`

	// others is how many were read that the filter does not take.
	others int
}

// Summary counts rejections.
type Summary struct {
	// Rejections is how many there are, Tries how often they were tried: all tries of the same thing by the same user
	// on the same day (UTC) are one rejection.
	Rejections int   `json:"rejections"`
	Tries      int64 `json:"tries"`
	// Namespaces, Rules and Users are how many of them are concerned.
	Namespaces int `json:"namespaces"`
	Rules      int `json:"rules"`
	Users      int `json:"users"`
	// Denied, Observed and Bypassed are how many rejections have that outcome.
	Denied   int `json:"denied"`
	Observed int `json:"observed"`
	Bypassed int `json:"bypassed"`
}

// Rejection is a record without what the API server adds to it.
type Rejection struct {
	// ID is what the refusal showed.
	ID string `json:"id"`
	// Outcome is Denied, Observed or Bypassed; Operation is CREATE or UPDATE.
	Outcome   auditv1alpha1.Outcome `json:"outcome"`
	Operation string                `json:"operation"`
	// User is who made the request.
	User string `json:"user"`
	// Root is what was applied.
	Root auditv1alpha1.Root `json:"root"`
	// Rules are the codes of the findings.
	Rules []string `json:"rules"`
	// FirstTime and LastTime are when it was tried first and last, in UTC, and Count is how often.
	FirstTime time.Time `json:"firstTime"`
	LastTime  time.Time `json:"lastTime"`
	Count     int64     `json:"count"`
	// Findings are what refused it; FindingsOmitted is how many more there were.
	Findings        []auditv1alpha1.Finding `json:"findings"`
	FindingsOmitted int                     `json:"findingsOmitted,omitempty"`
	// PolicyRevision is the content hash of the policies.
	PolicyRevision string `json:"policyRevision"`
	// Manifest is what the rules read of the object.
	Manifest auditv1alpha1.Manifest `json:"manifest"`
}

// Dossier is one rejection by itself.
type Dossier struct {
	// APIVersion is APIVersion, Kind is RejectionDossier.
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	Rejection
}

// NewRejections makes a report of those records that a filter takes, in the order that they have. What may be missing is
// known if they are all records of the filter's namespace, or of all namespaces.
func NewRejections(records []auditv1alpha1.Rejection, f Filter, now time.Time) *Rejections {
	r := &Rejections{APIVersion: APIVersion, Kind: "RejectionReport", GeneratedAt: now.UTC().Truncate(time.Second), Filter: f, Gaps: gaps(records, f.Since), Rejections: []Rejection{}}
	outcomes := make(map[auditv1alpha1.Outcome]int)
	namespaces, rules, users := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for i := range records {
		if !f.matches(&records[i]) {
			r.others++
			continue
		}
		one := newRejection(&records[i])
		r.Rejections = append(r.Rejections, one)
		r.Summary.Tries += one.Count
		namespaces[one.Root.Namespace], users[one.User] = true, true
		outcomes[one.Outcome]++
		for _, code := range one.Rules {
			rules[code] = true
		}
	}
	r.Summary.Rejections = len(r.Rejections)
	r.Summary.Denied, r.Summary.Observed, r.Summary.Bypassed = outcomes[auditv1alpha1.OutcomeDenied], outcomes[auditv1alpha1.OutcomeObserved], outcomes[auditv1alpha1.OutcomeBypassed]
	r.Summary.Namespaces, r.Summary.Rules, r.Summary.Users = len(namespaces), len(rules), len(users)
	return r
}

// NewDossier makes a report of one record.
func NewDossier(record *auditv1alpha1.Rejection) *Dossier {
	return &Dossier{APIVersion: APIVersion, Kind: "RejectionDossier", Rejection: newRejection(record)}
}

func newRejection(r *auditv1alpha1.Rejection) Rejection {
	return Rejection{
		ID: r.Name, Outcome: r.Outcome, Operation: r.Operation, User: r.User, Root: r.Root, Rules: r.Rules,
		FirstTime: r.FirstTime.UTC(), LastTime: r.LastTime.UTC(), Count: r.Count,
		Findings: r.Findings, FindingsOmitted: r.FindingsOmitted, PolicyRevision: r.PolicyRevision, Manifest: r.Manifest,
	}
}

// Write writes the rejections in any format but text.
func (r *Rejections) Write(w io.Writer, format Format) error {
	switch format {
	case FormatJSON:
		return writeJSON(w, r)
	case FormatYAML:
		return writeYAML(w, r)
	case FormatCSV:
		return writeRejectionsCSV(w, r.Rejections)
	default:
		if len(r.Rejections) == 0 {
			return nil // a header without rows says nothing
		}
		return writeRejectionsTable(w, r.Rejections, r.GeneratedAt, r.Filter.Outcome == "", format == FormatWide)
	}
}

// Write writes the rejection in any format. The ages of the table are as of now.
func (d *Dossier) Write(w io.Writer, format Format, now time.Time) error {
	switch format {
	case FormatJSON:
		return writeJSON(w, d)
	case FormatYAML:
		return writeYAML(w, d)
	case FormatCSV:
		return writeRejectionsCSV(w, []Rejection{d.Rejection})
	case FormatTable, FormatWide:
		return writeRejectionsTable(w, []Rejection{d.Rejection}, now, true, format == FormatWide)
	default:
		_, err := io.WriteString(w, d.text(now))
		return err
	}
}

func writeRejectionsTable(w io.Writer, rejections []Rejection, now time.Time, outcomes, wide bool) error {
	columns := []column{
		{name: "Root"}, {name: "Outcome", wide: !outcomes}, {name: "Rules"}, {name: "User"}, {name: "Count"}, {name: "First"}, {name: "Last"}, {name: "ID"},
		{name: "Operation", wide: true}, {name: "Policies", wide: true}, {name: "Finding", wide: true},
	}
	rows := make([][]any, 0, len(rejections))
	for i := range rejections {
		r := &rejections[i]
		rows = append(rows, []any{
			r.Root.Text, outcomeWord(r.Outcome), strings.Join(r.Rules, ","), r.User, r.Count, age(now, r.FirstTime), age(now, r.LastTime), r.ID,
			r.Operation, r.PolicyRevision, r.headline(),
		})
	}
	return writeTable(w, columns, rows, wide)
}

// writeRejectionsCSV writes a row for each finding, with what is said of the rejection repeated; one row if it has none.
func writeRejectionsCSV(w io.Writer, rejections []Rejection) error {
	rows := make([][]string, 0, len(rejections))
	for i := range rejections {
		r := &rejections[i]
		record := []string{
			r.ID, outcomeWord(r.Outcome), r.Operation, r.Root.Namespace, r.Root.Group, r.Root.Kind, r.Root.Name, strings.Join(r.Rules, " "), r.User,
			strconv.FormatInt(r.Count, 10), r.FirstTime.Format(time.RFC3339), r.LastTime.Format(time.RFC3339), r.PolicyRevision, strconv.Itoa(r.FindingsOmitted),
		}
		findings := r.Findings
		if len(findings) == 0 {
			findings = make([]auditv1alpha1.Finding, 1)
		}
		for _, f := range findings {
			rows = append(rows, slices.Concat(record, []string{f.Code, f.Severity, f.Container, f.Volume, f.Field, f.Value, f.Evidence, f.Message, f.Fix}))
		}
	}
	return writeCSV(w, []string{
		"id", "outcome", "operation", "namespace", "group", "kind", "name", "rules", "user",
		"count", "first_time", "last_time", "policy_revision", "findings_omitted",
		"code", "severity", "container", "volume", "field", "value", "evidence", "message", "fix",
	}, rows)
}

// headline is the first finding, and how many more there are.
func (r *Rejection) headline() string {
	if len(r.Findings) == 0 {
		return ""
	}
	if more := len(r.Findings) - 1 + r.FindingsOmitted; more > 0 {
		return fmt.Sprintf("%s (and %d more)", r.Findings[0].Message, more)
	}
	return r.Findings[0].Message
}

// age is how long ago something was. Clocks differ: the future is now.
func age(now, then time.Time) string { return duration.HumanDuration(max(0, now.Sub(then))) }
