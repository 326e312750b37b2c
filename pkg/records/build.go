package records

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// Build makes everything that DNS says about svc, given all EndpointSlices of that
// Service in any order. zone is the length of the zone's name in octets of wire form,
// ttl that of all records in seconds. The Set is nil if the Service has no names at all, such as a headless one without a ready endpoint
// (DNS specification 1.1.0, §2.4.1): then what was stored at its Path must be
// removed. The texts say which parts of the objects have no records, or not the intended ones, and
// why: at most maxProblems, in the order of svc's fields and of the slices.
func Build(svc *Service, slices []*Slice, zone int, ttl uint32) (*treecache.Set, []string) {
	b := builder{svc: svc, zone: zone}
	path, ok := b.path()
	if ok && svc.Kind != ExternalName && treecache.MaxHashLabel+len(path)+zone > dnsname.MaxName {
		b.problem("", "metadata.name", tooLong)
		ok = false
	}
	if !ok {
		return nil, b.problems
	}
	b.spec = treecache.SetSpec{
		Path: path, Kind: svc.Kind, TTL: ttl, Priority: Priority, Created: svc.Created,
		HasEndpoints: hasEndpoints(slices),
	}
	switch svc.Kind {
	case ClusterIP:
		b.virtualAddrs("spec.clusterIPs")
		if len(b.spec.Hosts) > 0 {
			b.ports("", "spec.ports", svc.Ports, nil)
		}
	case Headless:
		n := 0
		for _, s := range slices {
			n += s.Len()
		}
		b.spec.Hosts = make([]treecache.SetHost, 0, n)
		for _, s := range slices {
			b.slice(s)
		}
	case ExternalName:
		b.externalName()
	}
	return b.finish()
}

// hasEndpoints reports whether any slice has an endpoint, ready or not.
func hasEndpoints(list []*Slice) bool {
	return slices.ContainsFunc(list, func(s *Slice) bool { return s.Len() > 0 })
}

// builder collects the Spec of one Service.
type builder struct {
	svc      *Service
	zone     int // octets of the zone's name in wire form
	spec     treecache.SetSpec
	problems []string
}

// tooLong is the reason of a problem.
const tooLong = "the name would be longer than 255 octets"

// path returns the Path of the object, and false if it cannot have one.
func (b *builder) path() (treecache.Path, bool) {
	if !dnsname.IsLabel1123(b.svc.Namespace) {
		b.problem("", "metadata.namespace", "not an RFC 1123 label")
	}
	if !dnsname.IsLabel1123(b.svc.Name) {
		b.problem("", "metadata.name", "not an RFC 1123 label")
	}
	return Path(b.svc.Namespace, b.svc.Name)
}

// finish returns the result.
func (b *builder) finish() (*treecache.Set, []string) {
	set := treecache.NewSet(&b.spec)
	if set != nil && set.PortsLeftOut() > 0 {
		b.problem("", "ports", fmt.Sprintf("%d lack SRV records: too many combinations of port and endpoint", set.PortsLeftOut()))
	}
	return set, b.problems
}

// maxProblems is the largest number of problems of one object. It may have thousands.
const maxProblems = 50

// problem adds a problem with a field, given by its path such as "spec.ports[1].name", of an
// EndpointSlice, or of the object itself if slice is "".
func (b *builder) problem(slice, field, reason string) {
	text := field + ": " + reason
	switch n := len(b.problems); {
	case n == maxProblems:
		return
	case n == maxProblems-1:
		text = "further parts: left out too"
	case slice != "":
		text = "EndpointSlice " + slice + " " + text
	}
	b.problems = append(b.problems, text)
}

// virtualAddrs adds the addresses of the Service, which are in this field of the object.
func (b *builder) virtualAddrs(field string) {
	for i, addr := range b.svc.ClusterIPs {
		if fault := faultOf(addr); fault != "" {
			b.problem("", fmt.Sprintf("%s[%d]", field, i), fault)
			continue
		}
		b.spec.Hosts = append(b.spec.Hosts, treecache.SetHost{Addr: addr})
	}
}

// faultOf returns why addr cannot be in a record, "" if it can.
func faultOf(addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return "not an IP address"
	case addr.Unmap().IsUnspecified():
		return "the unspecified address, which cannot be reached"
	}
	return ""
}

