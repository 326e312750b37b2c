package main

import (
	"cmp"
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
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// liveConfig is what dnsmasq-nanny's directory asks for, with all names of
// servers replaced by their addresses.
type liveConfig struct {
	servers []options.Server
	// upstream is whether it names servers that replace those of resolv.conf.
	upstream bool
}

func (c liveConfig) equal(d liveConfig) bool {
	return c.upstream == d.upstream && slices.Equal(c.servers, d.servers)
}

// liveSource follows dnsmasq-nanny's directory.
type liveSource struct {
	nanny  options.Nanny
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
func newLiveSource(nanny options.Nanny, lookup lookupFunc, logger *slog.Logger) *liveSource {
	s := &liveSource{nanny: nanny, lookup: lookup, logger: logger, known: map[string]netip.Addr{}}
	s.poller = dnsconfig.Poller{
		FS:     os.DirFS(nanny.ConfigDir),
		Dir:    nanny.ConfigDir,
		Apply:  func(c dnsconfig.Config) { s.current = c },
		Logger: logger,
	}
	return s
}

// config turns what the directory holds into servers. Without lookUp only
// names that were found before have an address. complete is whether all servers
// have one. A stub domain none of whose servers has an address is left to
// kubedns, which knows stub domains itself; nobody else must hear of its names.
func (s *liveSource) config(ctx context.Context, lookUp bool) (c liveConfig, complete bool) {
	complete = true
	c.upstream = len(s.current.UpstreamNameservers) > 0
	for _, domain := range slices.SortedFunc(maps.Keys(s.current.StubDomains), func(a, b dnsname.Name) int {
		return strings.Compare(a.String(), b.String())
	}) {
		before := len(c.servers)
		servers := s.current.StubDomains[domain]
		for _, server := range servers {
			addr, ok := s.address(ctx, server, lookUp)
			if !ok {
				complete = false
				continue
			}
			c.add(domain, addr)
		}
		if kubedns, err := netip.ParseAddrPort(s.nanny.KubeDNSServer); err == nil && len(servers) > 0 && len(c.servers) == before {
			c.add(domain, kubedns)
		}
	}
	for _, server := range s.current.UpstreamNameservers {
		if addr, ok := s.address(ctx, server, lookUp); ok {
			c.add("", addr)
		}
	}
	return c, complete
}

// add adds a server for a domain, "" for all names.
func (c *liveConfig) add(domain dnsname.Name, addr netip.AddrPort) {
	server := options.Server{Addr: addr.Addr(), Port: addr.Port()}
	if domain != "" {
		server.Domain = dnsname.Domain{Match: dnsname.MatchSuffix, Name: domain}
	}
	c.servers = append(c.servers, server)
}

// address returns where a configured server is.
func (s *liveSource) address(ctx context.Context, server dnsconfig.Server, lookUp bool) (netip.AddrPort, bool) {
	if server.Name == "" {
		return netip.AddrPortFrom(server.Addr.Addr(), cmp.Or(server.Addr.Port(), options.DefaultPort)), true
	}
	host := server.String()
	if lookUp {
		s.lookUp(ctx, host)
	}
	known, ok := s.known[host]
	return netip.AddrPortFrom(known, options.DefaultPort), ok
}

// lookUp finds the address of a server. A known one stays for as long as it is
// among the addresses found, and while none is found.
func (s *liveSource) lookUp(ctx context.Context, host string) {
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	lookup := s.lookup
	if strings.HasSuffix(host+".", ".cluster.local.") {
		lookup = lookupAt(s.nanny.KubeDNSServer)
	}
	addrs, err := lookup(ctx, host)
	if err != nil || len(addrs) == 0 {
		s.logger.Error("no address found for a stub domain's server", "server", host, "error", err)
		return
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	if !slices.Contains(addrs, s.known[host]) {
		s.known[host] = addrs[0]
	}
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

// start reads the directory for the first time, without looking names up, so
// that queries need not wait for it.
func (s *liveSource) start(ctx context.Context) liveConfig {
	s.poller.Load()
	c, _ := s.config(ctx, false)
	return c
}

// run looks the names of servers up, again at every interval, and with
// -restartDnsmasq reads the directory again too. It hands each change to apply,
// until ctx ends or nothing can change any more.
func (s *liveSource) run(ctx context.Context, last liveConfig, apply func(liveConfig)) {
	ticker := time.NewTicker(s.nanny.SyncInterval)
	defer ticker.Stop()
	for {
		if s.nanny.ApplyChanges {
			s.poller.Load()
		}
		next, complete := s.config(ctx, true)
		if ctx.Err() != nil {
			return
		}
		if !next.equal(last) {
			last = next
			apply(next)
		}
		if complete && !s.nanny.ApplyChanges {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
