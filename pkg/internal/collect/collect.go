// Package collect helps to export counters that a program keeps as plain numbers: it costs
// nothing to count, and everything else happens when Prometheus scrapes.
//
// Embed a [Set] in a type, fill it with [Set.Counter], [Set.Gauge] and [Set.Histogram], and
// write the type's Collect method with [Metric.Send] and [Metric.SendHistogram].
package collect

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Set is the metrics of one collector. Its names begin with Prefix.
type Set struct {
	Prefix string
	descs  []*prometheus.Desc
}

// Metric is one metric of a Set.
type Metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func (s *Set) metric(kind prometheus.ValueType, name, help string, labels []string) Metric {
	m := Metric{prometheus.NewDesc(s.Prefix+name, help, labels, nil), kind}
	s.descs = append(s.descs, m.desc)
	return m
}

// Counter adds a counter with those labels.
func (s *Set) Counter(name, help string, labels ...string) Metric {
	return s.metric(prometheus.CounterValue, name, help, labels)
}

// Gauge adds a gauge.
func (s *Set) Gauge(name, help string, labels ...string) Metric {
	return s.metric(prometheus.GaugeValue, name, help, labels)
}

// Histogram adds a histogram, which SendHistogram or SendSummary exports.
func (s *Set) Histogram(name, help string, labels ...string) Metric {
	return s.metric(prometheus.UntypedValue, name, help, labels)
}

// Describe implements [prometheus.Collector].
func (s *Set) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range s.descs {
		ch <- d
	}
}

// Send exports one value. The labels have the order in which the metric got them.
func (m Metric) Send(ch chan<- prometheus.Metric, value float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
}

// SendHistogram exports what was counted in the buckets below each of bounds. counts has one
// number more, for what is above the last bound. sum is the sum of all values.
func (m Metric) SendHistogram(ch chan<- prometheus.Metric, bounds []float64, counts []uint64, sum float64, labels ...string) {
	cumulative := make(map[float64]uint64, len(bounds))
	total := uint64(0)
	for i, bound := range bounds {
		total += counts[i]
		cumulative[bound] = total
	}
	ch <- prometheus.MustNewConstHistogram(m.desc, total+counts[len(bounds)], sum, cumulative, labels...)
}

// SendSummary exports the number and the sum of the values of a histogram, without its buckets.
func (m Metric) SendSummary(ch chan<- prometheus.Metric, count uint64, sum float64, labels ...string) {
	ch <- prometheus.MustNewConstSummary(m.desc, count, sum, nil, labels...)
}

// Bucket returns the index of the bucket of d: of the first of bounds, in seconds, that is not
// below it, or len(bounds).
func Bucket(bounds []float64, d time.Duration) int {
	seconds, i := d.Seconds(), 0
	for i < len(bounds) && seconds > bounds[i] {
		i++
	}
	return i
}

// Flag returns 1 for true and 0 for false.
func Flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
