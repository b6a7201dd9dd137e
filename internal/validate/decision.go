package validate

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/workload"
)

// mostFindings is how many findings a denial shows; it says how many more there are.
const mostFindings = 10

// Judgement is a finding with its mode and its text.
type Judgement struct {
	policy.Finding

	// Rule is the rule that found it.
	Rule *policy.Rule
	// Mode is what it leads to.
	Mode policy.Mode
	// Enforced is the mode that it would have under full enforcement, and without break-glass.
	Enforced policy.Mode
	// Ratcheted says that it would be denied had it not been there before.
	Ratcheted bool
	// Text is its sentence, redacted.
	Text string
}

// Refuses reports whether the finding denies the request, or would under full enforcement.
func (j *Judgement) Refuses() bool { return j.Enforced == policy.ModeDeny }

// Place is the finding's field as it may be shown: a field path can hold keys that users write.
func (j *Judgement) Place() string { return redact.Text(j.Field) }

func newJudgement(rule *policy.Rule, finding policy.Finding, enforced policy.Mode) (Judgement, error) {
	shown := finding
	shown.Value, shown.Evidence = redact.Text(finding.Value), redact.Text(finding.Evidence)
	text, err := rule.Message(shown)
	if err != nil {
		return Judgement{}, err
	}
	return Judgement{Finding: finding, Rule: rule, Enforced: enforced, Text: redact.Text(text)}, nil
}

// Fingerprint tells whether two findings are one: same rule, container, image repository, volume
// source and value, wherever in the lists the container stands.
func (j *Judgement) Fingerprint() string {
	return strings.Join([]string{j.Code, j.Container, j.Image, j.Source, j.Value}, "\x00")
}

// Decision is the answer to one request: all findings with their modes.
type Decision struct {
	// Request is what was asked.
	Request Request
	// Skipped is why the request was not judged, empty if it was.
	Skipped Skip
	// Child says that a workload controller made the object from Owner; it is never denied.
	Child bool
	// Owner is the object's controller, nil for roots.
	Owner *workload.Owner
	// Judgements are the findings, the strictest mode first, then by code and field.
	Judgements []Judgement
	// Revision is the policy set's.
	Revision string
	// Outcome is what became of a request that the rules refuse. Empty if they do not.
	Outcome auditv1alpha1.Outcome
	// ID is the rejection's id, the same for each try of the same thing by the same user on the
	// same day (UTC), on every replica. Empty without an outcome.
	ID string
	// Root is what was applied, or what its controller makes the object from.
	Root auditv1alpha1.Root
	// Manifest is what the rules read of the object, redacted. Empty without an outcome.
	Manifest auditv1alpha1.Manifest

	object  string // what the object is called in messages
	bypass  bool   // the user is never denied
	contact string
}

// Allowed reports whether the request is admitted.
func (d *Decision) Allowed() bool { return d.count(policy.ModeDeny) == 0 }

func (d *Decision) count(mode policy.Mode) int {
	n := 0
	for i := range d.Judgements {
		if d.Judgements[i].Mode == mode {
			n++
		}
	}
	return n
}

// Refusing are the judgements that deny the request, or would under full enforcement, in their order.
func (d *Decision) Refusing() []*Judgement {
	var refusing []*Judgement
	for i := range d.Judgements {
		if j := &d.Judgements[i]; j.Refuses() {
			refusing = append(refusing, j)
		}
	}
	return refusing
}

// finish decides on the outcome, and for what the rules refuse derives what is recorded of it. It
// sorts the judgements.
func (d *Decision) finish(object *workload.Object, facts *workload.Workload, now time.Time) {
	refusing := d.Refusing()
	switch {
	case len(refusing) == 0:
	case d.bypass:
		d.Outcome = auditv1alpha1.OutcomeBypassed
		for _, j := range refusing {
			j.Mode = policy.ModeAudit
		}
	case d.Allowed():
		d.Outcome = auditv1alpha1.OutcomeObserved
	default:
		d.Outcome = auditv1alpha1.OutcomeDenied
	}
	if d.Outcome != "" {
		d.Manifest = facts.Extract(object)
		d.ID = d.id(refusing, now)
	}
	slices.SortStableFunc(d.Judgements, func(a, b Judgement) int { return a.Mode.Compare(b.Mode) })
}

