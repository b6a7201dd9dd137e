package report

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// What is written for people is bounded, unless it is wide: the worst comes first.
const (
	mostGroups    = 20
	mostWorkloads = 5
	mostRules     = 3
	mostNames     = 10
)

// Write writes the report in any format but text.
func (r *Readiness) Write(w io.Writer, format Format) error {
	switch format {
	case FormatJSON:
		return writeJSON(w, r)
	case FormatYAML:
		return writeYAML(w, r)
	case FormatCSV:
		return r.writeCSV(w)
	}
	// A report that is cut off is worse than none: it is written in one piece.
	var b bytes.Buffer
	wide := format == FormatWide
	b.WriteString(r.headline() + "\n")
	if err := r.writeGroups(&b, wide); err != nil {
		return err
	}
	for i := range r.Groups {
		if i == mostGroups && !wide {
			fmt.Fprintf(&b, "\nand %s more of namespace and owner (see -o wide)\n", plural(len(r.Groups)-i, "group"))
			break
		}
		r.Groups[i].write(&b, wide)
	}
	r.writeGaps(&b)
	r.writeBasis(&b)
	r.writeNext(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// headline is the answer in one line.
func (r *Readiness) headline() string {
	s := &r.Summary
	looked := plural(s.Workloads, "workload") + " in " + plural(s.Namespaces, "namespace")
	switch {
	case s.Denied > 0:
		gaps := ""
		if !r.Complete() {
			gaps = "; not all could be looked at"
		}
		return fmt.Sprintf("%d of %s in %d of %s would be denied, by %s%s",
			s.Denied, plural(s.Workloads, "workload"), s.DeniedNamespaces, plural(s.Namespaces, "namespace"), plural(len(s.Rules), "rule"), gaps)
	case r.Denied():
		return fmt.Sprintf("not ready: none of %s would be denied, but %d of those applied lately and gone since would be", looked, s.Recorded.Gone)
	case !r.Complete():
		return "not known to be ready: nothing would be denied of what could be looked at (" + looked + "), but not all could be"
	}
	return "ready: nothing would be denied (" + looked + " looked at)"
}

func (r *Readiness) writeGroups(b *bytes.Buffer, wide bool) error {
	if len(r.Groups) == 0 {
		return nil
	}
	rows := make([][]any, 0, len(r.Groups))
	for i := range r.Groups {
		g := &r.Groups[i]
		rules := make([]string, 0, len(g.Rules))
		for _, rule := range g.Rules {
			rules = append(rules, fmt.Sprintf("%s (%d)", rule.Code, rule.Workloads))
		}
		most := mostRules
		if wide {
			most = len(rules)
		}
		rows = append(rows, []any{g.Namespace, g.Owner, fmt.Sprintf("%d of %d", g.Denied, g.Live), g.Gone, list(rules, most)})
	}
	b.WriteByte('\n')
	return writeTable(b, []column{{name: "Namespace"}, {name: "Owner"}, {name: "Denied"}, {name: "Gone"}, {name: "Rules"}}, rows, wide)
}

// write writes the workloads of a group, the worst first.
func (g *ReadinessGroup) write(b *bytes.Buffer, wide bool) {
	owner := "owner " + g.Owner
	if g.Owner == NoOwner {
		owner = "no owner known"
	}
	fmt.Fprintf(b, "\n%s, %s\n", g.Namespace, owner)
	for i := range g.Workloads {
		if i == mostWorkloads && !wide {
			fmt.Fprintf(b, "  and %s more (see -o wide)\n", plural(len(g.Workloads)-i, "workload"))
			break
		}
		g.Workloads[i].write(b, wide)
	}
}

func (w *ReadinessWorkload) write(b *bytes.Buffer, wide bool) {
	var about []string
	if !w.Live {
		about = append(about, "gone")
	}
	if w.By != "" {
		about = append(about, w.By)
	}
	if w.Recorded != nil {
		about = append(about, w.Recorded.String())
	}
	fmt.Fprintf(b, "  %s %s", w.Root.Kind, w.Root.Name)
	if len(about) > 0 {
		fmt.Fprintf(b, " (%s)", strings.Join(about, "; "))
	}
	b.WriteByte('\n')
	shown := w.Findings
	if !wide {
		shown = shown[:min(len(shown), 1)]
	}
	for i := range shown {
		f := &shown[i]
		fmt.Fprintf(b, "    %s at %s: %s\n      fix: %s\n", f.Code, visible(f.Field), f.Message, f.Fix)
	}
	if more := w.findings() - len(shown); more > 0 {
		fmt.Fprintf(b, "    and %s more\n", plural(more, "finding"))
	}
}

// String says it for people: "applied 3 times, last on 2026-11-20 10:00 UTC, by alice and bob".
func (r *Recorded) String() string {
	text := "applied once, on "
	if r.Requests != 1 {
		text = fmt.Sprintf("applied %d times, last on ", r.Requests)
	}
	users := list(r.Users, 3)
	if r.UsersOmitted > 0 {
		users = fmt.Sprintf("%s and %d more", strings.Join(r.Users[:3], ", "), len(r.Users)-3+r.UsersOmitted)
	}
	return text + stamp(r.LastTime) + ", by " + users
}

// writeGaps writes what is not known to be fine.
func (r *Readiness) writeGaps(b *bytes.Buffer) {
	if len(r.Unjudged) > 0 {
		b.WriteString("\nnot judged, and not known to be fine:\n")
	}
	for i := range r.Unjudged {
		fmt.Fprintf(b, "  %s: %s\n", r.Unjudged[i].Root.Text, r.Unjudged[i].Reason)
	}
	if len(r.Unread) > 0 {
		b.WriteString("\nnot read, and not known to be fine:\n")
	}
	for i := range r.Unread {
		u := &r.Unread[i]
		in := "all namespaces"
		if len(u.Namespaces) > 0 {
			in = pluralOf(len(u.Namespaces), "namespace") + " " + list(u.Namespaces, mostNames)
		}
		fmt.Fprintf(b, "  %s in %s: %s\n", u.Resource, in, u.Reason)
	}
}

// writeBasis writes what the answer rests on.
func (r *Readiness) writeBasis(b *bytes.Buffer) {
	basis := &r.Basis
	b.WriteByte('\n')
	if recorded := r.Summary.Recorded; recorded != nil {
		fmt.Fprintf(b, "recorded since %s: %s\n", stamp(recorded.Since), recorded)
	}
	enforcement := ""
	if basis.Enforcement != "" {
		enforcement = " (enforcement " + basis.Enforcement + " now)"
	}
	fmt.Fprintf(b, "configuration: %s%s\npolicies: %s, %s\n", visible(basis.Configuration), enforcement, basis.PolicyRevision, visible(basis.Policies))
	exempt := "no namespace"
	if len(basis.Exempt) > 0 {
		exempt = pluralOf(len(basis.Exempt), "namespace") + " " + list(basis.Exempt, mostNames)
	}
	if basis.ExemptFrom != "" {
		exempt += " (by " + basis.ExemptFrom + ")"
	}
	fmt.Fprintf(b, "left out: %s\n", visible(exempt))
	if basis.Namespace != "" {
		fmt.Fprintf(b, "looked at: namespace %s only\n", visible(basis.Namespace))
	}
	for _, note := range basis.Notes {
		fmt.Fprintf(b, "note: %s\n", note)
	}
}

// String says for people what was recorded.
func (r *ReadinessRecorded) String() string {
	if r.Workloads == 0 {
		return "nothing was admitted that would have been denied"
	}
	parts := []string{plural64(r.Requests, "request") + " for " + plural(r.Workloads, "workload") + " would have been denied"}
	for _, part := range []struct {
		count int
		text  string
	}{
		{r.Mended, "of the workloads mended since"},
		{r.Gone, "of the workloads gone since"},
		{r.OtherPolicies, "of the records made by other policies than the present ones"},
	} {
		if part.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.count, part.text))
		}
	}
	return strings.Join(parts, "; ")
}

