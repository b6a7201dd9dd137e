package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"plainspec.dev/plainspec/internal/manifest"
)

// FuzzCheck holds that no manifest makes check, explain or render panic, print what is not
// printable, or write what is not JSON, and that what is rendered is not rendered again.
func FuzzCheck(f *testing.F) {
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(examples) == 0 {
		f.Fatalf("no examples: %v", err)
	}
	for _, name := range examples {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("apiVersion: v1\nkind: Pod\nmetadata: {name: \"a\\eb\"}\nspec: {containers: [{name: \"\\n\", image: \" \"}], volumes: [x]}\n")
	f.Add("apiVersion: v1\nkind: Pod\nmetadata: {annotations: {plainspec.dev/artifact: \"a:1\\e[2J\", plainspec.dev/injected: '{'}}\nspec: {containers: [{image: tomcat:9.0.98}]}\n")
	f.Add("apiVersion: v1\nkind: Pod\nmetadata: {annotations: {plainspec.dev/artifact: a:1}}\nspec: {initContainers: [{}, {image: \"b\\n\"}], containers: [{name: \"t\\u202e\", image: tomcat:9.0.98}]}\n")
	checker, err := New(f.Context(), Options{Now: now, Config: "../../examples/profiles.yaml"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		batch := manifest.Read(manifest.Options{Paths: []string{manifest.Stdin}, Stdin: strings.NewReader(text)})
		for _, answer := range []interface {
			WriteText(w io.Writer, color bool) error
			WriteJSON(w io.Writer) error
			WriteNotes(w io.Writer) error
		}{checker.Check(t.Context(), batch), checker.Explain(t.Context(), batch)} {
			var out, form bytes.Buffer
			if err := answer.WriteNotes(&out); err != nil {
				t.Fatal(err)
			}
			if err := answer.WriteText(&out, false); err != nil {
				t.Fatal(err)
			}
			holdPrintable(t, out.String())
			if err := answer.WriteJSON(&form); err != nil || !json.Valid(form.Bytes()) {
				t.Fatalf("not JSON (%v): %s", err, form.String())
			}
		}
		rendered := checker.Render(t.Context(), batch)
		if !rendered.Incomplete() && !rendered.Lost() {
			sameAgain(t, checker, rendered)
		}
		var shown bytes.Buffer
		if err := errors.Join(rendered.WriteNotes(&shown), rendered.WriteDiff(&shown, manifest.YAML, false)); err != nil {
			t.Fatal(err)
		}
		holdPrintable(t, shown.String())
	})
}

func holdPrintable(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("%q is not printable in:\n%q", r, text)
		}
	}
}

// sameAgain holds that what is rendered is complete, in both forms.
func sameAgain(t *testing.T, checker *Checker, rendered *Rendering) {
	t.Helper()
	for form, printer := range map[string]Printer{"---\n": manifest.YAML, "": manifest.JSON} {
		var once, twice bytes.Buffer
		if err := rendered.Write(&once, printer, form); err != nil {
			t.Fatal(err)
		}
		batch := manifest.Read(manifest.Options{Paths: []string{manifest.Stdin}, Stdin: bytes.NewReader(once.Bytes())})
		if err := checker.Render(t.Context(), batch).Write(&twice, printer, form); err != nil {
			t.Fatal(err)
		}
		if once.String() != twice.String() && len(batch.Documents) > 0 {
			t.Fatalf("rendered once:\n%s\ntwice:\n%s\nproblems %v", once.String(), twice.String(), batch.Problems)
		}
	}
}
