// Package metrics exports the counters of dnscache, as the lines that dnsmasq logs on SIGUSR1 and
// as Prometheus metrics.
//
// Fill in [Sources]. Use [Sources.Counters] to read all counters, and [Server] to serve /metrics.
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

// Counters holds counters since the start of the program. SIGUSR1 logs some of them; /metrics
// shows all.
type Counters struct {
	cacheSize  int             // --cache-size, in entries
	insertions uint64          // answers stored in the cache
	evicts     uint64          // entries removed before they expired
	hits       uint64          // queries answered without an upstream server
	misses     uint64          // queries sent to an upstream server
	stale      uint64          // queries answered from expired entries
	inFlight   int             // questions that wait for a reply
	maxFlows   int             // --dns-forward-max
	maxTCP     int             // --max-tcp-connections
	staleMode  bool            // whether expired entries are used
	notLocal   uint64          // queries dropped by --local-service
	rates      ratelimit.Stats // what --rate-limit dropped
	forward    forwarder.Stats // counters of each server, and those that only /metrics shows
	listener   listener.Stats  // counters of the sockets
}

// Sources are the parts of the program whose counters are exported. All fields except Rates are
// required.
type Sources struct {
	Options  *options.Options
	Forward  func() forwarder.Stats
	Listener func() listener.Stats
	Rates    *ratelimit.Limiter // nil without --rate-limit
	// NotLocal returns the number of queries that --local-service dropped.
	NotLocal func() uint64
}

// Counters returns the current counters. The caller owns the result.
func (s *Sources) Counters() *Counters {
	f, o := s.Forward(), s.Options
	c := &Counters{
		cacheSize:  o.Cache.Size,
		insertions: f.Cache.Insertions,
		evicts:     f.Cache.Evictions,
		// As in dnsmasq, a query that joins a question in flight counts as a hit.
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

// Lines returns the lines that dnsmasq logs on SIGUSR1. now is the time of day. Lines about
// authoritative zones and DNSSEC, which dnscache does not have, are left out or have the number
// 0.
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
