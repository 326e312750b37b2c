// Package servers collects the upstream servers that dnscache asks from the places that name
// them, and finds the addresses of those given by name.
//
// Fill in [Sources] and call [Sources.Servers].
package servers

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kube-dns/kube-dns/pkg/dnscache/files"
	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/internal/readfile"
)

// Sources are the places that upstream servers come from. It must not be used from two
// goroutines at once.
type Sources struct {
	Options []options.Server // servers of the command line and configuration files
	Live    Live             // servers of dnsmasq-nanny's directory
	Resolv  *files.Resolv    // servers of --resolv-file; nil for none
	// NoResolv is --no-resolv.
	NoResolv bool

	expand   func([]options.Server) []options.Server // see Follow
	own      []netip.AddrPort                        // see Follow
	file     []options.Server                        // servers of --servers-file
	fileRead bool                                    // file is what the last valid reading gave
	known    map[string][]netip.Addr                 // addresses of the servers in that file that are given by name
	shown    []string                                // the lines that Show logged last
}

// Live is the content of dnsmasq-nanny's directory, with the names of servers replaced by their
// addresses.
type Live struct {
	Servers []options.Server
	// Upstream means that the directory names servers that replace those of resolv.conf.
	Upstream bool
}

// Equal reports whether both have the same effect.
func (c Live) Equal(d Live) bool {
	return c.Upstream == d.Upstream && slices.Equal(c.Servers, d.Servers)
}

// Servers returns the servers in effect, each once, in the order in which --strict-order asks
// them. As with dnsmasq-nanny, upstream servers of the directory replace those of resolv.conf.
func (s *Sources) Servers() []options.Server {
	all := slices.Concat(s.Options, s.file, s.Live.Servers)
	if !s.NoResolv && !s.Live.Upstream && s.Resolv != nil {
		for _, addr := range s.Resolv.Servers {
			all = append(all, options.Server{Addr: addr, Port: options.DefaultPort})
		}
	}
	all = s.withoutOwn(all)
	if s.expand != nil {
		all = s.expand(all)
	}
	return once(all)
}

// Bytes returns an estimate of the memory, in octets, that the servers take, including the data
// that the forwarder derives from them.
func (s *Sources) Bytes() int {
	const perDomain, perServer = 400, 2000
	bytes := 0
	for _, list := range [...][]options.Server{s.Options, s.file, s.Live.Servers} {
		bytes += len(list) * perDomain
		for i := range list {
			if i == 0 || list[i].Addr != list[i-1].Addr {
				bytes += perServer
			}
		}
	}
	return bytes
}

// once removes duplicates from list, in place.
func once(list []options.Server) []options.Server {
	if len(list) < 2 {
		return list
	}
	first := make(map[uint64]int, len(list)) // indices in unique by hash, because a server as the key takes 200 octets
	seed := maphash.MakeSeed()
	unique := list[:0]
	for i := range list {
		hash := maphash.Comparable(seed, list[i])
		if at, ok := first[hash]; ok && unique[at] == list[i] {
			continue
		}
		first[hash] = len(unique)
		unique = append(unique, list[i])
	}
	return unique
}

// Follow makes Servers call expand, which adds replicas, and leave out the addresses in own, on
// which this program listens.
func (s *Sources) Follow(expand func([]options.Server) []options.Server, own []netip.AddrPort) {
	s.expand, s.own = expand, own
}

// isOwn reports whether a question to server would reach this program itself.
func (s *Sources) isOwn(server *options.Server) bool {
	if server.Kind != options.ServerAsk {
		return false
	}
	return slices.ContainsFunc(s.own, func(own netip.AddrPort) bool {
		all := own.Addr().IsUnspecified() && server.Addr.IsLoopback() && own.Addr().Is4() == server.Addr.Is4()
		return own.Port() == server.Port && (own.Addr() == server.Addr || all)
	})
}

// withoutOwn removes servers that are this program itself. If a domain has no other servers,
// questions about it are not sent to any server, because no other server may get them.
func (s *Sources) withoutOwn(servers []options.Server) []options.Server {
	if !slices.ContainsFunc(servers, func(server options.Server) bool { return s.isOwn(&server) }) {
		return servers
	}
	out := make([]options.Server, 0, len(servers))
	for _, server := range servers {
		if s.isOwn(&server) {
			if server.Domain.Match == dnsname.MatchAll {
				continue
			}
			server = options.Server{Domain: server.Domain, Kind: options.ServerNone}
		}
		out = append(out, server)
	}
	return out
}

// UseLive applies new content of dnsmasq-nanny's directory.
func (s *Sources) UseLive(live Live) {
	s.Live = live
	if s.Resolv != nil {
		s.Resolv.Use(!live.Upstream)
	}
}

// maxFile is the size of the largest --servers-file, in octets.
const maxFile = 64 << 20

// ReadFile reads the file of --servers-file again; a path of "" means none. Faults are only
// logged; lines without faults apply. If the file cannot be read, its previous servers stay. So
// they do if it has faults and TLS servers: without one of these, names could be asked in clear
// text. If no reading has succeeded yet, ReadFile then returns an error.
func (s *Sources) ReadFile(ctx context.Context, path string, lookup Lookup, log *linelog.Log) error {
	if path == "" {
		return nil
	}
	data, err := readfile.All(path, maxFile)
	if err != nil {
		log.Printf("cannot read %s: %s", path, linelog.ErrorText(err))
		return nil
	}
	servers, faults := options.ParseServersFile(path, data)
	for _, f := range faults {
		log.Printf("%s", f.Text)
	}
	if len(faults) > 0 && bytes.Contains(bytes.ToLower(data), []byte("tls:")) {
		if !s.fileRead {
			return fmt.Errorf("%s has TLS servers and errors: %s", path, faults[0].Text)
		}
		log.Printf("error: %s has TLS servers and errors; keeping its previous servers", path)
		return nil
	}
	if s.known == nil {
		s.known = map[string][]netip.Addr{}
	}
	servers, err = Resolve(ctx, servers, lookup, s.known)
	if err != nil {
		log.Printf("%s: %v", path, err)
	}
	s.file, s.fileRead = servers, true
	return nil
}

