package report

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
	"plainspec.dev/plainspec/internal/kinds"
	"plainspec.dev/plainspec/internal/redact"
	"plainspec.dev/plainspec/internal/validate"
)

const (
	// mostFindings and mostUsers bound what is kept of one workload; a record of it is bounded by the same.
	mostFindings = 20
	mostUsers    = 10
)

// tally counts what was looked at and keeps what would be denied. Its size is that of the result, not of the cluster.
type tally struct {
	ownerLabels []string
	// namespaces are the labels of namespaces, by name.
	namespaces map[string]map[string]string

	recorded map[rootKey]*attempts
	groups   map[groupKey]*ReadinessGroup
	rules    map[string]int
	live     map[string]int // judged workloads, by namespace
	denied   map[string]int // those of them that would be denied
	unjudged []Unjudged
}

type rootKey struct{ group, kind, namespace, name string }

type groupKey struct{ namespace, owner string }

// attempts are the recorded requests for one workload.
type attempts struct {
	latest   *auditv1alpha1.Rejection
	requests int64
	users    map[string]bool
	live     bool // the workload lives
	denied   bool // and would be denied
}

func newTally(ownerLabels []string, namespaces map[string]map[string]string) *tally {
	return &tally{
		ownerLabels: ownerLabels, namespaces: namespaces, recorded: make(map[rootKey]*attempts), groups: make(map[groupKey]*ReadinessGroup),
		rules: make(map[string]int), live: make(map[string]int), denied: make(map[string]int),
	}
}

// record takes a record; of several for one workload, the latest comes first.
func (t *tally) record(r *auditv1alpha1.Rejection) {
	key := keyOf(&r.Root)
	seen := t.recorded[key]
	if seen == nil {
		seen = &attempts{latest: r, users: make(map[string]bool)}
		t.recorded[key] = seen
	}
	seen.requests += r.Count
	seen.users[r.User] = true
}

// keyOf tells workloads apart, whatever group served them to whoever applied them.
func keyOf(root *auditv1alpha1.Root) rootKey {
	key := rootKey{root.Group, root.Kind, root.Namespace, root.Name}
	if kind, ok := kinds.Find(root.Group, root.Kind); ok {
		key.group = kind.Groups[0]
	}
	return key
}

// look takes a live workload, with what would deny it, or with why that is not known.
func (t *tally) look(root auditv1alpha1.Root, object metav1.Object, findings []auditv1alpha1.Finding, err error) {
	seen := t.attemptsOf(&root, object)
	if seen != nil {
		seen.live = true
	}
	if err != nil {
		t.unjudged = append(t.unjudged, Unjudged{Root: root, Reason: reason(err)})
		if seen != nil {
			seen.denied = true // not known to be mended
		}
		return
	}
	group := t.group(root.Namespace, object.GetLabels())
	group.Live++
	t.live[root.Namespace]++
	if len(findings) == 0 {
		return
	}
	group.Denied++
	t.denied[root.Namespace]++
	w := ReadinessWorkload{Root: root, Live: true, By: appliedBy(object), Rules: codes(findings), Findings: findings}
	if more := len(findings) - mostFindings; more > 0 {
		w.Findings, w.FindingsOmitted = findings[:mostFindings], more
	}
	if seen != nil {
		seen.denied = true
		w.Recorded = seen.recorded()
	}
	for _, code := range w.Rules {
		t.rules[code]++
	}
	group.Workloads = append(group.Workloads, w)
}

// attemptsOf are the recorded requests for a live workload, nil for none. The records of one whose name was generated do
// not tell it from others of the same origin.
func (t *tally) attemptsOf(root *auditv1alpha1.Root, object metav1.Object) *attempts {
	key := keyOf(root)
	if seen := t.recorded[key]; seen != nil || object.GetGenerateName() == "" {
		return seen
	}
	key.name = object.GetGenerateName() + "*"
	return t.recorded[key]
}

func (t *tally) group(namespace string, labels map[string]string) *ReadinessGroup {
	key := groupKey{namespace, ownerOf(t.ownerLabels, labels, t.namespaces[namespace])}
	group := t.groups[key]
	if group == nil {
		group = &ReadinessGroup{Namespace: namespace, Owner: key.owner}
		t.groups[key] = group
	}
	return group
}

