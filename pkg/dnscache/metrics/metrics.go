package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/answermetrics"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/upstream/tlsmetrics"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// collector reads the counters when it is scraped, so that counting costs
// nothing else.
type collector struct {
	counters func() *Counters
	descs    []metric
}

// metric is one metric without labels.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(c *Counters) float64
}

var _ prometheus.Collector = (*collector)(nil)

// newCollector returns a collector of what the function returns.
func newCollector(c func() *Counters) *collector {
	return &collector{counters: c, descs: metrics()}
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counts := c.counters()
	for _, m := range c.descs {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(counts))
	}
	answermetrics.New("dnscache_").Collect(ch, &counts.forward.Answers)
	drops(ch, counts)
	queries(ch, counts)
	completions(ch, counts)
	servers(ch, counts)
}

// metrics lists what is exported. The names that begin with kubedns_dnsmasq are
// those of the sidecar that watched dnsmasq.
func metrics() []metric {
	list := make([]metric, 0, 24)
	add := func(kind prometheus.ValueType, help string, value func(*Counters) float64, names ...string) {
		for _, name := range names {
			list = append(list, metric{prometheus.NewDesc(name, help, nil, nil), kind, value})
		}
	}
	counter, gauge := prometheus.CounterValue, prometheus.GaugeValue
	add(counter, "Queries answered without asking an upstream server.", func(c *Counters) float64 { return float64(c.hits) },
		"dnscache_hits_total", "kubedns_dnsmasq_hits")
	add(counter, "Queries for which an upstream server was asked.", func(c *Counters) float64 { return float64(c.misses) },
		"dnscache_misses_total", "kubedns_dnsmasq_misses")
	add(counter, "Answers stored in the cache.", func(c *Counters) float64 { return float64(c.insertions) },
		"dnscache_insertions_total", "kubedns_dnsmasq_insertions")
	add(counter, "Answers removed from the cache before they expired, to make room.", func(c *Counters) float64 { return float64(c.evicts) },
		"dnscache_evictions_total", "kubedns_dnsmasq_evictions")
	add(gauge, "Maximum number of answers in the cache.", func(c *Counters) float64 { return float64(c.cacheSize) },
		"dnscache_cache_max_entries", "kubedns_dnsmasq_max_size")
	add(counter, "Always 0, because reading the statistics cannot fail in this program.", func(*Counters) float64 { return 0 },
		"kubedns_dnsmasq_errors")
	add(counter, "Queries answered from expired cache entries.", func(c *Counters) float64 { return float64(c.stale) },
		"dnscache_stale_answers_total")
	add(gauge, "Questions waiting for an upstream server's reply.", func(c *Counters) float64 { return float64(c.inFlight) },
		"dnscache_in_flight")
	forward := func(kind prometheus.ValueType, name, help string, value func(f *forwarder.Stats) float64) {
		add(kind, help, func(c *Counters) float64 { return value(&c.forward) }, name)
	}
	forward(gauge, "dnscache_waiting", "Queries waiting for the reply to an identical query.", func(f *forwarder.Stats) float64 { return float64(f.Waiting) })
	forward(counter, "dnscache_coalesced_total", "Queries answered by the reply to an identical query.", func(f *forwarder.Stats) float64 { return float64(f.Coalesced) })
	forward(counter, "dnscache_refreshes_total", "Questions sent to refresh expired cache entries.", func(f *forwarder.Stats) float64 { return float64(f.Refreshed) })
	forward(counter, "dnscache_purged_total", "Cached answers dropped because other servers are now asked about their names.", func(f *forwarder.Stats) float64 { return float64(f.Purged) })
	forward(counter, "dnscache_local_answers_total", "Queries answered from local data.", func(f *forwarder.Stats) float64 { return float64(f.Local) })
	forward(counter, "dnscache_failed_total", "Queries answered with SERVFAIL because no upstream server answered.", func(f *forwarder.Stats) float64 { return float64(f.Failed) })
	forward(counter, "dnscache_failed_again_total", "Queries answered from a remembered failure.", func(f *forwarder.Stats) float64 { return float64(f.FailedHits) })
	forward(gauge, "dnscache_cache_entries", "Answers in the cache.", func(f *forwarder.Stats) float64 { return float64(f.Cache.Entries) })
	forward(gauge, "dnscache_cache_bytes", "Memory used by the answers in the cache, in bytes.", func(f *forwarder.Stats) float64 { return float64(f.Cache.Bytes) })
	forward(gauge, "dnscache_cache_max_bytes", "The most memory that answers in the cache may use, in bytes.", func(f *forwarder.Stats) float64 { return float64(f.Cache.MaxBytes) })
	forward(counter, "dnscache_upstream_wrong_replies_total", "Packets from upstream servers that match no question in flight.", func(f *forwarder.Stats) float64 { return float64(f.Upstream.WrongReplies) })
	forward(counter, "dnscache_upstream_tcp_queries_total", "Questions sent over TCP because the reply over UDP was truncated.", func(f *forwarder.Stats) float64 { return float64(f.Upstream.TCPExchanges) })
	forward(counter, "dnscache_upstream_tcp_dials_total", "TCP connections to upstream servers that were opened, or tried.", func(f *forwarder.Stats) float64 { return float64(f.Upstream.TCPDials) })
	forward(gauge, "dnscache_upstream_tcp_connections", "Open TCP connections to upstream servers.", func(f *forwarder.Stats) float64 { return float64(f.Upstream.TCPConns) })
	add(gauge, "Open TCP connections from clients.", func(c *Counters) float64 { return float64(c.listener.TCPOpen) },
		"dnscache_tcp_connections")
	add(counter, "Queries whose handling crashed.", func(c *Counters) float64 { return float64(c.listener.Panics + c.forward.Panics) },
		"dnscache_panics_total")
	return list
}

