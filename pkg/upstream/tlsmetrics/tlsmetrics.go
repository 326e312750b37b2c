// Package tlsmetrics exports what is known of connections to upstream servers over
// TLS, alike for all programs. Use [New] with the program's prefix, then
// [Metrics.Collect] for each server.
package tlsmetrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// Metrics are the descriptions of one program's metrics.
type Metrics struct {
	handshakes, failures, seconds, open, expiry *prometheus.Desc
}

// New returns the metrics whose names begin with prefix.
func New(prefix string) *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help, append([]string{"server"}, labels...), nil)
	}
	return &Metrics{
		handshakes: desc("tls_handshakes_total", "TLS handshakes with an upstream server, by result: full, resumed or failed.", "result"),
		failures:   desc("tls_failures_total", "Connections to an upstream server over TLS that failed before they brought an answer, by reason.", "reason"),
		seconds:    desc("tls_handshake_seconds", "Time for the connection to an upstream server and the TLS handshake."),
		open:       desc("tls_connections", "Open connections to an upstream server over TLS."),
		expiry:     desc("tls_certificate_expiry_timestamp_seconds", "When the first certificate of an upstream server's chain expires, as Unix time."),
	}
}

// Describe sends all descriptions.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.handshakes, m.failures, m.seconds, m.open, m.expiry} {
		ch <- d
	}
}

// Collect sends what is known of a server, nothing if it is asked in clear text.
func (m *Metrics) Collect(ch chan<- prometheus.Metric, server string, t *upstream.TLSStats) {
	if t == nil {
		return
	}
	counter := func(d *prometheus.Desc, n uint64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), server, label)
	}
	counter(m.handshakes, t.Full, "full")
	counter(m.handshakes, t.Resumed, "resumed")
	counter(m.handshakes, t.Failed, "failed")
	for i, reason := range upstream.TLSReasons {
		counter(m.failures, t.Failures[i], reason)
	}
	buckets := make(map[float64]uint64, len(t.Seconds))
	for i, bound := range upstream.HandshakeBuckets {
		buckets[bound] = t.Seconds[i]
	}
	ch <- prometheus.MustNewConstHistogram(m.seconds, t.Full+t.Resumed, t.Sum.Seconds(), buckets, server)
	ch <- prometheus.MustNewConstMetric(m.open, prometheus.GaugeValue, float64(t.Open), server)
	if !t.Expiry.IsZero() {
		ch <- prometheus.MustNewConstMetric(m.expiry, prometheus.GaugeValue, float64(t.Expiry.Unix()), server)
	}
}
