package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// kept returns so many records of a namespace, the latest an hour old, the others an hour older each.
func kept(namespace string, count int) []auditv1alpha1.Rejection {
	records := make([]auditv1alpha1.Rejection, count)
	for i := range records {
		records[i] = auditv1alpha1.Rejection{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", namespace, i)}, Outcome: auditv1alpha1.OutcomeDenied, User: "jane", Count: 1,
			Root: auditv1alpha1.Root{Namespace: namespace, Text: "Pod " + namespace + "/a"}, Rules: []string{"image.no_version"},
			LastTime: metav1.NewTime(now.Add(-time.Duration(i+1) * time.Hour)),
		}
	}
	return records
}

// many returns so many records of each of so many namespaces.
func many(namespaces, count int) (records []auditv1alpha1.Rejection) {
	for i := range namespaces {
		records = append(records, kept(fmt.Sprintf("team-%03d", i), count)...)
	}
	return records
}

func TestGaps(t *testing.T) {
	t.Parallel()
	ago := func(hours int) *time.Time {
		since := now.Add(-time.Duration(hours) * time.Hour)
		return &since
	}
	for name, tc := range map[string]struct {
		records []auditv1alpha1.Rejection
		filter  Filter
		want    []Gap
		note    string
	}{
		"nothing":       {nil, Filter{}, nil, ""},
		"one below":     {kept("shop", 99), Filter{}, nil, ""},
		"at the bound":  {kept("shop", 100), Filter{}, []Gap{{"shop", *ago(100)}}, "rejections may be missing of namespace shop before 2026-02-25 08:00 UTC"},
		"not yet swept": {kept("shop", 130), Filter{}, []Gap{{"shop", *ago(130)}}, "rejections may be missing of namespace shop before 2026-02-24 02:00 UTC"},
		"one of two, also of what a filter leaves out": {
			append(kept("web", 3), kept("shop", 100)...), Filter{User: "joe", Outcome: auditv1alpha1.OutcomeBypassed}, []Gap{{"shop", *ago(100)}},
			"rejections may be missing of namespace shop before 2026-02-25 08:00 UTC",
		},
		"two": {
			append(kept("web", 101), kept("shop", 100)...), Filter{}, []Gap{{"shop", *ago(100)}, {"web", *ago(101)}},
			"rejections may be missing of namespaces shop before 2026-02-25 08:00 UTC and web before 2026-02-25 07:00 UTC",
		},
		"nothing is asked for that is so old": {kept("shop", 100), Filter{Since: ago(100)}, nil, ""},
		"something older is asked for": {
			kept("shop", 100), Filter{Since: ago(101)}, []Gap{{"shop", *ago(100)}},
			"rejections may be missing of namespace shop before 2026-02-25 08:00 UTC",
		},
		"so many namespaces that one more of each is too much": {many(200, 50), Filter{}, nil, "and 196 more"},
		"so many namespaces that each may have one more":       {many(196, 50), Filter{}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := NewRejections(tc.records, tc.filter, now)
			if tc.note == "and 196 more" {
				if len(r.Gaps) != 200 || !strings.Contains(r.Note(), "team-003 before 2026-02-27 10:00 UTC and 196 more: ") {
					t.Errorf("%d gaps, and the note says %q", len(r.Gaps), r.Note())
				}
				return
			}
			if diff := cmp.Diff(tc.want, r.Gaps); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if tc.note != "" {
				tc.note += ": 100 of one namespace and 10,000 of all are kept, for 30 days after the last try"
			}
			if got := r.Note(); got != tc.note {
				t.Errorf("the note is %q, want %q", got, tc.note)
			}
		})
	}
}