// finish writes what was counted into a report.
func (t *tally) finish(r *Readiness) {
	for _, seen := range t.recorded {
		switch {
		case !seen.live:
			r.Summary.Recorded.Gone++
			t.addGone(seen)
		case !seen.denied:
			r.Summary.Recorded.Mended++
		}
	}
	r.Groups = []ReadinessGroup{}
	for _, group := range t.groups {
		if len(group.Workloads) > 0 {
			group.finish()
			r.Groups = append(r.Groups, *group)
		}
	}
	slices.SortFunc(r.Groups, func(a, b ReadinessGroup) int {
		return cmp.Or(cmp.Compare(len(b.Workloads), len(a.Workloads)), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Owner, b.Owner))
	})
	slices.SortFunc(t.unjudged, func(a, b Unjudged) int { return compareRoots(&a.Root, &b.Root) })
	r.Unjudged = append([]Unjudged{}, t.unjudged...)
	r.Summary.Workloads, r.Summary.Namespaces = total(t.live), len(t.live)
	r.Summary.Denied, r.Summary.DeniedNamespaces = total(t.denied), len(t.denied)
	r.Summary.Rules = ruleCounts(t.rules)
	r.Summary.Ready = len(r.Groups) == 0 && r.Complete()
}

// addGone adds a workload that only its record tells of: a Job that has ended and was cleaned up, something that was
// applied to try.
func (t *tally) addGone(seen *attempts) {
	record := seen.latest
	group := t.group(record.Root.Namespace, record.Manifest.Labels)
	group.Gone++
	group.Workloads = append(group.Workloads, ReadinessWorkload{
		Root: record.Root, Recorded: seen.recorded(), Rules: codes(record.Findings), Findings: record.Findings, FindingsOmitted: record.FindingsOmitted,
	})
}

func (a *attempts) recorded() *Recorded {
	users := slices.Sorted(maps.Keys(a.users))
	r := &Recorded{Requests: a.requests, LastTime: a.latest.LastTime.UTC(), Users: users}
	if more := len(users) - mostUsers; more > 0 {
		r.Users, r.UsersOmitted = users[:mostUsers], more
	}
	return r
}

// finish sorts the workloads, the worst first, and counts their rules.
func (g *ReadinessGroup) finish() {
	rules := make(map[string]int)
	for i := range g.Workloads {
		for _, code := range g.Workloads[i].Rules {
			rules[code]++
		}
	}
	g.Rules = ruleCounts(rules)
	slices.SortFunc(g.Workloads, func(a, b ReadinessWorkload) int {
		return cmp.Or(cmp.Compare(a.worst(), b.worst()), cmp.Compare(b.findings(), a.findings()), compareRoots(&a.Root, &b.Root))
	})
}

// severities are in the order of their weight.
var severities = []string{"critical", "high", "medium", "low"}

// worst is the place of the weightiest finding in severities.
func (w *ReadinessWorkload) worst() int {
	worst := len(severities)
	for i := range w.Findings {
		if place := slices.Index(severities, w.Findings[i].Severity); place >= 0 {
			worst = min(worst, place)
		}
	}
	return worst
}

func (w *ReadinessWorkload) findings() int { return len(w.Findings) + w.FindingsOmitted }

func compareRoots(a, b *auditv1alpha1.Root) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), strings.Compare(a.Group, b.Group))
}

// codes are the rules of findings, sorted, each once.
func codes(findings []auditv1alpha1.Finding) []string {
	found := make([]string, 0, len(findings))
	for i := range findings {
		found = append(found, findings[i].Code)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// ruleCounts are counts by rule, the most first.
func ruleCounts(counts map[string]int) []RuleCount {
	list := make([]RuleCount, 0, len(counts))
	for code, count := range counts {
		list = append(list, RuleCount{Code: code, Workloads: count})
	}
	slices.SortFunc(list, func(a, b RuleCount) int {
		return cmp.Or(cmp.Compare(b.Workloads, a.Workloads), strings.Compare(a.Code, b.Code))
	})
	return list
}

func total(counts map[string]int) int {
	sum := 0
	for _, count := range counts {
		sum += count
	}
	return sum
}

// reason writes an error for the report: objects and the cluster may put anything into it.
func reason(err error) string {
	if undecided := (*validate.UndecidedError)(nil); errors.As(err, &undecided) {
		err = undecided.Err
	}
	text := err.Error()
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		text = status.Status().Message // without what was being done, which the report says
	}
	return redact.Text(strings.ToValidUTF8(text, "\uFFFD"))
}
