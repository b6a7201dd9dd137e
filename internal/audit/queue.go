package audit

import (
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// queue holds what one sink has yet to write, one entry for each record's name, within bounds that keep tenants apart:
// room is made at the cost of the namespace that takes most of it.
type queue struct {
	perNamespace, total, maxBytes int
	interval                      time.Duration
	// dropped is told of tries that are given up.
	dropped func(reason string, tries int64)

	mu       sync.Mutex
	entries  map[string]*entry // by name
	tenants  map[string]*tenant
	byCount  ranking   // of tenants
	byBytes  ranking   // of tenants
	rotation []*tenant // those with something ready, in the order in which they are served
	waiting  int       // entries with a record
	bytes    int       // of their records
}

// reset makes the queue empty.
func (q *queue) reset() {
	q.entries, q.tenants, q.rotation, q.waiting, q.bytes = map[string]*entry{}, map[string]*tenant{}, nil, 0, 0
	q.byCount = ranking{size: func(t *tenant) int { return t.entries }, place: func(t *tenant) *int { return &t.placeByCount }}
	q.byBytes = ranking{size: func(t *tenant) int { return t.bytes }, place: func(t *tenant) *int { return &t.placeByBytes }}
}

// tenant is a namespace with entries. Each of its entries is ready, or resting, or just being written.
type tenant struct {
	namespace string
	ready     []*entry // to be written now, in this order
	resting   []*entry // written less than an interval ago, the longest ago first
	entries   int
	bytes     int
	rotates   bool // is in the rotation

	placeByCount, placeByBytes int
}

// entry is what is known of one name: what has yet to be written, or only that it was written lately.
type entry struct {
	tenant *tenant
	name   string
	// record is one of those that were merged; nil if there is nothing to write. Sinks share it, so it is never changed.
	record      *auditv1alpha1.Rejection
	bytes       int
	count       int64
	first, last metav1.Time
	// due is when a resting entry may be written again.
	due time.Time
}

// add merges a record into what waits. It may drop others, or the record itself, to stay within the bounds.
func (q *queue) add(record *auditv1alpha1.Rejection) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entries[record.Name]
	if e == nil {
		e = q.insert(record)
		e.tenant.enqueue(e, q)
	}
	if e.record == nil {
		e.record = record
		q.waiting++
		q.weigh(e, weight(record))
	}
	e.merge(record.Count, record.FirstTime, record.LastTime)
	q.shrink(e.tenant)
}

// insert makes an entry that holds nothing yet.
func (q *queue) insert(record *auditv1alpha1.Rejection) *entry {
	t := q.tenants[record.Root.Namespace]
	if t == nil {
		t = &tenant{namespace: record.Root.Namespace}
		q.tenants[t.namespace] = t
		q.byCount.add(t)
		q.byBytes.add(t)
	}
	e := &entry{tenant: t, name: record.Name}
	q.entries[e.name] = e
	t.entries++
	q.byCount.update(t)
	return e
}

// enqueue makes an entry the last of those that are ready.
func (t *tenant) enqueue(e *entry, q *queue) {
	t.ready = append(t.ready, e)
	if !t.rotates {
		t.rotates = true
		q.rotation = append(q.rotation, t)
	}
}

// merge adds tries.
func (e *entry) merge(count int64, first, last metav1.Time) {
	if e.count == 0 || first.Before(&e.first) {
		e.first = first
	}
	if e.count == 0 || e.last.Before(&last) {
		e.last = last
	}
	e.count += count
}

// shrink makes room after an addition to a namespace, which gives way where another is no larger.
func (q *queue) shrink(added *tenant) {
	for added.entries > q.perNamespace && q.evict(added, dropNamespace) {
	}
	for len(q.entries) > q.total && q.evict(q.byCount.largest(added), dropTotal) {
	}
	for q.bytes > q.maxBytes && q.evict(q.byBytes.largest(added), dropBytes) {
	}
}

// evict takes out the entry of a namespace that is missed least: for want of entries one that waits for nothing, the oldest
// first; else the one that would be written last. It returns false if all that is there is just being written.
func (q *queue) evict(t *tenant, reason string) bool {
	if reason != dropBytes {
		if i := slices.IndexFunc(t.resting, func(e *entry) bool { return e.record == nil }); i >= 0 {
			q.forget(t.resting[i])
			t.resting = slices.Delete(t.resting, i, i+1)
			return true
		}
	}
	list := &t.ready
	if len(*list) == 0 {
		list = &t.resting
	}
	for i, e := range slices.Backward(*list) {
		if e.record != nil {
			*list = slices.Delete(*list, i, i+1)
			q.dropped(reason, e.count)
			q.settle(e)
			q.forget(e)
			return true
		}
	}
	return false
}

