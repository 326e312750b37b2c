package differential

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// branch is one node of a tree of names by label, like kube-dns's: children holds the nodes
// below, entries the records.
type branch struct {
	children map[string]*branch
	entries  map[string][]entry
	// unlisted are entries that their label matches but "*" does not.
	unlisted map[string][]entry
	// named says that the branch's entries are records of its own name, as for Services and
	// their ports, but not for namespaces.
	named bool
}

// entry is one record.
type entry struct {
	addr   netip.Addr // not valid for a port and an external name
	target string
	port   int32
	alias  bool
}

func newBranch(named bool) *branch {
	return &branch{children: map[string]*branch{}, entries: map[string][]entry{}, unlisted: map[string][]entry{}, named: named}
}

// child returns the branch at label, which it makes if there is none.
func (b *branch) child(label string, named bool) *branch {
	if b.children[label] == nil {
		b.children[label] = newBranch(named)
	}
	return b.children[label]
}

// newTree returns the branch of cluster.local.
func newTree(m *model) *branch {
	root := newBranch(false)
	for _, s := range m.services {
		namespace := root.child("svc", false).child(s.namespace, false)
		if s.kind == "ExternalName" {
			e := entry{target: s.target, alias: true}
			if s.target == "" {
				e = entry{addr: s.hosts[0].addr, target: s.full()}
			}
			namespace.entries[s.name] = []entry{e}
			continue
		}
		b := namespace.child(s.name, true)
		for _, h := range s.hosts {
			e := entry{addr: h.addr, target: h.label + "." + s.full()}
			b.entries[h.label] = append(b.entries[h.label], e)
			if s.kind == "Headless" && h.hashed {
				b.unlisted[dashed(h.addr)] = append(b.unlisted[dashed(h.addr)], e)
			}
		}
		for _, p := range s.ports {
			at := b.child("_"+p.protocol, true).child("_"+p.name, true)
			for _, h := range p.hosts {
				e := entry{target: h.label + "." + s.full(), port: p.number}
				if s.kind == "ClusterIP" {
					e.target = s.full()
				}
				at.entries[h.label] = append(at.entries[h.label], e)
			}
		}
	}
	return root
}

// match returns the entries for labels, from the top.
func (b *branch) match(labels []string) []entry {
	label := labels[0]
	if len(labels) == 1 {
		var found []entry
		switch {
		case label == "*":
			for _, e := range b.entries {
				found = append(found, e...)
			}
		case b.entries[label] != nil:
			found = append(found, b.entries[label]...)
		default:
			found = append(found, b.unlisted[label]...)
		}
		if c := b.children[label]; c != nil && c.named {
			found = append(found, c.match([]string{"*"})...)
		}
		return found
	}
	if label != "*" {
		if c := b.children[label]; c != nil {
			return c.match(labels[1:])
		}
		return nil
	}
	var found []entry
	for l, c := range b.children {
		if !strings.HasPrefix(l, "_") {
			found = append(found, c.match(labels[1:])...)
		}
	}
	return found
}

// wildcard answers for a name with a label "*".
func (m *model) wildcard(name string, typ uint16, seen []string) []answer {
	rest, ok := strings.CutSuffix(name, ".cluster.local.")
	if !ok {
		return nxdomain()
	}
	labels := strings.Split(rest, ".")
	slices.Reverse(labels)
	found := m.tree.match(labels)
	if len(found) == 0 {
		return nxdomain()
	}
	switch typ {
	case dns.TypeA, dns.TypeAAAA:
		var hosts []host
		for _, e := range found {
			if e.addr.IsValid() {
				hosts = append(hosts, host{addr: e.addr})
			} else if e.port != 0 && !m.onePort(found) {
				hosts = append(hosts, m.hostsAt(e.target)...)
			}
		}
		if records := addresses(name, typ, hosts); len(records) > 0 {
			return []answer{{Rcode: "NOERROR", Answer: records}}
		}
	case dns.TypeSRV:
		if a := m.wildServices(name, found); len(a.Answer) > 0 {
			return []answer{a}
		}
	}
	// An owner name can have only one CNAME: that of an external name or, for addresses, that
	// of a port's Service.
	targets := slices.DeleteFunc(slices.Clone(found), func(e entry) bool { return !e.alias })
	if (typ == dns.TypeA || typ == dns.TypeAAAA) && m.onePort(found) {
		targets = found[:1]
	}
	var any []answer
	for _, e := range targets {
		any = append(any, m.follow(name, e.target, typ, seen)...)
	}
	if any == nil {
		return nodata()
	}
	return any
}

// onePort reports whether all that was found is a port of one ClusterIP Service.
func (m *model) onePort(found []entry) bool {
	s := m.services[strings.TrimSuffix(found[0].target, ".svc.cluster.local.")]
	return s != nil && s.kind == "ClusterIP" &&
		!slices.ContainsFunc(found, func(e entry) bool { return e.port == 0 || e.target != found[0].target })
}

// hostsAt returns the hosts of a port's target.
func (m *model) hostsAt(target string) []host {
	name := strings.TrimSuffix(target, ".svc.cluster.local.")
	if s := m.services[name]; s != nil {
		return s.hosts
	}
	label, name, _ := strings.Cut(name, ".")
	return ofLabel(m.services[name].hosts, label)
}

// wildServices is the answer for SRV.
func (m *model) wildServices(name string, found []entry) answer {
	var services []entry
	for _, e := range found {
		e.addr = netip.Addr{}
		if !e.alias && !slices.Contains(services, e) {
			services = append(services, e)
		}
	}
	a := answer{Rcode: "NOERROR"}
	for _, e := range services {
		a.Answer = append(a.Answer, rr(name, "SRV", "10 %d %d %s", max(1, 100/len(services)), e.port, e.target))
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
			for _, of := range m.ask(e.target, typ) {
				a.Extra = append(a.Extra, of.Answer...)
			}
		}
	}
	slices.Sort(a.Answer)
	slices.Sort(a.Extra)
	a.Extra = slices.Compact(a.Extra)
	return a
}
