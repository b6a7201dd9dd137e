package audit

import (
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// queue holds what one sink has yet to write, one entry for each record's name, within bounds that keep tenants apart:
// room is made at the cost of the namespace that takes most of it, and there of what was written before.
type queue struct {
	perNamespace, total, maxBytes int
	interval                      time.Duration
	// dropped is told of tries that are given up.
	dropped func(reason string, tries int64)

	mu       sync.Mutex
	entries  map[string]*entry // by name
	tenants  map[string]*tenant
	lately   lately
	byCount  ranking   // of tenants
	byBytes  ranking   // of tenants
	rotation []*tenant // those with something to be written now, in the order in which they are served
	bytes    int       // of the records
}

// reset makes the queue empty.
func (q *queue) reset() {
	q.entries, q.tenants, q.rotation, q.bytes = map[string]*entry{}, map[string]*tenant{}, nil, 0
	q.lately = lately{due: map[string]time.Time{}}
	q.byCount = ranking{size: func(t *tenant) int { return t.entries }, place: func(t *tenant) *int { return &t.placeByCount }}
	q.byBytes = ranking{size: func(t *tenant) int { return t.bytes }, place: func(t *tenant) *int { return &t.placeByBytes }}
}

// tenant is a namespace with entries. Each of its entries is in one of its lists, or just being written.
type tenant struct {
	namespace string
	fresh     []*entry // never written, to be written now, in this order
	again     []*entry // written before, to be written now, behind all that are fresh
	resting   []*entry // written less than an interval ago
	entries   int
	unwritten int // of the entries, those that were never written
	bytes     int
	rotates   bool // is in the rotation

	placeByCount, placeByBytes int
}

// entry is what has yet to be written of one name.
type entry struct {
	tenant *tenant
	// record is one of those that were merged. Sinks share it, so it is never changed.
	record      *auditv1alpha1.Rejection
	bytes       int
	count       int64
	first, last metav1.Time
	// written says that the sink has the name already, and lacks tries only.
	written bool
	// due is when a resting entry may be written.
	due time.Time
}

// add merges a record into what waits. It may drop others, or the record itself, to stay within the bounds.
func (q *queue) add(record *auditv1alpha1.Rejection) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entries[record.Name]
	if e == nil {
		e = q.insert(record)
	}
	e.merge(record.Count, record.FirstTime, record.LastTime)
	q.shrink(e.tenant)
}

// insert makes an entry without tries, which rests if its name was written lately.
func (q *queue) insert(record *auditv1alpha1.Rejection) *entry {
	t := q.tenants[record.Root.Namespace]
	if t == nil {
		t = &tenant{namespace: record.Root.Namespace}
		q.tenants[t.namespace] = t
		q.byCount.add(t)
		q.byBytes.add(t)
	}
	e := &entry{tenant: t, record: record, bytes: weight(record)}
	e.due, e.written = q.lately.due[record.Name]
	q.entries[record.Name] = e
	q.weigh(e, 1)
	if e.written {
		t.resting = append(t.resting, e)
	} else {
		t.enqueue(e, q)
	}
	return e
}

// weigh adds an entry to what its namespace takes, or takes it away if n is -1.
func (q *queue) weigh(e *entry, n int) {
	t := e.tenant
	q.bytes += n * e.bytes
	t.bytes += n * e.bytes
	t.entries += n
	if !e.written {
		t.unwritten += n
	}
	q.byCount.update(t)
	q.byBytes.update(t)
}

// enqueue makes an entry the last of those of its kind that are to be written now.
func (t *tenant) enqueue(e *entry, q *queue) {
	if e.written {
		t.again = append(t.again, e)
	} else {
		t.fresh = append(t.fresh, e)
	}
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
	for added.unwritten > q.perNamespace && q.evict(dropNamespace, &added.fresh) {
	}
	for len(q.entries) > q.total && q.evictFrom(q.byCount.largest(added), dropTotal) {
	}
	for q.bytes > q.maxBytes && q.evictFrom(q.byBytes.largest(added), dropBytes) {
	}
}

// evictFrom takes out the entry of a namespace that is missed least: of one that was written before, only a count is lost.
// It returns false if all that is there is just being written.
func (q *queue) evictFrom(t *tenant, reason string) bool {
	return q.evict(reason, &t.resting) || q.evict(reason, &t.again) || q.evict(reason, &t.fresh)
}

// evict takes out the last entry of a list, and returns false if there is none.
func (q *queue) evict(reason string, list *[]*entry) bool {
	last := len(*list) - 1
	if last < 0 {
		return false
	}
	e := (*list)[last]
	*list = slices.Delete(*list, last, last+1)
	q.dropped(reason, e.count)
	q.remove(e)
	return true
}

// remove removes an entry that is in no list of its namespace any more.
func (q *queue) remove(e *entry) {
	delete(q.entries, e.record.Name)
	q.weigh(e, -1)
	if t := e.tenant; t.entries == 0 {
		delete(q.tenants, t.namespace)
		q.byCount.remove(t)
		q.byBytes.remove(t)
	}
}

// release has written again what was written an interval before now and tried since.
func (q *queue) release(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lately.release(now)
	for _, t := range q.tenants {
		t.resting = slices.DeleteFunc(t.resting, func(e *entry) bool {
			due := !e.due.After(now)
			if due {
				t.enqueue(e, q)
			}
			return due
		})
	}
}

// take returns the next record to write, its entry, and false if nothing is to be written now. Namespaces take turns. The
// entry is to be given back with rest or retry.
func (q *queue) take() (*entry, auditv1alpha1.Rejection, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.rotation) > 0 {
		t := q.rotation[0]
		q.rotation, t.rotates = slices.Delete(q.rotation, 0, 1), false
		list := &t.fresh
		if len(*list) == 0 {
			list = &t.again
		}
		if len(*list) == 0 {
			continue // its entries were dropped
		}
		e := (*list)[0]
		*list = slices.Delete(*list, 0, 1)
		if len(t.fresh)+len(t.again) > 0 {
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
	due := now.Add(q.interval)
	q.lately.add(e.record.Name, due)
	if e.count == 0 {
		q.remove(e)
		return
	}
	q.weigh(e, -1)
	e.written, e.due = true, due
	q.weigh(e, 1)
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
	return len(q.entries)
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
