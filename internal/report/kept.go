package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// Gap says that not all rejections of a namespace may be there: as many are kept as may be.
type Gap struct {
	// Namespace is the namespace of what was applied.
	Namespace string `json:"namespace"`
	// Before is when the oldest that is kept was last tried, in UTC: older ones may be gone.
	Before time.Time `json:"before"`
}

// Kept says how many rejections are kept, and for how long.
func Kept() string {
	return fmt.Sprintf("%d of one namespace and %s of all are kept, for %d days after the last try",
		auditv1alpha1.KeptPerNamespace, grouped(auditv1alpha1.KeptInAll), auditv1alpha1.KeptFor/(24*time.Hour))
}

// gaps returns the gaps in all records, by namespace, but for those before what was asked for.
func gaps(records []auditv1alpha1.Rejection, since *time.Time) []Gap {
	counts, oldest := make(map[string]int), make(map[string]time.Time)
	for i := range records {
		namespace, last := records[i].Root.Namespace, records[i].LastTime.UTC()
		if counts[namespace]++; counts[namespace] == 1 || last.Before(oldest[namespace]) {
			oldest[namespace] = last
		}
	}
	bound := bound(counts, len(records))
	var gaps []Gap
	for namespace, before := range oldest {
		if counts[namespace] >= bound && (since == nil || since.Before(before)) {
			gaps = append(gaps, Gap{namespace, before})
		}
	}
	slices.SortFunc(gaps, func(a, b Gap) int { return cmp.Compare(a.Namespace, b.Namespace) })
	return gaps
}

// bound is how many records a namespace may have. It is less than usual where those that have the most could not have one
// more each within the bound of all.
func bound(counts map[string]int, all int) int {
	most, having := 0, 0
	for _, n := range counts {
		if n > most {
			most, having = n, 0
		}
		if n == most {
			having++
		}
	}
	if all+having > auditv1alpha1.KeptInAll {
		return min(most, auditv1alpha1.KeptPerNamespace)
	}
	return auditv1alpha1.KeptPerNamespace
}

// Note says of which namespaces rejections may be missing; it is empty if of none.
func (r *Rejections) Note() string {
	if len(r.Gaps) == 0 {
		return ""
	}
	texts, noun := r.missing(), "namespace"
	if len(texts) > 1 {
		last := len(texts) - 1
		texts, noun = []string{strings.Join(texts[:last], ", ") + " and " + texts[last]}, "namespaces"
	}
	return fmt.Sprintf("rejections may be missing of %s %s: %s", noun, texts[0], Kept())
}

// missing says of each gap where it is, in five texts at most.
func (r *Rejections) missing() []string {
	var texts []string
	for i, gap := range r.Gaps {
		if i == 4 && len(r.Gaps) > 5 {
			return append(texts, fmt.Sprintf("%d more", len(r.Gaps)-i))
		}
		texts = append(texts, gap.Namespace+" before "+stamp(gap.Before))
	}
	return texts
}
