// Package stubdomain decides which DNS servers a question goes to: the servers
// of a stub domain for the names at and below it, the default servers for all
// other names.
//
// Use [New] to make a Router, [Router.Set] to give it the configuration, and
// [Router.Run] to keep the addresses of servers that are given by name up to
// date. [Router.Route] and [Router.Delegated] answer on the packet path.
//
// The longest stub domain wins, as with dnsmasq's --server=/domain/address. A
// stub domain may also lie below the cluster domain or in a reverse zone; then
// its names are delegated: its servers answer for them, not the cluster's
// records. The cluster domain itself and its "svc" cannot be delegated.
//
// Names of a stub domain never go anywhere else. While none of its servers has a
// known address, Route says so with the reason.
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
	"github.com/kube-dns/kube-dns/pkg/skydns"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// Config says what a Router works with. Only Lookup may be left out.
type Config struct {
	// Domain is the cluster domain.
	Domain dnsname.Name
	// ClusterSet is the zone of multi-cluster Services, "" if there is none. Its own
	// name, or one above it, cannot be a stub domain of its names.
	ClusterSet dnsname.Name
	// Local returns what the cluster has under a canonical wire name in one of the
	// two. It must not block.
	Local func(name []byte) treecache.Answer
	// Lookup finds the addresses of a name outside the cluster by asking
	// servers. Nil asks them over DNS.
	Lookup func(ctx context.Context, servers []netip.AddrPort, name dnsname.Name) ([]netip.Addr, error)
	// LookupSecure finds them where those servers are to be asked over TLS: as a
	// client's question would be answered. Nil: there is no such way.
	LookupSecure func(ctx context.Context, name dnsname.Name) ([]netip.Addr, error)
	// Reload makes the forwarder use routes from now on.
	Reload func(routes []upstream.Route) error
	// Logger gets changes of servers, and those that cannot be resolved.
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
	cfg Config
	// wake has room for one: the servers have changed.
	wake chan struct{}
	// view is what Route and Delegated read.
	view atomic.Pointer[view]

	// mu guards the rest.
	mu sync.Mutex
	// servers are asked about names that no stub domain has.
	servers []dnsconfig.Server
	// stubs are the stub domains in use, each with at least one server.
	stubs map[dnsname.Name][]dnsconfig.Server
	// hosts are the servers given by name.
	hosts map[dnsname.Name]*host
	// looking counts the lookups that wait for other servers.
	looking int
	// told is what was last logged about where names go.
	told []string
}

// New returns a Router that knows no servers yet.
func New(cfg Config) *Router {
	if cfg.Lookup == nil {
		cfg.Lookup = askServers
	}
	r := &Router{cfg: cfg, wake: make(chan struct{}, 1)}
	r.view.Store(&view{current: newTable(cfg.zones(), nil, nil, nil)})
	return r
}

// Set replaces the configuration: servers for all names, and those of stub
// domains. A stub domain with an empty list counts as absent. Servers given by
// name that stay keep their addresses; new ones are looked up by Run.
func (r *Router) Set(servers []dnsconfig.Server, stubs map[dnsname.Name][]dnsconfig.Server) {
	r.mu.Lock()
	r.servers = unique(servers)
	r.stubs = r.usable(stubs)
	hosts := map[dnsname.Name]*host{}
	for _, domain := range slices.Sorted(maps.Keys(r.stubs)) {
		for _, server := range r.stubs[domain] {
			if server.Name == "" {
				continue
			}
			h := hosts[server.Name]
			if h == nil {
				if h = r.hosts[server.Name]; h == nil {
					h = &host{name: server.Name}
				}
				h.domains = nil
				hosts[server.Name] = h
			}
			if text := display(domain); !slices.Contains(h.domains, text) {
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

// Refresh makes Run look up at once what it knows no address of, such as when
// the cluster's first lists are in.
func (r *Router) Refresh() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// usable returns the stub domains that have servers and may be delegated.
func (r *Router) usable(stubs map[dnsname.Name][]dnsconfig.Server) map[dnsname.Name][]dnsconfig.Server {
	out := map[dnsname.Name][]dnsconfig.Server{}
	for domain, servers := range stubs {
		switch {
		case len(servers) == 0:
		case domain == r.cfg.Domain, domain == "\x03svc"+r.cfg.Domain:
			r.cfg.Logger.Warn("ignoring a stub domain: the cluster's own records hold there; use a domain below it, such as a namespace",
				"domain", display(domain), "cluster_domain", display(r.cfg.Domain))
		case r.cfg.ClusterSet != "" && (domain == r.cfg.ClusterSet || domain == "\x03svc"+r.cfg.ClusterSet):
			r.cfg.Logger.Warn("ignoring a stub domain: with --clusterset-domain its names are answered here; remove it from stubDomains",
				"domain", display(domain), "clusterset_domain", display(r.cfg.ClusterSet))
		default:
			out[domain] = servers
		}
	}
	return out
}

// apply makes what is known take effect. r.mu must be held.
//
// A name that loses its servers is blocked before the forwarder forgets them,
// and one that gains some is let through after it knows them: at no time does a
// question about a stub domain's name reach the default servers.
func (r *Router) apply() {
	next := newTable(r.cfg.zones(), r.servers, r.stubs, r.hosts)
	current := r.view.Load().current
	r.view.Store(&view{current: current, next: next})
	if err := r.cfg.Reload(next.upstreamRoutes()); err != nil {
		r.view.Store(&view{current: current})
		r.cfg.Logger.Error("cannot apply new servers; keeping the previous ones", "error", err)
		return
	}
	r.view.Store(&view{current: next})
	r.logChanges(next)
}

// verbose is the level of messages that --v=2 shows.
const verbose = slog.Level(-2)

// logChanges tells at --v=2 where names go, if that is new.
func (r *Router) logChanges(t *table) {
	var lines []string
	for _, d := range t.list {
		line := d.String()
		lines = append(lines, line)
		if !slices.Contains(r.told, line) {
			//nolint:forbidigo // the logger ignores the context
			r.cfg.Logger.Log(context.Background(), verbose, "servers for names changed", "where", line)
		}
	}
	r.told = lines
}

// Route implements what [skydns.Config.Route] asks for.
func (r *Router) Route(name []byte) skydns.Route {
	v := r.view.Load()
	if v.next != nil {
		if route := v.next.route(name); route.Kind == skydns.RouteNobody || route.Kind == skydns.RouteUnavailable {
			return route
		}
	}
	return v.current.route(name)
}

// Delegated reports whether a canonical wire name, of the cluster domain or of
// a reverse zone, belongs to a stub domain, whose servers then answer instead of
// the cluster's records.
func (r *Router) Delegated(name []byte) bool {
	v := r.view.Load()
	return v.current.delegates(name) || v.next != nil && v.next.delegates(name)
}

// Describe tells in a line each, for people, where the names of each stub
// domain and all other names go.
func (r *Router) Describe() []string {
	var lines []string
	for _, d := range r.view.Load().current.list {
		lines = append(lines, d.String())
	}
	return lines
}

// display is a name without its final dot; the root is ".".
func display(name dnsname.Name) string {
	if text := strings.TrimSuffix(name.String(), "."); text != "" {
		return text
	}
	return "."
}

// unique returns list without repetitions, in order.
func unique[T comparable](list []T) []T {
	var out []T
	for _, x := range list {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
