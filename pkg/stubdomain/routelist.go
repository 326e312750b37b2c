package stubdomain

import (
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/routelist"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// RouteList says, for a cache before this program, which names, those of zones,
// are answered here and which servers are asked about others.
func RouteList(zones []dnsname.Name, routes []upstream.Route) *routelist.List {
	servers := map[dnsname.Name][]string{}
	for _, r := range routes {
		name := r.Domain.Name
		if name == "" {
			name = dnsname.Root // a route for all names
		}
		servers[name] = append([]string{}, servers[name]...) // a domain without servers counts too
		for _, s := range r.Servers {
			servers[name] = append(servers[name], s.String())
		}
	}
	domains := map[dnsname.Name]uint64{}
	for _, zone := range zones {
		domains[zone] = routelist.Own
	}
	for name, list := range servers {
		domains[name] = routelist.Hash(list)
	}
	return routelist.New(domains)
}
