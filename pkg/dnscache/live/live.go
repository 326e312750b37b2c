// Package live follows the ConfigMap in the directory that dnsmasq-nanny's flags name.
//
// Use [New], then [Source.Start] to read the directory once, and [Source.Run] to follow its
// changes.
package live

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

	"github.com/kube-dns/kube-dns/pkg/dnscache/servers"
	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/internal/dnsclient"
)

// Source follows the directory of dnsmasq-nanny's flags. Its methods must not be called from
// two goroutines at once.
type Source struct {
	nanny   options.Nanny    // its flags
	lookup  servers.Lookup   // looks up names that are not in zones
	logger  *slog.Logger     // receives warnings
	own     kubednsZones     // the names about which --server options ask kubedns
	poller  dnsconfig.Poller // reads the directory
	current dnsconfig.Config // the content of the directory
	// known holds the addresses found so far, so that a server keeps its address while its name
	// cannot be looked up.
	known map[string]netip.Addr
	// warned is the time at which the failure to look up a name was last logged.
	warned map[string]time.Time
}

const (
	// nameRetry is the time after which the names of servers are looked up again while one of
	// them has no address. nameFollow is that time while all have addresses and one name is in
	// the cluster, where addresses may change at any time. If the directory's own interval is
	// shorter, it applies instead.
	nameRetry  = time.Second
	nameFollow = 2 * time.Second
	// nameWarnPeriod is the shortest time between two warnings about one name.
	nameWarnPeriod = time.Minute
)

// Config configures a [Source].
type Config struct {
	Nanny options.Nanny // the flags; ConfigDir must be set
	// Lookup finds the addresses of servers whose names are outside the cluster.
	Lookup servers.Lookup
	// Servers are the servers of --server. They show about which names kubedns is asked.
	Servers []options.Server
	// Result, if not nil, is called for each new content of the directory: with an error if it
	// is rejected, with nil if it is accepted.
	Result func(error)
	Logger *slog.Logger
}

// New returns a source for the directory. It does not read it yet.
func New(cfg Config) *Source {
	s := &Source{
		nanny: cfg.Nanny, lookup: cfg.Lookup, logger: cfg.Logger, own: zonesOf(cfg.Servers, cfg.Nanny.KubeDNSServer),
		known: map[string]netip.Addr{}, warned: map[string]time.Time{},
	}
	log := cfg.Logger
	s.poller = dnsconfig.Poller{
		FS:     os.DirFS(cfg.Nanny.ConfigDir),
		Apply:  func(c dnsconfig.Config) { s.current = s.usable(c) },
		Result: cfg.Result,
		Logger: log.With("directory", cfg.Nanny.ConfigDir),
	}
	return s
}

// config converts the content of the directory to servers. If lookUp is false, only names that
// were found before have an address. complete reports whether all servers have one. If no
// server of a stub domain has an address, kubedns is asked instead, because it serves stub
// domains itself; no other server may get questions about these names.
func (s *Source) config(ctx context.Context, lookUp bool) (c servers.Live, complete bool) {
	complete = true
	c.Upstream = len(s.current.UpstreamNameservers) > 0 || s.current.Withheld
	for _, domain := range slices.SortedFunc(maps.Keys(s.current.StubDomains), func(a, b dnsname.Name) int {
		return strings.Compare(a.String(), b.String())
	}) {
		before := len(c.Servers)
		wanted := s.current.StubDomains[domain]
		for _, server := range wanted {
			addr, ok := s.address(ctx, domain, server, lookUp)
			tls := options.ServerTLS{On: server.TLS, Name: server.TLSName}
			if !ok {
				complete = false
				continue
			}
			addServer(&c, domain, addr, tls)
		}
		if len(wanted) == 0 || len(c.Servers) > before {
			continue
		}
		if kubedns, ok := s.kubedns(ctx, lookUp); ok {
			addServer(&c, domain, kubedns, options.ServerTLS{})
		} else { // no answer is better than a question to other servers
			c.Servers = append(c.Servers, options.Server{
				Domain: dnsname.Domain{Match: dnsname.MatchSuffix, Name: domain}, Kind: options.ServerNone,
			})
		}
	}
	s.guardZones(ctx, lookUp, &c)
	if s.own.all {
		return c, complete // kubedns asks the upstream servers
	}
	for _, server := range s.current.UpstreamNameservers {
		if addr, ok := s.address(ctx, dnsname.Root, server, lookUp); ok {
			addServer(&c, "", addr, options.ServerTLS{On: server.TLS, Name: server.TLSName})
		}
	}
	return c, complete
}

