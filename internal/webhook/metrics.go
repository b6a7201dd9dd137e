package webhook

import (
	"github.com/prometheus/client_golang/prometheus"

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
