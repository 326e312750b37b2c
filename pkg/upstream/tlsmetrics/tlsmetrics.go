// Package tlsmetrics exports metrics of connections to upstream servers over TLS, the same
// for all programs. Call [New] with the program's set of metrics, and at each scrape
// [Metrics.Collect] for each server.
package tlsmetrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/internal/collect"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// Metrics are the metrics of one program.
type Metrics struct{ handshakes, failures, seconds, open, expiry collect.Metric }

// New adds the metrics to set.
func New(set *collect.Set) *Metrics {
	return &Metrics{
		handshakes: set.Counter("tls_handshakes_total", "TLS handshakes with an upstream server, by result: full, resumed or failed.", "server", "result"),
		failures:   set.Counter("tls_failures_total", "Connections to an upstream server over TLS that failed before they brought an answer, by reason.", "server", "reason"),
		seconds:    set.Histogram("tls_handshake_seconds", "Time for the connection to an upstream server and the TLS handshake.", "server"),
		open:       set.Gauge("tls_connections", "Open connections to an upstream server over TLS.", "server"),
		expiry:     set.Gauge("tls_certificate_expiry_timestamp_seconds", "When the first certificate of an upstream server's chain expires, as Unix time.", "server"),
	}
}

// Collect sends the metrics of one server to ch. It sends nothing for a server that is asked
// in clear text.
func (m *Metrics) Collect(ch chan<- prometheus.Metric, server string, t *upstream.TLSStats) {
	if t == nil {
		return
	}
	m.handshakes.Send(ch, float64(t.Full), server, "full")
	m.handshakes.Send(ch, float64(t.Resumed), server, "resumed")
	m.handshakes.Send(ch, float64(t.Failed), server, "failed")
	for i, reason := range upstream.TLSReasons {
		m.failures.Send(ch, float64(t.Failures[i]), server, reason)
	}
	m.seconds.SendHistogram(ch, upstream.HandshakeBuckets[:], t.Seconds[:], t.Sum.Seconds(), server)
	m.open.Send(ch, float64(t.Open), server)
	if !t.Expiry.IsZero() {
		m.expiry.Send(ch, float64(t.Expiry.Unix()), server)
	}
}
