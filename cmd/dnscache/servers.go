package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// serverSources are the places that servers come from.
type serverSources struct {
	options []options.Server // command line and configuration files
	file    []options.Server // --servers-file
	live    liveConfig       // dnsmasq-nanny's directory
	resolv  []netip.Addr     // --resolv-file
	// noResolv is --no-resolv.
	noResolv bool
}

// servers returns the servers that hold now, each once, in the order in which
// --strict-order asks them. Upstream servers of the live configuration replace
// those of resolv.conf, as with dnsmasq-nanny.
func (s *serverSources) servers() []options.Server {
	all := slices.Concat(s.options, s.file, s.live.servers)
	if !s.noResolv && !s.live.upstream {
		for _, addr := range s.resolv {
			all = append(all, options.Server{Addr: addr, Port: options.DefaultPort})
		}
	}
	seen := make(map[options.Server]bool, len(all))
	return slices.DeleteFunc(all, func(server options.Server) bool {
		again := seen[server]
		seen[server] = true
		return again
	})
}

// readServersFile reads --servers-file; what is wrong with it is only logged.
func (a *app) readServersFile() {
	path := a.options.Process.ServersFile
	if path == "" {
		return
	}
	data, err := readFile(path)
	if err != nil {
		a.log.printf("cannot read %s: %s", path, systemText(err))
		return
	}
	servers, faults := options.ParseServersFile(path, data)
	for _, f := range faults {
		a.log.printf("%s", f.Text)
	}
	servers, err = resolveServers(context.Background(), servers, a.env.lookup)
	if err != nil {
		a.log.printf("%s: %v", path, err)
	}
	a.sources.file = servers
	a.log.printf("read %s - %d servers", path, len(servers))
}

// lookupFunc finds the addresses of a host.
type lookupFunc func(ctx context.Context, host string) ([]netip.Addr, error)

// hostTimeout bounds the search for the address of one server.
const hostTimeout = 5 * time.Second

// systemLookup asks the system's resolver, as dnsmasq does for servers that are
// given by their names.
func systemLookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return (&net.Resolver{PreferGo: true}).LookupNetIP(ctx, "ip", host)
}

// resolveServers replaces servers that are given by a name by their first
// address. It leaves out those that have none, and returns the errors.
func resolveServers(ctx context.Context, servers []options.Server, lookup lookupFunc) ([]options.Server, error) {
	resolved := make([]options.Server, 0, len(servers))
	var faults []string
	for _, s := range servers {
		if s.Host == "" {
			resolved = append(resolved, s)
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, hostTimeout)
		addrs, err := lookup(ctx, s.Host)
		cancel()
		if err == nil && s.Source.IsValid() {
			addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return a.Unmap().Is4() != s.Source.Is4() })
		}
		if err != nil || len(addrs) == 0 {
			faults = append(faults, s.Host)
			continue
		}
		s.Host, s.Addr = "", addrs[0].Unmap()
		resolved = append(resolved, s)
	}
	if len(faults) > 0 {
		return resolved, fmt.Errorf("no address found for %s", strings.Join(faults, ", "))
	}
	return resolved, nil
}

// How many lines about servers are logged, as in dnsmasq.
const (
	loggedServers = 30
	loggedLocals  = 8
)

// serverLines describes servers in dnsmasq's words.
func serverLines(servers []options.Server) []string {
	var lines []string
	more := 0
	for _, s := range servers {
		if s.Kind != options.ServerAsk {
			continue
		}
		if len(lines) == loggedServers {
			more++
			continue
		}
		lines = append(lines, "using nameserver "+tlsText(s.TLS)+serverText(netip.AddrPortFrom(s.Addr, s.Port))+domainText(s.Domain))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("using %d more nameservers", more))
	}
	locals, moreLocals := 0, 0
	for _, s := range servers {
		if s.Kind == options.ServerAsk || s.Kind == options.ServerNone { // the latter has a warning
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

// serverText writes an address and its port in dnsmasq's way.
func serverText(a netip.AddrPort) string {
	return querylog.ServerText(a)
}

// tlsText marks a server that is asked over TLS.
func tlsText(t options.ServerTLS) string {
	if t.On {
		return "tls:"
	}
	return ""
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
