// Package stubdomain decides which upstream servers are asked for a name: the servers of a
// stub domain for the domain and all names below it, the default servers for other names.
//
// Use [New] to make a Router, [Router.Set] to pass it the configuration, and [Router.Run] to
// keep the addresses of servers that are given by name up to date. [Router.Route] and
// [Router.Delegated] are for the packet path.
//
// If a name is in several stub domains, the longest one counts, as with dnsmasq's
// --server=/domain/address. A stub domain may also be below the cluster domain or in a
// reverse zone. Its names are then delegated: they are answered by its servers, not from the
// cluster's records. The cluster domain itself and its "svc" cannot be delegated.
//
// Other servers are never asked for names in a stub domain. While none of its servers has a
// known address, Route returns the reason.
package stubdomain

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/internal/wake"
	"github.com/kube-dns/kube-dns/pkg/skydns"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// Config configures a Router. Only ClusterSet, Lookup and LookupSecure may be zero.
type Config struct {
	// Domain is the cluster domain.
	Domain dnsname.Name
	// ClusterSet is the clusterset zone; "" means that there is none. The zone itself, or a
	// domain above it, cannot be a stub domain for its names.
	ClusterSet dnsname.Name
	// Local returns the cluster's answer for a canonical wire name in one of these two
	// zones. It must not block.
	Local func(name []byte) treecache.Answer
	// Lookup looks up the addresses of a name outside the cluster by asking servers. If it
	// is nil, they are asked over DNS.
	Lookup func(ctx context.Context, servers []netip.AddrPort, name dnsname.Name) ([]netip.Addr, error)
	// LookupSecure looks up addresses if the servers must be asked over TLS, in the way in
	// which a client's question would be answered. If it is nil, such lookups fail.
	LookupSecure func(ctx context.Context, name dnsname.Name) ([]netip.Addr, error)
	// Reload makes the forwarder use routes from now on.
	Reload func(routes []upstream.Route) error
	// Logger receives messages about changes of servers, and servers that cannot be
	// resolved.
	Logger *slog.Logger
}

// zones returns the zones that are answered from the cluster's records.
func (c *Config) zones() []dnsname.Name {
	if c.ClusterSet == "" {
		return []dnsname.Name{c.Domain}
	}
	return []dnsname.Name{c.Domain, c.ClusterSet}
}

// Router knows the servers of every name. It is safe for concurrent use.
type Router struct {
	// cfg does not change.
	cfg Config
	// wake has a capacity of one. Set and Refresh send when Run must look servers up.
	wake chan struct{}
	// view is what Route and Delegated read. apply publishes it.
	view atomic.Pointer[tables]

	// mu protects the fields below.
	mu sync.Mutex
	// servers are asked for names in no stub domain.
	servers []dnsconfig.Server
	// stubs are the stub domains in use, each with at least one server.
	stubs map[dnsname.Name][]dnsconfig.Server
	// hosts are the servers that are given by name.
	hosts map[dnsname.Name]*namedServer
	// looking counts the lookups that wait for other servers.
	looking int
	// logged holds the lines about the current servers, which logChanges has logged.
	logged map[string]bool
}

// New returns a Router without servers.
func New(cfg Config) *Router {
	if cfg.Lookup == nil {
		cfg.Lookup = askServers
	}
	r := &Router{cfg: cfg, wake: make(chan struct{}, 1)}
	r.view.Store(&tables{current: newTable(cfg.zones(), nil, nil, nil)})
	return r
}

// Set replaces the configuration: the default servers, and those of stub domains. A stub
// domain with an empty list is ignored. Servers given by name that were configured before
// keep their addresses; Run looks up new ones. Set keeps neither servers nor stubs.
func (r *Router) Set(servers []dnsconfig.Server, stubs map[dnsname.Name][]dnsconfig.Server) {
	r.mu.Lock()
	r.servers = slices.Clone(servers)
	r.stubs = r.usable(stubs)
	hosts := map[dnsname.Name]*namedServer{}
	for _, domain := range slices.Sorted(maps.Keys(r.stubs)) {
		for _, server := range r.stubs[domain] {
			if server.Name == "" {
				continue
			}
			h := hosts[server.Name]
			if h == nil {
				if h = r.hosts[server.Name]; h == nil {
					h = &namedServer{name: server.Name}
				}
				h.domains = nil
				hosts[server.Name] = h
			}
			if text := display(domain); len(h.domains) == 0 || h.domains[len(h.domains)-1] != text {
				h.domains = append(h.domains, text)
			}
		}
	}
	r.hosts = hosts
	r.lookupLocal(time.Now())
	r.apply()
	r.mu.Unlock()
	r.Refresh()
}

