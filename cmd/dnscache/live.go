package main

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsmasqopt"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// liveConfig is what dnsmasq-nanny's directory asks for, with all names of
// servers replaced by their addresses.
type liveConfig struct {
	servers []dnsmasqopt.Server
	// upstream is whether it names servers that replace those of resolv.conf.
	upstream bool
}

func (c liveConfig) equal(d liveConfig) bool {
	return c.upstream == d.upstream && slices.Equal(c.servers, d.servers)
}

// liveSource follows dnsmasq-nanny's directory.
type liveSource struct {
	nanny  dnsmasqopt.Nanny
	lookup lookupFunc
	logger *slog.Logger

	poller  dnsconfig.Poller
	current dnsconfig.Config
	// known are addresses found before, so that a name keeps its address while
	// it cannot be looked up.
	known map[string]netip.Addr
}

// newLiveSource returns the source for a directory. lookup is used for names of
// servers outside the cluster.
func newLiveSource(nanny dnsmasqopt.Nanny, lookup lookupFunc, logger *slog.Logger) *liveSource {
	s := &liveSource{nanny: nanny, lookup: lookup, logger: logger, known: map[string]netip.Addr{}}
	s.poller = dnsconfig.Poller{
		FS:     os.DirFS(nanny.ConfigDir),
		Apply:  func(c dnsconfig.Config) { s.current = c },
		Logger: logger,
	}
	return s
}

// read reads the directory and looks the names of servers up.
func (s *liveSource) read(ctx context.Context) liveConfig {
	s.poller.Load()
	c := liveConfig{upstream: len(s.current.UpstreamNameservers) > 0}
	for _, domain := range slices.SortedFunc(maps.Keys(s.current.StubDomains), func(a, b dnsname.Name) int {
		return strings.Compare(a.String(), b.String())
	}) {
		for _, server := range s.current.StubDomains[domain] {
			if route, ok := s.route(ctx, server); ok {
				route.Domain = dnsmasqopt.Domain{Match: dnsmasqopt.MatchSuffix, Name: domain}
				c.servers = append(c.servers, route)
			}
		}
	}
	for _, server := range s.current.UpstreamNameservers {
		if route, ok := s.route(ctx, server); ok {
			c.servers = append(c.servers, route)
		}
	}
	return c
}

// route turns a configured server into one that can be asked.
func (s *liveSource) route(ctx context.Context, server dnsconfig.Server) (dnsmasqopt.Server, bool) {
	if server.Name == "" {
		port := server.Addr.Port()
		if port == 0 {
			port = dnsmasqopt.DefaultPort
		}
		return dnsmasqopt.Server{Addr: server.Addr.Addr(), Port: port}, true
	}
	host := server.String()
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	lookup := s.lookup
	if strings.HasSuffix(host+".", ".cluster.local.") {
		lookup = lookupAt(s.nanny.KubeDNSServer)
	}
	addrs, err := lookup(ctx, host)
	switch {
	case err == nil && len(addrs) > 0:
		// Any of the addresses known before is still good.
		if known, ok := s.known[host]; !ok || !slices.Contains(addrs, known) {
			s.known[host] = addrs[0]
		}
	case !s.known[host].IsValid():
		s.logger.Error("no address found for a stub domain's server", "server", host, "error", err)
		return dnsmasqopt.Server{}, false
	}
	return dnsmasqopt.Server{Addr: s.known[host].Unmap(), Port: dnsmasqopt.DefaultPort}, true
}

// lookupAt asks one DNS server for addresses.
func lookupAt(server string) lookupFunc {
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server)
		},
	}
	return func(ctx context.Context, host string) ([]netip.Addr, error) {
		// The final dot keeps the search list of resolv.conf out.
		return resolver.LookupNetIP(ctx, "ip", host+".")
	}
}

// run reads the directory at every interval and hands each change to apply,
// until ctx ends.
func (s *liveSource) run(ctx context.Context, first liveConfig, apply func(liveConfig)) {
	ticker := time.NewTicker(s.nanny.SyncInterval)
	defer ticker.Stop()
	last := first
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if next := s.read(ctx); ctx.Err() == nil && !next.equal(last) {
			last = next
			apply(next)
		}
	}
}