// kubedns returns the address of -kubednsServer, which may be given by name.
func (s *Source) kubedns(ctx context.Context, lookUp bool) (netip.AddrPort, bool) {
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

// addServer adds a server for a domain to c. An empty domain means all names.
func addServer(c *servers.Live, domain dnsname.Name, addr netip.AddrPort, tls options.ServerTLS) {
	server := options.Server{Addr: addr.Addr(), Port: addr.Port(), TLS: tls}
	if domain != "" {
		server.Domain = dnsname.Domain{Match: dnsname.MatchSuffix, Name: domain}
	}
	c.Servers = append(c.Servers, server)
}

// address returns the address and port of a configured server. ok is false if it is given by a
// name whose address is not known.
func (s *Source) address(ctx context.Context, domain dnsname.Name, server dnsconfig.Server, lookUp bool) (netip.AddrPort, bool) {
	if server.Name == "" {
		return netip.AddrPortFrom(server.Addr.Addr(), cmp.Or(server.Addr.Port(), options.DefaultPort)), true
	}
	host := server.String()
	if lookUp {
		lookup := s.lookup
		if s.own.contain(host) {
			lookup = lookupAt(s.nanny.KubeDNSServer)
		}
		s.lookUp(ctx, lookup, domain, host)
	}
	known, ok := s.known[host]
	return netip.AddrPortFrom(known, options.DefaultPort), ok
}

// lookUp looks up the address of a server. A known address is kept as long as it is one of the
// addresses found, and while no address is found.
func (s *Source) lookUp(ctx context.Context, lookup servers.Lookup, domain dnsname.Name, host string) {
	ctx, cancel := context.WithTimeout(ctx, servers.LookupTimeout)
	defer cancel()
	addrs, err := lookup(ctx, host)
	addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return !dnsname.IsUnicast(a) })
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

// wait returns the time after which the names are looked up again.
func (s *Source) wait(complete bool) time.Duration {
	if !complete {
		return min(s.nanny.SyncInterval, nameRetry)
	}
	for _, list := range s.current.StubDomains {
		for _, server := range list {
			if server.Name != "" && s.own.contain(server.String()) {
				return min(s.nanny.SyncInterval, nameFollow)
			}
		}
	}
	return s.nanny.SyncInterval
}

// lookupAt returns a function that looks up addresses by asking one DNS server.
func lookupAt(server string) servers.Lookup {
	resolver := dnsclient.Resolver(server)
	return func(ctx context.Context, host string) ([]netip.Addr, error) {
		// With the final dot, the search list of resolv.conf is not used.
		return resolver.LookupNetIP(ctx, "ip", host+".")
	}
}

// Start reads the directory for the first time. It does not look up any names, so that queries
// need not wait for that: servers given by name are missing until Run finds their addresses.
func (s *Source) Start(ctx context.Context) servers.Live {
	s.poller.Load()
	c, _ := s.config(ctx, false)
	return c
}

// Run looks up the names of servers, and again at every interval or sooner. With
// -restartDnsmasq, it reads the directory again each time. It calls apply with each result that
// differs from the last one; last is the result of Start. It returns when ctx ends or when
// nothing can change any more.
func (s *Source) Run(ctx context.Context, last servers.Live, apply func(servers.Live)) {
	for {
		if s.nanny.ApplyChanges {
			s.poller.Load()
		}
		next, complete := s.config(ctx, true)
		if ctx.Err() != nil {
			return
		}
		if !next.Equal(last) {
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
