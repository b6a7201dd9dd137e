package audit

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
)

// pause is the time between two looks at what is to be written: long enough that the tries of a quick controller are one
// write, short enough that who was refused finds the record.
const pause = time.Second

// patience is the time between two tries of a sink that fails. It ends at half a minute, jitter included three quarters:
// soon enough for who looks up a refusal after an outage, and seldom enough for a server that cannot serve.
var patience = wait.Backoff{Duration: pause, Factor: 2, Jitter: 0.5, Steps: 10, Cap: 30 * time.Second}

// writer writes what waits to one sink.
type writer struct {
	sink     Sink
	queue    *queue
	metrics  *sinkMetrics
	log      logr.Logger
	shutdown time.Duration
	failing  bool
}

func newWriter(sink Sink, o *Options, m *metrics) (w *writer, err error) {
	q := &queue{
		perNamespace: o.PerNamespace, total: o.Total, maxBytes: o.Bytes, interval: o.Interval,
	}
	q.reset()
	w = &writer{sink: sink, queue: q, log: o.Logger.WithValues("sink", sink.Name()), shutdown: o.Shutdown}
	if w.metrics, err = m.of(sink.Name(), q.pending); err != nil {
		return nil, err
	}
	q.dropped = func(reason string, tries int64) { w.metrics.dropped.WithLabelValues(reason).Add(float64(tries)) }
	return w, nil
}

// run writes until ctx ends, and then until all is written or the time for it is over.
func (w *writer) run(ctx context.Context) {
	// A write under way when ctx ends is let finish.
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(w.shutdown, stop) })()
	backoff := patience
	for ctx.Err() == nil {
		next := time.Now().Add(pause)
		if err := w.round(writing, time.Now(), next); err != nil {
			next = time.Now().Add(backoff.Step())
		} else {
			backoff = patience
		}
		sleep(ctx, time.Until(next))
	}
	backoff = patience
	for writing.Err() == nil && w.round(writing, time.Now().Add(w.queue.interval), time.Now().Add(w.shutdown)) != nil {
		sleep(writing, backoff.Step())
	}
	if tries := w.queue.abandon(); tries > 0 {
		w.log.Info("records are lost: they could not be written before the end", "tries", tries)
	}
}

// sleep waits for a time, or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}

// round writes what is due at a time, until nothing is, or until the round's end. It returns the error that ended it
// early.
func (w *writer) round(ctx context.Context, due, end time.Time) error {
	w.queue.release(due)
	var refused error
	written := false
	for time.Now().Before(end) {
		e, record, ok := w.queue.take()
		if !ok {
			break
		}
		err := w.sink.Write(ctx, &record)
		switch {
		case err == nil:
			written = true
			w.metrics.lastSuccess.SetToCurrentTime()
		case errors.Is(err, ErrRefused):
			refused = err
			w.metrics.errors.Inc()
			w.queue.dropped(dropRefused, record.Count)
		default:
			w.metrics.errors.Inc()
			w.queue.retry(e, &record)
			w.report(err)
			return err
		}
		w.queue.rest(e, time.Now())
	}
	if written || refused != nil {
		w.report(refused)
	}
	return nil
}

// report logs when the sink begins to fail, and when it has recovered.
func (w *writer) report(err error) {
	switch {
	case err != nil && !w.failing:
		w.log.Error(err, "records cannot be written, those that fit the bounds wait", "pending", w.queue.pending())
	case err == nil && w.failing:
		w.log.Info("records are written again")
	}
	w.failing = err != nil
}
