package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
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
		r.Groups[i].write(&b, &r.Basis, wide)
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
	gaps := ""
	if r.gaps() {
		gaps = "; not all could be looked at"
	}
	switch {
	case s.Denied > 0:
		more := ""
		if s.Conditional > 0 {
			more = fmt.Sprintf(", and %d more unless %s", s.Conditional, r.Basis.makers("them"))
		}
		return fmt.Sprintf("%d of %s in %d of %s would be denied, by %s%s%s",
			s.Denied, plural(s.Workloads, "workload"), s.DeniedNamespaces, plural(s.Namespaces, "namespace"), plural(len(s.Rules), "rule"), more, gaps)
	case r.Denied() && s.Workloads == 0:
		return "not ready: no workload was looked at, and " + s.Recorded.absent() + gaps
	case r.Denied():
		return fmt.Sprintf("not ready: none of %s would be denied, but %s%s", looked, s.Recorded.absent(), gaps)
	case r.gaps():
		return "not known to be ready: nothing would be denied of what could be looked at (" + looked + "), but not all could be"
	case r.exempt():
		return fmt.Sprintf("nothing was looked at: namespace %s is exempt", visible(r.Basis.Namespace))
	case s.Workloads == 0:
		return "nothing was looked at: there are no workloads" + r.Basis.where()
	}
	return "ready: nothing would be denied (" + looked + " looked at)" + r.conditions()
}

// exempt reports whether the only namespace that was asked about is exempt.
func (r *Readiness) exempt() bool { return slices.Contains(r.Basis.Exempt, r.Basis.Namespace) }

// where says in which namespaces something was looked for.
func (b *ReadinessBasis) where() string {
	switch {
	case b.Namespace != "":
		return " in namespace " + visible(b.Namespace)
	case len(b.Exempt) > 0:
		return " outside of the exempt namespaces"
	}
	return ""
}

// mostMakers is how many controllers are named; of more, the configuration tells.
const mostMakers = 2

// makers says which controllers must make something for it to be admitted: "a or b makes them".
func (b *ReadinessBasis) makers(what string) string {
	if count := len(b.Controllers); count > mostMakers {
		return fmt.Sprintf("one of the %d configured controllers makes %s", count, what)
	}
	return strings.Join(b.Controllers, " or ") + " makes " + what
}

// others says who must not make something.
func (b *ReadinessBasis) others() string {
	if count := len(b.Controllers); count > mostMakers {
		return fmt.Sprintf("another than the %d configured controllers", count)
	}
	return "another than " + strings.Join(b.Controllers, " or ")
}

// absent says what would be denied that only records tell of.
func (r *ReadinessRecorded) absent() string {
	switch {
	case r.Unknown == 0:
		return fmt.Sprintf("%d of those applied lately and gone since would be", r.Gone)
	case r.Gone == 0:
		return fmt.Sprintf("%d of those applied lately, which may still exist, would be", r.Unknown)
	}
	return fmt.Sprintf("%d of those applied lately and gone since, and %d that may still exist, would be", r.Gone, r.Unknown)
}

// conditions are what must hold for nothing to be denied.
func (r *Readiness) conditions() string {
	var parts []string
	if r.Summary.Conditional > 0 {
		parts = append(parts, fmt.Sprintf("%s makes %d of them", r.Basis.others(), r.Summary.Conditional))
	}
	if recorded := r.Summary.Recorded; recorded != nil && recorded.Deleted > 0 {
		are := "are"
		if recorded.Deleted == 1 {
			are = "is"
		}
		parts = append(parts, fmt.Sprintf("%s of deleted namespaces %s applied again", plural(recorded.Deleted, "workload"), are))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", unless " + strings.Join(parts, ", or ")
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
		cells := []any{g.Namespace, g.Owner, fmt.Sprintf("%d of %d", g.Denied, g.Live), g.Gone + g.Unknown, list(rules, most)}
		if r.Summary.Conditional > 0 {
			cells = slices.Insert(cells, 3, any(g.Conditional))
		}
		rows = append(rows, cells)
	}
	columns := []column{{name: "Namespace"}, {name: "Owner"}, {name: "Denied"}, {name: "Only recorded"}, {name: "Rules"}}
	if r.Summary.Conditional > 0 {
		columns = slices.Insert(columns, 3, column{name: "Conditional"})
	}
	b.WriteByte('\n')
	return writeTable(b, columns, rows, wide)
}

