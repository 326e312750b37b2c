package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/ratelimit"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// counters is what is told about the work since the start, in SIGUSR1's block
// and on /metrics.
type counters struct {
	cacheSize          int
	insertions, evicts uint64 // since the last clearing
	hits, misses       uint64 // answered here; sent upstream
	stale              uint64
	inFlight, maxFlows int
	tcp, maxTCP        int
	staleMode          bool
	notLocal           uint64 // dropped by --local-service
	rates              ratelimit.Stats
	servers            []serverCounters
	forward            forwarder.Stats // for what only /metrics tells
}

// serverCounters is the part of one upstream server.
type serverCounters struct {
	addr                                      netip.AddrPort
	sent, retried, answered, failed, nxdomain uint64
	miscased                                  uint64
	latencySum                                time.Duration
	latencies                                 map[float64]uint64 // cumulative, by seconds
	down                                      bool
	label                                     string             // in metrics
	tls                                       *upstream.TLSStats // nil for a server in clear text
}

// average is the mean time to an answer.
func (s *serverCounters) average() time.Duration {
	return s.latencySum / time.Duration(max(s.answered, 1))
}

// newServerCounters converts what upstream counts.
func newServerCounters(s *upstream.ServerStats) serverCounters {
	c := serverCounters{
		addr: s.Addr, label: s.Label, tls: s.TLS, sent: s.Sent, retried: s.Retried, answered: s.Answered, failed: s.Failed,
		nxdomain: s.NXDomain, miscased: s.Miscased, latencySum: s.LatencySum, down: s.Down,
		latencies: make(map[float64]uint64, upstream.LatencyBuckets),
	}
	total := uint64(0)
	for i, n := range s.Latency[:upstream.LatencyBuckets-1] {
		total += n
		c.latencies[(64 * time.Microsecond << i).Seconds()] = total
	}
	return c
}

// lines words the counters as dnsmasq does for SIGUSR1. Things that dnscache
// does not have (authoritative zones, DNSSEC, child processes) are left out,
// but for the line about TCP.
func (c *counters) lines(now time.Time) []string {
	lines := []string{
		fmt.Sprintf("time %d", now.Unix()),
		fmt.Sprintf("cache size %d, %d/%d cache insertions re-used unexpired cache entries.", c.cacheSize, c.evicts, c.insertions),
		fmt.Sprintf("queries forwarded %d, queries answered locally %d", c.misses, c.hits),
	}
	if c.staleMode {
		lines = append(lines, fmt.Sprintf("queries answered from stale cache %d", c.stale))
	}
	lines = append(lines,
		"queries for authoritative zones 0",
		fmt.Sprintf("queries waiting for an answer %d, max allowed %d", c.inFlight, c.maxFlows),
		fmt.Sprintf("TCP connections: in use %d, max allowed %d.", c.tcp, c.maxTCP),
	)
	for _, s := range c.servers {
		lines = append(lines, fmt.Sprintf("server %s: queries sent %d, retried %d, failed %d, nxdomain replies %d, avg. latency %dms",
			serverText(s.addr), s.sent, s.retried, s.failed, s.nxdomain, s.average().Milliseconds()))
	}
	return lines
}
