package report

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

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
	// namespaces are the labels of namespaces, by name; counted says that there are no others.
	namespaces map[string]map[string]string
	counted    bool
	judge      *judge

	recorded map[rootKey]*attempts
	hidden   map[string]map[string]bool // the namespaces in which a kind could not be read, by kind; "" for all
	found    []found
	live     map[string]int // judged workloads, by namespace
	owned    map[groupKey]int
	unjudged []Unjudged
}

type rootKey struct{ group, kind, namespace, name string }

type groupKey struct{ namespace, owner string }

// found is a workload that would be denied, or may be.
type found struct {
	ReadinessWorkload

	group    groupKey
	attempts []*attempts
}

// attempts are the recorded requests for one workload, or for all whose names were generated from one.
type attempts struct {
	root     auditv1alpha1.Root
	latest   *auditv1alpha1.Rejection // of those that would still be denied; nil if none would be
	rules    []string                 // for which it would be
	findings []auditv1alpha1.Finding

	requests int64
	lastTime time.Time
	users    map[string]bool
	created  bool // one of them created it
	stranger bool // one that would still be denied came from none of the configured controllers
	live     bool // such a workload exists
	open     bool // and it would be denied, or that is not known
	sibling  bool // what may be one exists
	told     bool // the requests are told with a workload
}

func newTally(a *assessment, namespaces map[string]map[string]string) *tally {
	return &tally{
		ownerLabels: a.OwnerLabels, namespaces: namespaces, counted: a.counted, judge: &a.judge, recorded: make(map[rootKey]*attempts),
		hidden: make(map[string]map[string]bool), live: make(map[string]int), owned: make(map[groupKey]int),
	}
}

// record takes a record; of several for one workload, the latest comes first.
func (t *tally) record(r *auditv1alpha1.Rejection) {
	key := keyOf(&r.Root)
	seen := t.recorded[key]
	if seen == nil {
		seen = &attempts{root: r.Root, lastTime: r.LastTime.UTC(), users: make(map[string]bool)}
		t.recorded[key] = seen
	}
	seen.requests += r.Count
	seen.users[r.User] = true
	seen.created = seen.created || r.Operation == validate.Create
	rules, findings := t.judge.again(r)
	if len(rules) == 0 {
		return
	}
	if seen.latest == nil {
		seen.latest, seen.rules, seen.findings = r, rules, findings
	}
	seen.stranger = seen.stranger || !t.judge.makes(r.User)
}

// keyOf tells workloads apart, whatever group served them to whoever applied them.
func keyOf(root *auditv1alpha1.Root) rootKey {
	key := rootKey{root.Group, root.Kind, root.Namespace, root.Name}
	if kind, ok := kinds.Find(root.Group, root.Kind); ok {
		key.group = kind.Groups[0]
	}
	return key
}

// hide notes that a kind could not be read in some namespaces, or in none of them if there are none.
func (t *tally) hide(kind string, namespaces []string) {
	if t.hidden[kind] == nil {
		t.hidden[kind] = make(map[string]bool)
	}
	if len(namespaces) == 0 {
		t.hidden[kind][""] = true
	}
	for _, namespace := range namespaces {
		t.hidden[kind][namespace] = true
	}
}

// applied reports whether somebody applied an object that a controller owns, since there is a record of that: what
// controllers make leaves none, once they are configured.
func (t *tally) applied(root *auditv1alpha1.Root) bool {
	seen := t.recorded[keyOf(root)]
	if seen == nil {
		return false
	}
	for user := range seen.users {
		if !t.judge.makes(user) {
			return true
		}
	}
	return false
}

// changed are those findings of an object that a controller made which are the doing of who changed it since; all of them, if
// somebody created it.
func (t *tally) changed(root *auditv1alpha1.Root, findings []auditv1alpha1.Finding) []auditv1alpha1.Finding {
	seen := t.recorded[keyOf(root)]
	if seen.created {
		return findings
	}
	return slices.DeleteFunc(findings, func(f auditv1alpha1.Finding) bool { return !slices.Contains(seen.rules, f.Code) })
}

// pass takes a live object that a workload controller made, and that is admitted. It may be what was recorded of a generated
// name; that is not known, since its name was generated, too.
func (t *tally) pass(root *auditv1alpha1.Root, object metav1.Object) {
	if seen := t.recorded[keyOf(root)]; seen != nil {
		seen.live = true
	}
	if seen := t.recorded[generatedKey(root, object)]; seen != nil {
		seen.sibling = true
	}
}

// look takes a live workload, with what would deny it, or with why that is not known.
func (t *tally) look(root auditv1alpha1.Root, object metav1.Object, findings []auditv1alpha1.Finding, err error) {
	matching := t.attemptsOf(&root, object)
	for _, seen := range matching {
		seen.live = true
		seen.open = seen.open || err != nil || len(findings) > 0
	}
	if err != nil {
		t.unjudged = append(t.unjudged, Unjudged{Root: root, Reason: reason(err)})
		return
	}
	group := t.group(root.Namespace, object.GetLabels())
	t.live[root.Namespace]++
	t.owned[group]++
	if len(findings) == 0 {
		return
	}
	w := ReadinessWorkload{Root: root, State: t.stateOf(object, matching), By: appliedBy(object), Rules: codes(findings), Findings: findings}
	if more := len(findings) - mostFindings; more > 0 {
		w.Findings, w.FindingsOmitted = findings[:mostFindings], more
	}
	t.found = append(t.found, found{ReadinessWorkload: w, group: group, attempts: matching})
}

