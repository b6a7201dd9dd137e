package check

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"plainspec.dev/plainspec/internal/manifest"
	"plainspec.dev/plainspec/internal/redact"
)

// colors are the terminal's codes for modes.
var colors = map[string]string{"deny": "\x1b[31m", "warn": "\x1b[33m", "audit": "\x1b[2m"}

const noColor = "\x1b[0m"

// lostCode is the rule that says why an artifact that is asked for is not there.
const lostCode = "inject.lost"

// paint writes a mode in its color.
func paint(mode string, color bool) string {
	if code, ok := colors[mode]; ok && color {
		return code + mode + noColor
	}
	return mode
}

// title is what an object is called, such as "Pod shop/cart".
func title(o ObjectName) string {
	name := o.Name
	if name == "" {
		name = "(no name)"
	}
	if o.Namespace != "" {
		name = o.Namespace + "/" + name
	}
	return printable(o.Kind + " " + name)
}

// printable escapes what would move a terminal's cursor or forge a line of a CI log: manifests may
// come from strangers.
func printable(s string) string { return redact.Visible(strings.ToValidUTF8(s, "\uFFFD")) }

// at is a place as editors and CI systems link it.
func at(source string, line int) string {
	if line > 0 {
		source += ":" + strconv.Itoa(line)
	}
	return printable(source)
}

// WriteText writes the findings, one per line with its fix below it, and a summary.
func (r *Result) WriteText(w io.Writer, color bool) error {
	var b strings.Builder
	for i := range r.Objects {
		o := &r.Objects[i]
		for j := range o.Findings {
			f := &o.Findings[j]
			message := f.Message
			if f.Injected { // there is no line to find it by
				message += " (" + f.Field + ", which is injected)"
			}
			fmt.Fprintf(&b, "%s: %s %s %s: %s\n    fix: %s\n", at(o.Source, f.Line), paint(f.Mode, color), f.Code, title(o.Object), printable(message), printable(f.Fix))
		}
	}
	b.WriteString(r.Summary.String() + "\n")
	if r.Denied() && r.contact != "" {
		b.WriteString(printable(r.contact) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String is the summary in one line.
func (s Summary) String() string {
	parts := []string{fmt.Sprintf("%d checked", s.Checked), fmt.Sprintf("%d denied", s.Denied)}
	for _, more := range []struct {
		count int
		text  string
	}{{s.Warned, "admitted with warnings"}, {s.Skipped, "skipped (no known Pod spec)"}, {s.Undecided, "undecided"}} {
		if more.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", more.count, more.text))
		}
	}
	return strings.Join(parts, ", ")
}

// WriteNotes writes what a reader of the result should know besides it: problems, kinds that are
// not known, and what was assumed.
func (r *Result) WriteNotes(w io.Writer) error {
	var b strings.Builder
	places := make([]Place, 0, len(r.Objects))
	unnamed := false
	for i := range r.Objects {
		if o := &r.Objects[i]; o.Skipped == SkippedUnknownKind {
			places = append(places, o.Place)
		} else if o.Skipped == "" && o.Object.Namespace == "" {
			unnamed = true
		}
	}
	writeProblems(&b, r.Problems, places)
	for i := range r.Objects {
		o := &r.Objects[i]
		o.Completion.writeNotes(&b, &o.Place, o.Findings)
	}
	b.WriteString(r.Assumed.note(unnamed, r.PolicyRevision))
	_, err := io.WriteString(w, b.String())
	return err
}

func writeProblems(b *strings.Builder, problems []manifest.Problem, unknown []Place) {
	for i := range problems {
		level := "error"
		if problems[i].Warning {
			level = "warning"
		}
		fmt.Fprintf(b, "%s: %s: %s\n", at(problems[i].Source, problems[i].Line), level, printable(problems[i].Text))
	}
	for i := range unknown {
		p := &unknown[i]
		fmt.Fprintf(b, "%s: note: %s is of a kind that Plainspec does not know (%s), and was not judged\n", at(p.Source, p.Line), title(p.Object), printable(p.Object.APIVersion))
	}
}

// writeNotes writes what is completed, and what is not unless a finding says it.
func (c *Completion) writeNotes(b *strings.Builder, p *Place, findings []Finding) {
	if c == nil {
		return
	}
	if len(c.Done) > 0 {
		texts := make([]string, 0, len(c.Done))
		for _, done := range c.Done {
			texts = append(texts, done.Text)
		}
		fmt.Fprintf(b, "%s: note: %s is completed: %s\n", at(p.Source, p.Line), title(p.Object), printable(strings.Join(texts, "; ")))
	}
	for _, left := range c.Left {
		if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Code == lostCode && f.Field == left.Field }) {
			left.write(b, p, "warning")
		}
		left.hint(b, p)
	}
}

// write writes why something is not completed.
func (l Left) write(b *strings.Builder, p *Place, level string) {
	fmt.Fprintf(b, "%s: %s: %s: %s\n", at(p.Source, l.Line), level, title(p.Object), printable(l.Text))
}

// hint writes where profiles come from, to those who miss one and gave no configuration.
func (l Left) hint(b *strings.Builder, p *Place) {
	if l.unconfigured {
		fmt.Fprintf(b, "%s: note: no profile is known without the server's configuration: give it with --config\n", at(p.Source, l.Line))
	}
}

// note says what was assumed; unnamed says that an object names no namespace.
func (a *Assumed) note(unnamed bool, revision string) string {
	parts := []string{"operation " + a.Operation, "user " + a.User}
	if unnamed {
		parts = append(parts, "namespace "+a.Namespace+" where none is written")
	}
	enforcement := "enforcement " + a.Enforcement
	if a.EnforcementFrom != "" {
		enforcement += " (from " + a.EnforcementFrom + ")"
	}
	parts = append(parts, enforcement, "policies "+revision)
	return printable("assumed: "+strings.Join(parts, ", ")) + "\n"
}
