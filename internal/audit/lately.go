package audit

import (
	"slices"
	"time"
)

// mostRemembered bounds the names that one sink's queue remembers, at about 100 bytes each: those of 600 new records a
// second for the minute between two writes of one. Of what is forgotten the next try is written at once.
const mostRemembered = 40_000

// lately remembers the names that were written less than an interval ago, and when each may be written again.
type lately struct {
	due   map[string]time.Time
	names []string // the one that is due first is first
}

// add remembers a name that it does not know, and is due no earlier than all that it knows.
func (l *lately) add(name string, due time.Time) {
	if len(l.names) == mostRemembered {
		l.forget(mostRemembered / 10)
	}
	l.due[name] = due
	l.names = append(l.names, name)
}

// release forgets the names that are due.
func (l *lately) release(now time.Time) {
	due := slices.IndexFunc(l.names, func(name string) bool { return l.due[name].After(now) })
	if due < 0 {
		due = len(l.names)
	}
	l.forget(due)
}

// forget forgets the first n names.
func (l *lately) forget(n int) {
	for _, name := range l.names[:n] {
		delete(l.due, name)
	}
	l.names = slices.Delete(l.names, 0, n)
}
