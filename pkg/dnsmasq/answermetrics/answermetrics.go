// Package answermetrics exports dnscache's answers to clients: how many, by where they
// came from and by rcode, and how long the clients waited. Use [New], then
// [Metrics.Collect] at each scrape.
package answermetrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
)

// Metrics are the descriptions of the metrics.
type Metrics struct {
	answers, duration *prometheus.Desc
}

// New returns the metrics whose names begin with prefix.
func New(prefix string) *Metrics {
	return &Metrics{
		answers: prometheus.NewDesc(prefix+"answers_total", "Answers to clients, by where they came from and by rcode.", []string{"source", "rcode"}, nil),
		duration: prometheus.NewDesc(prefix+"answer_duration_seconds",
			"Time from reading a query to handing over its answer. Of the answers that are given at once, one in 16 is measured.", []string{"source"}, nil),
	}
}

// Collect sends what a forwarder counted.
func (m *Metrics) Collect(ch chan<- prometheus.Metric, a *forwarder.Answers) {
	bounds := forwarder.DurationBounds()
	for s := range forwarder.Sources {
		name := s.String()
		for slot, n := range a.Count[s] {
			ch <- prometheus.MustNewConstMetric(m.answers, prometheus.CounterValue, float64(n), name, forwarder.RcodeSlotName(slot))
		}
		buckets, total := make(map[float64]uint64, len(bounds)), uint64(0)
		for i, bound := range bounds {
			total += a.Durations[s][i]
			buckets[bound] = total
		}
		total += a.Durations[s][len(bounds)]
		ch <- prometheus.MustNewConstHistogram(m.duration, total, a.Sum[s].Seconds(), buckets, name)
	}
}