// stateOf is the state of a live workload with findings. Who makes what has a controller of a foreign kind, the workload
// does not say: a record does.
func (t *tally) stateOf(object metav1.Object, matching []*attempts) WorkloadState {
	controller := metav1.GetControllerOfNoCopy(object)
	if controller == nil || !foreign(controller) || len(t.judge.config.Controllers) == 0 ||
		slices.ContainsFunc(matching, func(seen *attempts) bool { return seen.stranger }) {
		return StateDenied
	}
	return StateConditional
}

// attemptsOf are the recorded requests for a live workload: for itself, for others of the same origin if its name was
// generated, and for its controller, which records name if it is of a foreign kind.
func (t *tally) attemptsOf(root *auditv1alpha1.Root, object metav1.Object) []*attempts {
	keys := []rootKey{keyOf(root), generatedKey(root, object)}
	if controller := metav1.GetControllerOfNoCopy(object); controller != nil && foreign(controller) {
		keys = append(keys, rootKey{redact.Name(groupOf(controller)), redact.Name(controller.Kind), root.Namespace, redact.Name(controller.Name)})
	}
	var matching []*attempts
	for _, key := range keys {
		if seen := t.recorded[key]; seen != nil && !slices.Contains(matching, seen) {
			matching = append(matching, seen)
		}
	}
	return matching
}

// generatedKey is what a record calls an object whose name is generated; of one whose name is not, it is its own.
func generatedKey(root *auditv1alpha1.Root, object metav1.Object) rootKey {
	key := keyOf(root)
	if prefix := object.GetGenerateName(); prefix != "" {
		key.name = prefix + "*"
	}
	return key
}

func (t *tally) group(namespace string, labels map[string]string) groupKey {
	return groupKey{namespace, ownerOf(t.ownerLabels, labels, t.namespaces[namespace])}
}

// finish writes what was counted into a report.
func (t *tally) finish(r *Readiness) {
	for _, seen := range t.recorded {
		t.finishRecorded(r.Summary.Recorded, seen)
	}
	slices.SortFunc(t.found, func(a, b found) int { return compareRoots(&a.Root, &b.Root) })
	t.finishGroups(r)
	slices.SortFunc(t.unjudged, func(a, b Unjudged) int { return compareRoots(&a.Root, &b.Root) })
	r.Unjudged = append([]Unjudged{}, t.unjudged...)
	s := &r.Summary
	s.Workloads, s.Namespaces = total(t.live), len(t.live)
	s.Ready = r.Complete() && !r.Denied()
}

// finishRecorded counts what was recorded for a workload, and keeps it if nothing that lives tells it.
func (t *tally) finishRecorded(count *ReadinessRecorded, seen *attempts) {
	_, exists := t.namespaces[seen.root.Namespace]
	switch {
	case seen.live && !seen.open, !seen.live && seen.latest == nil:
		count.Admitted++
		return
	case seen.live:
		return
	case t.counted && !exists:
		count.Deleted++
		return
	}
	state := StateGone
	if t.unknown(seen) {
		state = StateUnknown
		count.Unknown++
	} else {
		count.Gone++
	}
	record := seen.latest
	t.found = append(t.found, found{
		ReadinessWorkload: ReadinessWorkload{
			Root: record.Root, State: state, Rules: seen.rules, Findings: seen.findings, FindingsOmitted: record.FindingsOmitted,
		},
		group: t.group(record.Root.Namespace, record.Manifest.Labels), attempts: []*attempts{seen},
	})
}

// unknown reports whether it is not known if what was recorded still exists: its kind was not read where it was.
func (t *tally) unknown(seen *attempts) bool {
	kind, known := kinds.Find(seen.root.Group, seen.root.Kind)
	hidden := t.hidden[kind.Name]
	return !known || seen.sibling || hidden[""] || hidden[seen.root.Namespace]
}

// finishGroups makes the groups, and counts by them. What was found is sorted: the first of those that share recorded
// requests tells them.
func (t *tally) finishGroups(r *Readiness) {
	groups, rules, denied := make(map[groupKey]*ReadinessGroup), make(map[string]int), make(map[string]bool)
	for i := range t.found {
		w := &t.found[i]
		w.Recorded = recordedOf(w.attempts)
		group := groups[w.group]
		if group == nil {
			group = &ReadinessGroup{Namespace: w.group.namespace, Owner: w.group.owner, Live: t.owned[w.group]}
			groups[w.group] = group
		}
		switch w.State {
		case StateDenied:
			group.Denied++
			r.Summary.Denied++
			denied[w.group.namespace] = true
			for _, code := range w.Rules {
				rules[code]++
			}
		case StateConditional:
			group.Conditional++
			r.Summary.Conditional++
		case StateGone:
			group.Gone++
		case StateUnknown:
			group.Unknown++
		}
		group.Workloads = append(group.Workloads, w.ReadinessWorkload)
	}
	r.Summary.DeniedNamespaces, r.Summary.Rules = len(denied), ruleCounts(rules)
	r.Groups = []ReadinessGroup{}
	for _, group := range groups {
		group.finish()
		r.Groups = append(r.Groups, *group)
	}
	slices.SortFunc(r.Groups, func(a, b ReadinessGroup) int {
		return cmp.Or(cmp.Compare(len(b.Workloads), len(a.Workloads)), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Owner, b.Owner))
	})
}

// recordedOf tells the requests that are not told yet, nil if there are none.
func recordedOf(all []*attempts) *Recorded {
	r := &Recorded{}
	names := make(map[string]bool)
	for _, a := range all {
		if a.told {
			continue
		}
		a.told = true
		r.Requests += a.requests
		if a.lastTime.After(r.LastTime) {
			r.LastTime = a.lastTime
		}
		maps.Copy(names, a.users)
	}
	if len(names) == 0 {
		return nil
	}
	r.Users = slices.Sorted(maps.Keys(names))
	if more := len(r.Users) - mostUsers; more > 0 {
		r.Users, r.UsersOmitted = r.Users[:mostUsers], more
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
