package manifest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func readText(t *testing.T, text string) Batch {
	t.Helper()
	return Read(Options{Paths: []string{Stdin}, Stdin: strings.NewReader(text)})
}

func TestRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in           string
		want         []Document
		wantProblems []Problem
	}{
		"a single object": {
			in:   "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x}\n",
			want: []Document{{Line: 1, APIVersion: "v1", Kind: "Pod", Name: "a", Namespace: "x", Object: []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"x"}}`)}},
		},
		"several documents, and comments that are none": {
			in: "# nothing here\n---\napiVersion: v1\nkind: Pod\n---\n---\n# apart\napiVersion: apps/v1\nkind: Deployment\nmetadata: {generateName: b-}\n",
			want: []Document{
				{Line: 3, APIVersion: "v1", Kind: "Pod", Object: []byte(`{"apiVersion":"v1","kind":"Pod"}`)},
				{Index: 1, Line: 8, APIVersion: "apps/v1", Kind: "Deployment", Name: "b-*", Object: []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"generateName":"b-"}}`)},
			},
		},
		"JSON with tabs, an escaped surrogate pair and two objects": {
			in: "{\n\t\"apiVersion\": \"v1\", \"kind\": \"Pod\",\n\t\"x\": [\"\\ud83d\\ude00\", 1, 1.5, true, null]\n}\n{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}",
			want: []Document{
				{Line: 1, APIVersion: "v1", Kind: "Pod", Object: []byte(`{"apiVersion":"v1","kind":"Pod","x":["😀",1,1.5,true,null]}`)},
				{Index: 1, Line: 5, APIVersion: "v1", Kind: "Pod", Object: []byte(`{"apiVersion":"v1","kind":"Pod"}`)},
			},
		},
		"YAML that starts like JSON": {
			in:   "{apiVersion: v1, kind: Pod}\n",
			want: []Document{{Line: 1, APIVersion: "v1", Kind: "Pod", Object: []byte(`{"apiVersion":"v1","kind":"Pod"}`)}},
		},
		"a List is split into its items": {
			in: "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: Service}\n",
			want: []Document{
				{Line: 4, APIVersion: "v1", Kind: "Pod", Object: []byte(`{"apiVersion":"v1","kind":"Pod"}`)},
				{Index: 1, Line: 9, APIVersion: "v1", Kind: "Service", Object: []byte(`{"apiVersion":"v1","kind":"Service"}`)},
			},
		},
		"the items of a typed list get their kind from it": {
			in:   "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n",
			want: []Document{{Line: 4, APIVersion: "apps/v1", Kind: "Deployment", Name: "a", Object: []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"}}`)}},
		},
		"words that kubectl takes for booleans, dates and numbers as keys": {
			in:   "apiVersion: v1\nkind: Pod\na: yes\nb: \"yes\"\nc: 2024-01-02\n1: off\n",
			want: []Document{{Line: 1, APIVersion: "v1", Kind: "Pod", Object: []byte(`{"1":false,"a":true,"apiVersion":"v1","b":"yes","c":"2024-01-02","kind":"Pod"}`)}},
		},
		"anchors, aliases and merges": {
			in:   "apiVersion: v1\nkind: Pod\na: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n",
			want: []Document{{Line: 1, APIVersion: "v1", Kind: "Pod", Object: []byte(`{"a":{"x":1},"apiVersion":"v1","b":{"x":1},"c":{"x":1,"y":2},"kind":"Pod"}`)}},
		},
		"the last of duplicate keys counts, with a warning": {
			in:           "apiVersion: v1\nkind: Pod\nspec:\n  image: a\n  image: b\n",
			want:         []Document{{Line: 1, APIVersion: "v1", Kind: "Pod", Object: []byte(`{"apiVersion":"v1","kind":"Pod","spec":{"image":"b"}}`)}},
			wantProblems: []Problem{{Line: 5, Text: `field "image" is also in line 4: the last one counts, as for kubectl`, Warning: true}},
		},
		"duplicate keys in JSON that YAML cannot read": {
			in:           "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Service\",\n\t\"kind\": \"Pod\", \"x\": \"\\ud83d\\ude00\"\n}\n",
			want:         []Document{{Line: 1, APIVersion: "v1", Kind: "Pod", Object: []byte(`{"apiVersion":"v1","kind":"Pod","x":"😀"}`)}},
			wantProblems: []Problem{{Line: 4, Text: `field "kind" is also in line 3: the last one counts, as for kubectl`, Warning: true}},
		},
		"malformed YAML after a good document": {
			in:           "apiVersion: v1\nkind: Pod\n---\napiVersion: v1\nkind: [Pod\n",
			want:         []Document{{Line: 1, APIVersion: "v1", Kind: "Pod", Object: []byte(`{"apiVersion":"v1","kind":"Pod"}`)}},
			wantProblems: []Problem{{Line: 5, Text: "not YAML: did not find expected ',' or ']'"}},
		},
		"malformed JSON": {
			in:           "{\n  \"apiVersion\": \"v1\",\n  \"kind\" \"Pod\"\n}",
			wantProblems: []Problem{{Line: 3, Text: "not JSON: invalid character '\"' after object name (expecting ':')"}},
		},
		"JSON that ends early": {
			in:           "{\"apiVersion\": \"v1\",\n",
			wantProblems: []Problem{{Line: 1, Text: "not JSON: unexpected EOF"}},
		},
		"no object":     {in: "- a\n", wantProblems: []Problem{{Line: 1, Text: "is a list, not an object with apiVersion and kind"}}},
		"a text":        {in: "hello\n", wantProblems: []Problem{{Line: 1, Text: "is a text, not an object with apiVersion and kind"}}},
		"no kind":       {in: "# x\napiVersion: v1\n", wantProblems: []Problem{{Line: 2, Text: "has no kind"}}},
		"no apiVersion": {in: "kind: Pod\n", wantProblems: []Problem{{Line: 1, Text: "has no apiVersion"}}},
		"a kind that is a number": {
			in:           "apiVersion: v1\nkind: 7\n",
			wantProblems: []Problem{{Line: 2, Text: "kind is a number, not a text"}},
		},
		"an item that is no object": {
			in:           "apiVersion: v1\nkind: List\nitems:\n- 1\n",
			wantProblems: []Problem{{Line: 4, Text: "is a number, not an object with apiVersion and kind"}},
		},
		"nothing":              {in: "", wantProblems: []Problem{{Text: "holds no object"}}},
		"nothing but comments": {in: "# a\n---\n# b\n", wantProblems: []Problem{{Text: "holds no object"}}},
		"an empty list":        {in: "apiVersion: v1\nkind: List\nitems: []\n", wantProblems: []Problem{{Text: "holds no object"}}},
		"binary":               {in: "\x7fELF\x02\x01\x01\x00", wantProblems: []Problem{{Text: "not YAML: control characters are not allowed"}}},
		"a key that is a list": {in: "apiVersion: v1\n? [a]\n: b\n", wantProblems: []Problem{{Line: 2, Text: "a field's name is no text"}}},
		"a number that JSON cannot hold": {
			in:           "apiVersion: v1\nkind: Pod\na: .inf\n",
			wantProblems: []Problem{{Line: 1, Text: "json: unsupported value: +Inf"}},
		},
		"an anchor that holds itself": {
			in:           "apiVersion: v1\nkind: Pod\na: &a [*a]\n",
			wantProblems: []Problem{{Line: 1, Text: "not YAML: anchor 'a' value contains itself"}},
		},
		"an alias bomb": {
			in:           bomb("apiVersion: v1\nkind: Pod\n", 9),
			wantProblems: []Problem{{Line: 1, Text: "not YAML: document contains excessive aliasing"}},
		},
		"too large": {in: strings.Repeat("#", largestSource+1), wantProblems: []Problem{{Text: "is larger than 16 MiB"}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range tc.want {
				tc.want[i].Source = StdinSource
			}
			for i := range tc.wantProblems {
				tc.wantProblems[i].Source = StdinSource
			}
			got := readText(t, tc.in)
			if diff := cmp.Diff(Batch{Documents: tc.want, Problems: tc.wantProblems}, got, cmpopts.IgnoreUnexported(Document{})); diff != "" {
				t.Errorf("Read (-want +got):\n%s", diff)
			}
		})
	}
}

