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
	options  *options.Options
	forward  forwarder.Stats // counters of the cache and of each server
	listener listener.Stats  // counters of the sockets
	notLocal uint64          // queries dropped by --local-service
	rates    ratelimit.Stats // what --rate-limit dropped
}

// hits returns the number of queries answered without asking an upstream server. As in dnsmasq, a
// query that joins a question in flight is one of them.
func (c *Counters) hits() uint64 { return c.forward.Hits + c.forward.Coalesced }

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
	c := &Counters{options: s.Options, forward: s.Forward(), listener: s.Listener(), notLocal: s.NotLocal()}
	if s.Rates != nil {
		c.rates = s.Rates.Stats()
	}
	return c
}

// Lines returns the lines that dnsmasq logs on SIGUSR1. now is the time of day. Lines about
// authoritative zones and DNSSEC, which dnscache does not have, are left out or have the number
// 0.
func (c *Counters) Lines(now time.Time) []string {
	f, o := &c.forward, c.options
	lines := []string{
		fmt.Sprintf("time %d", now.Unix()),
		fmt.Sprintf("cache size %d, %d/%d cache insertions re-used unexpired cache entries.", o.Cache.Size, f.Cache.Evictions, f.Cache.Insertions),
		fmt.Sprintf("queries forwarded %d, queries answered locally %d", f.Forwarded, c.hits()),
	}
	if o.Cache.UseStale || o.Own.ServeStale > 0 {
		lines = append(lines, fmt.Sprintf("queries answered from stale cache %d", f.Stale))
	}
	lines = append(lines,
		"queries for authoritative zones 0",
		fmt.Sprintf("queries waiting for an answer %d, max allowed %d", f.InFlight, o.Upstream.ForwardMax),
		fmt.Sprintf("TCP connections: in use %d, max allowed %d.", c.listener.TCPOpen, o.Listen.TCPConnections()),
	)
	for i := range f.Upstream.Servers {
		s := &f.Upstream.Servers[i]
		latency := s.LatencySum / time.Duration(max(s.Answered, 1))
		lines = append(lines, fmt.Sprintf("server %s: queries sent %d, retried %d, failed %d, nxdomain replies %d, avg. latency %dms",
			querylog.ServerText(s.Addr), s.Sent, s.Retried, s.Failed, s.NXDomain, latency.Milliseconds()))
	}
	return lines
}
