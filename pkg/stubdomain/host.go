package stubdomain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/internal/dnsclient"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

const (
	// localPeriod is how often names in the cluster domain are looked up. Each lookup
	// only reads a few words of memory.
	localPeriod = 250 * time.Millisecond
	// remotePeriod is how often other names that have an address are looked up.
	// minRetry and maxRetry are the shortest and longest pause after a failed lookup.
	remotePeriod       = 30 * time.Second
	minRetry, maxRetry = time.Second, 5 * time.Second
	// lookupTimeout is the longest duration of one lookup, serverTimeout that of asking
	// one server. maxLookups is the largest number of lookups at the same time.
	lookupTimeout = 10 * time.Second
	serverTimeout = 2 * time.Second
	maxLookups    = 8
	// warnPeriod is the shortest time between two warnings about one server.
	warnPeriod = time.Minute
	// maxAliases is how many ExternalName Services are followed.
	maxAliases = 8
	// maxAddrs is how many addresses of one server are used: whoever creates the Service, or
	// answers for its name, may give it thousands.
	maxAddrs = 16
	// maxNamed is how many of the domains of one server are named in a message.
	maxNamed = 10
)

// namedServer is a server that is given by name. Router.mu protects it.
type namedServer struct {
	// name is the server's name; it does not change.
	name dnsname.Name
	// domains are the stub domains that the server is for, as text.
	domains []string
	// addrs are the addresses found last, sorted.
	addrs []netip.Addr
	// err is the error of the last lookup; nil if it succeeded or there was none.
	err error
	// due is when a name outside the cluster domain must be looked up again.
	due time.Time
	// failures counts the failed lookups since the last successful one.
	failures int
	// busy is true while a lookup waits for other servers.
	busy bool
	// warned is when a failure was last logged; zero if not since the last success.
	warned time.Time
}

// domainsText returns the stub domains that the server is for, or some of them.
func (h *namedServer) domainsText() string {
	text := strings.Join(h.domains[:min(len(h.domains), maxNamed)], " ")
	if more := len(h.domains) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// problem says why the server has no address.
func (h *namedServer) problem() string {
	if h.err == nil {
		return "it has not been looked up yet"
	}
	return h.err.Error()
}

var (
	errLoading   = errors.New("the cluster's Services have not been loaded yet")
	errNoName    = errors.New("no such Service or endpoint")
	errNoAddress = errors.New("the name exists but has no address")
	errAliases   = errors.New("too many ExternalName Services that refer to each other")
)

// Run looks up the servers that are given by name, until ctx ends: names in the cluster
// domain several times a second, other names every 30 seconds, or more often while they
// have no address. It always returns nil.
func (r *Router) Run(ctx context.Context) error {
	var lookups sync.WaitGroup
	defer lookups.Wait()
	for {
		var again <-chan time.Time
		if r.lookupAll(ctx, &lookups) {
			again = time.After(localPeriod)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-again:
		}
	}
}

// lookupAll looks up every server that is due. It reports whether there are servers that
// are given by name.
func (r *Router) lookupAll(ctx context.Context, lookups *sync.WaitGroup) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.lookupLocal(now) {
		r.apply()
	}
	for _, name := range slices.Sorted(maps.Keys(r.hosts)) {
		h := r.hosts[name]
		target, err := r.remoteName(name)
		if err != nil || target == "" || h.busy || now.Before(h.due) || r.looking == maxLookups {
			continue
		}
		servers, err := r.serversOf(target)
		if err != nil {
			if r.recordLookup(h, nil, err, now) {
				r.apply()
			}
			continue
		}
		h.busy = true
		r.looking++
		lookups.Go(func() { r.lookupRemote(ctx, h, servers, target) })
	}
	return len(r.hosts) > 0
}

