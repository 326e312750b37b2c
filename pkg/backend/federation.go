package backend

import (
	"maps"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// nodePlace is where this cluster is.
type nodePlace struct {
	zone, region string
}

// SetFederations sets the federations, a map from name to domain. If the domain is
// not a domain name, federated names that need it are NoRecords. A nil or empty
// map turns federation off. The map is copied.
func (b *Backend) SetFederations(domains map[string]string) {
	if len(domains) == 0 {
		b.federations.Store(nil)
		return
	}
	parsed := make(map[string]dnsname.Name, len(domains))
	for name, domain := range maps.All(domains) {
		parsed[name] = ""
		if n, err := dnsname.Parse(domain); err == nil && n != dnsname.Root {
			parsed[name] = n
		}
	}
	b.federations.Store(&parsed)
}

// SetNode sets the zone and region of this cluster, taken from one of its nodes.
// Until both are known, a federated name without local endpoints is NoRecords.
func (b *Backend) SetNode(zone, region string) {
	b.node.Store(&nodePlace{zone: zone, region: region})
}

// federatedLabels is the number of labels before the zone in
// <service>.<namespace>.<federation>.svc.
const federatedLabels = 4

// federated answers for a federated name; ok is false for any other name. The
// answer is an alias with TTL 0: to the local Service if it can serve, else to
// the name of the same Service in this zone and region of the federation.
//
// In a namespace that has a federation's name, the names of endpoints look like
// federated names. endpoint is the Set that has the name so, nil when there is
// none. It keeps the name unless the Service of that federated name is in this
// cluster and comes before: who makes a namespace later takes no name away.
func (b *Backend) federated(domains map[string]dnsname.Name, name []byte, endpoint *treecache.Set) (a treecache.Answer, ok bool) {
	at, ok := dnsname.CutZone(name, b.svcZone)
	if !ok {
		return treecache.Answer{}, false
	}
	var buf [dnsname.MaxLabels]uint8
	offsets := dnsname.Offsets(buf[:0], name)
	below := 0
	for below < len(offsets) && int(offsets[below]) < at {
		below++
	}
	if below != federatedLabels-1 {
		return treecache.Answer{}, false
	}
	namespaceAt, federationAt := int(offsets[1]), int(offsets[2])
	domain, ok := domains[string(name[federationAt+1:at])]
	if !ok || !dnsname.IsLabel1035(string(name[1:namespaceAt])) ||
		!dnsname.IsLabel1123(string(name[namespaceAt+1:federationAt])) ||
		!dnsname.IsLabel1123(string(name[federationAt+1:at])) {
		return treecache.Answer{}, false
	}
	var buffer [dnsname.MaxName]byte
	svc := append(append(buffer[:0], name[:federationAt]...), b.svcZone...)
	local := b.tree.Lookup(svc)
	if endpoint != nil && (local.Owner() == nil || !local.Owner().Before(endpoint)) {
		return treecache.Answer{}, false
	}
	target := dnsname.Name(svc)
	if !servesLocally(local) {
		target = b.remote(string(name[:at]), domain)
	}
	if target == "" {
		return treecache.Answer{Status: treecache.NoRecords}, true
	}
	return treecache.ListAnswer([]treecache.Record{treecache.AliasRecord(target, 0)}), true
}

// servesLocally reports whether a local Service can serve: it has records and, if it
// is a ClusterIP Service, endpoints.
func servesLocally(a treecache.Answer) bool {
	if a.Status != treecache.Found {
		return false
	}
	set := a.Owner()
	return set.Kind() != treecache.ClusterIP || set.HasEndpoints()
}

// remote returns <labels>.svc.<zone>.<region>.<domain>, given the labels
// <service>.<namespace>.<federation> in wire form. It returns the zero Name if a
// part is unknown or the result is not a name.
func (b *Backend) remote(labels string, domain dnsname.Name) dnsname.Name {
	place := b.node.Load()
	if place == nil || place.zone == "" || place.region == "" || domain == "" {
		return ""
	}
	middle, err := dnsname.Parse("svc." + place.zone + "." + place.region)
	if err != nil {
		return ""
	}
	n := labels + string(middle[:len(middle)-1]) + string(domain)
	if len(n) > dnsname.MaxName {
		return ""
	}
	return dnsname.Name(n)
}
