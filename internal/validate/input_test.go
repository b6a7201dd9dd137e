package validate

import (
	"math/rand"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/quick"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"github.com/open-policy-agent/opa/v1/ast"

	"plainspec.dev/plainspec/internal/workload"
)

// generated returns inputs with every exported field filled at random, lists of up to two.
func generated(t *testing.T, number int) []*Input {
	t.Helper()
	random := rand.New(rand.NewSource(1))
	inputs := []*Input{{}}
	for range number {
		var in Input
		fill(t, reflect.ValueOf(&in).Elem(), random)
		in.Object = nil
		if random.Intn(2) == 0 {
			in.Object = map[string]any{"kind": "Pod", "list": []any{"a", true, nil}}
		}
		inputs = append(inputs, &in)
	}
	return inputs
}

func fill(t *testing.T, v reflect.Value, random *rand.Rand) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(t, v.Field(i), random)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), random.Intn(3), 2))
		for i := range v.Len() {
			fill(t, v.Index(i), random)
		}
	case reflect.Interface:
	case reflect.String:
		v.SetString(strings.Repeat("é\"a", random.Intn(3)))
	default:
		value, ok := quick.Value(v.Type(), random)
		if !ok {
			t.Fatalf("no value of %s", v.Type())
		}
		v.Set(value)
	}
}

// asJSON is an input's JSON form: lists that are empty are empty lists unless left out.
func asJSON(t *testing.T, in *Input) []byte {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What Rego sees is what the published type says, member for member.
func TestEncodeIsTheJSONForm(t *testing.T) {
	t.Parallel()
	for _, in := range generated(t, 300) {
		got, err := encode(in)
		if err != nil {
			t.Fatal(err)
		}
		text := asJSON(t, in)
		want, err := ast.ValueFromReader(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if got.Compare(want) != 0 {
			t.Fatalf("encode of\n%s\n(-want +got):\n%s", text, cmp.Diff(want.String(), got.String()))
		}
	}
}

func TestSchemaIsPublishedAndTrue(t *testing.T) {
	t.Parallel()
	want, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	published, err := os.ReadFile("../../policies/schema/input.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(published) != string(want) {
		t.Error("policies/schema/input.json is not the type's schema: run make generate")
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(published, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range generated(t, 100) {
		var value any
		if err := json.Unmarshal(asJSON(t, in), &value); err != nil {
			t.Fatal(err)
		}
		if err := resolved.Validate(value); err != nil {
			t.Fatalf("an input is not of the schema: %v\n%v", err, value)
		}
	}
	if err := resolved.Validate(map[string]any{"request": map[string]any{}, "workload": map[string]any{"kind": "Pod", "more": 1}}); err == nil {
		t.Error("the schema accepts an unknown member")
	}
}

// A group of facts that is missing from wanted would switch off the rules that read it.
func TestEveryGroupCanBeWanted(t *testing.T) {
	t.Parallel()
	all := reflect.ValueOf(workload.AllGroups())
	for i := range all.NumField() {
		if field := all.Field(i); field.Kind() == reflect.Bool && !field.Bool() {
			t.Errorf("AllGroups lacks %s", all.Type().Field(i).Name)
		}
	}
}