// lookupLocal looks up the servers in the cluster domain, and reports whether their
// addresses have changed. r.mu must be held.
func (r *Router) lookupLocal(now time.Time) (changed bool) {
	for _, name := range slices.Sorted(maps.Keys(r.hosts)) {
		target, err := r.remoteName(name)
		if target != "" {
			continue
		}
		var addrs []netip.Addr
		if err == nil {
			addrs, err = r.localAddrs(name)
		}
		// The cluster's own data is complete. A server that is no longer in it must not
		// be asked any more, because another Pod may soon have its address.
		h := r.hosts[name]
		if err != nil && len(h.addrs) > 0 {
			h.addrs, changed = nil, true
		}
		changed = r.recordLookup(h, addrs, err, now) || changed
	}
	return changed
}

// lookupRemote looks up a server by asking other servers.
func (r *Router) lookupRemote(ctx context.Context, h *namedServer, servers []dnsconfig.Server, target dnsname.Name) {
	lookup, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := r.ask(lookup, servers, target)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looking--
	h.busy = false
	if ctx.Err() != nil || r.hosts[h.name] != h {
		return // the program is ending, or the server is no longer configured
	}
	if r.recordLookup(h, addrs, err, time.Now()) {
		r.apply()
	}
}

// ask looks up a name by asking servers, over TLS if a client's question would be sent
// over TLS.
func (r *Router) ask(ctx context.Context, servers []dnsconfig.Server, name dnsname.Name) ([]netip.Addr, error) {
	plain := make([]netip.AddrPort, 0, len(servers))
	for _, s := range servers {
		switch {
		case s.TLS && r.cfg.LookupSecure == nil:
			return nil, fmt.Errorf("cannot look it up over TLS at %v", s)
		case s.TLS:
			return r.cfg.LookupSecure(ctx, name)
		}
		plain = append(plain, s.Addr)
	}
	return r.cfg.Lookup(ctx, plain, name)
}

