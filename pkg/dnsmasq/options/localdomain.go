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
	if _, err := netip.ParseAddr(unhide(list[0])); err != nil && isInterface(unhide(list[0])) && len(list) == 1 {
		r.Interface = unhide(list[0])
	} else {
		given, rest, err := parseRange(list)
		switch {
		case err != nil:
			return err
		case len(rest) > 0 && (!given.network.IsValid() || len(rest) > 1 || rest[0] != "local"):
			return bad("", "%q: only the word local is allowed, after address/bits", strings.Join(rest, ","))
		case len(rest) > 0:
			p.addLocalNetwork(domain, given.network)
		}
		r.First, r.Last = given.first, given.last
	}
	p.o.Local.DomainRanges = append(p.o.Local.DomainRanges, r)
	return nil
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
		p.addFault(&Fault{Text: text, Exit: exit})
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
