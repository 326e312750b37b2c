// Package config turns dnsmasq's options into the configuration of the forwarder and of its
// stages.
//
// Use [New] with the options, the servers, the hosts files and the state of the host to get a
// [Plan], and [Plan.Forwarder] to get its configuration of the forwarder. The package reads no
// files and opens no sockets.
package config

import (
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/chaos"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/ednstag"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/filter"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/netif"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/version"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// failureTTL is how long the first failure to resolve a question is remembered, in seconds. It
// is the shortest time that RFC 9520 §3.2 allows, because kubedns may become ready at any
// moment.
const failureTTL = 1

// failureMaxTTL is the longest time for which repeated failures are remembered, in seconds. RFC
// 9520 §3.2 allows 300; with 60, a name is asked for again at most a minute after an outage.
const failureMaxTTL = 60

// staleRecheck is how long a stale answer is given at once after an attempt to refresh it has
// failed, in seconds. RFC 8767 §5 proposes 30 for the Internet. In a cluster, such a failure
// usually means that a Pod restarts, and its new answer may differ.
const staleRecheck = 5

// staleTTL is the TTL of the records in stale answers, in seconds (RFC 8767 §4).
const staleTTL = 30

// Surroundings is the state of the host that answers depend on, besides options and files.
type Surroundings struct {
	Interfaces netif.List
	// Host is the host's name; the root if it has none.
	Host dnsname.Name
	// MAC returns the hardware address of a client. It is nil without --add-mac.
	MAC func(netip.Addr) []byte
}

// Plan is the configuration that options, servers and hosts files lead to: how to resolve
// names, and the policies of dnsmasq that apply before and after that.
type Plan struct {
	resolve forwarder.Config // without its stages
	local   local.Config
	Filter  filter.Config
	tags    ednstag.Config
	ident   bool // answer questions of class CH about the version and statistics
}

// New returns the plan for the options. servers are all upstream servers, including those that
// the options name.
func New(o *options.Options, servers []options.Server, files *hosts.Table, around *Surroundings) *Plan {
	p := &Plan{
		resolve: forwarder.Config{
			Upstream: upstream.Config{
				Routes:     routes(servers, o.Local.Addresses),
				Strategy:   strategy(&o.Upstream),
				Timeout:    min(o.Upstream.FastRetryTotal, maxTimeout),
				FirstRetry: o.Upstream.FastRetry,
				UDPConfig: upstream.UDPConfig{
					Payload: o.Upstream.EDNSPacketMax, Port: o.Upstream.QueryPort, MinPort: o.Upstream.MinPort, MaxPort: o.Upstream.MaxPort,
				},
				DetectLoops: o.Upstream.LoopDetect,
				MixCase:     o.Upstream.MixCase,
			},
			Cache:       cacheConfig(o),
			InFlight:    o.Upstream.ForwardMax,
			StaleAtOnce: o.Cache.UseStale,
			// If the upstream server is kubedns, follow the changes of its ConfigMap too, and
			// complete names as it asks for (--autopath=all).
			FollowRoutes: true,
			Complete:     true,
		},
		local:  LocalData(&o.Local, files, around),
		Filter: filter.Config{Filter: o.Filter},
		tags:   ednstag.Config{ClientInfo: o.Upstream.Client, Hardware: around.MAC},
		ident:  !o.Cache.NoIdent,
	}
	p.local.Networks = near(around.Interfaces, &o.Listen)
	return p
}

// Forwarder returns the forwarder's configuration with all stages in dnsmasq's order: local
// data comes before every filter. It returns an error if the local data is invalid.
func (p *Plan) Forwarder() (forwarder.Config, error) {
	cfg := p.resolve
	data, err := local.New(&p.local)
	if err != nil {
		return cfg, err
	}
	p.Filter.Known = data.Knows
	if p.ident {
		cfg.Stages = append(cfg.Stages, chaos.New("dnscache-"+version.String()))
	}
	cfg.Stages = append(cfg.Stages, data.Stage(), filter.New(&p.Filter))
	if tags, tells := ednstag.New(&p.tags); tells {
		cfg.Stages = append(cfg.Stages, tags)
	}
	return cfg, nil
}

// maxTimeout is the longest time that an exchange may take. Clients give up after 5 seconds
// (resolv.conf(5)), and must get the failure before that.
const maxTimeout = 4500 * time.Millisecond

func cacheConfig(o *options.Options) answercache.Config {
	cfg := answercache.Config{
		Entries:       o.Cache.Size,
		MinTTL:        ttl(o.Cache.MinCacheTTL),
		MaxCacheTTL:   ttl(o.Cache.MaxCacheTTL),
		MaxTTL:        ttl(o.Cache.MaxTTL),
		NegativeTTL:   ttl(o.Cache.NegTTL),
		NoNegative:    o.Cache.NoNegative,
		NXDomainCut:   o.Own.NXDomainCut,
		FailureTTL:    failureTTL,
		FailureMaxTTL: failureMaxTTL,
		StaleRecheck:  staleRecheck,
		RoundRobin:    !o.Cache.NoRoundRobin,
		KeepAD:        o.Upstream.ProxyDNSSEC,
	}
	switch {
	case o.Own.ServeStale > 0:
		cfg.StaleFor, cfg.StaleTTL = max(ttl(o.Own.ServeStale), 1), staleTTL
	case o.Cache.UseStale && o.Cache.UseStaleMax == 0:
		cfg.StaleFor = answercache.Forever
	case o.Cache.UseStale:
		cfg.StaleFor = ttl(o.Cache.UseStaleMax)
	}
	return cfg
}

// ttl returns d in whole seconds.
func ttl(d time.Duration) uint32 { return uint32(min(d/time.Second, 1<<31-1)) }

func strategy(u *options.Upstream) upstream.Strategy {
	switch {
	case u.AllServers:
		return upstream.All
	case u.StrictOrder:
		return upstream.InOrder
	default:
		return upstream.Fastest
	}
}

// routes converts the servers of --server and similar options, and the addresses of --address,
// to routes.
func routes(servers []options.Server, addresses []options.Address) []upstream.Route {
	list := make([]upstream.Route, 0, len(servers)+len(addresses))
	alone := map[upstream.Server][]upstream.Server{} // lists with one server, shared by all its domains
	for _, s := range servers {
		r := upstream.Route{Domain: s.Domain}
		switch s.Kind {
		case options.ServerLocal:
			r.Local = true
		case options.ServerStandard:
			r.Standard = true
		case options.ServerNone:
			r.Unavailable = "no server of " + s.Domain.String() + " has an address yet"
		default:
			server := upstream.Server{
				Addr: netip.AddrPortFrom(s.Addr, s.Port), Interface: s.Interface, TLS: upstream.TLS(s.TLS),
				Role: upstream.Role(s.Role),
			}
			if s.Source.IsValid() {
				server.Source = netip.AddrPortFrom(s.Source, s.SourcePort)
			}
			if r.Servers = alone[server]; r.Servers == nil {
				r.Servers = []upstream.Server{server}
				alone[server] = r.Servers
			}
		}
		list = append(list, r)
	}
	for _, a := range addresses {
		r := upstream.Route{Domain: a.Domain}
		switch a.Kind {
		case options.AddressNull:
			r.Zero = true
		case options.AddressLocal:
			r.Local = true
		default:
			r.Addrs = []netip.Addr{a.Addr}
		}
		list = append(list, r)
	}
	return list
}

// LocalData converts the local records of the options and adds the hosts files. The first name
// of an address becomes its reverse name, so interfaces come first, then --host-record, then
// the hosts files.
func LocalData(l *options.Local, files *hosts.Table, around *Surroundings) local.Config {
	out := local.Config{TTL: ttl(l.TTL), Hosts: interfaceHosts(around.Interfaces, l), Files: files, Synth: l.SynthDomains, CNAMEs: l.CNAMEs}
	addMail(&out, l, around.Host)
	for _, r := range l.HostRecords {
		out.Hosts = append(out.Hosts, local.HostEntry{
			Names: r.Names, Addrs: r.Addrs, TTL: r.TTL, HasTTL: r.HasTTL, Source: querylog.ConfigSource,
		})
	}
	for _, r := range l.Records {
		if r.Type == wire.TypeSRV && r.Name.Labels() == 2 {
			r.Name = below(r.Name, l.Domain)
		}
		out.Records = append(out.Records, r)
	}
	return out
}

// below returns name below domain. It returns name itself if domain is empty or the result
// would be too long.
func below(name, domain dnsname.Name) dnsname.Name {
	if domain == "" || len(name)-1+len(domain) > dnsname.MaxName {
		return name
	}
	return name[:len(name)-1] + domain
}