// writeNext writes what denying would mean, and how to go on.
func (r *Readiness) writeNext(b *bytes.Buffer) {
	release := r.Basis.release
	if release == "" {
		release = nameOfApp
	}
	helm := func(enforcement string) string {
		return fmt.Sprintf("  helm upgrade %s CHART --namespace %s --reset-then-reuse-values --set enforcement=%s\n", visible(release), visible(r.Basis.home), enforcement)
	}
	if r.Denied() {
		b.WriteString("\nWhat runs goes on running, and its controllers go on making Pods. An update that leaves a finding as it is\n" +
			"gets a warning; refused is what is created, and a change of a Pod template that brings a finding of its own.\n")
	}
	b.WriteByte('\n')
	switch {
	case r.Basis.Enforcement == "enforce":
		b.WriteString("next: nothing to switch on, it is enforced already\n")
	case r.Basis.absent:
		b.WriteString("next: install Plainspec with its chart, which observes at first\n")
	case r.Summary.Ready:
		b.WriteString("next: enforce\n" + helm("enforce"))
	case !r.Denied():
		b.WriteString("next: look into what could not be read or judged, then enforce\n" + helm("enforce"))
	case r.Basis.Enforcement == "warn":
		b.WriteString("next: have it mended, or set the mode of a rule to warn (configuration.rules in the chart's values), and ask again\n")
	default:
		b.WriteString("next: have it mended, or set the mode of a rule to warn (configuration.rules in the chart's values), and ask again;\n" +
			"until then, this shows it as warnings to those who apply it\n" + helm("warn"))
	}
}

