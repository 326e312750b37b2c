package options

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/resolvconf"
)

// DomainRange is a --domain for some addresses: those from First to Last or, if Interface
// is not "", those on its networks.
type DomainRange struct {
	Domain      dnsname.Name
	First, Last netip.Addr
	Interface   string
}

// contains reports whether addr is in the range. networks returns the networks of an
// interface.
func (r *DomainRange) contains(addr netip.Addr, networks func(string) []netip.Prefix) bool {
	if r.Interface == "" {
		return addr.BitLen() == r.First.BitLen() && !addr.Less(r.First) && !r.Last.Less(addr)
	}
	return networks != nil && slices.ContainsFunc(networks(r.Interface), func(n netip.Prefix) bool { return n.Contains(addr) })
}

// DomainOf returns the domain that --expand-hosts adds to the names of an address: that of
// the last --domain whose range contains the address, otherwise that of the --domain
// without a range. "" means none. networks returns the networks of an interface; it may be
// nil.
func (l *Local) DomainOf(addr netip.Addr, networks func(string) []netip.Prefix) dnsname.Name {
	addr = addr.Unmap()
	for i := len(l.DomainRanges) - 1; i >= 0; i-- {
		if r := &l.DomainRanges[i]; r.contains(addr, networks) {
			return r.Domain
		}
	}
	return l.Domain
}

func setDomain(p *parser, value string, _ bool) error {
	name, rest, ranged := cut(value, ',')
	if len(name) > 1 {
		name = strings.TrimPrefix(name, ".") // dnsmasq takes ".lan" for "lan"
	}
	switch {
	case ranged:
		return p.addDomainRange(name, items(rest))
	case name == "#":
		p.o.Local.DomainFromResolv = true
		return nil
	case name == "":
		p.o.Local.Domain = ""
		return nil
	}
	domain, err := nameItem(name)
	p.o.Local.Domain = domain
	return err
}

// addDomainRange parses network[,local], first[,last] or an interface.
func (p *parser) addDomainRange(name string, list []string) error {
	domain, err := nameItem(name)
	if err != nil {
		return err
	}
	r := DomainRange{Domain: domain}
	first := unhide(list[0])
	if strings.Contains(first, "/") {
		prefix, err := rangeNetwork(first)
		if err != nil {
			return err
		}
		r.First, r.Last = prefix.Addr(), lastAddr(prefix)
		if len(list) > 2 || len(list) == 2 && list[1] != "local" {
			return bad("", "%q: after a network, only the word local is allowed", strings.Join(list[1:], ","))
		}
		if len(list) == 2 {
			p.addLocalNetwork(domain, prefix)
		}
		p.o.Local.DomainRanges = append(p.o.Local.DomainRanges, r)
		return nil
	}
	if err := r.setRange(first, list[1:]); err != nil {
		return err
	}
	p.o.Local.DomainRanges = append(p.o.Local.DomainRanges, r)
	return nil
}

// setRange parses the first and, optionally, the last address of a range, or an interface.
func (r *DomainRange) setRange(first string, rest []string) error {
	addr, err := netip.ParseAddr(first)
	if err != nil || addr.Zone() != "" {
		if len(rest) > 0 || !isInterface(first) {
			return bad("", "%q is not a network, an address, or an interface without further values", first)
		}
		r.Interface = first
		return nil
	}
	r.First, r.Last = addr, addr
	if len(rest) == 0 {
		return nil
	}
	last, err := netip.ParseAddr(unhide(rest[0]))
	switch {
	case err != nil || last.BitLen() != addr.BitLen() || last.Zone() != "":
		return bad("", "%q is not an address of the same address family", rest[0])
	case len(rest) > 1:
		return bad("", "too many values; the word local is only allowed after address/bits")
	case last.Less(addr):
		return bad("", "the range from %s to %s is empty", addr, last)
	}
	r.Last = last
	return nil
}

// rangeNetwork parses address/bits. Unlike in --rev-server, the bits may be 0.
func rangeNetwork(text string) (netip.Prefix, error) {
	addrText, bitsText, _ := cut(text, '/')
	addr, err := netip.ParseAddr(addrText)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, bad("", "%q is not an address", addrText)
	}
	bits, err := digits(bitsText)
	switch {
	case err != nil:
		return netip.Prefix{}, err
	case bits > addr.BitLen():
		return netip.Prefix{}, bad("bad prefix length", "%q", bitsText)
	}
	return netip.PrefixFrom(addr, bits).Masked(), nil
}

// addLocalNetwork implements "local" after a network: upstream servers are asked neither
// for names in the domain nor for reverse names in the network.
func (p *parser) addLocalNetwork(domain dnsname.Name, prefix netip.Prefix) {
	zones := []dnsname.Name{domain}
	if prefix.Bits() > 0 {
		zones = append(zones, reverseZones(prefix)...)
	} else if prefix.Addr().Is4() {
		zones = append(zones, dnsname.MustParse("in-addr.arpa"))
	} else {
		zones = append(zones, dnsname.MustParse("ip6.arpa"))
	}
	for _, zone := range zones {
		addNew(p, &p.o.Upstream.Servers,
			Server{Kind: ServerLocal, Domain: dnsname.Domain{Match: dnsname.MatchSuffix, Name: zone}})
	}
}

// resolvDomain implements --domain=#: the first domain of the search list of the only
// resolv.conf.
func (p *parser) resolvDomain() {
	l, u := &p.o.Local, &p.o.Upstream
	if !l.DomainFromResolv {
		return
	}
	fault := func(exit int, text string) {
		p.faults = append(p.faults, &Fault{Text: text, Exit: exit})
	}
	if u.NoResolv || len(u.ResolvFiles) != 1 {
		fault(ExitConfig, "must have exactly one resolv.conf to read domain from.")
		return
	}
	path := u.ResolvFiles[0]
	data, err := p.files.ReadFile(path)
	if err != nil {
		fault(ExitFile, "failed to read "+path+": "+reason(err))
		return
	}
	for words := range resolvconf.Lines(data) {
		if len(words) > 1 && words[0] == "search" {
			if name, err := parseName(words[1]); err == nil {
				l.Domain = name
				return
			}
		}
	}
	if l.Domain == "" {
		fault(ExitOther, "no search directive found in "+path)
	}
}
