package metrics

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// MaxEssential is how many series the essential set has at most, those of the node's cache and of the
// ConfigMap included: a cluster may have thousands of nodes.
const MaxEssential = 40

// essentialNames are the metrics of [metrics] that the essential set has too.
//
//nolint:gochecknoglobals // a constant table
var essentialNames = []string{
	"dnscache_hits_total", "dnscache_misses_total", "dnscache_insertions_total", "dnscache_evictions_total",
	"dnscache_cache_entries", "dnscache_cache_bytes", "dnscache_stale_answers_total", "dnscache_in_flight", "dnscache_failed_total",
	"dnscache_panics_total", "dnscache_tcp_connections", "dnscache_upstream_wrong_replies_total",
}

// essential is a collector of few series: without those of single servers, sources, reasons and
// buckets. Sums over them are the same as with the full set.
type essential struct {
	counters func() *Counters
	descs    []metric
}

func newEssential(c func() *Counters) *essential {
	e := &essential{counters: c}
	for _, m := range metrics() {
		if slices.ContainsFunc(essentialNames, func(name string) bool { return isNamed(m.desc, name) }) {
			e.descs = append(e.descs, m)
		}
	}
	return e
}

// isNamed reports whether a description is that of a metric. The library shows the name in no
// other way.
func isNamed(d *prometheus.Desc, name string) bool {
	return strings.Contains(d.String(), `fqName: "`+name+`"`)
}

// Describe implements [prometheus.Collector].
func (e *essential) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(e, ch) }

// Collect implements [prometheus.Collector].
func (e *essential) Collect(ch chan<- prometheus.Metric) {
	c := e.counters()
	for _, m := range e.descs {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(c))
	}
	queries(ch, c)
	sum := uint64(0)
	for _, d := range dropReasons(c) {
		sum += d.count
	}
	total := func(name, help, label string, kind prometheus.ValueType, n float64) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, []string{label}, nil), kind, n, anyValue)
	}
	counter := prometheus.CounterValue
	total("dnscache_dropped_total", droppedHelp, "reason", counter, float64(sum))
	sum = 0
	for _, v := range rejections {
		sum += c.forward.Rejected[v]
	}
	total("dnscache_rejected_total", rejectedHelp, "verdict", counter, float64(sum))
	servers := allServers(c)
	total("dnscache_upstream_queries_total", "Questions sent to upstream servers.", "server", counter, float64(servers.sent))
	total("dnscache_upstream_failures_total", "Questions that got SERVFAIL, REFUSED, a malformed reply or none.", "server", counter, float64(servers.failed))
	desc := prometheus.NewDesc("dnscache_upstream_latency_seconds", "Time from sending a question to the upstream server's reply.", []string{"server"}, nil)
	ch <- prometheus.MustNewConstSummary(desc, servers.answered, servers.latencySum.Seconds(), nil, anyValue)
	down := 0.0
	if servers.down {
		down = 1
	}
	total("dnscache_upstream_down", "1 while no upstream server answers.", "server", prometheus.GaugeValue, down)
}

// anyValue is the value of a label whose values are summed up.
const anyValue = "any"

// allServers sums up the servers; they are down if there are some, and none answers.
func allServers(c *Counters) (all serverCounters) {
	all.down = len(c.servers) > 0
	for i := range c.servers {
		s := &c.servers[i]
		all.sent += s.sent
		all.failed += s.failed
		all.answered += s.answered
		all.latencySum += s.latencySum
		all.down = all.down && s.down
	}
	return all
}
