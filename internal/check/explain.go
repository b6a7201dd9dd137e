package check

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/manifest"
	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/internal/workload"
)

// Explanation is which version of what a batch of manifests runs.
type Explanation struct {
	// APIVersion is APIVersion, Kind is ExplainResult.
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Assumed is what the findings rest on besides the manifests.
	Assumed Assumed `json:"assumed"`
	// PolicyRevision is the content hash of the policies: 12 hexadecimal digits.
	PolicyRevision string `json:"policyRevision"`
	// Objects are the objects in the order in which they were read.
	Objects []Explained `json:"objects"`
	// Problems are what could not be read or judged, and warnings about what was read.
	Problems []manifest.Problem `json:"problems"`
}

// Explained is what one object runs.
type Explained struct {
	Place

	// Skipped says why it is not explained (noPodSpec, unknownKind), empty if it is.
	Skipped string `json:"skipped,omitempty"`
	// Error says why it could not be explained.
	Error string `json:"error,omitempty"`
	// Completion is what the server does to the object before it runs, nil if that is nothing.
	Completion *Completion `json:"completion,omitempty"`
	// Components are the things with a version in it.
	Components []Component `json:"components"`
	// Findings are what the policies find in it, the strictest mode first.
	Findings []Finding `json:"findings"`
}

// Component is one thing that runs.
type Component struct {
	// Name is what it is called, from its image, file or volume.
	Name string `json:"name"`
	// Role is application, server, sidecar or tool.
	Role string `json:"role"`
	// Container is the container it comes from, empty for a volume.
	Container string `json:"container,omitempty"`
	// Version is the version as written, empty if it is unknown.
	Version string `json:"version,omitempty"`
	// Unknown says why the version is unknown.
	Unknown string `json:"unknown,omitempty"`
	// Sure says how sure the version is: digest, exact, floating, moving or none.
	Sure string `json:"sure"`
	// Spot is where the version is or should be written.
	Spot

	// Refined is a longer version that a path names, nil if none does.
	Refined *Refinement `json:"refined,omitempty"`
}

// Refinement is a longer version that a path names.
type Refinement struct {
	Version string `json:"version"`
	// Spot is where the path is.
	Spot
}

// Explain says what each object of a batch runs, completed as the server would complete it.
func (c *Checker) Explain(ctx context.Context, batch manifest.Batch) *Explanation {
	e := &Explanation{
		APIVersion: APIVersion, Kind: "ExplainResult", Assumed: c.assumed, PolicyRevision: c.reviewer.Set().Revision(),
		Objects: []Explained{}, Problems: append([]manifest.Problem{}, batch.Problems...),
	}
	for i := range batch.Documents {
		d := &batch.Documents[i]
		object := Explained{Place: placeOf(d), Components: []Component{}, Findings: []Finding{}}
		problems := c.explain(ctx, d, &object)
		if incomplete(problems) {
			object.Error = problems[len(problems)-1].Text
		}
		e.Problems = append(e.Problems, problems...)
		e.Objects = append(e.Objects, object)
	}
	return e
}

// explain fills in what an object runs, or why it is not explained.
func (c *Checker) explain(ctx context.Context, d *manifest.Document, into *Explained) []manifest.Problem {
	kind, ok := kinds.Find(d.Group(), d.Kind)
	if !ok {
		into.Skipped = skipped(d, validate.SkipKind)
		return nil
	}
	as, decision, problems := c.review(ctx, d)
	into.Completion = as.completion
	if decision == nil {
		return problems
	}
	object, err := workload.Decode(as.document.Object, kind)
	if err != nil {
		return append(problems, undecided(d, err))
	}
	facts := c.reader.Read(object, workload.AllGroups())
	into.Findings = findings(as, decision)
	into.Components = addHidden(components(as, facts, c.reviewer.Set().Names("catalog", "tools")), as, facts, decision)
	return problems
}

func components(as *completed, facts *workload.Workload, tools []string) []Component {
	read := facts.Components(tools...)
	all := make([]Component, 0, len(read))
	for i := range read {
		r := &read[i]
		c := Component{Name: r.Name, Role: r.Role, Container: r.Container, Version: r.Version, Sure: r.Precision, Spot: as.spot(r.Field)}
		if c.Version == "" {
			c.Unknown = "names no version"
			if slices.ContainsFunc(facts.Images.Invalid, func(i workload.Image) bool { return i.Field == r.Field }) {
				c.Unknown = "is no image reference"
			}
		}
		if r.Refined != "" {
			c.Refined = &Refinement{Version: r.Refined, Spot: as.spot(r.RefinedBy)}
		}
		all = append(all, c)
	}
	return all
}

