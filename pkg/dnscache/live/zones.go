package live

import (
	"context"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnscache/servers"
	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// kubednsZones are the names about which the --server options ask kubedns.
type kubednsZones struct {
	// names are the zones, except reverse zones, for which an option names kubedns. If there
	// are none, it is cluster.local, as in dnsmasq-nanny.
	names []dnsname.Name
	// all means that an option without a domain names kubedns, so that it is asked about every
	// name for which no other server is configured.
	all bool
	// some means that at least one option names kubedns.
	some bool
}

// zonesOf returns the zones that the servers in list give to kubedns, which is at kubedns
// (host:port).
func zonesOf(list []options.Server, kubedns string) kubednsZones {
	var z kubednsZones
	for _, server := range list {
		at := net.JoinHostPort(server.Addr.String(), strconv.Itoa(int(server.Port)))
		_, port, _ := net.SplitHostPort(kubedns)
		local := server.Addr.IsLoopback() && strconv.Itoa(int(server.Port)) == port
		if server.Kind != options.ServerAsk || at != kubedns && !local {
			continue
		}
		switch domain := server.Domain; {
		case domain.Match == dnsname.MatchAll:
			z.all, z.some = true, true
		case domain.Match == dnsname.MatchSuffix && !domain.Name.HasSuffix(dnsname.MustParse("arpa")):
			z.names, z.some = append(z.names, domain.Name), true
		}
	}
	if len(z.names) == 0 {
		z.names = append(z.names, dnsname.MustParse("cluster.local"))
	}
	return z
}

// contain reports whether kubedns serves the name of a server.
func (z *kubednsZones) contain(host string) bool {
	name, err := dnsname.Parse(host)
	return err == nil && slices.ContainsFunc(z.names, name.HasSuffix)
}

// usable returns c without the stub domains that would take all names of a zone from kubedns,
// which ignores them too. It logs what is not used as it is written.
func (s *Source) usable(c dnsconfig.Config) dnsconfig.Config {
	if !s.own.some {
		return c
	}
	if s.own.all && len(c.UpstreamNameservers) > 0 {
		s.logger.Info("leaving upstreamNameservers to kubedns: a --server option without a domain names it, so it is asked about all names")
	}
	c.StubDomains = maps.Clone(c.StubDomains)
	for _, zone := range s.own.names {
		for _, domain := range []dnsname.Name{zone, "\x03svc" + zone} {
			if _, ok := c.StubDomains[domain]; !ok {
				continue
			}
			delete(c.StubDomains, domain)
			s.logger.Warn("ignoring a stub domain: its names are answered from the cluster's own records; use a domain below it, such as a namespace",
				"domain", strings.TrimSuffix(domain.String(), "."), "cluster_domain", strings.TrimSuffix(zone.String(), "."))
		}
	}
	return c
}

// guardZones adds kubedns as the server of its zones if a stub domain above one of them would
// otherwise take the zone's names from the server for all names, which is kubedns.
func (s *Source) guardZones(ctx context.Context, lookUp bool, c *servers.Live) {
	if !s.own.all {
		return
	}
	for _, zone := range s.own.names {
		for domain := range s.current.StubDomains {
			if !zone.HasSuffix(domain) {
				continue
			}
			if kubedns, ok := s.kubedns(ctx, lookUp); ok {
				addServer(c, zone, kubedns, options.ServerTLS{})
			}
			break
		}
	}
}