// Show logs the servers in effect if they have changed since the last call or if always is
// true.
func (s *Sources) Show(log *linelog.Log, always bool) {
	servers := s.Servers()
	lines := serverLines(servers)
	for _, server := range slices.Concat(s.Options, s.file, s.Live.Servers) {
		if s.isOwn(&server) {
			lines = append(lines, "ignoring nameserver "+querylog.ServerText(netip.AddrPortFrom(server.Addr, server.Port))+" - local interface")
		}
	}
	if !slices.ContainsFunc(servers, func(s options.Server) bool { return s.Kind == options.ServerAsk }) {
		lines = append([]string{"warning: no upstream servers configured"}, lines...)
	}
	if always || !slices.Equal(lines, s.shown) {
		s.shown = lines
		for _, line := range lines {
			log.Printf("%s", line)
		}
	}
}

// Lookup returns the addresses of a host.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// LookupTimeout is the longest time for looking up the addresses of servers.
const LookupTimeout = 5 * time.Second

// lookups is how many names are looked up at a time.
const lookups = 16

// System looks up host with the system's resolver, as dnsmasq does for servers given by name.
func System(ctx context.Context, host string) ([]netip.Addr, error) {
	return (&net.Resolver{PreferGo: true}).LookupNetIP(ctx, "ip", host)
}

// Resolve returns servers with each server that is given by name replaced by one with the first
// address of that name. known has the addresses that were found before, by name, and gets those
// that are found now. A name for which none is found keeps its known addresses; err then says so.
// If there are none, the server is left out, and no other server is asked about the names of its
// domain in its place. Resolve takes at most [LookupTimeout].
func Resolve(ctx context.Context, servers []options.Server, lookup Lookup, known map[string][]netip.Addr) ([]options.Server, error) {
	failed := lookUpAll(ctx, servers, lookup, known)
	resolved := make([]options.Server, 0, len(servers))
	for _, s := range servers {
		if s.Host == "" {
			resolved = append(resolved, s)
			continue
		}
		at := slices.IndexFunc(known[s.Host], func(a netip.Addr) bool {
			return !s.Source.IsValid() || a.Is4() == s.Source.Is4()
		})
		switch {
		case at >= 0:
			s.Addr, s.Host = known[s.Host][at], ""
			resolved = append(resolved, s)
			continue
		case s.Domain.Match != dnsname.MatchAll:
			resolved = append(resolved, options.Server{Domain: s.Domain, Kind: options.ServerNone})
		}
		failed[s.Host] = s.Host
	}
	if len(failed) == 0 {
		return resolved, nil
	}
	return resolved, fmt.Errorf("no address found for %s", strings.Join(slices.Sorted(maps.Values(failed)), ", "))
}

// lookUpAll looks up the names of servers, each once, and updates known. The result has a text
// about each name for which no address was found now, by name.
func lookUpAll(ctx context.Context, servers []options.Server, lookup Lookup, known map[string][]netip.Addr) (failed map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, LookupTimeout)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(lookups)
	var mu sync.Mutex // protects failed and known
	failed = map[string]string{}
	begun := map[string]bool{"": true}
	for i := range servers {
		host := servers[i].Host
		if begun[host] {
			continue
		}
		begun[host] = true
		group.Go(func() error {
			addrs, _ := lookup(ctx, host)
			addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return !dnsname.IsUnicast(a) })
			for i := range addrs {
				addrs[i] = addrs[i].Unmap()
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case len(addrs) > 0:
				known[host] = addrs
			case len(known[host]) > 0:
				failed[host] = host + " (keeping its previous address)"
			default:
				failed[host] = host
			}
			return nil
		})
	}
	_ = group.Wait()
	return failed
}

// How many lines about servers are logged, as in dnsmasq.
const (
	loggedServers = 30
	loggedLocals  = 8
)

// serverLines describes servers in the wording of dnsmasq.
func serverLines(servers []options.Server) []string {
	var lines []string
	more := 0
	for _, s := range servers {
		if s.Kind != options.ServerAsk || s.Role == options.ReplicaServer { // replicas are logged in a line of their own
			continue
		}
		if len(lines) == loggedServers {
			more++
			continue
		}
		lines = append(lines, "using nameserver "+s.TLS.Scheme()+querylog.ServerText(netip.AddrPortFrom(s.Addr, s.Port))+domainText(s.Domain))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("using %d more nameservers", more))
	}
	locals, moreLocals := 0, 0
	for _, s := range servers {
		if s.Kind == options.ServerAsk || s.Kind == options.ServerNone { // a warning is logged for the latter
			continue
		}
		if locals++; locals > loggedLocals {
			moreLocals++
			continue
		}
		name := s.Domain.String()
		if s.Domain.Match == dnsname.MatchUnqualified {
			name = "unqualified names"
		}
		if s.Kind == options.ServerStandard {
			lines = append(lines, "using standard nameservers for "+name)
		} else {
			lines = append(lines, "using only locally-known addresses for "+name)
		}
	}
	if moreLocals > 0 {
		lines = append(lines, fmt.Sprintf("using %d more local addresses", moreLocals))
	}
	return lines
}

func domainText(d dnsname.Domain) string {
	switch d.Match {
	case dnsname.MatchAll:
		return ""
	case dnsname.MatchUnqualified:
		return " for unqualified names"
	default:
		return " for domain " + d.String()
	}
}
