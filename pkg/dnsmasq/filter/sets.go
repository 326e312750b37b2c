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

// domainSet is a set of domains. A lookup takes one step for each label of the name, and one
// for each domain that is not a suffix of whole labels.
type domainSet struct {
	suffixes map[dnsname.Name]bool
	others   []dnsname.Domain
}

func newDomainSet(list []dnsname.Domain) *domainSet {
	s := &domainSet{suffixes: map[dnsname.Name]bool{}}
	for _, d := range list {
		if d.Match == dnsname.MatchSuffix {
			s.suffixes[d.Name] = true
		} else if !slices.Contains(s.others, d) {
			s.others = append(s.others, d)
		}
	}
	return s
}

// contains reports whether a wire name, in any case, is in one of the domains.
func (s *domainSet) contains(name []byte) bool {
	if len(s.suffixes) > 0 {
		var buf [wire.MaxName]byte
		for rest := wire.AppendLower(buf[:0], name); len(rest) > 0; rest = rest[1+int(rest[0]):] {
			if s.suffixes[dnsname.Name(rest)] {
				return true
			}
			if rest[0] == 0 {
				break
			}
		}
	}
	return slices.ContainsFunc(s.others, func(d dnsname.Domain) bool { return d.Contains(name) })
}
