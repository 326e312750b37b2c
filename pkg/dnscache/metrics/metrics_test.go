package metrics

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

func exampleCounters() *Counters {
	o := options.Defaults()
	o.Cache.Size, o.Listen.MaxTCPConnections = 1000, 20
	return &Counters{
		options:  o,
		listener: listener.Stats{TCPOpen: 4, UDPShort: 5, UDPQueries: 37},
		forward: forwarder.Stats{
			Hits: 15, Coalesced: 4, Forwarded: 18, Stale: 2, InFlight: 1, Cache: answercache.Stats{Insertions: 256, Evictions: 3},
			Upstream: upstream.Stats{Servers: []upstream.ServerStats{{
				Addr: netip.MustParseAddrPort("127.0.0.1:10053"), Sent: 18, Retried: 2, Answered: 10, NXDomain: 3, Down: true,
				Latency: [upstream.LatencyBuckets]uint64{0: 4, 2: 5, upstream.LatencyBuckets - 1: 1}, LatencySum: 700 * time.Millisecond,
			}}},
		},
	}
}

func TestStatisticsBlock(t *testing.T) {
	c := exampleCounters()
	want := []string{
		"time 1700000000",
		"cache size 1000, 3/256 cache insertions re-used unexpired cache entries.",
		"queries forwarded 18, queries answered locally 19",
		"queries for authoritative zones 0",
		"queries waiting for an answer 1, max allowed 150",
		"TCP connections: in use 4, max allowed 20.",
		"server 127.0.0.1#10053: queries sent 18, retried 2, failed 0, nxdomain replies 3, avg. latency 70ms",
	}
	if diff := cmp.Diff(want, c.Lines(time.Unix(1700000000, 0))); diff != "" {
		t.Errorf("block (-want +got):\n%s", diff)
	}
	c.options.Cache.UseStale = true
	if got := c.Lines(time.Now())[3]; got != "queries answered from stale cache 2" {
		t.Errorf("with stale answers the fourth line is %q", got)
	}
}

func TestMetricNames(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(exampleCounters, false))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		got = append(got, f.GetType().String()+" "+f.GetName())
	}
	want := []string{
		"HISTOGRAM dnscache_answer_duration_seconds",
		"COUNTER dnscache_answers_total",
		"COUNTER dnscache_autopath_total",
		"GAUGE dnscache_cache_bytes",
		"GAUGE dnscache_cache_entries",
		"GAUGE dnscache_cache_max_bytes",
		"GAUGE dnscache_cache_max_entries",
		"COUNTER dnscache_coalesced_total",
		"COUNTER dnscache_dropped_total",
		"COUNTER dnscache_evictions_total",
		"COUNTER dnscache_failed_again_total",
		"COUNTER dnscache_failed_total",
		"COUNTER dnscache_hits_total",
		"GAUGE dnscache_in_flight",
		"COUNTER dnscache_insertions_total",
		"COUNTER dnscache_local_answers_total",
		"COUNTER dnscache_misses_total",
		"COUNTER dnscache_panics_total",
		"COUNTER dnscache_purged_total",
		"COUNTER dnscache_queries_total",
		"COUNTER dnscache_refreshes_total",
		"COUNTER dnscache_rejected_total",
		"COUNTER dnscache_stale_answers_total",
		"GAUGE dnscache_tcp_connections",
		"COUNTER dnscache_upstream_case_changed_total",
		"GAUGE dnscache_upstream_down",
		"COUNTER dnscache_upstream_failures_total",
		"HISTOGRAM dnscache_upstream_latency_seconds",
		"COUNTER dnscache_upstream_nxdomain_total",
		"COUNTER dnscache_upstream_queries_total",
		"COUNTER dnscache_upstream_retries_total",
		"GAUGE dnscache_upstream_tcp_connections",
		"COUNTER dnscache_upstream_tcp_dials_total",
		"COUNTER dnscache_upstream_tcp_queries_total",
		"COUNTER dnscache_upstream_wrong_replies_total",
		"GAUGE dnscache_waiting",
		"COUNTER kubedns_dnsmasq_errors",
		"COUNTER kubedns_dnsmasq_evictions",
		"COUNTER kubedns_dnsmasq_hits",
		"COUNTER kubedns_dnsmasq_insertions",
		"GAUGE kubedns_dnsmasq_max_size",
		"COUNTER kubedns_dnsmasq_misses",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	documented, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		words := []string{f.GetName()}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "reason" || l.GetName() == "source" {
					words = append(words, l.GetValue())
				}
			}
		}
		for _, word := range words {
			if !strings.Contains(string(documented), "`"+word+"`") {
				t.Errorf("docs/metrics.md does not have %s", word)
			}
		}
	}
	for name, want := range map[string]float64{
		"kubedns_dnsmasq_hits": 19, "kubedns_dnsmasq_misses": 18, "dnscache_stale_answers_total": 2,
		"dnscache_tcp_connections": 4, "dnscache_upstream_queries_total": 18,
	} {
		for _, f := range families {
			if f.GetName() != name {
				continue
			}
			m := f.GetMetric()[0]
			if got := m.GetCounter().GetValue() + m.GetGauge().GetValue(); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	}
	if problems, err := testutil.GatherAndLint(registry, "dnscache_hits_total", "dnscache_dropped_total", "dnscache_answers_total", "dnscache_answer_duration_seconds", "dnscache_upstream_latency_seconds"); err != nil || len(problems) > 0 {
		t.Errorf("names: %v, %v", problems, err)
	}
}
