// Package corpus_test measures the built-in rules against manifests that others published, with
// labels that people gave them.
package corpus_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"plainspec.dev/plainspec/internal/policy"
	"plainspec.dev/plainspec/internal/validate"
	"plainspec.dev/plainspec/policies"
)

// folder holds the corpus, beside the project: other people's work, never copied into it.
const folder = "../../../shared/corpus"

// The fewest manifests with code in a volume from outside, of those in the corpus, that must be
// denied and found at all. Raise them when the rules get better.
const (
	fewestDenied = 20
	fewestFound  = 30
)

// label is one line of labels.tsv.
type label struct {
	file, hidden, where, class, image string
}

// verdict is what Plainspec says of one manifest.
type verdict struct {
	label

	kind    string
	skipped validate.Skip
	codes   map[policy.Mode][]string
	denied  []validate.Judgement
	warned  []validate.Judgement
}

func TestCorpus(t *testing.T) {
	t.Parallel()
	labels := readLabels(t)
	reviewer := newReviewer(t)
	verdicts := make([]verdict, 0, len(labels))
	for _, l := range labels {
		verdicts = append(verdicts, judge(t, reviewer, l))
	}
	report(t, verdicts)
	for _, v := range verdicts {
		if v.skipped == validate.SkipNone {
			v.check(t)
		}
	}
	found, denied := 0, 0
	for _, v := range verdicts {
		if v.opaque() {
			found += count(v.named(append(v.denied, v.warned...)))
			denied += count(v.named(v.denied))
		}
	}
	if found < fewestFound || denied < fewestDenied {
		t.Errorf("code in volumes: found %d, denied %d, want at least %d and %d", found, denied, fewestFound, fewestDenied)
	}
}

// check compares a verdict with what must hold for its label, whatever the rules become.
func (v verdict) check(t *testing.T) {
	t.Helper()
	versionDenied := slices.ContainsFunc(v.codes[policy.ModeDeny], func(code string) bool { return strings.HasPrefix(code, "version.") })
	imageDenied := slices.ContainsFunc(v.codes[policy.ModeDeny], func(code string) bool { return strings.HasPrefix(code, "image.") })
	switch v.hidden {
	case "no", "model":
		if versionDenied {
			t.Errorf("%s: labelled %q, denied by %v: %s", v.file, v.hidden, v.codes[policy.ModeDeny], texts(v.denied))
		}
	case "arguable":
		if slices.Contains(v.codes[policy.ModeDeny], "version.hidden_in_volume") {
			t.Errorf("%s: honest reviewers differ, but it is denied: %s", v.file, texts(v.denied))
		}
	case "yes":
		if v.opaque() && !v.named(append(v.denied, v.warned...)) {
			t.Errorf("%s: no finding names %s, only %s%s", v.file, v.where, texts(v.denied), texts(v.warned))
		}
	default:
		t.Errorf("%s: label %q is unknown", v.file, v.hidden)
	}
	switch v.image {
	case "no-tag":
		if !imageDenied {
			t.Errorf("%s: an image has no tag, but none is denied", v.file)
		}
	case "pinned-digest", "versioned-tag":
		if imageDenied {
			t.Errorf("%s: every image has a version, but one is denied: %s", v.file, texts(v.denied))
		}
	}
}

// opaque reports whether the label says that code comes from a volume of storage from outside the
// manifest. What is downloaded into an emptyDir is for other rules.
func (v verdict) opaque() bool {
	return v.hidden == "yes" && v.skipped == validate.SkipNone && !strings.Contains(v.where, "emptyDir") && !strings.Contains(v.where, "gitRepo")
}

// place reads the first place of a label, "container:volume(source):path".
var place = regexp.MustCompile(`^"?([^:]+):[^:(]*\(.*?\):([^,\s"]+)`)

// named reports whether one of the judgements is about the place that the label names.
func (v verdict) named(judgements []validate.Judgement) bool {
	m := place.FindStringSubmatch(v.where)
	if m == nil {
		return false
	}
	return slices.ContainsFunc(judgements, func(j validate.Judgement) bool {
		return j.Code == "version.hidden_in_volume" && j.Container == m[1] && j.Value == strings.TrimSuffix(m[2], "/") &&
			strings.Contains(j.Text, m[1]) && strings.Contains(j.Text, strings.TrimSuffix(m[2], "/"))
	})
}

