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
