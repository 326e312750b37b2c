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
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

const (
	// localPeriod is how often names in the cluster domain are looked up. That
	// reads a few words of memory.
	localPeriod = 250 * time.Millisecond
	// remotePeriod is how often other names are looked up that have an address,
	// and minRetry and maxRetry bound the wait after a lookup that failed.
	remotePeriod       = 30 * time.Second
	minRetry, maxRetry = time.Second, 5 * time.Second
	// lookupTimeout bounds one lookup, serverTimeout the part of it that one
	// server may take, and maxLookups is how many there may be at a time.
	lookupTimeout = 10 * time.Second
	serverTimeout = 2 * time.Second
	maxLookups    = 8
	// warnPeriod is the least time between two warnings about one server.
	warnPeriod = time.Minute
	// maxAliases is how many ExternalName Services are followed.
	maxAliases = 8
)

// host is a server given by name. Router.mu guards it.
type host struct {
	name dnsname.Name
	// domains are the stub domains that the server is for, as text.
	domains []string
	// addrs are where it was last found, sorted.
	addrs []netip.Addr
	// err is why the last lookup failed; nil if it did not, or there was none.
	err error
	// due is when it is to be looked up again, if not in the cluster domain.
	due time.Time
	// failures counts the lookups that failed since one that did not.
	failures int
	// busy: a lookup waits for other servers.
	busy bool
	// warned is when a failure was last logged.
	warned time.Time
}

// problem says why the host has no address.
func (h *host) problem() string {
	if h.err == nil {
		return "not looked up yet"
	}
	return h.err.Error()
}

var (
	errLoading   = errors.New("the cluster's Services are not listed yet")
	errNoName    = errors.New("no such Service or endpoint")
	errNoAddress = errors.New("the name exists but has no address")
	errAliases   = errors.New("too many ExternalName Services lead from one to the next")
)

// Run looks up servers that are given by name, until ctx ends. Those in the
// cluster domain are followed closely, others are looked up every 30 seconds,
// and sooner while they have no address. It returns nil.
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

// lookupAll looks up every server whose turn it is. It reports whether there
// are servers given by name at all.
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
			if r.settle(h, nil, err, now) {
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

// lookupLocal looks up the servers in the cluster domain, and reports whether
// anything changed. r.mu must be held.
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
		// The cluster's own data is complete: what is gone from it must not be
		// asked any more, since its address may soon be somebody else's.
		h := r.hosts[name]
		if err != nil && len(h.addrs) > 0 {
			h.addrs, changed = nil, true
		}
		changed = r.settle(h, addrs, err, now) || changed
	}
	return changed
}

// lookupRemote looks up a server by asking others.
func (r *Router) lookupRemote(ctx context.Context, h *host, servers []dnsconfig.Server, target dnsname.Name) {
	lookup, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := r.ask(lookup, servers, target)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looking--
	h.busy = false
	if ctx.Err() != nil || r.hosts[h.name] != h {
		return // its failure means nothing, or nobody wants to know any more
	}
	if r.settle(h, addrs, err, time.Now()) {
		r.apply()
	}
}

// ask looks up a name with servers, over TLS if a client's question would go over
// TLS.
func (r *Router) ask(ctx context.Context, servers []dnsconfig.Server, name dnsname.Name) ([]netip.Addr, error) {
	plain := make([]netip.AddrPort, 0, len(servers))
	for _, s := range servers {
		switch {
		case s.TLS && r.cfg.LookupSecure == nil:
			return nil, fmt.Errorf("it cannot be looked up over TLS at %v", s)
		case s.TLS:
			return r.cfg.LookupSecure(ctx, name)
		}
		plain = append(plain, s.Addr)
	}
	return r.cfg.Lookup(ctx, plain, name)
}

// settle records the result of a lookup, and reports whether routes change by
// it. After a failure the last addresses stay. r.mu must be held.
func (r *Router) settle(h *host, addrs []netip.Addr, err error, now time.Time) (changed bool) {
	if err != nil {
		changed = len(h.addrs) == 0 && (h.err == nil || h.err.Error() != err.Error())
		h.err, h.due = err, now.Add(min(minRetry<<min(h.failures, 8), maxRetry))
		h.failures++
		r.warn(h, now)
		return changed
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	changed = !slices.Equal(addrs, h.addrs) || h.err != nil && len(h.addrs) == 0
	if changed {
		r.cfg.Logger.Info("found the server of a stub domain", "domain", strings.Join(h.domains, " "),
			"server", display(h.name), "addresses", fmt.Sprint(addrs))
	}
	h.addrs, h.err, h.failures, h.due = addrs, nil, 0, now.Add(remotePeriod)
	h.warned = time.Time{}
	return changed
}

// warn logs why a server has no address, once a minute. While the first lists
// are on their way that is no news. r.mu must be held.
func (r *Router) warn(h *host, now time.Time) {
	if errors.Is(h.err, errLoading) || !h.warned.IsZero() && now.Sub(h.warned) < warnPeriod {
		return
	}
	h.warned = now
	consequence := "SERVFAIL for the domain's names unless it has another server"
	if len(h.addrs) > 0 {
		consequence = "keeping its previous addresses"
	}
	r.cfg.Logger.Warn("cannot resolve the server of a stub domain", "domain", strings.Join(h.domains, " "),
		"server", display(h.name), "error", h.err, "consequence", consequence)
}

// own reports whether the cluster's records answer for a name.
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

// remoteName returns the name that other servers have to be asked about to find
// the server name: itself, or the target of its ExternalName Service. It is ""
// when the cluster's own records have the address, or nothing.
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
			for addr, ok := walk.Next(); ok; addr, ok = walk.Next() {
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

// serversOf returns whom to ask about the address of a server: the same that a
// client's question about it would go to.
func (r *Router) serversOf(name dnsname.Name) ([]dnsconfig.Server, error) {
	domain, found := r.stubOf(name)
	if !found {
		if len(r.servers) == 0 {
			return nil, errors.New("there is no server to ask about it")
		}
		return r.servers, nil
	}
	servers := newDestination(domain, r.stubs[domain], r.hosts).servers
	if len(servers) == 0 {
		return nil, fmt.Errorf("it lies in stub domain %s, none of whose servers has an address", display(domain))
	}
	return servers, nil
}

// askServers looks up a name with servers, one after the other until one of them
// knows, whatever the system's resolver would ask.
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

var errNotFound = errors.New("no such name, or it has no address")

// askServer looks up a name with one server.
func askServer(ctx context.Context, server netip.AddrPort, name dnsname.Name) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	resolver := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server.String())
		},
	}
	addrs, err := resolver.LookupNetIP(ctx, "ip", name.String())
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	// net's error would repeat the name, and blame the server of resolv.conf.
	failed, ok := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil:
		return addrs, nil
	case ok && failed.IsNotFound:
		return nil, errNotFound
	case ok && failed.IsTimeout:
		return nil, fmt.Errorf("no answer in time from %v", server)
	case ok:
		// Of an error of the socket, its last part tells what nobody knows yet.
		return nil, fmt.Errorf("asking %v: %s", server, strings.TrimSpace(failed.Err[strings.LastIndex(failed.Err, ": ")+1:]))
	}
	return nil, err
}
