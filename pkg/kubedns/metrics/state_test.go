package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

func TestStateMetrics(t *testing.T) {
	stats := forwarder.Stats{Upstream: upstream.Stats{WrongReplies: 4, Servers: []upstream.ServerStats{{
		Label: "tls:192.0.2.53#853",
		Sent:  9, Retried: 2, Failed: 3, NXDomain: 1, Down: true,
		Latency: [upstream.LatencyBuckets]uint64{0: 4, 2: 1, upstream.LatencyBuckets - 1: 1}, LatencySum: 3 * time.Second,
	}}}}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewState(func() treecache.Counts { return treecache.Counts{Owners: 7, Aliases: 2} }, func() forwarder.Stats { return stats }))
	want := `# HELP kubedns_forward_server_failures_total Queries that an upstream server failed to answer: SERVFAIL, REFUSED, a malformed reply, or none.
# TYPE kubedns_forward_server_failures_total counter
kubedns_forward_server_failures_total{server="tls:192.0.2.53#853"} 3
# HELP kubedns_records Records held in memory, by kind. Records computed for each query are not counted.
# TYPE kubedns_records gauge
kubedns_records{kind="address"} 0
kubedns_records{kind="alias"} 2
kubedns_records{kind="reverse"} 0
kubedns_records{kind="service"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "kubedns_forward_server_failures_total", "kubedns_records"); err != nil {
		t.Error(err)
	}
	if faults, err := testutil.GatherAndLint(registry); err != nil || len(faults) > 0 {
		t.Errorf("lint: %v, %v", faults, err)
	}
	if n, err := testutil.GatherAndCount(registry, "kubedns_forward_server_latency_seconds"); err != nil || n != 1 {
		t.Errorf("%d latencies, %v", n, err)
	}
}
