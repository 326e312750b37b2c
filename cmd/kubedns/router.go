package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
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
	"github.com/kube-dns/kube-dns/pkg/wire"
)

const (
	// relookup is how often the addresses of servers given by name are looked
	// up again, and lookupTimeout bounds one lookup.
	relookup      = 30 * time.Second
	lookupTimeout = 5 * time.Second
)

// router tells the forwarder whom to ask: the servers of a stub domain for its
// names, the default servers for all others. Stub servers given by name are
// looked up now and then; one that is not found keeps its last addresses.
type router struct {
	log    *slog.Logger
	domain dnsname.Name
	// local knows the names of the domain.
	local func(name []byte) treecache.Answer
	// lookup finds the addresses of other names, by asking servers.
	lookup func(ctx context.Context, servers []netip.AddrPort, name dnsname.Name) ([]netip.Addr, error)
	// reload puts routes into force.
	reload func([]upstream.Route) error
	// wake has room for one: the servers have changed.
	wake chan struct{}

	// covered is what the routes in force are about.
	covered atomic.Pointer[coverage]

	mu      sync.Mutex
	servers []netip.AddrPort
	stubs   map[dnsname.Name][]dnsconfig.Server
	addrs   map[dnsname.Name][]netip.Addr // of servers given by name
}

// set changes the servers. Names among them are looked up by run.
func (r *router) set(servers []netip.AddrPort, stubs map[dnsname.Name][]dnsconfig.Server) {
	r.mu.Lock()
	r.servers, r.stubs = servers, stubs
	r.apply()
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// apply puts what is known into force. The lock is held.
func (r *router) apply() {
	list := routes(r.servers, r.stubs, r.addrs)
	if err := r.reload(list); err != nil {
		r.log.Error("servers not taken over, the last ones stay", "error", err)
		return
	}
	c := &coverage{}
	for _, route := range list {
		c.all = c.all || route.Domain.Match == dnsname.MatchAll
		c.domains = append(c.domains, route.Domain.Name)
	}
	r.covered.Store(c)
}

// coverage says for which names there are servers.
type coverage struct {
	all     bool
	domains []dnsname.Name
}

// covers reports whether there are servers to ask about a canonical wire name.
func (r *router) covers(name []byte) bool {
	c := r.covered.Load()
	if c == nil || c.all {
		return c != nil
	}
	for _, domain := range c.domains {
		if _, below := dnsname.CutZone(name, domain); below {
			return true
		}
	}
	return false
}

// resolveFunc resolves a question of this program; see forwarder.Resolve.
type resolveFunc = func(question *wire.Query, done func(*wire.Reply, error))

// resolver gives to skydns what resolve finds, and ErrNobody for names about
// which nobody can be asked.
func (r *router) resolver(resolve resolveFunc) resolveFunc {
	return func(question *wire.Query, done func(*wire.Reply, error)) {
		if !r.covers(dnsname.AppendLower(nil, question.Name)) {
			done(nil, skydns.ErrNobody)
			return
		}
		resolve(question, done)
	}
}

// routes lists the routes in a fixed order.
func routes(servers []netip.AddrPort, stubs map[dnsname.Name][]dnsconfig.Server, addrs map[dnsname.Name][]netip.Addr) []upstream.Route {
	var list []upstream.Route
	for _, domain := range slices.Sorted(maps.Keys(stubs)) {
		if len(stubs[domain]) == 0 {
			continue // as upstream's, which then has no server line for it
		}
		route := upstream.Route{Domain: dnsname.Domain{Match: dnsname.MatchSuffix, Name: domain}}
		for _, s := range stubs[domain] {
			if s.Name == "" && s.Addr.Port() != 0 {
				route.Servers = append(route.Servers, upstream.Server{Addr: s.Addr})
			}
			for _, addr := range addrs[s.Name] {
				route.Servers = append(route.Servers, upstream.Server{Addr: netip.AddrPortFrom(addr, dnsconfig.DefaultPort)})
			}
		}
		list = append(list, route)
	}
	if len(servers) > 0 {
		route := upstream.Route{}
		for _, s := range servers {
			route.Servers = append(route.Servers, upstream.Server{Addr: s})
		}
		list = append(list, route)
	}
	return list
}

// run looks up servers given by name, whenever the servers change and every
// relookup, until ctx ends.
func (r *router) run(ctx context.Context) error {
	ticker := time.NewTicker(relookup)
	defer ticker.Stop()
	for {
		r.lookupAll(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-ticker.C:
		}
	}
}

// lookupAll looks up every server given by name and applies what changed.
func (r *router) lookupAll(ctx context.Context) {
	r.mu.Lock()
	servers := r.servers
	names := map[dnsname.Name]bool{}
	for _, list := range r.stubs {
		for _, s := range list {
			if s.Name != "" {
				names[s.Name] = true
			}
		}
	}
	r.mu.Unlock()

	found := map[dnsname.Name][]netip.Addr{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		addrs, err := r.find(ctx, servers, name)
		if err != nil {
			r.log.Warn("no address for the server of a stub domain, the last ones stay", "server", name.String(), "error", err)
			continue
		}
		slices.SortFunc(addrs, netip.Addr.Compare)
		found[name] = slices.Compact(addrs)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	next := map[dnsname.Name][]netip.Addr{}
	for name := range names {
		next[name] = r.addrs[name]
		if addrs, ok := found[name]; ok {
			next[name] = addrs
		}
	}
	if !maps.EqualFunc(next, r.addrs, slices.Equal) {
		r.addrs = next
		r.apply()
	}
}

// errNoAddress says that a name has no address.
var errNoAddress = errors.New("it has no address")

// find returns the addresses of a name, at least one.
func (r *router) find(ctx context.Context, servers []netip.AddrPort, name dnsname.Name) ([]netip.Addr, error) {
	if !name.HasSuffix(r.domain) {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		return r.lookup(ctx, servers, name)
	}
	answer := r.local([]byte(name))
	var addrs []netip.Addr
	for i := range answer.Len() {
		if record := answer.At(i); record.Addr.IsValid() {
			addrs = append(addrs, record.Addr)
		}
	}
	if len(addrs) == 0 {
		return nil, errNoAddress
	}
	return addrs, nil
}

// askServers looks up a name with the default servers, whatever the system's
// resolver would ask.
func askServers(ctx context.Context, servers []netip.AddrPort, name dnsname.Name) ([]netip.Addr, error) {
	if len(servers) == 0 {
		return nil, errors.New("there are no servers to ask")
	}
	var next atomic.Uint32 // the resolver dials for A and AAAA at once
	resolver := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			server := servers[int(next.Add(1)-1)%len(servers)]
			return (&net.Dialer{}).DialContext(ctx, network, server.String())
		},
	}
	addrs, err := resolver.LookupNetIP(ctx, "ip", name.String())
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", strings.TrimSuffix(name.String(), "."), err)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}
