package webhook

import (
	"github.com/prometheus/client_golang/prometheus"

	"plainspec.dev/plainspec/internal/mutate"
	"plainspec.dev/plainspec/internal/validate"
)

// metrics count what was decided.
type metrics struct {
	findings  *prometheus.CounterVec
	reviews   *prometheus.CounterVec
	undecided prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plainspec_findings_total", Help: "Findings of reviews, by rule and mode.",
		}, []string{"rule", "mode"}),
		reviews: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plainspec_reviews_total", Help: "Reviews, by result: admitted, denied, or skipped with the reason.",
		}, []string{"result", "reason"}),
		undecided: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plainspec_reviews_undecided_total", Help: "Reviews that ended without a decision.",
		}),
	}
	for _, c := range []prometheus.Collector{m.findings, m.reviews, m.undecided} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) count(d *validate.Decision) {
	switch {
	case d.Skipped != validate.SkipNone:
		m.reviews.WithLabelValues("skipped", string(d.Skipped)).Inc()
	case d.Allowed():
		m.reviews.WithLabelValues("admitted", "").Inc()
	default:
		m.reviews.WithLabelValues("denied", "").Inc()
	}
	for i := range d.Judgements {
		m.findings.WithLabelValues(d.Judgements[i].Code, string(d.Judgements[i].Mode)).Inc()
	}
}

// completionMetrics count what was completed.
type completionMetrics struct {
	completions *prometheus.CounterVec
	skipped     *prometheus.CounterVec
	failed      prometheus.Counter
}

func newCompletionMetrics(registerer prometheus.Registerer) (*completionMetrics, error) {
	m := &completionMetrics{
		completions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plainspec_completions_total", Help: "What objects were completed with, or left without though somebody asked for it.",
		}, []string{"what", "outcome"}),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plainspec_completions_skipped_total", Help: "Objects that were not looked at, by reason.",
		}, []string{"reason"}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plainspec_completions_failed_total", Help: "Objects that were left as they are because of an error.",
		}),
	}
	for _, c := range []prometheus.Collector{m.completions, m.skipped, m.failed} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *completionMetrics) count(r *mutate.Result) {
	if r.Skipped != mutate.SkipNone {
		m.skipped.WithLabelValues(string(r.Skipped)).Inc()
	}
	for i := range r.Done {
		m.completions.WithLabelValues(r.Done[i].What, "completed").Inc()
	}
	for i := range r.Left {
		m.completions.WithLabelValues(r.Left[i].What, "left").Inc()
	}
}
