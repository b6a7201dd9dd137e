package manifest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	kubernetesyaml "sigs.k8s.io/yaml"
)

// TestPrintedValuesSurvive holds that what is printed is read back, by us and by kubectl, as what
// was written.
func TestPrintedValuesSurvive(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		written, wantYAML, wantJSON string // wantYAML is written itself if it is empty
	}{
		"an integer of 64 bits":            {written: "18446744073709551615", wantJSON: "18446744073709551615"},
		"an integer past floating point":   {written: "9007199254740993", wantJSON: "9007199254740993"},
		"a negative integer":               {written: "-9223372036854775808", wantJSON: "-9223372036854775808"},
		"a number past integers":           {written: "100000000000000000000", wantJSON: "100000000000000000000"},
		"a number with a fraction":         {written: "1.5", wantJSON: "1.5"},
		"a version that looks like one":    {written: `"1.10"`, wantJSON: `"1.10"`},
		"a text of digits":                 {written: `"012"`, wantJSON: `"012"`},
		"a boolean":                        {written: "true", wantJSON: "true"},
		"a text that looks like a boolean": {written: `"true"`, wantJSON: `"true"`},
		"yes is a boolean for kubectl":     {written: "yes", wantYAML: "true", wantJSON: "true"},
		"the text yes":                     {written: `"yes"`, wantJSON: `"yes"`},
		"the text y":                       {written: `"y"`, wantJSON: `"y"`},
		"the text null":                    {written: `"null"`, wantJSON: `"null"`},
		"null":                             {written: "null", wantJSON: "null"},
		"an empty text":                    {written: `""`, wantJSON: `""`},
		"a text that looks like a date":    {written: "2026-03-01", wantYAML: `"2026-03-01"`, wantJSON: `"2026-03-01"`},
		"a text that looks like a merge":   {written: `"<<"`, wantJSON: `"<<"`},
		"a text of a port":                 {written: `"80:80"`, wantYAML: "80:80", wantJSON: `"80:80"`},
		"minutes of old YAML":              {written: `"1:20"`, wantJSON: `"1:20"`},
		"lines":                            {written: "|\n  a\n  b", wantJSON: `"a\nb\n"`},
		"a long line stays one":            {written: strings.Repeat("word ", 60) + "end", wantJSON: `"` + strings.Repeat("word ", 60) + `end"`},
		"a comparison":                     {written: "a < b && c > d", wantJSON: `"a < b && c > d"`},
		"a text beyond the first plane":    {written: `"\U0001F600"`, wantJSON: `"😀"`},
		"lines that start with a space":    {written: `" a\nb"`, wantJSON: `" a\nb"`},
		"lines that start with a tab":      {written: `"\ta\nb"`, wantJSON: `"\ta\nb"`},
		"lines that start with none":       {written: `"\n\na"`, wantJSON: `"\n\na"`},
		"empty list":                       {written: "[]", wantJSON: "[]"},
		"empty object":                     {written: "{}", wantJSON: "{}"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := readOne(t, "apiVersion: v1\nkind: X\nvalue: "+tc.written+"\n")
			asYAML, err := YAML(d.Object)
			if err != nil {
				t.Fatal(err)
			}
			want := tc.wantYAML
			if want == "" {
				want = tc.written
			}
			if diff := cmp.Diff("apiVersion: v1\nkind: X\nvalue: "+want+"\n", string(asYAML)); diff != "" {
				t.Errorf("YAML (-want +got):\n%s", diff)
			}
			asJSON, err := JSON(d.Object)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"X\",\n  \"value\": "+tc.wantJSON+"\n}\n", string(asJSON)); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
			readsBack(t, d.Object, asYAML, asJSON)
		})
	}
}

// readsBack holds that a printed object is read as the same by kubectl's library and by Read.
// kubectl reads JSON by another library, as JSON.
func readsBack(t *testing.T, object, asYAML, asJSON []byte) {
	t.Helper()
	kubectl, err := kubernetesyaml.YAMLToJSON(asYAML)
	if err != nil {
		t.Fatalf("kubectl does not read it: %v\n%s", err, asYAML)
	}
	for reader, got := range map[string][]byte{
		"YAML, by kubectl": kubectl, "JSON, by kubectl": asJSON,
		"YAML": readOne(t, string(asYAML)).Object, "JSON": readOne(t, string(asJSON)).Object,
	} {
		if diff := cmp.Diff(canonical(t, object), canonical(t, got)); diff != "" {
			t.Errorf("read as %s (-written +printed):\n%s\n%s", reader, diff, asYAML)
		}
	}
}

func readOne(t *testing.T, text string) *Document {
	t.Helper()
	batch := Read(Options{Paths: []string{Stdin}, Stdin: strings.NewReader(text)})
	if len(batch.Documents) != 1 || len(batch.Problems) != 0 {
		t.Fatalf("%d documents, problems %v, want one and none:\n%s", len(batch.Documents), batch.Problems, text)
	}
	return &batch.Documents[0]
}

// canonical is JSON in one form, with its numbers as they are written.
func canonical(t *testing.T, object []byte) string {
	t.Helper()
	value := jsontext.Value(bytes.Clone(object))
	if err := value.Format(jsontext.ReorderRawObjects(true), jsontext.PreserveRawStrings(false), jsontext.AllowDuplicateNames(false)); err != nil {
		t.Fatalf("%v: %s", err, object)
	}
	return string(value)
}

func TestPrintErrors(t *testing.T) {
	t.Parallel()
	for object, want := range map[string]string{
		"":      "holds 0 objects, not one",
		"{} {}": "holds 2 objects, not one",
		"{":     "not JSON: unexpected EOF",
	} {
		if _, err := YAML([]byte(object)); err == nil || err.Error() != want {
			t.Errorf("YAML(%q): error %v, want %s", object, err, want)
		}
		if _, err := (&Document{}).With([]byte(object)); err == nil || err.Error() != want {
			t.Errorf("With(%q): error %v, want %s", object, err, want)
		}
	}
}

func TestWith(t *testing.T) {
	t.Parallel()
	d := readOne(t, "apiVersion: v1\nkind: Pod\nspec:\n  containers: [{name: a}]\n")
	with, err := d.With(json.RawMessage(`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","image":"b"}],"volumes":[{}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string][2]bool{
		"spec":                              {true, true},
		"spec.containers[0].name":           {true, true},
		"spec.containers[0].image":          {false, true},
		"spec.containers[1]":                {false, false},
		"spec.volumes[0]":                   {false, true},
		`metadata.annotations["a.dev/b.c"]`: {false, false},
		"":                                  {true, true},
	} {
		if got := [2]bool{d.Has(field), with.Has(field)}; got != want {
			t.Errorf("Has(%q) is %v before and after, want %v", field, got, want)
		}
	}
	if with.Source != d.Source || with.Kind != "Pod" {
		t.Errorf("the document is of %s %s, want %s Pod", with.Source, with.Kind, d.Source)
	}
}