func readLabels(t *testing.T) []label {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, "labels.tsv"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("NOT MEASURED: the corpus of labelled manifests is not at %s", folder)
	}
	if err != nil {
		t.Fatal(err)
	}
	reader := csv.NewReader(bytes.NewReader(raw))
	reader.Comma = '\t'
	rows, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := func(name string) int {
		i := slices.IndexFunc(rows[0], func(title string) bool { return strings.HasPrefix(title, name) })
		if i < 0 {
			t.Fatalf("labels.tsv has no column %s: %q", name, rows[0])
		}
		return i
	}
	file, hidden, where, class, image := column("file"), column("label_hidden"), column("hidden_where"), column("class"), column("label_image")
	labels := make([]label, 0, len(rows))
	for _, row := range rows[1:] {
		labels = append(labels, label{row[file], row[hidden], row[where], row[class], row[image]})
	}
	if len(labels) == 0 {
		t.Fatal("labels.tsv has no line: nothing was measured")
	}
	return labels
}

func newReviewer(t *testing.T) *validate.Reviewer {
	t.Helper()
	set, err := policy.Load(t.Context(), policy.Options{Library: policies.FS})
	if err != nil {
		t.Fatal(err)
	}
	reviewer, err := validate.New(validate.Options{Set: set, Enforcement: validate.Enforce})
	if err != nil {
		t.Fatal(err)
	}
	return reviewer
}

func judge(t *testing.T, reviewer *validate.Reviewer, l label) verdict {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, "files", l.file))
	if err != nil {
		t.Fatal(err)
	}
	object, err := yaml.YAMLToJSON(raw)
	if err != nil {
		t.Fatalf("%s: %v", l.file, err)
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal(raw, &head); err != nil {
		t.Fatalf("%s: %v", l.file, err)
	}
	group, _, found := strings.Cut(head.APIVersion, "/")
	if !found {
		group = ""
	}
	request := validate.Request{Operation: validate.Create, Group: group, Kind: head.Kind, Namespace: "default", User: "corpus", Object: object}
	decision, err := reviewer.Review(t.Context(), request, time.Unix(0, 0))
	if err != nil {
		t.Fatalf("%s: %v", l.file, err)
	}
	v := verdict{label: l, kind: head.Kind, skipped: decision.Skipped, codes: make(map[policy.Mode][]string)}
	for _, mode := range []policy.Mode{policy.ModeDeny, policy.ModeWarn} {
		v.codes[mode] = decision.Codes(mode)
	}
	for _, j := range decision.Judgements {
		switch j.Mode {
		case policy.ModeDeny:
			v.denied = append(v.denied, j)
		case policy.ModeWarn:
			v.warned = append(v.warned, j)
		case policy.ModeAudit, policy.ModeOff:
		}
	}
	return v
}

// report prints a line for each manifest and the numbers by label.
func report(t *testing.T, verdicts []verdict) {
	t.Helper()
	var b strings.Builder
	total, skipped, denied, warned := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for _, v := range verdicts {
		total[v.hidden]++
		if v.skipped != validate.SkipNone {
			skipped[v.hidden]++
			fmt.Fprintf(&b, "%-52s %-9s skipped: %s %s\n", v.file, v.hidden, v.kind, v.skipped)
			continue
		}
		isVersion := func(code string) bool { return strings.HasPrefix(code, "version.") }
		deny := slices.ContainsFunc(v.codes[policy.ModeDeny], isVersion)
		denied[v.hidden] += count(deny)
		warned[v.hidden] += count(!deny && slices.ContainsFunc(v.codes[policy.ModeWarn], isVersion))
		fmt.Fprintf(&b, "%-52s %-9s deny %v warn %v\n", v.file, v.hidden, v.codes[policy.ModeDeny], v.codes[policy.ModeWarn])
	}
	for _, hidden := range []string{"yes", "arguable", "model", "no"} {
		fmt.Fprintf(&b, "%-9s %3d manifests, by version.* rules: %d denied, %d only warned about, %d of kinds not judged\n",
			hidden, total[hidden], denied[hidden], warned[hidden], skipped[hidden])
	}
	t.Log("\n" + b.String())
}

func texts(judgements []validate.Judgement) string {
	var b strings.Builder
	for _, j := range judgements {
		fmt.Fprintf(&b, "\n  %s: %s (%s)", j.Code, j.Text, j.Evidence)
	}
	return b.String()
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