// recordLookup records the result of a lookup, and reports whether it changes the routes.
// After a failure the previous addresses remain. r.mu must be held.
func (r *Router) recordLookup(h *namedServer, addrs []netip.Addr, err error, now time.Time) (changed bool) {
	if err != nil {
		changed = len(h.addrs) == 0 && (h.err == nil || h.err.Error() != err.Error())
		h.err, h.due = err, now.Add(min(minRetry<<min(h.failures, 8), maxRetry))
		h.failures++
		r.warn(h, now)
		return changed
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	addrs = addrs[:min(len(addrs), maxAddrs)]
	changed = !slices.Equal(addrs, h.addrs) || h.err != nil && len(h.addrs) == 0
	if changed {
		r.cfg.Logger.Info("resolved the server of a stub domain", "domain", h.domainsText(),
			"server", display(h.name), "addresses", fmt.Sprint(addrs))
	}
	h.addrs, h.err, h.failures, h.due = addrs, nil, 0, now.Add(remotePeriod)
	h.warned = time.Time{}
	return changed
}

// warn logs why a server has no address, at most once a minute, but not while the first
// lists are being loaded. r.mu must be held.
func (r *Router) warn(h *namedServer, now time.Time) {
	if errors.Is(h.err, errLoading) || !h.warned.IsZero() && now.Sub(h.warned) < warnPeriod {
		return
	}
	h.warned = now
	consequence := "answering SERVFAIL for names in the domain unless it has another server"
	if len(h.addrs) > 0 {
		consequence = "keeping its previous addresses"
	}
	r.cfg.Logger.Warn("cannot resolve the server of a stub domain", "domain", h.domainsText(),
		"server", display(h.name), "error", h.err, "consequence", consequence)
}

// own reports whether a name is answered from the cluster's records.
func (r *Router) own(name dnsname.Name) bool {
	zones := r.cfg.zones()
	if !slices.ContainsFunc(zones, name.HasSuffix) {
		return false
	}
	domain, found := r.stubOf(name)
	return !found || !delegable(domain, zones)
}

// stubOf returns the longest stub domain that a name is in.
func (r *Router) stubOf(name dnsname.Name) (domain dnsname.Name, found bool) {
	for suffix := name; suffix != dnsname.Root; suffix = suffix.Parent() {
		if _, found := r.stubs[suffix]; found {
			return suffix, true
		}
	}
	return dnsname.Root, false
}

// remoteName returns the name for which other servers must be asked to find the server
// name: name itself, or the target of its ExternalName Service. It is "" if the name is
// answered from the cluster's own records.
func (r *Router) remoteName(name dnsname.Name) (dnsname.Name, error) {
	for range maxAliases {
		if !r.own(name) {
			return name, nil
		}
		target, ok := aliasTarget(r.cfg.Local([]byte(name)))
		if !ok {
			return "", nil
		}
		name = target
	}
	return "", errAliases
}

// aliasTarget returns the target of an ExternalName Service.
func aliasTarget(answer treecache.Answer) (target dnsname.Name, ok bool) {
	for i := range answer.Len() {
		record := answer.At(i)
		if record.Alias && record.HasTarget() {
			return dnsname.Name(dnsname.AppendLower(nil, record.AppendTarget(nil))), true
		}
	}
	return "", false
}

// localAddrs returns the addresses of a name in a zone of the cluster.
func (r *Router) localAddrs(name dnsname.Name) ([]netip.Addr, error) {
	for range maxAliases {
		answer := r.cfg.Local([]byte(name))
		switch answer.Status {
		case treecache.Found:
		case treecache.NoRecords:
			return nil, errNoAddress
		case treecache.NoSuchName:
			return nil, errNoName
		default:
			return nil, errLoading
		}
		if target, ok := aliasTarget(answer); ok {
			name = target
			continue
		}
		var addrs []netip.Addr
		for _, v6 := range [...]bool{false, true} {
			walk := answer.Addrs(v6)
			for addr, ok := walk.Next(); ok && len(addrs) < maxAddrs; addr, ok = walk.Next() {
				addrs = append(addrs, addr)
			}
		}
		if len(addrs) == 0 {
			return nil, errNoAddress
		}
		return addrs, nil
	}
	return nil, errAliases
}

// serversOf returns the servers to ask for the address of a server: those that a client's
// question about the name would go to.
func (r *Router) serversOf(name dnsname.Name) ([]dnsconfig.Server, error) {
	domain, found := r.stubOf(name)
	configured := r.servers
	if found {
		configured = r.stubs[domain]
	}
	servers := newDestination(domain, configured, r.hosts).servers
	switch {
	case len(servers) > 0:
		return servers, nil
	case found:
		return nil, fmt.Errorf("it is in stub domain %s, none of whose servers has an address", display(domain))
	}
	return nil, errors.New("there is no upstream server to ask for it")
}

// askServers looks up a name by asking servers, one after the other until one answers. The
// system's resolver is not used.
func askServers(ctx context.Context, servers []netip.AddrPort, name dnsname.Name) ([]netip.Addr, error) {
	var failed error
	for _, server := range servers {
		addrs, err := askServer(ctx, server, name)
		if err == nil || errors.Is(err, errNotFound) {
			return addrs, err
		}
		failed = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

var errNotFound = errors.New("the name does not exist or has no address")

// askServer looks up a name by asking one server.
func askServer(ctx context.Context, server netip.AddrPort, name dnsname.Name) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	addrs, err := dnsclient.Resolver(server.String()).LookupNetIP(ctx, "ip", name.String())
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	// The error of package net would repeat the name, and name the server of resolv.conf.
	failed, ok := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil:
		return addrs, nil
	case ok && failed.IsNotFound:
		return nil, errNotFound
	case ok && failed.IsTimeout:
		return nil, fmt.Errorf("timeout waiting for %v", server)
	case ok:
		// Only the last part of a socket's error is new information.
		return nil, fmt.Errorf("asking %v: %s", server, strings.TrimSpace(failed.Err[strings.LastIndex(failed.Err, ": ")+1:]))
	}
	return nil, err
}
