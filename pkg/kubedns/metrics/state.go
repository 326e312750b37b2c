package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
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

	// Descriptions of the metrics of the tree.
	services, records *prometheus.Desc
	// Description of the metric of replies that match no question.
	wrong *prometheus.Desc
	// Descriptions of the metrics of each upstream server.
	sent, retried, serverFailed, nxdomain, latency, down *prometheus.Desc
	// tls has the metrics of each upstream server that is asked over TLS.
	tls *tlsmetrics.Metrics
}

// NewState returns the metrics of the records in a tree and of upstream servers.
func NewState(counts func() treecache.Counts, forward func() forwarder.Stats) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("kubedns_"+name, help, labels, nil)
	}
	return &stateMetrics{
		counts: counts, forward: forward,
		services: desc("services_with_records", "Services that have at least one DNS record."),
		records:  desc("records", "Records held in memory, by kind. Records computed for each query are not counted.", "kind"),

		wrong: desc("forward_wrong_replies_total", "Packets from upstream servers that match no query in flight."),

		sent:         desc("forward_server_queries_total", "Queries sent to an upstream server, retries included.", "server"),
		retried:      desc("forward_server_retries_total", "Queries sent to an upstream server again.", "server"),
		serverFailed: desc("forward_server_failures_total", "Queries that an upstream server failed to answer: SERVFAIL, REFUSED, a malformed reply, or none.", "server"),
		nxdomain:     desc("forward_server_nxdomain_total", "NXDOMAIN answers from an upstream server.", "server"),
		latency:      desc("forward_server_latency_seconds", "Time until an upstream server answered.", "server"),
		down:         desc("forward_server_down", "1 while an upstream server does not answer and is only probed.", "server"),
		tls:          tlsmetrics.New("kubedns_forward_server_"),
	}
}

// Describe implements prometheus.Collector.
func (m *stateMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.services, m.records, m.wrong,
		m.sent, m.retried, m.serverFailed, m.nxdomain, m.latency, m.down,
	} {
		ch <- d
	}
	m.tls.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *stateMetrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	c := m.counts()
	gauge(m.services, c.Owners)
	gauge(m.records, c.Addresses, "address")
	gauge(m.records, c.Services, "service")
	gauge(m.records, c.Aliases, "alias")
	gauge(m.records, c.Reverse, "reverse")
	f := m.forward()
	counter(m.wrong, f.Upstream.WrongReplies)
	for i := range f.Upstream.Servers {
		s := &f.Upstream.Servers[i]
		name := s.Label
		counter(m.sent, s.Sent, name)
		counter(m.retried, s.Retried, name)
		counter(m.serverFailed, s.Failed, name)
		counter(m.nxdomain, s.NXDomain, name)
		down := 0
		if s.Down {
			down = 1
		}
		gauge(m.down, down, name)
		buckets := map[float64]uint64{}
		var n uint64
		for i, count := range s.Latency {
			n += count
			if i < upstream.LatencyBuckets-1 {
				buckets[(64 * time.Microsecond << i).Seconds()] = n
			}
		}
		ch <- prometheus.MustNewConstHistogram(m.latency, n, s.LatencySum.Seconds(), buckets, name)
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
