package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// collector reads the counters when it is scraped, so that counting costs
// nothing else.
type collector struct {
	counters func() *counters
	listener func() listener.Stats
	descs    []metric
}

// metric is one metric without labels.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(c *counters, l *listener.Stats) float64
}

var _ prometheus.Collector = (*collector)(nil)

// newCollector returns a collector of what the functions return.
func newCollector(c func() *counters, l func() listener.Stats) *collector {
	return &collector{counters: c, listener: l, descs: metrics()}
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counts, stats := c.counters(), c.listener()
	for _, m := range c.descs {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(counts, &stats))
	}
	drops(ch, counts, &stats)
	servers(ch, counts)
}

// metrics lists what is exported. The names that begin with kubedns_dnsmasq are
// those of the sidecar that watched dnsmasq.
func metrics() []metric {
	list := make([]metric, 0, 24)
	add := func(kind prometheus.ValueType, help string, value func(*counters, *listener.Stats) float64, names ...string) {
		for _, name := range names {
			list = append(list, metric{prometheus.NewDesc(name, help, nil, nil), kind, value})
		}
	}
	counter, gauge := prometheus.CounterValue, prometheus.GaugeValue
	add(counter, "Queries answered without asking a server.", func(c *counters, _ *listener.Stats) float64 { return float64(c.hits) },
		"dnscache_hits_total", "kubedns_dnsmasq_hits")
	add(counter, "Queries for which a server was asked.", func(c *counters, _ *listener.Stats) float64 { return float64(c.misses) },
		"dnscache_misses_total", "kubedns_dnsmasq_misses")
	add(counter, "Answers put into the cache.", func(c *counters, _ *listener.Stats) float64 { return float64(c.insertions) },
		"dnscache_insertions_total", "kubedns_dnsmasq_insertions")
	add(counter, "Answers that left the cache before their time to make room.", func(c *counters, _ *listener.Stats) float64 { return float64(c.evicts) },
		"dnscache_evictions_total", "kubedns_dnsmasq_evictions")
	add(gauge, "Largest number of answers in the cache.", func(c *counters, _ *listener.Stats) float64 { return float64(c.cacheSize) },
		"dnscache_cache_max_entries", "kubedns_dnsmasq_max_size")
	add(counter, "Always 0: reading the statistics cannot fail here.", func(*counters, *listener.Stats) float64 { return 0 },
		"kubedns_dnsmasq_errors")
	add(counter, "Queries answered with data that had ended.", func(c *counters, _ *listener.Stats) float64 { return float64(c.stale) },
		"dnscache_stale_answers_total")
	add(gauge, "Questions waiting for a server's answer.", func(c *counters, _ *listener.Stats) float64 { return float64(c.inFlight) },
		"dnscache_in_flight")
	forward := func(kind prometheus.ValueType, name, help string, value func(f *forwarder.Stats) float64) {
		add(kind, help, func(c *counters, _ *listener.Stats) float64 { return value(&c.forward) }, name)
	}
	forward(gauge, "dnscache_waiting", "Queries waiting for another one's answer.", func(f *forwarder.Stats) float64 { return float64(f.Waiting) })
	forward(counter, "dnscache_coalesced_total", "Queries answered with another one's answer from upstream.", func(f *forwarder.Stats) float64 { return float64(f.Coalesced) })
	forward(counter, "dnscache_refreshes_total", "Questions asked to renew data that had ended.", func(f *forwarder.Stats) float64 { return float64(f.Refreshed) })
	forward(counter, "dnscache_purged_total", "Cached answers dropped because other servers are now asked about their names.", func(f *forwarder.Stats) float64 { return float64(f.Purged) })
	forward(counter, "dnscache_local_answers_total", "Queries answered from local data.", func(f *forwarder.Stats) float64 { return float64(f.Local) })
	forward(counter, "dnscache_failed_total", "Queries answered with SERVFAIL because no server answered.", func(f *forwarder.Stats) float64 { return float64(f.Failed) })
	forward(counter, "dnscache_failed_again_total", "Queries answered with a failure that was remembered.", func(f *forwarder.Stats) float64 { return float64(f.FailedHits) })
	forward(gauge, "dnscache_cache_entries", "Answers in the cache.", func(f *forwarder.Stats) float64 { return float64(f.Cache.Entries) })
	forward(gauge, "dnscache_cache_bytes", "Memory that the answers in the cache take.", func(f *forwarder.Stats) float64 { return float64(f.Cache.Bytes) })
	forward(counter, "dnscache_upstream_wrong_replies_total", "Packets from servers that answered no question of ours.", func(f *forwarder.Stats) float64 { return float64(f.Upstream.WrongReplies) })
	forward(counter, "dnscache_upstream_tcp_queries_total", "Questions asked over TCP because an answer over UDP was truncated.", func(f *forwarder.Stats) float64 { return float64(f.Upstream.TCPExchanges) })
	forward(counter, "dnscache_upstream_tcp_dials_total", "TCP connections to servers that were begun.", func(f *forwarder.Stats) float64 { return float64(f.Upstream.TCPDials) })
	forward(gauge, "dnscache_upstream_tcp_connections", "TCP connections to servers.", func(f *forwarder.Stats) float64 { return float64(f.Upstream.TCPConns) })
	add(gauge, "Open TCP connections of clients.", func(_ *counters, l *listener.Stats) float64 { return float64(l.TCPOpen) },
		"dnscache_tcp_connections")
	add(counter, "Panics while answering; each was one query.", func(c *counters, l *listener.Stats) float64 { return float64(l.Panics + c.forward.Panics) },
		"dnscache_panics_total")
	return list
}

