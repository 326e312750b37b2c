package main

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
)

// forwarderConfig is the configuration with these servers.
func (a *app) forwarderConfig(servers []options.Server) (forwarder.Config, error) {
	p := newPlan(a.options, servers, a.hosts.Table, a.around())
	p.filter.OnRebind = func(name []byte, suppressed uint64) { a.log.printf("%s", querylog.Rebind(name, suppressed)) }
	cfg, err := p.config()
	if err != nil {
		return cfg, err
	}
	if a.rates != nil { // before everything that costs anything
		cfg.Stages = slices.Insert(cfg.Stages, 0, a.rates.Stage())
	}
	cfg.OnOverLimit = func(o forwarder.OverLimit) { a.log.printf("%s", querylog.OverLimit(o)) }
	cfg.Upstream.OnLoop = func(server netip.AddrPort) { a.log.printf("%s", querylog.Loop(server)) }
	cfg.Logger, cfg.Answers = a.logger, a.answers
	cfg.Upstream.Trust = a.trust.Current
	if a.options.Process.LogQueries != options.QueryLogOff {
		cfg.Log = a.queryLog
	}
	return cfg, nil
}

// around is what answers depend on now.
func (a *app) around() *surroundings {
	s := &surroundings{interfaces: a.interfaces, host: a.hostName}
	if a.macs != nil {
		s.mac = a.macs.Lookup
	}
	return s
}

// counters returns what was counted so far.
func (a *app) counters() *counters {
	f, l := a.forward.Stats(), a.listener.Stats()
	c := &counters{
		cacheSize:  a.options.Cache.Size,
		insertions: f.Cache.Insertions,
		evicts:     f.Cache.Evictions,
		// As in dnsmasq, a question that joins one in flight is a hit.
		hits:      f.Hits + f.Coalesced,
		misses:    f.Forwarded,
		stale:     f.Stale,
		inFlight:  f.InFlight,
		forward:   f,
		maxFlows:  a.options.Upstream.ForwardMax,
		tcp:       int(l.TCPOpen),
		maxTCP:    cmp.Or(a.options.Listen.MaxTCPConnections, defaultTCPConnections),
		staleMode: a.options.Cache.UseStale || a.options.Own.ServeStale > 0,
	}
	if a.rates != nil {
		c.rates = a.rates.Stats()
	}
	if a.localOnly != nil {
		c.notLocal = a.localOnly.dropped.Load()
	}
	for i := range f.Upstream.Servers {
		c.servers = append(c.servers, newServerCounters(&f.Upstream.Servers[i]))
	}
	return c
}

// defaultTCPConnections is what the documentation says of
// --max-tcp-connections.
const defaultTCPConnections = 1024
