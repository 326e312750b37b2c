package records

import (
	"fmt"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// BuildImport makes everything that DNS says about a ServiceImport of the
// Multi-Cluster Services API (KEP-1645), whose Kind is ClusterSetIP,
// ClusterSetHeadless or UnknownImport, given all EndpointSlices that belong to it, in
// any order. zone is the length of the clusterset zone's name in octets of wire form,
// ttl that of all records in seconds. The Set is nil if there are no names: then what
// was stored at the import's Path must be removed.
//
// A ClusterSetIP import has its own addresses and ports. A headless one has the ready
// endpoints of all clusters, each named <hostname>.<cluster id>, or
// <address in dashes>.<cluster id>. An endpoint whose cluster is unknown is an address
// of the import, without a name of its own.
func BuildImport(imp *Service, slices []*Slice, zone int, ttl uint32) (*treecache.Set, []string) {
	b := builder{svc: imp, zone: zone}
	path, ok := b.path()
	if imp.Kind != ClusterSetIP && imp.Kind != ClusterSetHeadless {
		b.problem("", "spec.type", "not ClusterSetIP or Headless, or the spec cannot be read")
		ok = false
	}
	if !ok {
		return nil, b.problems
	}
	b.spec = treecache.SetSpec{Path: path, Kind: imp.Kind, TTL: ttl, Priority: Priority, Created: imp.Created}
	if imp.Kind == ClusterSetIP {
		b.virtualAddrs("spec.ips")
		b.ports("", "spec.ports", imp.Ports, nil)
		return b.finish()
	}
	for _, s := range slices {
		b.importedSlice(s)
	}
	return b.finish()
}

// sourceCluster is the field that names the cluster of a slice.
const sourceCluster = "metadata.labels[multicluster.kubernetes.io/source-cluster]"

// importedSlice adds the ready endpoints of s, with the ports of s.
func (b *builder) importedSlice(s *Slice) {
	cluster, fault := clusterOf(s.Cluster())
	hosts := make([]int, 0, s.Len()) // those with a name
	added := false
	for i := range s.Len() {
		e := s.At(i)
		if !e.Ready {
			continue
		}
		if fault := faultOf(e.Addr); fault != "" {
			b.problem(s.Name, fmt.Sprintf("endpoints[%d].addresses", i), fault)
			continue
		}
		added = true
		host := treecache.SetHost{Addr: e.Addr}
		if cluster != "" {
			host.Name = b.nestedName(s, i, cluster)
		}
		if host.Name != "" {
			hosts = append(hosts, len(b.spec.Hosts))
		}
		b.spec.Hosts = append(b.spec.Hosts, host)
	}
	if added && fault != "" {
		b.problem(s.Name, sourceCluster, fault+": its endpoints have no names and no SRV records")
	}
	if len(hosts) > 0 {
		b.ports(s.Name, "ports", s.Ports, hosts)
	}
}

// nestedName returns the name of endpoint i of s, given its cluster id from the node
// downwards: "" if there is no room for it.
func (b *builder) nestedName(s *Slice, i int, cluster string) string {
	host, valid := importedHost(s, i)
	if !valid {
		b.problem(s.Name, fmt.Sprintf("endpoints[%d].hostname", i), "not an RFC 1123 label: named by address")
	}
	// In wire form each of the two parts takes an octet more than its text.
	if len(cluster)+1+len(host)+1+len(b.spec.Path)+b.zone > dnsname.MaxName {
		b.problem(s.Name, fmt.Sprintf("endpoints[%d]", i), tooLong)
		return ""
	}
	return cluster + "." + host
}

// importedHost returns the label of endpoint i of s: its hostname or, if that is missing or not
// valid, its address in dashes.
func importedHost(s *Slice, i int) (host string, valid bool) {
	e := s.At(i)
	host = strings.ToLower(e.Hostname)
	if dnsname.IsLabel1123(host) {
		return host, true
	}
	var buf [dnsname.MaxLabel]byte
	return string(dnsname.AppendDashed(buf[:0], e.Addr)), host == ""
}

// ImportedName returns the name of endpoint i of s below a headless ServiceImport, in the form
// "host.cluster"; "" if its cluster is unknown, so that it has no name. It does not check that
// the whole name is short enough.
func ImportedName(s *Slice, i int) string {
	cluster := strings.ToLower(s.Cluster())
	if _, fault := clusterOf(cluster); fault != "" {
		return ""
	}
	host, _ := importedHost(s, i)
	return host + "." + cluster
}

// clusterOf returns the labels of a cluster id from right to left, or why there are
// none. An id is <name> or <name>.<context>, each an RFC 1123 label.
func clusterOf(id string) (nested, fault string) {
	if id == "" {
		return "", "missing"
	}
	name, context, two := strings.Cut(strings.ToLower(id), ".")
	if !dnsname.IsLabel1123(name) || two && !dnsname.IsLabel1123(context) {
		return "", "not one or two RFC 1123 labels"
	}
	if two {
		return context + "." + name, ""
	}
	return name, ""
}
