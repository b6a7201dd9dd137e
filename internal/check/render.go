package check

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"plainspec.dev/plainspec/internal/manifest"
	"plainspec.dev/plainspec/internal/mutate"
)

// Rendering is a batch of manifests as the server would complete them.
type Rendering struct {
	objects  []rendered
	problems []manifest.Problem
}

// rendered is one object before and after completion; if an artifact that it asks for cannot be
// injected, both are the same.
type rendered struct {
	Place

	before, after []byte
	completion    *Completion
}

// Render completes each object of a batch. Objects of kinds that the server does not complete stay
// as they are.
func (c *Checker) Render(ctx context.Context, batch manifest.Batch) *Rendering {
	r := &Rendering{problems: append([]manifest.Problem{}, batch.Problems...)}
	for i := range batch.Documents {
		d := &batch.Documents[i]
		as, err := c.complete(ctx, d)
		if err != nil {
			r.problems = append(r.problems, uncompleted(d, err))
			continue
		}
		object := rendered{Place: placeOf(d), before: d.Object, after: as.document.Object, completion: as.completion}
		if as.completion.lost() {
			object.after = object.before
		}
		r.objects = append(r.objects, object)
	}
	return r
}

// lost reports whether an artifact that is asked for is not injected.
func (c *Completion) lost() bool { return c != nil && slices.ContainsFunc(c.Left, Left.lost) }

// lost reports whether this is why an artifact is not injected, and no advice about what else is
// written.
func (l Left) lost() bool {
	return l.What == mutate.Inject && l.Reason != mutate.StrayAnnotation && l.Reason != mutate.Edited
}

// Lost reports whether an artifact that is asked for cannot be injected.
func (r *Rendering) Lost() bool {
	return slices.ContainsFunc(r.objects, func(o rendered) bool { return o.completion.lost() })
}

// Incomplete reports whether something could not be read or completed.
func (r *Rendering) Incomplete() bool { return incomplete(r.problems) }

// WriteNotes writes what could not be read, and what is asked for and not completed.
func (r *Rendering) WriteNotes(w io.Writer) error {
	var b strings.Builder
	writeProblems(&b, r.problems, nil)
	for i := range r.objects {
		o := &r.objects[i]
		if o.completion == nil {
			continue
		}
		for _, left := range o.completion.Left {
			level := "warning"
			if left.lost() {
				level = "error"
			}
			left.write(&b, &o.Place, level)
			left.hint(&b, &o.Place)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Printer writes an object, given as JSON, for people and programs: manifest.YAML or manifest.JSON.
type Printer func(object []byte) ([]byte, error)

// Write writes the completed objects one after the other, separated as documents of YAML where
// separator says so. It writes nothing if something could not be read: half of a batch would be
// applied as if it were the whole.
func (r *Rendering) Write(w io.Writer, printer Printer, separator string) error {
	if r.Incomplete() {
		return nil
	}
	var b bytes.Buffer
	for i := range r.objects {
		text, err := printer(r.objects[i].after)
		if err != nil {
			return err
		}
		if i > 0 {
			b.WriteString(separator)
		}
		b.Write(text)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// WriteDiff writes what completion changes, as a unified diff between the printed objects, and
// nothing for the other objects.
func (r *Rendering) WriteDiff(w io.Writer, printer Printer, color bool) error {
	if r.Incomplete() {
		return nil
	}
	var b strings.Builder
	for i := range r.objects {
		o := &r.objects[i]
		before, err := printer(o.before)
		if err != nil {
			return err
		}
		after, err := printer(o.after)
		if err != nil {
			return err
		}
		name := at(o.Source, o.Line) + " " + title(o.Object)
		header := 2 // lines that name the two sides
		for line := range strings.Lines(udiff.Unified(name, name+", completed", string(before), string(after))) {
			line = printable(strings.TrimSuffix(line, "\n"))
			if code, ok := diffColors[line[:min(1, len(line))]]; ok && color && header <= 0 {
				line = code + line + noColor
			} else if color && header > 0 {
				line = bold + line + noColor
			}
			header--
			b.WriteString(line + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// diffColors are the terminal's codes for what the lines of a diff start with.
var diffColors = map[string]string{"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}

// bold is the terminal's code for the names of the sides of a diff.
const bold = "\x1b[1m"
