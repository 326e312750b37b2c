package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/internal/collect"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/upstream/tlsmetrics"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// MaxEssential is the largest number of series in the essential set, including those of a
// node's cache and of the ConfigMap. The set is small because a cluster may have thousands of
// nodes.
const MaxEssential = 40

// essentialNames are the metrics without labels that are also in the essential set.
//
//nolint:gochecknoglobals // a constant table
var essentialNames = []string{
	"dnscache_hits_total", "dnscache_misses_total", "dnscache_insertions_total", "dnscache_evictions_total",
	"dnscache_cache_entries", "dnscache_cache_bytes", "dnscache_stale_answers_total", "dnscache_in_flight", "dnscache_failed_total",
	"dnscache_panics_total", "dnscache_tcp_connections", "dnscache_upstream_wrong_replies_total",
}

// collector reads the counters at each scrape, so that nothing but counting costs time on the
// path of a query.
type collector struct {
	counters  func() *Counters // returns the current counters
	essential bool             // export sums, without series for each server, source, reason and bucket
	set       collect.Set      // the metrics below
	plain     []plainMetric    // the metrics without labels
	answers   collect.Metric   // answers to clients, by source and rcode
	duration  collect.Metric   // time until an answer, by source
	dropped   collect.Metric   // messages and connections dropped, by reason
	rejected  collect.Metric   // queries answered with an error, by verdict
	queries   collect.Metric   // messages received, by transport
	completed collect.Metric   // names that dnscache completed for kubedns, by outcome

	sent, retried, failed, nxdomain, miscased, latency, down collect.Metric      // metrics of each server
	tls                                                      *tlsmetrics.Metrics // metrics of each server
}

// plainMetric is one metric without labels.
type plainMetric struct {
	collect.Metric
	value func(c *Counters) float64
}

// newCollector returns a collector that exports what counters returns. If essential is true, it
// exports the essential set.
func newCollector(counters func() *Counters, essential bool) *collector {
	c := &collector{counters: counters, essential: essential}
	c.addPlain()
	set := &c.set
	set.Prefix = "dnscache_"
	c.answers = set.Counter("answers_total", "Answers to clients, by where they came from and by rcode.", "source", "rcode")
	c.duration = set.Histogram("answer_duration_seconds",
		"Time from reading a query to handing over its answer. Of the answers that are given at once, one in 16 is measured.", "source")
	c.dropped = set.Counter("dropped_total", "Messages and connections dropped, by reason.", "reason")
	c.rejected = set.Counter("rejected_total", "Queries answered with an error because they are malformed or of an unsupported kind, by verdict.", "verdict")
	c.queries = set.Counter("queries_total", "Messages received, by transport.", "transport")
	c.completed = set.Counter("autopath_total", "Names that do not exist and for which kubedns named others to try (--autopath=all), by outcome.", "outcome")
	set.Prefix = "dnscache_upstream_"
	c.sent = set.Counter("queries_total", "Questions sent to an upstream server.", "server")
	c.retried = set.Counter("retries_total", "Questions sent to an upstream server again.", "server")
	c.failed = set.Counter("failures_total", "Questions that got SERVFAIL, REFUSED, a malformed reply or none.", "server")
	c.nxdomain = set.Counter("nxdomain_total", "NXDOMAIN replies from an upstream server.", "server")
	c.miscased = set.Counter("case_changed_total", "Replies from an upstream server that do not repeat the question's upper and lower case.", "server")
	c.latency = set.Histogram("latency_seconds", "Time from sending a question to the upstream server's reply.", "server")
	down := "1 while an upstream server counts as down and is only probed."
	if essential {
		down = "1 while no upstream server answers."
	}
	c.down = set.Gauge("down", down, "server")
	c.tls = tlsmetrics.New(set)
	return c
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) { c.set.Describe(ch) }

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counts := c.counters()
	for _, m := range c.plain {
		m.Send(ch, m.value(counts))
	}
	c.queries.Send(ch, float64(counts.listener.UDPQueries), "udp")
	c.queries.Send(ch, float64(counts.listener.TCPQueries), "tcp")
	if c.essential {
		c.collectSums(ch, counts)
		return
	}
	a, bounds := &counts.forward.Answers, forwarder.DurationBounds()
	for s := range forwarder.Sources {
		for slot, n := range a.Count[s] {
			c.answers.Send(ch, float64(n), s.String(), wire.RcodeSlotName(slot))
		}
		c.duration.SendHistogram(ch, bounds[:], a.Durations[s][:], a.Sum[s].Seconds(), s.String())
	}
	for i, n := range counts.forward.Completions {
		c.completed.Send(ch, float64(n), forwarder.Completion(i).String())
	}
	for _, d := range dropReasons(counts) {
		c.dropped.Send(ch, float64(d.count), d.reason)
	}
	for _, v := range rejections {
		c.rejected.Send(ch, float64(counts.forward.Rejected[v]), v.String())
	}
	for i := range counts.forward.Upstream.Servers {
		s := &counts.forward.Upstream.Servers[i]
		c.sent.Send(ch, float64(s.Sent), s.Label)
		c.retried.Send(ch, float64(s.Retried), s.Label)
		c.failed.Send(ch, float64(s.Failed), s.Label)
		c.nxdomain.Send(ch, float64(s.NXDomain), s.Label)
		c.miscased.Send(ch, float64(s.Miscased), s.Label)
		c.latency.SendHistogram(ch, upstream.LatencyBounds(), s.Latency[:], s.LatencySum.Seconds(), s.Label)
		c.down.Send(ch, collect.Flag(s.Down), s.Label)
		c.tls.Collect(ch, s.Label, s.TLS)
	}
}

