// Package metrics collects what dnscache counts, for the lines that dnsmasq logs on SIGUSR1 and
// for Prometheus.
//
// Fill in [Sources]; [Sources.Counters] is a snapshot, and [Server] serves /metrics.
package metrics

import (
	"fmt"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/ratelimit"
)

// Counters is what is told about the work since the start, in SIGUSR1's block
// and on /metrics.
type Counters struct {
	cacheSize  int             // --cache-size, in entries
	insertions uint64          // into the cache
	evicts     uint64          // entries removed before they expired
	hits       uint64          // queries answered here
	misses     uint64          // queries sent to an upstream server
	stale      uint64          // queries answered from expired entries
	inFlight   int             // questions that wait for a reply
	maxFlows   int             // --dns-forward-max
	maxTCP     int             // --max-tcp-connections
	staleMode  bool            // whether expired entries are used
	notLocal   uint64          // queries dropped by --local-service
	rates      ratelimit.Stats // what --rate-limit dropped
	forward    forwarder.Stats // for the servers, and what only /metrics tells
	listener   listener.Stats  // likewise
}

// Sources are the parts that count.
type Sources struct {
	Options  *options.Options
	Forward  func() forwarder.Stats
	Listener func() listener.Stats
	Rates    *ratelimit.Limiter // nil without --rate-limit
	// NotLocal counts what --local-service drops.
	NotLocal func() uint64
}

// Counters returns what was counted so far.
func (s *Sources) Counters() *Counters {
	f, o := s.Forward(), s.Options
	c := &Counters{
		cacheSize:  o.Cache.Size,
		insertions: f.Cache.Insertions,
		evicts:     f.Cache.Evictions,
		// As in dnsmasq, a question that joins one in flight is a hit.
		hits:      f.Hits + f.Coalesced,
		misses:    f.Forwarded,
		stale:     f.Stale,
		inFlight:  f.InFlight,
		forward:   f,
		listener:  s.Listener(),
		maxFlows:  o.Upstream.ForwardMax,
		maxTCP:    o.Listen.TCPConnections(),
		staleMode: o.Cache.UseStale || o.Own.ServeStale > 0,
		notLocal:  s.NotLocal(),
	}
	if s.Rates != nil {
		c.rates = s.Rates.Stats()
	}
	return c
}

// Lines words the Counters as dnsmasq does for SIGUSR1. Things that dnscache
// does not have (authoritative zones, DNSSEC, child processes) are left out,
// but for the line about TCP.
func (c *Counters) Lines(now time.Time) []string {
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
		fmt.Sprintf("TCP connections: in use %d, max allowed %d.", c.listener.TCPOpen, c.maxTCP),
	)
	for i := range c.forward.Upstream.Servers {
		s := &c.forward.Upstream.Servers[i]
		latency := s.LatencySum / time.Duration(max(s.Answered, 1))
		lines = append(lines, fmt.Sprintf("server %s: queries sent %d, retried %d, failed %d, nxdomain replies %d, avg. latency %dms",
			querylog.ServerText(s.Addr), s.Sent, s.Retried, s.Failed, s.NXDomain, latency.Milliseconds()))
	}
	return lines
}