// settle says that nothing of an entry is to be written any more.
func (q *queue) settle(e *entry) {
	e.record, e.count = nil, 0
	q.waiting--
	q.weigh(e, 0)
}

// weigh says how much memory the record of an entry takes.
func (q *queue) weigh(e *entry, bytes int) {
	q.bytes += bytes - e.bytes
	e.tenant.bytes += bytes - e.bytes
	e.bytes = bytes
	q.byBytes.update(e.tenant)
}

// forget removes an entry that is in no list of its namespace any more.
func (q *queue) forget(e *entry) {
	delete(q.entries, e.name)
	e.tenant.entries--
	q.byCount.update(e.tenant)
	if e.tenant.entries == 0 {
		delete(q.tenants, e.tenant.namespace)
		q.byCount.remove(e.tenant)
		q.byBytes.remove(e.tenant)
	}
}

// release makes ready what was written an interval before now and tried again since, and forgets what was not.
func (q *queue) release(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range q.tenants {
		due := 0
		for ; due < len(t.resting) && !t.resting[due].due.After(now); due++ {
			if e := t.resting[due]; e.record != nil {
				t.enqueue(e, q)
			} else {
				q.forget(e)
			}
		}
		t.resting = slices.Delete(t.resting, 0, due)
	}
}

// take returns the next record to write, its entry, and false if nothing is ready. Namespaces take turns. The entry is to be
// given back with rest or retry.
func (q *queue) take() (*entry, auditv1alpha1.Rejection, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.rotation) > 0 {
		t := q.rotation[0]
		q.rotation, t.rotates = slices.Delete(q.rotation, 0, 1), false
		if len(t.ready) == 0 {
			continue // its entries were dropped
		}
		e := t.ready[0]
		t.ready = slices.Delete(t.ready, 0, 1)
		if len(t.ready) > 0 {
			t.rotates = true
			q.rotation = append(q.rotation, t)
		}
		record := *e.record
		record.Count, record.FirstTime, record.LastTime = e.count, e.first, e.last
		e.count = 0
		return e, record, true
	}
	return nil, auditv1alpha1.Rejection{}, false
}

// rest gives back an entry whose record is done with. What was tried since take waits for an interval.
func (q *queue) rest(e *entry, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.count == 0 {
		q.settle(e)
	}
	e.due = now.Add(q.interval)
	e.tenant.resting = append(e.tenant.resting, e)
}

// retry gives back an entry whose record could not be written. It becomes the last of its namespace, so that it holds up
// no other.
func (q *queue) retry(e *entry, record *auditv1alpha1.Rejection) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.merge(record.Count, record.FirstTime, record.LastTime)
	e.tenant.enqueue(e, q)
}

// abandon drops all that waits, and returns how many tries that were.
func (q *queue) abandon() (tries int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.entries {
		tries += e.count
	}
	q.reset()
	q.dropped(dropShutdown, tries)
	return tries
}

// pending counts the records that wait.
func (q *queue) pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

// weight is about how many bytes a record takes in memory.
func weight(r *auditv1alpha1.Rejection) int {
	const structs = 1024 // the Rejection itself, and its entry
	n := structs + texts(r.Name, r.Namespace, r.User, r.Root.Name, r.Root.Namespace, r.Root.Text) + texts(r.Rules...)
	for i := range r.Findings {
		f := &r.Findings[i]
		n += texts(f.Code, f.Severity, f.Container, f.Volume, f.Field, f.Value, f.Evidence, f.Message, f.Fix)
	}
	for key, value := range r.Manifest.Labels {
		n += texts(key, value)
	}
	for i := range r.Manifest.Containers {
		c := &r.Manifest.Containers[i]
		n += texts(c.Name, c.Role, c.Image, c.WorkingDir) + texts(c.Command...) + texts(c.Args...)
		for _, m := range c.Mounts {
			n += texts(m.Volume, m.Path, m.SubPath)
		}
	}
	for _, v := range r.Manifest.Volumes {
		n += texts(v.Name, v.Class, v.Source)
	}
	return n
}

// texts is how many bytes strings take in memory.
func texts(all ...string) (n int) {
	const header = 16
	for _, s := range all {
		n += header + len(s)
	}
	return n
}