// anyValue is the label value of a series that is the sum over all values of the label.
const anyValue = "any"

// collectSums exports one sum each instead of the series for each reason, verdict and server of
// the full set. The gauge for servers that are down is 1 if there are servers and all are down.
func (c *collector) collectSums(ch chan<- prometheus.Metric, counts *Counters) {
	dropped, rejected := uint64(0), uint64(0)
	for _, d := range dropReasons(counts) {
		dropped += d.count
	}
	for _, v := range rejections {
		rejected += counts.forward.Rejected[v]
	}
	c.dropped.Send(ch, float64(dropped), anyValue)
	c.rejected.Send(ch, float64(rejected), anyValue)
	servers := counts.forward.Upstream.Servers
	all := upstream.ServerStats{Down: len(servers) > 0}
	for i := range servers {
		s := &servers[i]
		all.Sent += s.Sent
		all.Failed += s.Failed
		all.Answered += s.Answered
		all.LatencySum += s.LatencySum
		all.Down = all.Down && s.Down
	}
	c.sent.Send(ch, float64(all.Sent), anyValue)
	c.failed.Send(ch, float64(all.Failed), anyValue)
	c.latency.SendSummary(ch, all.Answered, all.LatencySum.Seconds(), anyValue)
	c.down.Send(ch, collect.Flag(all.Down), anyValue)
}

// newMetric is the type of [collect.Set.Counter] and [collect.Set.Gauge].
type newMetric = func(name, help string, labels ...string) collect.Metric

// addPlain adds the metrics without labels. Names that begin with kubedns_dnsmasq are those of
// the sidecar of kube-dns, which watched dnsmasq.
func (c *collector) addPlain() {
	counter, gauge := c.set.Counter, c.set.Gauge
	add := func(kind newMetric, help string, value func(*Counters) float64, names ...string) {
		for _, name := range names {
			if !c.essential || slices.Contains(essentialNames, name) {
				c.plain = append(c.plain, plainMetric{kind(name, help), value})
			}
		}
	}
	add(counter, "Queries answered without asking an upstream server.", func(c *Counters) float64 { return float64(c.hits()) },
		"dnscache_hits_total", "kubedns_dnsmasq_hits")
	add(counter, "Queries for which an upstream server was asked.", func(c *Counters) float64 { return float64(c.forward.Forwarded) },
		"dnscache_misses_total", "kubedns_dnsmasq_misses")
	add(counter, "Answers stored in the cache.", func(c *Counters) float64 { return float64(c.forward.Cache.Insertions) },
		"dnscache_insertions_total", "kubedns_dnsmasq_insertions")
	add(counter, "Answers removed from the cache before they expired, to make room.", func(c *Counters) float64 { return float64(c.forward.Cache.Evictions) },
		"dnscache_evictions_total", "kubedns_dnsmasq_evictions")
	add(gauge, "Maximum number of answers in the cache.", func(c *Counters) float64 { return float64(c.options.Cache.Size) },
		"dnscache_cache_max_entries", "kubedns_dnsmasq_max_size")
	add(counter, "Always 0, because reading the statistics cannot fail in this program.", func(*Counters) float64 { return 0 },
		"kubedns_dnsmasq_errors")
	forward := func(kind newMetric, name, help string, value func(f *forwarder.Stats) float64) {
		add(kind, help, func(c *Counters) float64 { return value(&c.forward) }, name)
	}
	forward(counter, "dnscache_stale_answers_total", "Queries answered from expired cache entries.", func(f *forwarder.Stats) float64 { return float64(f.Stale) })
	forward(gauge, "dnscache_in_flight", "Questions waiting for an upstream server's reply.", func(f *forwarder.Stats) float64 { return float64(f.InFlight) })
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
}

// dropped is the number of messages or connections that were dropped for one reason.
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

// rejections are the verdicts on queries that are answered with an error.
//
//nolint:gochecknoglobals // a constant table
var rejections = []wire.Verdict{wire.FormErr, wire.NotImp, wire.BadVers, wire.CookieOnly}

var _ prometheus.Collector = (*collector)(nil)
