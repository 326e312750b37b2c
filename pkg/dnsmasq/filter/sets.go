package filter

import (
	"net/netip"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// prefixSet is a set of networks. A lookup takes one step for each length of
// prefix in the set, whatever the number of networks.
type prefixSet struct {
	networks     map[netip.Prefix]bool
	bits4, bits6 []int // the lengths of prefixes in networks, by address family
}

func newPrefixSet(list []netip.Prefix) *prefixSet {
	s := &prefixSet{networks: map[netip.Prefix]bool{}}
	for _, p := range list {
		p = p.Masked()
		bits := &s.bits6
		if p.Addr().Is4() {
			bits = &s.bits4
		}
		if !slices.Contains(*bits, p.Bits()) {
			*bits = append(*bits, p.Bits())
		}
		s.networks[p] = true
	}
	return s
}

// contains reports whether an address is in one of the networks.
func (s *prefixSet) contains(addr netip.Addr) bool {
	bits := s.bits6
	if addr.Is4() {
		bits = s.bits4
	}
	for _, n := range bits {
		if p, err := addr.Prefix(n); err == nil && s.networks[p] {
			return true
		}
	}
	return false
}

// domainSet is a set of domains. A lookup takes one step for each label of the
// name, and one for each length of text in the set.
type domainSet struct {
	suffixes map[dnsname.Name]bool
	below    map[dnsname.Name]bool
	texts    map[string]bool
	lengths  []int // that texts has
	plain    bool  // names of one label
	all      bool
}

func newDomainSet(list []dnsname.Domain) *domainSet {
	s := &domainSet{suffixes: map[dnsname.Name]bool{}, below: map[dnsname.Name]bool{}, texts: map[string]bool{}}
	for _, d := range list {
		switch d.Match {
		case dnsname.MatchSuffix:
			s.suffixes[d.Name] = true
		case dnsname.MatchBelow:
			s.below[d.Name] = true
		case dnsname.MatchText:
			s.texts[d.Text] = true
			if !slices.Contains(s.lengths, len(d.Text)) { // a few hundred at most
				s.lengths = append(s.lengths, len(d.Text))
			}
		case dnsname.MatchUnqualified:
			s.plain = true
		default:
			s.all = true
		}
	}
	return s
}

// contains reports whether a wire name, in any case, is in one of the domains.
func (s *domainSet) contains(name []byte) bool {
	if s.all || s.plain && len(name) > 1 && int(name[0])+2 == len(name) {
		return true
	}
	if len(s.suffixes)+len(s.below)+len(s.texts) == 0 {
		return false
	}
	var buf, dottedBuf [wire.MaxName]byte
	name = dnsname.AppendLower(buf[:0], name)
	if len(s.texts) > 0 {
		dotted := dnsname.AppendDotted(dottedBuf[:0], name)
		for _, n := range s.lengths {
			if n <= len(dotted) && s.texts[string(dotted[len(dotted)-n:])] {
				return true
			}
		}
	}
	for at := 0; at < len(name); at += 1 + int(name[at]) {
		if rest := dnsname.Name(name[at:]); s.suffixes[rest] || at > 0 && s.below[rest] {
			return true
		}
		if name[at] == 0 {
			break
		}
	}
	return false
}