// writeCSV writes a row for each workload that would be denied, and for all that is not known to be fine.
func (r *Readiness) writeCSV(w io.Writer) error {
	header := []string{
		"state", "namespace", "owner", "group", "kind", "name", "rules", "by", "users", "requests", "last_time",
		"findings", "field", "finding", "fix",
	}
	rows := [][]string{}
	for i := range r.Groups {
		for j := range r.Groups[i].Workloads {
			rows = append(rows, r.Groups[i].Workloads[j].cells(r.Groups[i].Owner))
		}
	}
	gap := func(state, namespace, group, kind, name, reason string) []string {
		return []string{state, namespace, "", group, kind, name, "", "", "", "", "", "", "", reason, ""}
	}
	for i := range r.Unjudged {
		u := &r.Unjudged[i]
		rows = append(rows, gap("unjudged", u.Root.Namespace, u.Root.Group, u.Root.Kind, u.Root.Name, u.Reason))
	}
	for i := range r.Unread {
		u := &r.Unread[i]
		resource, group, _ := strings.Cut(u.Resource, ".")
		rows = append(rows, gap("unread", strings.Join(u.Namespaces, " "), group, resource, "", u.Reason))
	}
	return writeCSV(w, header, rows)
}

func (w *ReadinessWorkload) cells(owner string) []string {
	state, users, requests, last := "denied", "", "", ""
	if !w.Live {
		state = "gone"
	}
	if w.Recorded != nil {
		users, requests, last = strings.Join(w.Recorded.Users, " "), strconv.FormatInt(w.Recorded.Requests, 10), w.Recorded.LastTime.Format(time.RFC3339)
	}
	first := auditv1alpha1.Finding{}
	if len(w.Findings) > 0 {
		first = w.Findings[0]
	}
	return []string{
		state, w.Root.Namespace, owner, w.Root.Group, w.Root.Kind, w.Root.Name, strings.Join(w.Rules, " "), w.By, users, requests, last,
		strconv.Itoa(w.findings()), visible(first.Field), first.Message, first.Fix,
	}
}

// list writes a number of names, and how many more there are.
func list(names []string, most int) string {
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

func plural(count int, what string) string { return plural64(int64(count), what) }

func plural64(count int64, what string) string {
	if count == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(count, 10) + " " + what + "s"
}

func pluralOf(count int, what string) string {
	_, word, _ := strings.Cut(plural(count, what), " ")
	return word
}
