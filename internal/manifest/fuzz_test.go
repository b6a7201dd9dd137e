package manifest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzRead holds that nothing panics, that each document is JSON, and that lines are in the source.
func FuzzRead(f *testing.F) {
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(examples) == 0 {
		f.Fatalf("no examples: %v", err)
	}
	for _, name := range examples {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), "spec.containers[0].image")
	}
	f.Add(bomb("apiVersion: v1\nkind: Pod\n", 3), "a1[0]")
	f.Add("{\"apiVersion\": \"v1\",\n\t\"kind\": \"List\", \"items\": [{}]}", `a["b"]`)
	f.Add("apiVersion: v1\nkind: X\n<<: &a {<<: *a}\n? [x]\n: y\n", "<<")
	f.Add("a: &a\n  - *a\n---\n!!binary x: y\n", "[")
	f.Fuzz(func(t *testing.T, text, field string) {
		batch := Read(Options{Paths: []string{Stdin}, Stdin: strings.NewReader(text)})
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
		for i := range batch.Documents {
			d := &batch.Documents[i]
			if !json.Valid(d.Object) {
				t.Errorf("document %d is not JSON: %s", i, d.Object)
			}
			if line := d.LineOf(field); line < 1 || d.Line < 1 || line > lines+1 && !strings.ContainsAny(text, "\u0085\u2028\u2029") {
				t.Errorf("LineOf(%q) = %d of %d lines", field, line, lines)
			}
		}
	})
}

// FuzzPrint holds that each object that is read is printed so that it is read as the same again.
func FuzzPrint(f *testing.F) {
	f.Add("apiVersion: v1\nkind: X\na: [yes, 'no', 1.10, \"1.10\", 012, 0x1f, 1e400, 18446744073709551616, ~, <<, =, -, '# a', \"\\x1b\"]\n")
	f.Add("apiVersion: v1\nkind: X\n'<<': {a: b}\n'y': \"\\u2028\\u0085\\t \"\nb: |+\n  x\n\n  \n")
	f.Add(`{"apiVersion": "v1", "kind": "X", "a": [100000000000000000000, -0, 1E3, "😀", "\ud83d\ude00"]}`)
	f.Fuzz(func(t *testing.T, text string) {
		batch := Read(Options{Paths: []string{Stdin}, Stdin: strings.NewReader(text)})
		for i := range batch.Documents {
			object := batch.Documents[i].Object
			asYAML, err := YAML(object)
			if err != nil {
				t.Fatalf("%v: %s", err, object)
			}
			asJSON, err := JSON(object)
			if err != nil {
				t.Fatalf("%v: %s", err, object)
			}
			readsBack(t, object, asYAML, asJSON)
		}
	})
}

// FuzzPrintText is FuzzPrint for texts as names of fields and as values.
func FuzzPrintText(f *testing.F) {
	for _, text := range []string{
		"yes", "<<", "=", "1:20", "1_000", "0o14", "0b1", "2026-03-01", "1e3", ".inf", "~", "- a", "a: b", "#", "a #", " a", "a ",
		"a\nb", "\n", " a\nb\n\n", "a\tb\n\tc", "---", "...", "a\r\nb", "\u0085", "\u2028", "\ufeff", "\x00", "\x7f", "\U0001F600", "!!str a", "*a", "&a", "%a", "@a", "`a",
		strings.Repeat("a", 2000), strings.Repeat("a ", 2000),
	} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if name == "apiVersion" || name == "kind" || name == "items" {
			return
		}
		object, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "X", name: value, "in": map[string]any{name: []string{value, value}}})
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := YAML(object)
		if err != nil {
			t.Fatalf("%v: %s", err, object)
		}
		asJSON, err := JSON(object)
		if err != nil {
			t.Fatalf("%v: %s", err, object)
		}
		readsBack(t, object, asYAML, asJSON)
	})
}
