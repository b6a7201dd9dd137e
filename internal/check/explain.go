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
	// Field is the field path where the version is or should be written, Line its line.
	Field string `json:"field"`
	Line  int    `json:"line"`
	// Refined is a longer version that a path names, nil if none does.
	Refined *Refinement `json:"refined,omitempty"`
}

// Refinement is a longer version that a path names.
type Refinement struct {
	Version string `json:"version"`
	// Field is the field path of the path, Line its line.
	Field string `json:"field"`
	Line  int    `json:"line"`
}

// Explain says what each object of a batch runs.
func (c *Checker) Explain(ctx context.Context, batch manifest.Batch) *Explanation {
	e := &Explanation{
		APIVersion: APIVersion, Kind: "ExplainResult", Assumed: c.assumed, PolicyRevision: c.reviewer.Set().Revision(),
		Objects: []Explained{}, Problems: append([]manifest.Problem{}, batch.Problems...),
	}
	for i := range batch.Documents {
		d := &batch.Documents[i]
		object := Explained{Place: placeOf(d), Components: []Component{}, Findings: []Finding{}}
		if err := c.explain(ctx, d, &object); err != nil {
			problem := undecided(d, err)
			object.Error = problem.Text
			e.Problems = append(e.Problems, problem)
		}
		e.Objects = append(e.Objects, object)
	}
	return e
}

// explain fills in what an object runs, or why it is not explained.
func (c *Checker) explain(ctx context.Context, d *manifest.Document, into *Explained) error {
	kind, ok := kinds.Find(d.Group(), d.Kind)
	if !ok {
		into.Skipped = skipped(d, validate.SkipKind)
		return nil
	}
	decision, err := c.review(ctx, d)
	if err != nil {
		return err
	}
	object, err := workload.Decode(d.Object, kind)
	if err != nil {
		return err
	}
	facts := c.reader.Read(object, workload.AllGroups())
	into.Findings = findings(d, &decision)
	into.Components = addHidden(components(d, facts, c.reviewer.Set().Names("catalog", "tools")), d, facts, &decision)
	return nil
}

func components(d *manifest.Document, facts *workload.Workload, tools []string) []Component {
	read := facts.Components(tools...)
	all := make([]Component, 0, len(read))
	for i := range read {
		r := &read[i]
		c := Component{Name: r.Name, Role: r.Role, Container: r.Container, Version: r.Version, Sure: r.Precision, Field: r.Field, Line: d.LineOf(r.Field)}
		if c.Version == "" {
			c.Unknown = "names no version"
			if slices.ContainsFunc(facts.Images.Invalid, func(i workload.Image) bool { return i.Field == r.Field }) {
				c.Unknown = "is no image reference"
			}
		}
		if r.Refined != "" {
			c.Refined = &Refinement{Version: r.Refined, Field: r.RefinedBy, Line: d.LineOf(r.RefinedBy)}
		}
		all = append(all, c)
	}
	return all
}

// addHidden puts the applications before the components that the policies found in volumes that
// say no version: structure alone does not tell code from data, the policies do. Volumes that say
// what they hold are components already.
func addHidden(all []Component, d *manifest.Document, facts *workload.Workload, decision *validate.Decision) []Component {
	var hidden []Component
	seen := make(map[string]bool)
	for i := range decision.Judgements {
		j := &decision.Judgements[i]
		if j.Weak || seen[j.Volume] || !strings.HasPrefix(j.Code, "version.") || !silent(facts, j.Volume) {
			continue
		}
		seen[j.Volume] = true
		hidden = append(hidden, Component{
			Name: j.Volume, Role: workload.RoleApplication, Sure: workload.PrecisionNone, Field: j.Field, Line: d.LineOf(j.Field),
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
			fmt.Fprintf(&b, "%s %s (line %d): %s\n", paint(f.Mode, color), f.Code, f.Line, printable(f.Message))
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
		where := fmt.Sprintf("%s (line %d)", c.Field, c.Line)
		if c.Version == "" {
			row(c.Name, c.Role, "unknown", "-", where+": "+c.Unknown)
			continue
		}
		row(c.Name, c.Role, shortDigest(c.Version), c.Sure, where)
		if r := c.Refined; r != nil {
			row("", "refined to", r.Version, workload.PrecisionPath, fmt.Sprintf("%s (line %d)", r.Field, r.Line))
		}
	}
	return table.Flush()
}
