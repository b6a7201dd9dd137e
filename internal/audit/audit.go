// Package audit keeps the records of what was refused: it merges tries of the same thing, bounds what is kept of each
// tenant, and hands records to its sinks off the request's path.
package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// Sink keeps records. One goroutine at a time calls it.
type Sink interface {
	// Name tells sinks apart in metrics and logs, such as "log" or "rejections".
	Name() string
	// Write adds a record to what is kept under its name. Its count says how many tries have come since the last Write of
	// that name which succeeded, and its times when the first and the last of them came.
	//
	// After an error the record is written again later, with what has been tried meanwhile; after one that wraps
	// ErrRefused it is given up. Write ends when ctx does, and does not change what the record's fields refer to.
	Write(ctx context.Context, record *auditv1alpha1.Rejection) error
}

// ErrRefused is wrapped by the errors of a Sink about a record that it will never take, however often it is written.
var ErrRefused = errors.New("the record is refused")

// Options are what a Recorder is made of. Zero means the default.
type Options struct {
	// Sinks keep the records, each at its own pace: one that fails holds up no other. Without any, records are counted only.
	Sinks []Sink
	// PerNamespace bounds the records of one tenant namespace that a sink has never written. Default 100, as many as are
	// kept of it in the cluster.
	PerNamespace int
	// Total bounds all records that a sink has yet to write. Default 10,000.
	Total int
	// Bytes bounds the memory that they take. Default 32 MiB: 10,000 records of the usual 2 to 3 KiB, or 1,000 as large as
	// a record can be. Sinks share a record's memory.
	Bytes int
	// Interval is the least time between two writes of one record. Default one minute. A new record is written within a
	// second or two.
	Interval time.Duration
	// Shutdown is how long Run goes on when it is to end, to write what is left. Default ten seconds.
	Shutdown time.Duration
	// Registerer takes the metrics, Logger is told of sinks that fail and recover.
	Registerer prometheus.Registerer
	Logger     logr.Logger
}

func (o *Options) setDefaults() {
	if o.PerNamespace == 0 {
		o.PerNamespace = auditv1alpha1.KeptPerNamespace
	}
	if o.Total == 0 {
		o.Total = 10_000
	}
	if o.Bytes == 0 {
		o.Bytes = 32 << 20
	}
	if o.Interval == 0 {
		o.Interval = time.Minute
	}
	if o.Shutdown == 0 {
		o.Shutdown = 10 * time.Second
	}
}

// Recorder takes records from many requests at once, and writes them to its sinks while it runs.
type Recorder struct {
	writers  []*writer
	recorded *prometheus.CounterVec
}

// New returns a Recorder. It is an error if two sinks share a name, or if its metrics are registered already.
func New(o Options) (*Recorder, error) {
	o.setDefaults()
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	r := &Recorder{recorded: m.recorded}
	for _, sink := range o.Sinks {
		w, err := newWriter(sink, &o, m)
		if err != nil {
			return nil, fmt.Errorf("add sink %q: %w", sink.Name(), err)
		}
		r.writers = append(r.writers, w)
	}
	return r, nil
}

// Record takes one record, which nobody may change afterwards. It waits for nothing and makes no call. Records of one name
// are merged.
func (r *Recorder) Record(record *auditv1alpha1.Rejection) {
	r.recorded.WithLabelValues(string(record.Outcome)).Add(float64(record.Count))
	for _, w := range r.writers {
		w.queue.add(record)
	}
}

// Run writes records until ctx ends, and then what is left, for Options.Shutdown at most. What could not be written then
// is logged and counted as dropped. It returns no error.
func (r *Recorder) Run(ctx context.Context) error {
	var group errgroup.Group
	for _, w := range r.writers {
		group.Go(func() error {
			w.run(ctx)
			return nil
		})
	}
	return group.Wait()
}