// Refresh makes Run look up servers without an address at once. Call it when the cluster's
// first lists have been loaded.
func (r *Router) Refresh() {
	wake.Up(r.wake)
}

// usable returns the stub domains that have servers and may be used.
func (r *Router) usable(stubs map[dnsname.Name][]dnsconfig.Server) map[dnsname.Name][]dnsconfig.Server {
	out := map[dnsname.Name][]dnsconfig.Server{}
	for domain, servers := range stubs {
		switch {
		case len(servers) == 0:
		case domain == r.cfg.Domain, domain == "\x03svc"+r.cfg.Domain:
			r.cfg.Logger.Warn("ignoring a stub domain: its names are answered from the cluster's own records; use a domain below it, such as a namespace",
				"domain", display(domain), "cluster_domain", display(r.cfg.Domain))
		case r.cfg.ClusterSet != "" && (domain == r.cfg.ClusterSet || domain == "\x03svc"+r.cfg.ClusterSet):
			r.cfg.Logger.Warn("ignoring a stub domain: with --clusterset-domain its names are answered from ServiceImports; remove it from stubDomains",
				"domain", display(domain), "clusterset_domain", display(r.cfg.ClusterSet))
		default:
			out[domain] = servers
		}
	}
	return out
}

// apply publishes the current servers. r.mu must be held.
//
// A name that loses its servers is blocked before the forwarder forgets them, and a name
// that gets servers is only forwarded after the forwarder knows them. A question about a
// name in a stub domain therefore never reaches the default servers.
func (r *Router) apply() {
	next := newTable(r.cfg.zones(), r.servers, r.stubs, r.hosts)
	current := r.view.Load().current
	r.view.Store(&tables{current: current, next: next})
	if err := r.cfg.Reload(next.upstreamRoutes()); err != nil {
		r.view.Store(&tables{current: current})
		r.cfg.Logger.Error("cannot apply new servers; keeping the previous ones", "error", err)
		return
	}
	r.view.Store(&tables{current: next})
	r.logChanges(next)
}

// verbose is the level of messages that are logged with --v=2.
const verbose = slog.Level(-2)

// logChanges logs the servers of all names with --v=2, if they have changed.
func (r *Router) logChanges(t *table) {
	lines := make(map[string]bool, len(t.list))
	for _, d := range t.list {
		line := d.describe().String()
		lines[line] = true
		if !r.logged[line] {
			//nolint:forbidigo // the logger ignores the context
			r.cfg.Logger.Log(context.Background(), verbose, "the servers for some names have changed", "where", line)
		}
	}
	r.logged = lines
}

// Route implements [skydns.Config.Route].
func (r *Router) Route(name []byte) skydns.Route {
	v := r.view.Load()
	if v.next != nil {
		if route := v.next.route(name); route.Kind == skydns.RouteNobody || route.Kind == skydns.RouteUnavailable {
			return route
		}
	}
	return v.current.route(name)
}

// Delegated reports whether a canonical wire name, in the cluster domain or in a reverse
// zone, is in a stub domain, whose servers then answer instead of the cluster's records.
func (r *Router) Delegated(name []byte) bool {
	v := r.view.Load()
	return v.current.delegates(name) || v.next != nil && v.next.delegates(name)
}

// Destinations returns the stub domains in use, sorted by name, and then all other names.
func (r *Router) Destinations() []Destination {
	var list []Destination
	for _, d := range r.view.Load().current.list {
		list = append(list, d.describe())
	}
	return list
}

// display returns a name without its final dot; the root is ".".
func display(name dnsname.Name) string {
	if text := strings.TrimSuffix(name.String(), "."); text != "" {
		return text
	}
	return "."
}
