package audit

import (
	"github.com/prometheus/client_golang/prometheus"

	auditv1alpha1 "plainspec.dev/plainspec/api/audit/v1alpha1"
)

// Why tries are dropped: values of a label.
const (
	dropNamespace = "namespace_full"
	dropTotal     = "full"
	dropBytes     = "memory"
	dropRefused   = "refused"
	dropShutdown  = "shutdown"
)

// metrics say what becomes of records. They count tries, as records do.
type metrics struct {
	registerer  prometheus.Registerer
	recorded    *prometheus.CounterVec
	dropped     *prometheus.CounterVec
	errors      *prometheus.CounterVec
	lastSuccess *prometheus.GaugeVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		registerer: registerer,
		recorded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plainspec_rejections_recorded_total", Help: "Tries that were recorded, by outcome.",
		}, []string{"outcome"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plainspec_rejections_dropped_total", Help: "Tries that a sink will never show, by reason.",
		}, []string{"sink", "reason"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plainspec_rejections_write_errors_total", Help: "Records that could not be written; they are tried again unless they count as dropped.",
		}, []string{"sink"}),
		lastSuccess: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "plainspec_rejections_last_write_timestamp_seconds", Help: "When a record was last written, as Unix time; 0 if none has been.",
		}, []string{"sink"}),
	}
	for _, c := range []prometheus.Collector{m.recorded, m.dropped, m.errors, m.lastSuccess} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	// A series that is not there cannot rise, and an alert on its rise would miss the first.
	for _, outcome := range []auditv1alpha1.Outcome{auditv1alpha1.OutcomeDenied, auditv1alpha1.OutcomeObserved, auditv1alpha1.OutcomeBypassed} {
		m.recorded.WithLabelValues(string(outcome))
	}
	return m, nil
}

// sinkMetrics are those of one sink.
type sinkMetrics struct {
	dropped     *prometheus.CounterVec // by reason
	errors      prometheus.Counter
	lastSuccess prometheus.Gauge
}

// of returns the metrics of a sink, whose waiting records pending counts.
func (m *metrics) of(sink string, pending func() int) (*sinkMetrics, error) {
	err := m.registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "plainspec_rejections_pending", Help: "Records that wait to be written.", ConstLabels: prometheus.Labels{"sink": sink},
	}, func() float64 { return float64(pending()) }))
	if err != nil {
		return nil, err
	}
	dropped := m.dropped.MustCurryWith(prometheus.Labels{"sink": sink})
	for _, reason := range []string{dropNamespace, dropTotal, dropBytes, dropRefused, dropShutdown} {
		dropped.WithLabelValues(reason)
	}
	return &sinkMetrics{dropped: dropped, errors: m.errors.WithLabelValues(sink), lastSuccess: m.lastSuccess.WithLabelValues(sink)}, nil
}
