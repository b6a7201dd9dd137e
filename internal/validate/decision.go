package validate

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

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
	// Ratcheted says that it would be denied had it not been there before.
	Ratcheted bool
	// Text is its sentence, redacted.
	Text string
}

func newJudgement(rule *policy.Rule, finding policy.Finding, mode policy.Mode) (Judgement, error) {
	shown := finding
	shown.Value, shown.Evidence = redact.Text(finding.Value), redact.Text(finding.Evidence)
	text, err := rule.Message(shown)
	if err != nil {
		return Judgement{}, err
	}
	return Judgement{Finding: finding, Rule: rule, Mode: mode, Text: redact.Text(text)}, nil
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
	// ID is the rejection's id, the same for each try of the same thing by the same user on the
	// same day, on every replica. Empty if the request is admitted.
	ID string

	object  string // what the object is called in messages
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

// name sets what the object is called.
func (d *Decision) name(object *workload.Object) {
	name := d.Request.Name
	if name == "" {
		name = object.Name()
	}
	if d.Request.Namespace != "" {
		name = d.Request.Namespace + "/" + name
	}
	d.object = d.Request.Kind + " " + name
}

// finish sorts the judgements and, for a denial, derives the id.
func (d *Decision) finish(now time.Time) {
	slices.SortStableFunc(d.Judgements, func(a, b Judgement) int { return a.Mode.Compare(b.Mode) })
	if d.Allowed() {
		return
	}
	hash := sha256.New()
	for _, part := range []string{d.object, d.Request.Group, d.Request.User, now.UTC().Format(time.DateOnly)} {
		fmt.Fprintf(hash, "%q ", part)
	}
	for i := range d.Judgements {
		fmt.Fprintf(hash, "%q ", d.Judgements[i].Fingerprint())
	}
	d.ID = strings.ToLower(base32.StdEncoding.EncodeToString(hash.Sum(nil))[:10])
}

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
		fmt.Fprintf(&b, "- %s at %s: %s\n  fix: %s\n", j.Code, j.Field, detail, j.Rule.Fix)
	}
	fmt.Fprintf(&b, "rejection %s, policies %s", d.ID, d.Revision)
	if d.contact != "" {
		b.WriteString("\n" + d.contact)
	}
	return b.String()
}

// Warnings are the texts of the findings that only warn, bounded as Warnings does.
func (d *Decision) Warnings() []string {
	var texts []string
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