// write writes the workloads of a group, the worst first.
func (g *ReadinessGroup) write(b *bytes.Buffer, basis *ReadinessBasis, wide bool) {
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
		g.Workloads[i].write(b, basis, wide)
	}
}

func (w *ReadinessWorkload) write(b *bytes.Buffer, basis *ReadinessBasis, wide bool) {
	var about []string
	switch w.State {
	case StateDenied:
	case StateConditional:
		about = append(about, "denied unless "+basis.makers("it"))
	case StateGone:
		about = append(about, "gone")
	case StateUnknown:
		about = append(about, "not known whether it exists")
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
	if len(w.Findings) == 0 {
		fmt.Fprintf(b, "    %s\n", strings.Join(w.Rules, ", "))
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
	if len(r.Unread) > 0 && r.Basis.refused {
		prefix, named := r.Basis.prefix, ""
		if prefix == "" {
			prefix, named = "…", ", both named after the release"
		}
		fmt.Fprintf(b, "the chart's ClusterRole %s-readiness-viewer grants it, with its Role of that name in namespace %s%s:\nask whoever runs Plainspec to bind both to you\n",
			visible(prefix), visible(r.Basis.home), named)
	}
}

// writeBasis writes what the answer rests on.
func (r *Readiness) writeBasis(b *bytes.Buffer) {
	basis := &r.Basis
	b.WriteByte('\n')
	if recorded := r.Summary.Recorded; recorded != nil {
		begin := ""
		if basis.begin != "" {
			begin = ", " + basis.begin
		}
		fmt.Fprintf(b, "records since %s%s: %s\n", stamp(recorded.Since), begin, recorded)
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
		return "no record of a request that would have been denied"
	}
	parts := []string{plural64(r.Requests, "request") + " for " + plural(r.Workloads, "workload") + " would have been denied"}
	for _, part := range []struct {
		count int
		text  string
	}{
		{r.Admitted, "of the workloads admitted now"},
		{r.Gone, "of the workloads gone since"},
		{r.Unknown, "of the workloads not known to be gone"},
		{r.Deleted, "of the workloads gone with their namespaces"},
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
	if r.Denied() {
		b.WriteString("\nWhat runs goes on running, and its controllers go on making Pods. An update that leaves a finding as it is\n" +
			"gets a warning; refused is what is created, and a change of a Pod template that brings a finding of its own.\n")
	}
	b.WriteString("\nnext: " + r.next() + "\n")
}

// next is how to go on.
func (r *Readiness) next() string {
	const mend = "have it mended, or set the mode of a rule to warn (configuration.rules in the chart's values), and ask again"
	basis := &r.Basis
	switch {
	case basis.Enforcement == "enforce" && !basis.file:
		return "nothing to switch on, it is enforced already"
	case basis.absent:
		return "install Plainspec with its chart, which observes at first"
	case r.Denied() && (basis.Enforcement != "observe" || basis.file || basis.Namespace != ""):
		return mend
	case r.Denied():
		return mend + ";\nuntil then, this shows it as warnings to those who apply it\n" + basis.helm("warn")
	case r.gaps():
		return "look into what could not be read or judged, and ask again"
	case basis.Namespace != "":
		return "ask for all namespaces before enforcing"
	case !r.Summary.Ready:
		return "ask again once there are workloads"
	case r.Summary.Conditional > 0:
		return "make sure who makes what is denied unless a controller makes it, then enforce\n" + basis.helm("enforce")
	}
	return "enforce\n" + basis.helm("enforce")
}

func (b *ReadinessBasis) helm(enforcement string) string {
	release := b.release
	if release == "" {
		release = nameOfApp
	}
	return fmt.Sprintf("  helm upgrade %s CHART --namespace %s --reset-then-reuse-values --set enforcement=%s", visible(release), visible(b.home), enforcement)
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
	if owner == NoOwner { // which a spreadsheet would take for the beginning of a formula
		owner = ""
	}
	users, requests, last := "", "", ""
	if w.Recorded != nil {
		users, requests, last = strings.Join(w.Recorded.Users, " "), strconv.FormatInt(w.Recorded.Requests, 10), w.Recorded.LastTime.Format(time.RFC3339)
	}
	first := auditv1alpha1.Finding{}
	if len(w.Findings) > 0 {
		first = w.Findings[0]
	}
	return []string{
		string(w.State), w.Root.Namespace, owner, w.Root.Group, w.Root.Kind, w.Root.Name, strings.Join(w.Rules, " "), w.By, users, requests, last,
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
