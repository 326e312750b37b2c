// Package answermetrics exports dnscache's answers to clients: how many, by where they
// came from and by rcode, and how long the clients waited. Use [New], then
// [Metrics.Collect] at each scrape.
package answermetrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/internal/collect"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Metrics are the metrics of one program.
type Metrics struct{ answers, duration collect.Metric }

// New adds the metrics to set.
func New(set *collect.Set) *Metrics {
	return &Metrics{
		answers: set.Counter("answers_total", "Answers to clients, by where they came from and by rcode.", "source", "rcode"),
		duration: set.Histogram("answer_duration_seconds",
			"Time from reading a query to handing over its answer. Of the answers that are given at once, one in 16 is measured.", "source"),
	}
}

// Collect sends what a forwarder counted.
func (m *Metrics) Collect(ch chan<- prometheus.Metric, a *forwarder.Answers) {
	bounds := forwarder.DurationBounds()
	for s := range forwarder.Sources {
		for slot, n := range a.Count[s] {
			m.answers.Send(ch, float64(n), s.String(), wire.RcodeSlotName(slot))
		}
		m.duration.SendHistogram(ch, bounds[:], a.Durations[s][:], a.Sum[s].Seconds(), s.String())
	}
}