// idLength is the length of an id in characters of base32: 50 bits. People read ids to each other;
// of the 10,000 records that are kept at most, two have one id by chance once in 20 million times.
const idLength = 10

// id is the hash of who was refused what and when. It is made of what the record shows, redacted as
// there: a secret in it could be guessed. Of findings and their volumes' sources all are in it, also
// those for which the record has no room: what was refused is never hidden behind what was before.
func (d *Decision) id(refusing []*Judgement, now time.Time) string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q %q %q %q %q %q %q %q", d.Root.Group, d.Root.Kind, d.Root.Namespace, d.Root.Name,
		d.Request.Operation, d.Request.User, now.UTC().Format(time.DateOnly), d.Outcome)
	fmt.Fprintf(hash, " %#v", d.Manifest) // which writes maps in the order of their keys
	shown := make([]string, 0, len(refusing))
	for _, j := range refusing {
		shown = append(shown, fmt.Sprintf("%q %q %q %q %q %q", j.Code, redact.Text(j.Container), redact.Text(j.Volume), redact.Text(j.Source), j.Place(), redact.Text(j.Value)))
	}
	slices.Sort(shown) // their order can tell what is redacted
	fmt.Fprint(hash, shown)
	return strings.ToLower(base32.StdEncoding.EncodeToString(hash.Sum(nil))[:idLength])
}

// codesOf are the codes of judgements, sorted, each once.
func codesOf(judgements []*Judgement) []string {
	codes := make([]string, 0, len(judgements))
	for _, j := range judgements {
		codes = append(codes, j.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// RefusingCodes are the codes of the judgements that deny the request, or would under full
// enforcement, sorted, each once.
func (d *Decision) RefusingCodes() []string { return codesOf(d.Refusing()) }

// Codes are the codes of the findings with a mode, each once.
func (d *Decision) Codes(mode policy.Mode) []string {
	var codes []string
	for i := range d.Judgements {
		if j := &d.Judgements[i]; j.Mode == mode && !slices.Contains(codes, j.Code) {
			codes = append(codes, j.Code)
		}
	}
	return codes
}

// Message is the text of a denial: a first line that is complete in itself, because some tools
// show only that, then each finding with its place and its fix, and how to refer to it.
func (d *Decision) Message() string {
	denied := make([]*Judgement, 0, len(d.Judgements))
	for i := range d.Judgements {
		if d.Judgements[i].Mode == policy.ModeDeny {
			denied = append(denied, &d.Judgements[i])
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", d.object, denied[0].Text)
	if more := len(denied) - 1; more > 0 {
		fmt.Fprintf(&b, " (and %d more)", more)
	}
	b.WriteByte('\n')
	for i, j := range denied {
		if i == mostFindings {
			fmt.Fprintf(&b, "- and %d more findings\n", len(denied)-mostFindings)
			break
		}
		detail := j.Text
		if len(denied) == 1 && j.Evidence != "" {
			detail = redact.Text(j.Evidence)
		}
		fmt.Fprintf(&b, "- %s at %s: %s\n  fix: %s\n", j.Code, j.Place(), detail, j.Rule.Fix)
	}
	fmt.Fprintf(&b, "rejection %s, policies %s", d.ID, d.Revision)
	if d.contact != "" {
		b.WriteString("\n" + d.contact)
	}
	return b.String()
}

// Warnings are the texts of the findings that only warn, bounded as Warnings does; before them, who
// breaks the glass is told that it is recorded.
func (d *Decision) Warnings() []string {
	var texts []string
	switch {
	case d.Outcome != auditv1alpha1.OutcomeBypassed:
	case d.Request.DryRun:
		texts = append(texts, "break-glass: would be admitted, and recorded as "+d.ID)
	default:
		texts = append(texts, "break-glass: admitted, and recorded as "+d.ID)
	}
	for i := range d.Judgements {
		j := &d.Judgements[i]
		if j.Mode != policy.ModeWarn {
			continue
		}
		before := ""
		if j.Ratcheted {
			before = " (as before)"
		}
		texts = append(texts, j.Code+before+": "+j.Text)
	}
	return Warnings(texts)
}