// addHidden puts the applications before the components that the policies found in volumes that
// say no version: structure alone does not tell code from data, the policies do. Volumes that say
// what they hold are components already.
func addHidden(all []Component, as *completed, facts *workload.Workload, decision *validate.Decision) []Component {
	var hidden []Component
	seen := make(map[string]bool)
	for i := range decision.Judgements {
		j := &decision.Judgements[i]
		if j.Weak || seen[j.Volume] || !strings.HasPrefix(j.Code, "version.") || !silent(facts, j.Volume) {
			continue
		}
		seen[j.Volume] = true
		hidden = append(hidden, Component{
			Name: j.Volume, Role: workload.RoleApplication, Sure: workload.PrecisionNone, Spot: as.spot(j.Field),
			Unknown: "hidden in volume " + j.Volume + " (" + j.Source + ")",
		})
		for k := range all {
			if c := &all[k]; c.Container == j.Container && c.Role == workload.RoleApplication {
				c.Role = workload.RoleServer
			}
		}
	}
	return append(hidden, all...)
}

// silent reports whether a volume is of a class that says no version.
func silent(facts *workload.Workload, volume string) bool {
	for _, mounts := range [][]workload.Mount{facts.Mounts.Opaque, facts.Mounts.Scratch, facts.Mounts.Config} {
		if slices.ContainsFunc(mounts, func(m workload.Mount) bool { return m.Volume == volume }) {
			return true
		}
	}
	return false
}

// Incomplete reports whether something could not be read or explained.
func (e *Explanation) Incomplete() bool { return incomplete(e.Problems) }

// WriteJSON writes the explanation as JSON.
func (e *Explanation) WriteJSON(w io.Writer) error { return writeJSON(w, e) }

// WriteNotes writes what a reader of the explanation should know besides it: problems, and kinds
// that are not known.
func (e *Explanation) WriteNotes(w io.Writer) error {
	var b strings.Builder
	var unknown []Place
	for i := range e.Objects {
		if e.Objects[i].Skipped == SkippedUnknownKind {
			unknown = append(unknown, e.Objects[i].Place)
		}
	}
	writeProblems(&b, e.Problems, unknown)
	for i := range e.Objects {
		o := &e.Objects[i]
		o.Completion.writeNotes(&b, &o.Place, o.Findings)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteText writes a table of components for each object, and the findings below it.
func (e *Explanation) WriteText(w io.Writer, color bool) error {
	var b strings.Builder
	first := true
	for i := range e.Objects {
		o := &e.Objects[i]
		if o.Skipped != "" || o.Error != "" {
			continue
		}
		if !first {
			b.WriteByte('\n')
		}
		first = false
		fmt.Fprintf(&b, "%s: %s\n", at(o.Source, o.Line), title(o.Object))
		if err := o.writeTable(&b); err != nil {
			return err
		}
		for j := range o.Findings {
			f := &o.Findings[j]
			fmt.Fprintf(&b, "%s %s (%s): %s\n", paint(f.Mode, color), f.Code, f.line(), printable(f.Message))
		}
	}
	if first && !e.Incomplete() {
		b.WriteString("no object holds a Pod spec that Plainspec knows\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// shortDigest cuts a digest to as many digits as people compare; other versions stay.
func shortDigest(version string) string {
	const digits = 12
	algorithm, hash, found := strings.Cut(version, ":")
	if !found || len(hash) <= digits {
		return version
	}
	return algorithm + ":" + hash[:digits] + "…"
}

func (o *Explained) writeTable(w io.Writer) error {
	if len(o.Components) == 0 {
		_, err := io.WriteString(w, "runs nothing\n")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, role, version, sure, where string) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", printable(name), role, printable(version), sure, printable(where))
	}
	row("NAME", "ROLE", "VERSION", "SURE", "WHERE")
	for i := range o.Components {
		c := &o.Components[i]
		where := c.where()
		if c.Version == "" {
			row(c.Name, c.Role, "unknown", "-", where+": "+c.Unknown)
			continue
		}
		row(c.Name, c.Role, shortDigest(c.Version), c.Sure, where)
		if r := c.Refined; r != nil {
			row("", "refined to", r.Version, workload.PrecisionPath, r.where())
		}
	}
	return table.Flush()
}
