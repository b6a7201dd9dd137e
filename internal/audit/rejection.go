package audit

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/validate"
)

const (
	// mostFindings is how many findings a record shows.
	mostFindings = 20
	// largestFindings bounds them all, in bytes of JSON, and is more than one can have. With the
	// manifest's 16 KiB (internal/workload) and the names, a record stays below 32 KiB.
	largestFindings = 10 << 10
)

// aroundFinding is the bytes of JSON of a finding beside its texts.
const aroundFinding = len(`{"code":"","severity":"","container":"","volume":"","field":"","value":"","evidence":"","message":"","fix":""},`)

// NewRejection is the record of one request that the rules refuse: d has an outcome. It holds no text
// that was not redacted, but for the names of users and objects, which are bounded and printable.
func NewRejection(d *validate.Decision, now time.Time) auditv1alpha1.Rejection {
	at := metav1.NewTime(now.UTC().Truncate(time.Second)) // as the API server keeps it
	r := auditv1alpha1.Rejection{
		TypeMeta: metav1.TypeMeta{APIVersion: auditv1alpha1.GroupVersion.String(), Kind: auditv1alpha1.KindRejection},
		ObjectMeta: metav1.ObjectMeta{
			Name: d.ID, Labels: map[string]string{auditv1alpha1.NamespaceLabel: d.Root.Namespace},
		},
		Outcome: d.Outcome, Operation: d.Request.Operation, User: redact.Name(d.Request.User), Root: d.Root,
		Rules: d.RefusingCodes(), FirstTime: at, LastTime: at, Count: 1, PolicyRevision: d.Revision, Manifest: d.Manifest,
	}
	refusing := d.Refusing()
	left := largestFindings
	for _, j := range refusing[:min(len(refusing), mostFindings)] {
		f := findingOf(j)
		if left -= sizeOf(&f); left < 0 {
			break
		}
		r.Findings = append(r.Findings, f)
	}
	r.FindingsOmitted = len(refusing) - len(r.Findings)
	return r
}

func findingOf(j *validate.Judgement) auditv1alpha1.Finding {
	return auditv1alpha1.Finding{
		Code: j.Code, Severity: j.Rule.Severity, Container: redact.Text(j.Container), Volume: redact.Text(j.Volume), Field: j.Place(),
		Value: redact.Text(j.Value), Evidence: redact.Text(j.Evidence), Message: j.Text, Fix: redact.Name(j.Rule.Fix),
	}
}

func sizeOf(f *auditv1alpha1.Finding) int {
	size := aroundFinding
	for _, text := range []string{f.Code, f.Severity, f.Container, f.Volume, f.Field, f.Value, f.Evidence, f.Message, f.Fix} {
		size += redact.Size(text)
	}
	return size
}
