package validate

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func review(t *testing.T, r *Reviewer, req Request, now time.Time) Decision {
	t.Helper()
	d, err := r.Review(t.Context(), req, now)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// pods is a Pod with n containers without a tag.
func pods(n int) []byte {
	var containers []string
	for i := range n {
		containers = append(containers, fmt.Sprintf(`{"name":"c%02d","image":"a"}`, i))
	}
	return []byte(`{"metadata":{"generateName":"many-"},"spec":{"containers":[` + strings.Join(containers, ",") + `]}}`)
}

func TestMessage(t *testing.T) {
	t.Parallel()
	r := reviewer(t, Options{Contact: "Questions: #platform"})
	for name, tc := range map[string]struct {
		request Request
		want    string
	}{
		"one finding": {create(podJSON("a")), `Pod team/p: container "c" uses "a" of docker.io/library/a
- test.strict at spec.containers[0].image: no tag
  fix: name a version
rejection ID, policies REVISION
Questions: #platform`},
		"several findings": {Request{Operation: Create, Kind: "Pod", Namespace: "team", User: "jane", Object: pods(2)}, `Pod team/many-*: container "c00" uses "a" of docker.io/library/a (and 1 more)
- test.strict at spec.containers[0].image: container "c00" uses "a" of docker.io/library/a
  fix: name a version
- test.strict at spec.containers[1].image: container "c01" uses "a" of docker.io/library/a
  fix: name a version
rejection ID, policies REVISION
Questions: #platform`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := review(t, r, tc.request, day)
			got := strings.NewReplacer(d.ID, "ID", d.Revision, "REVISION").Replace(d.Message())
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessageIsBounded(t *testing.T) {
	t.Parallel()
	d := review(t, reviewer(t, Options{}), create(pods(500)), day)
	got := d.Message()
	if n := strings.Count(got, "\n- test.strict at "); n != mostFindings {
		t.Errorf("%d findings shown, want %d", n, mostFindings)
	}
	if want := "\n- and 490 more findings\n"; !strings.Contains(got, want) {
		t.Errorf("message does not say %q:\n%s", want, got)
	}
}

func TestMessageHasNoSecrets(t *testing.T) {
	t.Parallel()
	r := reviewer(t, Options{Set: set(t)})
	d := review(t, r, create(podJSON("a")), day)
	d.Judgements[0].Evidence = "from https://jane:s3cret@example.com/x?token=s3cret"
	if got := d.Message(); strings.Contains(got, "s3cret") {
		t.Errorf("message tells a secret:\n%s", got)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	d := review(t, reviewer(t, Options{Enforcement: Warn}), create(podJSON("a")), day)
	if diff := cmp.Diff([]string{`test.strict: container "c" uses "a" of docker.io/library/a`}, d.Warnings()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	d = review(t, reviewer(t, Options{}), update(podJSON("a"), []byte(`{"spec":{"nodeName":"n","containers":[{"name":"c","image":"a"}]}}`)), day)
	if diff := cmp.Diff([]string{`test.strict (as before): container "c" uses "a" of docker.io/library/a`}, d.Warnings()); diff != "" {
		t.Errorf("ratcheted warnings (-want +got):\n%s", diff)
	}
}

func TestWarningsAreBounded(t *testing.T) {
	t.Parallel()
	d := review(t, reviewer(t, Options{Enforcement: Warn}), create(pods(500)), day)
	got := d.Warnings()
	if len(got) != mostWarnings+1 || got[mostWarnings] != "plainspec: and 480 more" {
		t.Errorf("%d warnings, the last %q", len(got), got[len(got)-1])
	}
	d = review(t, reviewer(t, Options{Enforcement: Warn}), create(podJSON(strings.Repeat("a", 200))), day)
	if n := utf8.RuneCountInString(d.Warnings()[0]); n != longestWarning {
		t.Errorf("a long warning has %d characters, want %d", n, longestWarning)
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	d := review(t, reviewer(t, Options{}), create(pods(3)), day)
	if diff := cmp.Diff([]string{"test.strict"}, d.Codes("deny")); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}
