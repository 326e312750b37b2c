package differential

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// answer is a reply without what may vary: records are sorted, except those of PTR. A record
// is a text of owner name, TTL, type and data.
type answer struct {
	Rcode  string
	Answer []string
	Extra  []string
	SOA    bool
}

func (a *answer) equal(b *answer) bool {
	return a.Rcode == b.Rcode && a.SOA == b.SOA && slices.Equal(a.Answer, b.Answer) && slices.Equal(a.Extra, b.Extra)
}

// nxdomain and nodata, like ask and all methods that it calls, return the answers that are
// allowed: more than one where the server chooses at random.
func nxdomain() []answer { return []answer{{Rcode: "NXDOMAIN", SOA: true}} }
func nodata() []answer   { return []answer{{Rcode: "NOERROR", SOA: true}} }

func rr(owner, typ, format string, args ...any) string {
	return fmt.Sprintf("%s 30 %s %s", owner, typ, fmt.Sprintf(format, args...))
}

// addresses are the records of hosts of the family of typ under owner.
func addresses(owner string, typ uint16, hosts []host) []string {
	var out []string
	for _, h := range hosts {
		if h.addr.Is4() == (typ == dns.TypeA) {
			out = append(out, rr(owner, dns.TypeToString[typ], "%s", h.addr))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func ofLabel(hosts []host, label string) []host {
	return slices.DeleteFunc(slices.Clone(hosts), func(h host) bool { return h.label != label })
}

// maxChain is how many CNAMEs are followed.
const maxChain = 8

// follow answers with a CNAME and what its target has. seen are the names that
// led here, the question's first.
func (m *model) follow(name, target string, typ uint16, seen []string) []answer {
	alias := rr(name, "CNAME", "%s", target)
	lower := strings.ToLower(target)
	inside := strings.HasSuffix(lower, ".cluster.local.")
	switch {
	case len(seen) > maxChain:
		return []answer{{Rcode: "SERVFAIL"}}
	case (typ == dns.TypeA || typ == dns.TypeAAAA) && !inside && strings.Count(target, ".") < 2:
		return []answer{{Rcode: "NXDOMAIN", Answer: []string{alias}, SOA: true}}
	case typ == dns.TypeCNAME || slices.Contains(seen, lower) || !inside:
		return []answer{{Rcode: "NOERROR", Answer: []string{alias}}}
	}
	all := m.ask(lower, typ, seen...)
	for i, a := range all {
		if a.Rcode != "SERVFAIL" {
			all[i].Answer = append([]string{alias}, a.Answer...)
			slices.Sort(all[i].Answer)
		}
	}
	return all
}

// ask answers a question about a name in lower case.
func (m *model) ask(name string, typ uint16, seen ...string) []answer {
	seen = append(slices.Clone(seen), name)
	if strings.HasSuffix(name, ".arpa.") {
		return m.reverse(name, typ)
	}
	if rest, ok := strings.CutSuffix(name, ".pod.cluster.local."); ok {
		return m.pod(name, rest, typ)
	}
	if a := m.federated(name, typ, seen); a != nil {
		return a
	}
	if labels := strings.Split(name, "."); m.wildcards && slices.Contains(labels, "*") {
		return m.wildcard(name, typ, seen)
	}
	rest, ok := strings.CutSuffix(name, ".svc.cluster.local.")
	switch {
	case name == "svc.cluster.local.", name == "pod.cluster.local.":
		return nodata()
	case !ok:
		return nxdomain()
	}
	labels := strings.Split(rest, ".")
	if len(labels) == 1 {
		for _, s := range m.services {
			if s.namespace == labels[0] {
				return nodata()
			}
		}
		return nxdomain()
	}
	s := m.services[strings.Join(labels[len(labels)-2:], ".")]
	if s == nil {
		return nxdomain()
	}
	return m.service(s, name, labels[:len(labels)-2], typ, seen)
}

// service answers for a Service; below are the labels left of it.
func (m *model) service(s *service, name string, below []string, typ uint16, seen []string) []answer {
	if s.kind == "ExternalName" && len(below) > 0 {
		return nxdomain()
	}
	switch {
	case len(below) == 0 && s.target != "":
		return m.follow(name, s.target, typ, seen)
	case len(below) == 0:
		return s.hostsAnswer(name, s.hosts, typ)
	case len(below) == 1 && strings.HasPrefix(below[0], "_"):
		for _, p := range s.ports {
			if "_"+p.protocol == below[0] {
				return nodata()
			}
		}
		return nxdomain()
	case len(below) == 1:
		if hosts := s.labelled(below[0]); len(hosts) > 0 {
			return s.hostsAnswer(name, hosts, typ)
		}
		return nxdomain()
	case len(below) == 2:
		return m.portAnswer(s, name, below[0], below[1], "", typ, seen)
	case len(below) == 3:
		return m.portAnswer(s, name, below[1], below[2], below[0], typ, seen)
	}
	return nxdomain()
}

// labelled returns the hosts that a label names: by hostname, by hash, or by
// the dashed address of an endpoint without hostname.
func (s *service) labelled(label string) []host {
	if hosts := ofLabel(s.hosts, label); len(hosts) > 0 {
		return hosts
	}
	if s.kind != "Headless" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.hosts), func(h host) bool { return !h.hashed || dashed(h.addr) != label })
}

// hostsAnswer answers for a name whose addresses are hosts.
func (s *service) hostsAnswer(name string, hosts []host, typ uint16) []answer {
	switch typ {
	case dns.TypeA, dns.TypeAAAA:
		if records := addresses(name, typ, hosts); len(records) > 0 {
			return []answer{{Rcode: "NOERROR", Answer: records}}
		}
	case dns.TypeSRV:
		a := answer{Rcode: "NOERROR"}
		labels := labelsOf(hosts)
		for _, label := range labels {
			target := s.full()
			if label != "" {
				target = label + "." + target
			}
			a.Answer = append(a.Answer, rr(name, "SRV", "10 %d 0 %s", max(1, 100/len(labels)), target))
			a.Extra = append(a.Extra, addresses(target, dns.TypeA, ofLabel(hosts, label))...)
			a.Extra = append(a.Extra, addresses(target, dns.TypeAAAA, ofLabel(hosts, label))...)
		}
		slices.Sort(a.Answer)
		slices.Sort(a.Extra)
		return []answer{a}
	}
	return nodata()
}

func labelsOf(hosts []host) []string {
	var labels []string
	for _, h := range hosts {
		labels = append(labels, h.label)
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// portAnswer answers for _portName._protocol, or for label below that.
func (m *model) portAnswer(s *service, name, portName, protocol, label string, typ uint16, seen []string) []answer {
	type srv struct {
		target string
		number int32
		hosts  []host
	}
	var all []srv
	exists := false
	for _, p := range s.ports {
		if "_"+p.name != portName || "_"+p.protocol != protocol {
			continue
		}
		exists = true
		if s.kind == "ClusterIP" && label == "" {
			all = append(all, srv{s.full(), p.number, s.hosts})
			continue
		}
		for _, l := range labelsOf(p.hosts) {
			if label == "" || label == l {
				all = append(all, srv{l + "." + s.full(), p.number, ofLabel(s.hosts, l)})
			}
		}
	}
	if s.kind == "ClusterIP" && label != "" { // the hash label of an address
		exists = exists && len(ofLabel(s.hosts, label)) > 0
		if exists {
			all = []srv{{s.full(), all[0].number, s.hosts}}
		}
	}
	slices.SortFunc(all, func(a, b srv) int {
		return strings.Compare(fmt.Sprint(a.target, a.number), fmt.Sprint(b.target, b.number))
	})
	all = slices.CompactFunc(all, func(a, b srv) bool { return a.target == b.target && a.number == b.number })
	switch {
	case !exists || len(all) == 0:
		return nxdomain()
	case typ == dns.TypeSRV:
		a := answer{Rcode: "NOERROR"}
		for _, r := range all {
			a.Answer = append(a.Answer, rr(name, "SRV", "10 %d %d %s", max(1, 100/len(all)), r.number, r.target))
			a.Extra = append(a.Extra, addresses(r.target, dns.TypeA, r.hosts)...)
			a.Extra = append(a.Extra, addresses(r.target, dns.TypeAAAA, r.hosts)...)
		}
		slices.Sort(a.Answer)
		slices.Sort(a.Extra)
		a.Extra = slices.Compact(a.Extra)
		return []answer{a}
	case typ == dns.TypeA || typ == dns.TypeAAAA:
		if s.kind == "ClusterIP" { // kube-dns follows the target
			return m.follow(name, s.full(), typ, seen)
		}
		var hosts []host
		for _, r := range all {
			hosts = append(hosts, r.hosts...)
		}
		if records := addresses(name, typ, hosts); len(records) > 0 {
			return []answer{{Rcode: "NOERROR", Answer: records}}
		}
	}
	return nodata()
}

// pod answers for names of pods, which say their addresses themselves.
func (m *model) pod(name, rest string, typ uint16) []answer {
	labels := strings.Split(rest, ".")
	if slices.Contains(labels, "*") {
		return nxdomain()
	}
	switch len(labels) {
	case 1:
		return nodata()
	case 2:
		addr, err := netip.ParseAddr(strings.ReplaceAll(labels[0], "-", "."))
		if err != nil {
			addr, err = netip.ParseAddr(strings.ReplaceAll(labels[0], "-", ":"))
		}
		if err == nil && !addr.Is4In6() && addr.Is4() == (typ == dns.TypeA) && (typ == dns.TypeA || typ == dns.TypeAAAA) {
			return []answer{{Rcode: "NOERROR", Answer: []string{rr(name, dns.TypeToString[typ], "%s", addr)}}}
		}
		return nodata()
	case 3:
		if s := m.services[labels[1]+"."+labels[2]]; s != nil && s.kind != "ExternalName" && !strings.HasPrefix(labels[0], "_") {
			if hosts := s.labelled(labels[0]); len(hosts) > 0 {
				return s.hostsAnswer(name, hosts, typ)
			}
		}
	}
	return nxdomain()
}

// reverse answers for the reverse name of an address with all names that claim it, in order:
// ClusterIPs, then endpoints; the oldest Service first. The order of equals is not specified;
// here it is that of the text.
func (m *model) reverse(name string, typ uint16) []answer {
	claims := slices.Clone(m.claims[name])
	switch {
	case len(claims) == 0:
		return []answer{{Rcode: "REFUSED"}}
	case typ != dns.TypePTR:
		return nodata()
	}
	slices.SortFunc(claims, compareClaims)
	a := answer{Rcode: "NOERROR"}
	for _, c := range slices.Compact(claims) {
		a.Answer = append(a.Answer, rr(name, "PTR", "%s", c.target))
	}
	return []answer{a}
}

func compareClaims(a, b claim) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.created, b.created), cmp.Compare(a.target, b.target))
}

// reordered returns the records of got, sorted by text where the order is not specified:
// among neighbours with equal claims.
func (m *model) reordered(name string, got []string) []string {
	of := map[string]claim{}
	for _, c := range m.claims[name] {
		of[rr(name, "PTR", "%s", c.target)] = claim{rank: c.rank, created: c.created}
	}
	out := slices.Clone(got)
	for from := 0; from < len(out); {
		to := from + 1
		for to < len(out) && of[out[to]] == of[out[from]] {
			to++
		}
		slices.Sort(out[from:to])
		from = to
	}
	return out
}