// completions exports what became of the names that kubedns left to be completed.
func completions(ch chan<- prometheus.Metric, c *Counters) {
	desc := prometheus.NewDesc("dnscache_autopath_total",
		"Names that do not exist and for which kubedns named others to try (--autopath=all), by outcome.", []string{"outcome"}, nil)
	for i, n := range c.forward.Completions {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), forwarder.Completion(i).String())
	}
}

// dropped is how many messages or connections were dropped for a reason.
type dropped struct {
	reason string
	count  uint64
}

func dropReasons(c *Counters) []dropped {
	l := &c.listener
	return []dropped{
		{"udp_oversize", l.UDPOversize},
		{"udp_short", l.UDPShort},
		{"udp_receive_error", l.UDPReceiveErrors},
		{"udp_send_error", l.UDPSendErrors},
		{"udp_late", l.UDPLate},
		{"tcp_refused", l.TCPRefused},
		{"tcp_evicted", l.TCPEvicted},
		{"tcp_idle", l.TCPIdleClosed},
		{"tcp_unanswerable", l.TCPDropped},
		{"tcp_malformed", l.TCPMalformed},
		{"tcp_write_timeout", l.TCPWriteTimeouts},
		{"tcp_memory", l.TCPShed},
		{"tcp_accept_error", l.TCPAcceptErrors},
		{"tcp_late", l.TCPLate},
		{"reply_oversize", l.Oversize},
		{"over_limit", c.forward.OverLimit},
		{"made_room", c.forward.MadeRoom},
		{"rate_limit_udp", c.rates.UDP},
		{"rate_limit_tcp", c.rates.TCP},
		{"upstream_tcp_limit", c.forward.Upstream.TCPRefused},
		{"malformed", c.forward.Rejected[wire.Drop]},
		{"not_local", c.notLocal},
	}
}

// Descriptions of metrics with labels.
const (
	droppedHelp  = "Messages and connections dropped, by reason."
	rejectedHelp = "Queries answered with an error because they are malformed or of an unsupported kind, by verdict."
)

// rejections are the verdicts on queries that are answered with an error.
//
//nolint:gochecknoglobals // a constant table
var rejections = []wire.Verdict{wire.FormErr, wire.NotImp, wire.BadVers, wire.CookieOnly}

// drops exports queries and answers that were dropped, by reason.
func drops(ch chan<- prometheus.Metric, c *Counters) {
	desc := prometheus.NewDesc("dnscache_dropped_total", droppedHelp, []string{"reason"}, nil)
	for _, d := range dropReasons(c) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(d.count), d.reason)
	}
	desc = prometheus.NewDesc("dnscache_rejected_total", rejectedHelp, []string{"verdict"}, nil)
	for _, v := range rejections {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(c.forward.Rejected[v]), v.String())
	}
}

// queries exports the messages received.
func queries(ch chan<- prometheus.Metric, c *Counters) {
	desc := prometheus.NewDesc("dnscache_queries_total", "Messages received, by transport.", []string{"transport"}, nil)
	ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(c.listener.UDPQueries), "udp")
	ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(c.listener.TCPQueries), "tcp")
}

// servers exports what is known of each server.
func servers(ch chan<- prometheus.Metric, c *Counters) {
	label := []string{"server"}
	secure := tlsmetrics.New("dnscache_upstream_")
	sent := prometheus.NewDesc("dnscache_upstream_queries_total", "Questions sent to an upstream server.", label, nil)
	retried := prometheus.NewDesc("dnscache_upstream_retries_total", "Questions sent to an upstream server again.", label, nil)
	failed := prometheus.NewDesc("dnscache_upstream_failures_total", "Questions that got SERVFAIL, REFUSED, a malformed reply or none.", label, nil)
	nxdomain := prometheus.NewDesc("dnscache_upstream_nxdomain_total", "NXDOMAIN replies from an upstream server.", label, nil)
	miscased := prometheus.NewDesc("dnscache_upstream_case_changed_total", "Replies from an upstream server that do not repeat the question's upper and lower case.", label, nil)
	latency := prometheus.NewDesc("dnscache_upstream_latency_seconds", "Time from sending a question to the upstream server's reply.", label, nil)
	down := prometheus.NewDesc("dnscache_upstream_down", "1 while an upstream server counts as down and is only probed.", label, nil)
	for _, s := range c.servers {
		name := s.label
		ch <- prometheus.MustNewConstMetric(sent, prometheus.CounterValue, float64(s.sent), name)
		ch <- prometheus.MustNewConstMetric(retried, prometheus.CounterValue, float64(s.retried), name)
		ch <- prometheus.MustNewConstMetric(failed, prometheus.CounterValue, float64(s.failed), name)
		ch <- prometheus.MustNewConstMetric(nxdomain, prometheus.CounterValue, float64(s.nxdomain), name)
		ch <- prometheus.MustNewConstMetric(miscased, prometheus.CounterValue, float64(s.miscased), name)
		ch <- prometheus.MustNewConstHistogram(latency, s.answered, s.latencySum.Seconds(), s.latencies, name)
		isDown := 0.0
		if s.down {
			isDown = 1
		}
		ch <- prometheus.MustNewConstMetric(down, prometheus.GaugeValue, isDown, name)
		secure.Collect(ch, name, s.tls)
	}
}