// slice adds the endpoints of s that are published, with the ports of s.
func (b *builder) slice(s *Slice) {
	hosts := make([]int, 0, s.Len())
	for i := range s.Len() {
		e := s.At(i)
		if !b.svc.Publishes(e) {
			continue
		}
		if fault := faultOf(e.Addr); fault != "" {
			b.problem(s.Name, fmt.Sprintf("endpoints[%d].addresses", i), fault)
			continue
		}
		hostname := strings.ToLower(e.Hostname)
		switch {
		case hostname == "":
		case !dnsname.IsLabel1123(hostname):
			b.problem(s.Name, fmt.Sprintf("endpoints[%d].hostname", i), "not an RFC 1123 label: named by hash")
			hostname = ""
		case 1+len(hostname)+len(b.spec.Path)+b.zone > dnsname.MaxName:
			b.problem(s.Name, fmt.Sprintf("endpoints[%d].hostname", i), tooLong+": named by hash")
			hostname = ""
		}
		hosts = append(hosts, len(b.spec.Hosts))
		b.spec.Hosts = append(b.spec.Hosts, treecache.SetHost{Name: hostname, Addr: e.Addr})
	}
	if len(hosts) > 0 {
		b.ports(s.Name, "ports", s.Ports, hosts)
	}
}

// maxPortName leaves room for the underscore before the name (RFC 2782).
const maxPortName = dnsname.MaxLabel - 1

// ports adds the ports of hosts: those with a name or, of a ServiceImport, all.
func (b *builder) ports(slice, field string, ports []Port, hosts []int) {
	imported := b.svc.Kind == ClusterSetIP || b.svc.Kind == ClusterSetHeadless
	for i, p := range ports {
		problem := func(part, reason string) { b.problem(slice, fmt.Sprintf("%s[%d].%s", field, i, part), reason) }
		name := strings.ToLower(p.Name)
		if name != "" && (!dnsname.IsLabel1123(name) || len(name) > maxPortName) {
			problem("name", "not an RFC 1123 label of at most 62 characters")
			name = ""
		}
		switch {
		case name == "" && !imported:
		case p.Protocol < TCP || p.Protocol > SCTP:
			problem("protocol", "not TCP, UDP or SCTP")
		case p.Number == 0:
			problem("port", "not a port number")
		default:
			b.spec.Ports = append(b.spec.Ports, treecache.SetPort{
				Name: name, Protocol: p.Protocol, Number: p.Number, Hosts: hosts,
			})
		}
	}
}

// externalName adds the alias, or the address if the target is one.
func (b *builder) externalName() {
	text := b.svc.ExternalName
	if addr, ok := ParseAddr(text); ok {
		b.spec.Hosts = []treecache.SetHost{{Addr: addr}}
		return
	}
	wire, err := dnsname.AppendText(nil, text)
	switch {
	case text == "":
		b.problem("", "spec.externalName", "empty")
	case err != nil || !plain(text):
		b.problem("", "spec.externalName", "not a domain name")
	default:
		b.spec.Alias = dnsname.Name(wire)
	}
}

// plain reports whether text consists of the characters of host names and
// underscores, and is not the root.
func plain(text string) bool {
	for i := range len(text) {
		c := text[i] | 0x20
		switch {
		case c-'a' < 26, text[i]-'0' < 10, text[i] == '-', text[i] == '_', text[i] == '.':
		default:
			return false
		}
	}
	return text != "."
}

// ParseAddr reads an address as the API stores it. IPv4 octets with leading zeros are
// decimal, as in Kubernetes; IPv4-mapped addresses become IPv4; addresses with a
// zone are refused.
func ParseAddr(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		addr, err = netip.ParseAddr(dropZeros(text))
	}
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// dropZeros removes the leading zeros of each part of a dotted text.
func dropZeros(text string) string {
	parts := strings.Split(text, ".")
	for i, p := range parts {
		if short := strings.TrimLeft(p, "0"); short != p {
			parts[i] = short
			if short == "" {
				parts[i] = "0"
			}
		}
	}
	return strings.Join(parts, ".")
}
