package workload

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/internal/kinds"
)

// decoded is a manifest's object.
func decoded(t *testing.T, group, kind, manifest string) *Object {
	t.Helper()
	k, ok := kinds.Find(group, kind)
	if !ok {
		t.Fatalf("no kind %s", kind)
	}
	raw, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	object, err := Decode(raw, k)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func TestAsked(t *testing.T) {
	t.Parallel()
	sample := ImageName{
		Registry: "docker.io", Repository: "geektime/sample", Name: "sample", Tag: "v2", Precision: PrecisionFloating, Words: []string{"v2"},
	}
	const one = "plainspec.dev/artifact: 'geektime/sample:v2'"
	field := func(key string) string { return `metadata.annotations["plainspec.dev/` + key + `"]` }
	for name, tc := range map[string]struct {
		annotations string
		want        []Asked
		wantStray   []string
	}{
		"nothing":                    {annotations: "{example.com/artifact: a, plainspec.development/artifact: b}"},
		"no annotations":             {annotations: "null"},
		"one artifact without name":  {annotations: "{" + one + "}", want: []Asked{{Field: field("artifact"), Value: "geektime/sample:v2", Image: sample}}},
		"the record is not the user": {annotations: "{plainspec.dev/injected: '{}'}"},
		"several, by their names": {
			annotations: "{plainspec.dev/artifact.web: 'geektime/sample:v2', plainspec.dev/artifact.api: 'geektime/sample:v2', " + one + "}",
			want: []Asked{
				{Field: field("artifact"), Value: "geektime/sample:v2", Image: sample},
				{Name: "api", Field: field("artifact.api"), Value: "geektime/sample:v2", Image: sample},
				{Name: "web", Field: field("artifact.web"), Value: "geektime/sample:v2", Image: sample},
			},
		},
		"a name with dots is kept whole": {
			annotations: "{plainspec.dev/artifact.a.b: 'geektime/sample:v2', plainspec.dev/artifact-mode.a.b: init}",
			want:        []Asked{{Name: "a.b", Field: field("artifact.a.b"), Value: "geektime/sample:v2", Image: sample, Mode: "init"}},
		},
		"choices for one, and for all others": {
			annotations: "{" + one + `, plainspec.dev/artifact.web: 'geektime/sample:v2', plainspec.dev/artifact-profile: p, plainspec.dev/artifact-mode: init,
				plainspec.dev/artifact-container: c, plainspec.dev/artifact-container.web: d}`,
			want: []Asked{
				{Field: field("artifact"), Value: "geektime/sample:v2", Image: sample, Profile: "p", Mode: "init", Container: "c"},
				{Name: "web", Field: field("artifact.web"), Value: "geektime/sample:v2", Image: sample, Profile: "p", Mode: "init", Container: "d"},
			},
		},
		"a choice for all where each has a name": {
			annotations: "{plainspec.dev/artifact.web: 'geektime/sample:v2', plainspec.dev/artifact-profile: p}",
			want:        []Asked{{Name: "web", Field: field("artifact.web"), Value: "geektime/sample:v2", Image: sample, Profile: "p"}},
		},
		"a value that is no reference": {
			annotations: "{plainspec.dev/artifact: 'A b'}",
			want:        []Asked{{Field: field("artifact"), Value: "A b", Image: ImageName{Error: "invalid reference format: repository name (library/A b) must be lowercase"}}},
		},
		"misspelt annotations": {
			annotations: "{plainspec.dev/artefact: 'a:1', plainspec.dev/artifacts: 'a:1', plainspec.dev/artifact-modus: init, plainspec.dev/injected.web: x, plainspec.dev/Artifact: x}",
			wantStray:   []string{field("Artifact"), field("artefact"), field("artifact-modus"), field("artifacts"), field("injected.web")},
		},
		"a dot without a name": {
			annotations: "{plainspec.dev/artifact.: 'a:1', plainspec.dev/artifact-mode.: init, plainspec.dev/: x}",
			wantStray:   []string{field(""), field("artifact-mode."), field("artifact.")},
		},
		"choices for what is not asked for": {
			annotations: "{" + one + ", plainspec.dev/artifact-mode.web: init}",
			want:        []Asked{{Field: field("artifact"), Value: "geektime/sample:v2", Image: sample}},
			wantStray:   []string{field("artifact-mode.web")},
		},
		"a choice for all where nothing is asked for": {
			annotations: "{plainspec.dev/artifact-mode: init}",
			wantStray:   []string{field("artifact-mode")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := decoded(t, "", "Pod", "metadata: {annotations: "+tc.annotations+"}")
			got, stray := NewReader().Asked(object)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantStray, stray); diff != "" {
				t.Errorf("stray (-want +got):\n%s", diff)
			}
			if object.Asks() != (len(tc.want) > 0) {
				t.Errorf("Asks() = %v", object.Asks())
			}
		})
	}
}

func TestAskedOfATemplate(t *testing.T) {
	t.Parallel()
	object := decoded(t, "batch", "CronJob", `
metadata: {annotations: {plainspec.dev/artifact: 'a:1', plainspec.dev/injected: '{}', example.com/a: b}}
spec: {jobTemplate: {spec: {template: {metadata: {annotations: {plainspec.dev/artifact.web: 'a:2', plainspec.dev/x: z}}}}}}`)
	asked, stray := NewReader().Asked(object)
	const path = "spec.jobTemplate.spec.template.metadata.annotations"
	if len(asked) != 1 || asked[0].Field != path+`["plainspec.dev/artifact.web"]` || asked[0].Value != "a:2" {
		t.Errorf("asked %+v, want the template's alone", asked)
	}
	want := []string{`metadata.annotations["plainspec.dev/artifact"]`, path + `["plainspec.dev/x"]`}
	if diff := cmp.Diff(want, stray); diff != "" {
		t.Errorf("stray (-want +got):\n%s", diff)
	}
}