// drops exports queries and answers that were dropped, by reason.
func drops(ch chan<- prometheus.Metric, c *counters, l *listener.Stats) {
	desc := prometheus.NewDesc("dnscache_dropped_total", "Messages and connections dropped, by reason.", []string{"reason"}, nil)
	for _, d := range []struct {
		reason string
		count  uint64
	}{
		{"udp_oversize", l.UDPOversize},
		{"udp_short", l.UDPShort},
		{"udp_receive_error", l.UDPReceiveErrors},
		{"udp_send_error", l.UDPSendErrors},
		{"udp_late", l.UDPLate},
		{"tcp_refused", l.TCPRefused},
		{"tcp_evicted", l.TCPEvicted},
		{"tcp_idle", l.TCPIdleClosed},
		{"tcp_malformed", l.TCPMalformed},
		{"tcp_write_timeout", l.TCPWriteTimeouts},
		{"tcp_memory", l.TCPShed},
		{"tcp_accept_error", l.TCPAcceptErrors},
		{"tcp_late", l.TCPLate},
		{"reply_oversize", l.Oversize},
		{"over_limit", c.forward.OverLimit},
		{"made_room", c.forward.MadeRoom},
		{"upstream_tcp_limit", c.forward.Upstream.TCPRefused},
		{"malformed", c.forward.Rejected[wire.Drop]},
		{"not_local", c.notLocal},
	} {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(d.count), d.reason)
	}
	desc = prometheus.NewDesc("dnscache_rejected_total", "Queries answered with an error because of their form, by verdict.", []string{"verdict"}, nil)
	for _, v := range []wire.Verdict{wire.FormErr, wire.NotImp, wire.BadVers, wire.CookieOnly} {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(c.forward.Rejected[v]), v.String())
	}
	desc = prometheus.NewDesc("dnscache_queries_total", "Messages received, by transport.", []string{"transport"}, nil)
	ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(l.UDPQueries), "udp")
	ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(l.TCPQueries), "tcp")
}

// servers exports what is known of each server.
func servers(ch chan<- prometheus.Metric, c *counters) {
	label := []string{"server"}
	sent := prometheus.NewDesc("dnscache_upstream_queries_total", "Questions sent to a server.", label, nil)
	retried := prometheus.NewDesc("dnscache_upstream_retries_total", "Questions sent to a server once more.", label, nil)
	failed := prometheus.NewDesc("dnscache_upstream_failures_total", "Questions that a server did not answer well.", label, nil)
	nxdomain := prometheus.NewDesc("dnscache_upstream_nxdomain_total", "Answers of a server that there is no such name.", label, nil)
	miscased := prometheus.NewDesc("dnscache_upstream_case_changed_total", "Answers of a server that do not repeat the case of the question.", label, nil)
	latency := prometheus.NewDesc("dnscache_upstream_latency_seconds", "Time to a server's answer.", label, nil)
	down := prometheus.NewDesc("dnscache_upstream_down", "Whether a server is only asked now and then because it does not answer.", label, nil)
	for _, s := range c.servers {
		name := s.addr.String()
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
	}
}
