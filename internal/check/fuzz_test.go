package check

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"plainspec.dev/plainspec/internal/manifest"
)

// FuzzCheck holds that no manifest makes check or explain panic, print what is not printable, or
// write what is not JSON.
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
	checker, err := New(f.Context(), Options{Now: now})
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
			for _, r := range out.String() {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Fatalf("%q is not printable in:\n%q", r, out.String())
				}
			}
			if err := answer.WriteJSON(&form); err != nil || !json.Valid(form.Bytes()) {
				t.Fatalf("not JSON (%v): %s", err, form.String())
			}
		}
	})
}
