package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/internal/collect"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/upstream/tlsmetrics"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// stateMetrics reads the numbers of records in a tree and the counters of upstream servers at
// each scrape. Its fields do not change.
type stateMetrics struct {
	counts  func() treecache.Counts // returns the numbers of records
	forward func() forwarder.Stats  // returns the counters of the forwarder

	collect.Set // the metrics below
	// The metrics of the tree.
	services, records collect.Metric
	// wrong counts replies that match no question.
	wrong collect.Metric
	// The metrics of each upstream server.
	sent, retried, serverFailed, nxdomain, latency, down collect.Metric
	// tls holds the metrics of upstream servers that are asked over TLS.
	tls *tlsmetrics.Metrics
}

// NewState returns the metrics of the tree and of the upstream servers, as the two functions
// return them.
func NewState(counts func() treecache.Counts, forward func() forwarder.Stats) prometheus.Collector {
	m := &stateMetrics{counts: counts, forward: forward}
	m.Prefix = "kubedns_"
	m.services = m.Gauge("services_with_records", "Services that have at least one DNS record.")
	m.records = m.Gauge("records", "Records held in memory, by kind. Records computed for each query are not counted.", "kind")
	m.Prefix = "kubedns_forward_"
	m.wrong = m.Counter("wrong_replies_total", "Packets from upstream servers that match no query in flight.")
	m.Prefix = "kubedns_forward_server_"
	m.sent = m.Counter("queries_total", "Queries sent to an upstream server, retries included.", "server")
	m.retried = m.Counter("retries_total", "Queries sent to an upstream server again.", "server")
	m.serverFailed = m.Counter("failures_total", "Queries that an upstream server failed to answer: SERVFAIL, REFUSED, a malformed reply, or none.", "server")
	m.nxdomain = m.Counter("nxdomain_total", "NXDOMAIN answers from an upstream server.", "server")
	m.latency = m.Histogram("latency_seconds", "Time until an upstream server answered.", "server")
	m.down = m.Gauge("down", "1 while an upstream server does not answer and is only probed.", "server")
	m.tls = tlsmetrics.New(&m.Set)
	return m
}

// Collect implements prometheus.Collector.
func (m *stateMetrics) Collect(ch chan<- prometheus.Metric) {
	c := m.counts()
	m.services.Send(ch, float64(c.Owners))
	m.records.Send(ch, float64(c.Addresses), "address")
	m.records.Send(ch, float64(c.Services), "service")
	m.records.Send(ch, float64(c.Aliases), "alias")
	m.records.Send(ch, float64(c.Reverse), "reverse")
	f := m.forward()
	m.wrong.Send(ch, float64(f.Upstream.WrongReplies))
	for i := range f.Upstream.Servers {
		s := &f.Upstream.Servers[i]
		name := s.Label
		m.sent.Send(ch, float64(s.Sent), name)
		m.retried.Send(ch, float64(s.Retried), name)
		m.serverFailed.Send(ch, float64(s.Failed), name)
		m.nxdomain.Send(ch, float64(s.NXDomain), name)
		m.down.Send(ch, collect.Flag(s.Down), name)
		m.latency.SendHistogram(ch, upstream.LatencyBounds(), s.Latency[:], s.LatencySum.Seconds(), name)
		m.tls.Collect(ch, name, s.TLS)
	}
}

var _ prometheus.Collector = (*stateMetrics)(nil)

// NewBuildInfo returns a metric that is always 1, with labels for the versions of the program
// and of Go.
func NewBuildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "kubedns_build_info",
		Help:        "Always 1; the labels show what is running.",
		ConstLabels: prometheus.Labels{"version": version.String(), "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}
