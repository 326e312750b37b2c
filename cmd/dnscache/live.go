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
	"strconv"
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

	// zones are those whose names kubedns is asked for.
	zones []dnsname.Name

	poller  dnsconfig.Poller
	current dnsconfig.Config
	// known are addresses found before, so that a name keeps its address while
	// it cannot be looked up.
	known map[string]netip.Addr
	// warned is when a name that cannot be looked up was last logged.
	warned map[string]time.Time
}

const (
	// nameRetry is how soon names of servers are looked up again while one of
	// them has no address, and nameFollow while all of them do and one is in the
	// cluster, where addresses may change at any time. The directory's own
	// interval holds if it is shorter.
	nameRetry  = time.Second
	nameFollow = 2 * time.Second
	// nameWarnPeriod is the least time between two warnings about one name.
	nameWarnPeriod = time.Minute
)

// newLiveSource returns the source for a directory. lookup is used for names of
// servers outside the cluster.
func newLiveSource(nanny options.Nanny, lookup lookupFunc, logger *slog.Logger) *liveSource {
	s := &liveSource{
		nanny: nanny, lookup: lookup, logger: logger, zones: clusterZones(nil, ""),
		known: map[string]netip.Addr{}, warned: map[string]time.Time{},
	}
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
	c.upstream = len(s.current.UpstreamNameservers) > 0 || s.current.Withheld
	for _, domain := range slices.SortedFunc(maps.Keys(s.current.StubDomains), func(a, b dnsname.Name) int {
		return strings.Compare(a.String(), b.String())
	}) {
		before := len(c.servers)
		servers := s.current.StubDomains[domain]
		for _, server := range servers {
			addr, ok := s.address(ctx, domain, server, lookUp)
			tls := options.ServerTLS{On: server.TLS, Name: server.TLSName}
			if !ok {
				complete = false
				continue
			}
			c.add(domain, addr, tls)
		}
		if len(servers) == 0 || len(c.servers) > before {
			continue
		}
		if kubedns, ok := s.kubedns(ctx, lookUp); ok {
			c.add(domain, kubedns, options.ServerTLS{})
		} else { // rather no answer than a question to others
			c.servers = append(c.servers, options.Server{
				Domain: dnsname.Domain{Match: dnsname.MatchSuffix, Name: domain}, Kind: options.ServerNone,
			})
		}
	}
	for _, server := range s.current.UpstreamNameservers {
		if addr, ok := s.address(ctx, dnsname.Root, server, lookUp); ok {
			c.add("", addr, options.ServerTLS{On: server.TLS, Name: server.TLSName})
		}
	}
	return c, complete
}

// kubedns returns the address of -kubednsServer, which may be given by name.
func (s *liveSource) kubedns(ctx context.Context, lookUp bool) (netip.AddrPort, bool) {
	if addr, err := netip.ParseAddrPort(s.nanny.KubeDNSServer); err == nil {
		return addr, true
	}
	host, text, err := net.SplitHostPort(s.nanny.KubeDNSServer)
	port, portErr := strconv.ParseUint(text, 10, 16)
	if err != nil || portErr != nil {
		return netip.AddrPort{}, false
	}
	if lookUp {
		s.lookUp(ctx, s.lookup, dnsname.Root, host)
	}
	known, ok := s.known[host]
	return netip.AddrPortFrom(known, uint16(port)), ok
}

// add adds a server for a domain, "" for all names.
func (c *liveConfig) add(domain dnsname.Name, addr netip.AddrPort, tls options.ServerTLS) {
	server := options.Server{Addr: addr.Addr(), Port: addr.Port(), TLS: tls}
	if domain != "" {
		server.Domain = dnsname.Domain{Match: dnsname.MatchSuffix, Name: domain}
	}
	c.servers = append(c.servers, server)
}

// address returns where a configured server of a domain is.
func (s *liveSource) address(ctx context.Context, domain dnsname.Name, server dnsconfig.Server, lookUp bool) (netip.AddrPort, bool) {
	if server.Name == "" {
		return netip.AddrPortFrom(server.Addr.Addr(), cmp.Or(server.Addr.Port(), options.DefaultPort)), true
	}
	host := server.String()
	if lookUp {
		lookup := s.lookup
		if s.inCluster(host) {
			lookup = lookupAt(s.nanny.KubeDNSServer)
		}
		s.lookUp(ctx, lookup, domain, host)
	}
	known, ok := s.known[host]
	return netip.AddrPortFrom(known, options.DefaultPort), ok
}

// lookUp finds the address of a server. A known one stays for as long as it is
// among the addresses found, and while none is found.
func (s *liveSource) lookUp(ctx context.Context, lookup lookupFunc, domain dnsname.Name, host string) {
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	addrs, err := lookup(ctx, host)
	if err != nil || len(addrs) == 0 {
		if now := time.Now(); now.Sub(s.warned[host]) >= nameWarnPeriod && ctx.Err() == nil {
			s.warned[host] = now
			if domain == dnsname.Root {
				s.logger.Warn("cannot resolve a server", "server", host, "error", err)
			} else {
				s.logger.Warn("cannot resolve the server of a stub domain", "domain", strings.TrimSuffix(domain.String(), "."),
					"server", host, "error", err)
			}
		}
		return
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	if !slices.Contains(addrs, s.known[host]) {
		s.known[host] = addrs[0]
	}
}

// inCluster reports whether kubedns knows the name of a server.
func (s *liveSource) inCluster(host string) bool {
	name, err := dnsname.Parse(host)
	return err == nil && slices.ContainsFunc(s.zones, name.HasSuffix)
}

// clusterZones returns the zones for whose names --server points at kubedns, but
// for reverse zones. Without any it is cluster.local, as in dnsmasq-nanny.
func clusterZones(servers []options.Server, kubedns string) []dnsname.Name {
	var zones []dnsname.Name
	for _, server := range servers {
		at := net.JoinHostPort(server.Addr.String(), strconv.Itoa(int(server.Port)))
		_, port, _ := net.SplitHostPort(kubedns)
		local := server.Addr.IsLoopback() && strconv.Itoa(int(server.Port)) == port
		if server.Kind == options.ServerAsk && server.Domain.Match == dnsname.MatchSuffix &&
			(at == kubedns || local) && !server.Domain.Name.HasSuffix(dnsname.MustParse("arpa")) {
			zones = append(zones, server.Domain.Name)
		}
	}
	if len(zones) == 0 {
		zones = append(zones, dnsname.MustParse("cluster.local"))
	}
	return zones
}

// wait returns when names are to be looked up again.
func (s *liveSource) wait(complete bool) time.Duration {
	if !complete {
		return min(s.nanny.SyncInterval, nameRetry)
	}
	for _, servers := range s.current.StubDomains {
		for _, server := range servers {
			if server.Name != "" && s.inCluster(server.String()) {
				return min(s.nanny.SyncInterval, nameFollow)
			}
		}
	}
	return s.nanny.SyncInterval
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

// run looks the names of servers up, again at every interval or sooner, and with
// -restartDnsmasq reads the directory again too. It hands each change to apply,
// until ctx ends or nothing can change any more.
func (s *liveSource) run(ctx context.Context, last liveConfig, apply func(liveConfig)) {
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
		case <-time.After(s.wait(complete)):
		}
	}
}
