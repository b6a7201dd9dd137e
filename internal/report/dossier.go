package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// meaning says what became of the request, for whom the word alone says too little.
func (r *Rejection) meaning() string {
	switch r.Outcome {
	case auditv1alpha1.OutcomeDenied:
		return "denied"
	case auditv1alpha1.OutcomeObserved:
		return "observed: admitted, and refused under enforcement: enforce"
	case auditv1alpha1.OutcomeBypassed:
		return "bypassed: admitted, because the user belongs to a break-glass group"
	}
	return outcomeWord(r.Outcome)
}

// lines are lines of text; add writes a name and its value, in columns.
type lines struct{ strings.Builder }

func (l *lines) add(indent, name, value string) {
	if value != "" {
		fmt.Fprintf(l, "%s%-10s%s\n", indent, name, value)
	}
}

// when says when it was tried, and how often.
func (r *Rejection) when(now time.Time) string {
	if r.Count == 1 {
		return fmt.Sprintf("once, %s (%s ago)", stamp(r.LastTime), age(now, r.LastTime))
	}
	return fmt.Sprintf("%d times, first %s (%s ago), last %s (%s ago)", r.Count, stamp(r.FirstTime), age(now, r.FirstTime), stamp(r.LastTime), age(now, r.LastTime))
}

// place is where a finding is, with the value that is there.
func place(f *auditv1alpha1.Finding) string {
	if f.Value == "" {
		return f.Field
	}
	return f.Field + ": " + f.Value
}

// text is all that is known of a rejection, to be read.
func (r *Rejection) text(now time.Time) string {
	var l lines
	fmt.Fprintf(&l, "Rejection %s\n", r.ID)
	l.add("  ", "what", r.Root.Text+" ("+r.Operation+")")
	l.add("  ", "outcome", r.meaning())
	l.add("  ", "who", r.User)
	l.add("  ", "when", r.when(now))
	l.add("  ", "policies", r.PolicyRevision)
	fmt.Fprint(&l, "\nFindings\n")
	for i := range r.Findings {
		f := &r.Findings[i]
		fmt.Fprintf(&l, "  %s (%s): %s\n", f.Code, f.Severity, f.Message)
		l.add("    ", "at", place(f))
		l.add("    ", "evidence", f.Evidence)
		l.add("    ", "fix", f.Fix)
	}
	if r.FindingsOmitted > 0 {
		fmt.Fprintf(&l, "  and %d more\n", r.FindingsOmitted)
	}
	writeManifest(&l, &r.Manifest)
	return l.String()
}

// writeManifest writes what the rules read of the object.
func writeManifest(l *lines, m *auditv1alpha1.Manifest) {
	fmt.Fprint(l, "\nManifest, as far as the rules read it\n")
	for _, key := range slices.Sorted(maps.Keys(m.Labels)) {
		fmt.Fprintf(l, "  label %s: %s\n", key, m.Labels[key])
	}
	for i := range m.Containers {
		c := &m.Containers[i]
		fmt.Fprintf(l, "  %s container %s\n", c.Role, c.Name)
		l.add("    ", "image", c.Image)
		l.add("    ", "command", commandLine(c.Command))
		l.add("    ", "args", commandLine(c.Args))
		l.add("    ", "in", c.WorkingDir)
		for j := range c.Mounts {
			l.add("    ", "mount", mountText(&c.Mounts[j]))
		}
	}
	for i := range m.Volumes {
		fmt.Fprintf(l, "  volume %s: %s (%s)\n", m.Volumes[i].Name, m.Volumes[i].Source, m.Volumes[i].Class)
	}
	if m.Omitted > 0 {
		fmt.Fprintf(l, "  and %d more, left out to bound the record\n", m.Omitted)
	}
}

// commandLine joins words as a shell would read them.
func commandLine(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		var err error
		if quoted[i], err = syntax.Quote(word, syntax.LangBash); err != nil {
			quoted[i] = strconv.Quote(word)
		}
	}
	return strings.Join(quoted, " ")
}

// mountText is a mount in one line: "/data from volume files, its part a/b, read-only".
func mountText(m *auditv1alpha1.Mount) string {
	text := m.Path + " from volume " + m.Volume
	if m.SubPath != "" {
		text += ", its part " + m.SubPath
	}
	if m.ReadOnly {
		text += ", read-only"
	}
	return text
}