// bomb is a billion laughs, some levels deep.
func bomb(head string, levels int) string {
	var b strings.Builder
	b.WriteString(head + "a0: &a0 [" + strings.Repeat("x, ", 8) + "x]\n")
	for i := 1; i <= levels; i++ {
		alias := fmt.Sprintf("*a%d", i-1)
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(alias+", ", 9), ", "))
	}
	return b.String()
}

func TestReadStopsAtTooManyObjects(t *testing.T) {
	t.Parallel()
	got := readText(t, "apiVersion: v1\nkind: PodList\nitems:\n"+strings.Repeat("- {}\n", mostObjects+10))
	want := []Problem{{Source: StdinSource, Line: mostObjects + 4, Text: "holds more than 10000 objects"}}
	if diff := cmp.Diff(want, got.Problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if len(got.Documents) != mostObjects {
		t.Errorf("got %d documents, want %d", len(got.Documents), mostObjects)
	}
}

func TestReadFolders(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	object := func(name string) string { return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\n" }
	write("b.yml", object("b"))
	write("a.yaml", object("a"))
	write("c.json", `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}}`)
	write("d.txt", "kind: [")
	write("empty.yaml", "# nothing\n")
	write("sub/e.yaml", object("e"))
	write("other/readme.md", "x")
	if err := os.Mkdir(filepath.Join(root, "folder.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}

	for name, target := range map[string]string{"link.yaml": "other", "sub/broken.yaml": "gone"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}

	tests := map[string]struct {
		paths        []string
		recursive    bool
		want         []string
		wantProblems []Problem
	}{
		"a folder": {paths: []string{""}, want: []string{"a", "b", "c"}},
		"a folder and those below": {
			paths: []string{""}, recursive: true, want: []string{"a", "b", "c", "e"},
			wantProblems: []Problem{{Source: "sub/broken.yaml", Text: "no such file or directory"}},
		},
		"a file of any ending is a file": {paths: []string{"d.txt"}, wantProblems: []Problem{{Source: "d.txt", Line: 1, Text: "not YAML: did not find expected node content"}}},
		"files in the order given":       {paths: []string{"b.yml", "a.yaml"}, want: []string{"b", "a"}},
		"an empty file by its name":      {paths: []string{"empty.yaml"}, wantProblems: []Problem{{Source: "empty.yaml", Text: "holds no object"}}},
		"a missing file":                 {paths: []string{"none.yaml", "a.yaml"}, want: []string{"a"}, wantProblems: []Problem{{Source: "none.yaml", Text: "no such file or directory"}}},
		"a folder without manifests": {
			paths: []string{"other"}, wantProblems: []Problem{{Source: "other", Text: "holds no *.yaml, *.yml or *.json (folders below it are read with -R)"}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var paths []string
			for _, p := range tc.paths {
				paths = append(paths, filepath.Join(root, p))
			}
			got := Read(Options{Paths: paths, Recursive: tc.recursive})
			var names []string
			for _, d := range got.Documents {
				names = append(names, d.Name)
			}
			for i := range got.Problems {
				got.Problems[i].Source, _ = filepath.Rel(root, got.Problems[i].Source)
			}
			if diff := cmp.Diff(tc.want, names); diff != "" {
				t.Errorf("documents (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantProblems, got.Problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options Options
		want    Problem
	}{
		"a URL":             {Options{Paths: []string{"https://example.com/a.yaml"}}, Problem{Source: "https://example.com/a.yaml", Text: "is a URL: download it, or pipe it into -f -"}},
		"no standard input": {Options{Paths: []string{Stdin}}, Problem{Source: StdinSource, Text: "is not there"}},
		"a broken pipe": {
			Options{Paths: []string{Stdin}, Stdin: iotest.ErrReader(errors.New("broken pipe"))}, Problem{Source: StdinSource, Text: "broken pipe"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff([]Problem{tc.want}, Read(tc.options).Problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLineOf(t *testing.T) {
	t.Parallel()
	const text = `apiVersion: v1
kind: Pod
base: &base
  image: nginx
metadata:
  labels:
    app.kubernetes.io/version: v1
spec:
  containers:
    - name: a
      <<: *base
      args:
        - x
        - y
    - *base
  volumes:
    - name: v
      csi:
        volumeAttributes:
          foo: z
          foo.bar/image: x
`
	d := readText(t, text).Documents[0]
	tests := map[string]struct {
		field string
		want  int
	}{
		"the object":                     {"", 1},
		"a field":                        {"metadata.labels", 6},
		"a quoted key":                   {`metadata.labels["app.kubernetes.io/version"]`, 7},
		"an element":                     {"spec.containers[0]", 10},
		"a field of an element":          {"spec.containers[0].name", 10},
		"an element of an element":       {"spec.containers[0].args[1]", 14},
		"a merged field":                 {"spec.containers[0].image", 4},
		"an aliased field":               {"spec.containers[1].image", 4},
		"a key with dots":                {"spec.volumes[0].csi.volumeAttributes.foo.bar/image", 21},
		"a key that another starts with": {"spec.volumes[0].csi.volumeAttributes.foo", 20},
		"a field that is not there":      {"spec.containers[0].resources.limits", 10},
		"an index that is not there":     {"spec.containers[7].image", 9},
		"no path at all":                 {"][.\"", 1},
		"a path that does not end":       {`metadata.labels["app`, 6},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := d.LineOf(tc.field); got != tc.want {
				t.Errorf("LineOf(%q) = %d, want %d", tc.field, got, tc.want)
			}
		})
	}
	if got := d.LineOfPointer([]string{"spec", "containers", "0", "args", "1"}); got != 14 {
		t.Errorf("LineOfPointer = %d, want 14", got)
	}
}

func TestGroup(t *testing.T) {
	t.Parallel()
	for apiVersion, want := range map[string]string{"v1": "", "apps/v1": "apps", "extensions/v1beta1": "extensions"} {
		if got := (&Document{APIVersion: apiVersion}).Group(); got != want {
			t.Errorf("Group of %q = %q, want %q", apiVersion, got, want)
		}
	}
}
