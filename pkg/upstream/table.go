package upstream

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Kind says what becomes of a question.
type Kind uint8

const (
	// Nobody means that no route has the name.
	Nobody Kind = iota
	// Ask means that the group's servers are asked.
	Ask
	// LocalOnly means that the name exists only where local data says so.
	LocalOnly
	// Literal means that the route's addresses are the answer.
	Literal
)

// Decision is what a [Table] says about a question.
type Decision struct {
	Kind Kind
	// Group is set for Ask.
	Group *Group
	// Addrs answer a Literal of type A, AAAA or ANY. Read only.
	Addrs []netip.Addr
}

// Same reports whether e asks the same servers, or gives the same addresses.
// Decisions of the tables before and after a Reload may be compared.
func (d Decision) Same(e Decision) bool {
	if d.Kind != e.Kind || !slices.Equal(d.Addrs, e.Addrs) {
		return false
	}
	if d.Group == e.Group || d.Group == nil || e.Group == nil {
		return d.Group == e.Group
	}
	if len(d.Group.servers) != len(e.Group.servers) {
		return false
	}
	for _, s := range d.Group.servers { // no server is twice in a group
		if !slices.ContainsFunc(e.Group.servers, func(t *server) bool { return s.spec == t.spec }) {
			return false
		}
	}
	return true
}

// Table tells the route of a name. It never changes.
type Table struct {
	suffixes  map[dnsname.Name]*rule
	below     map[dnsname.Name]*rule
	texts     []textRule // longest first
	plain     *rule      // names of one label
	all       *rule
	maxLabels int // of the keys of suffixes and below
	groups    []*Group
	zeros     []netip.Addr // 0.0.0.0 and ::
}

// textRule is a rule for names that end in a text, which is kept as the
// octets with which such names end before the root label.
type textRule struct {
	text string
	rule *rule
}

// rule is all that routes say about one domain.
type rule struct {
	addrs4, addrs6 []netip.Addr
	zero           bool
	standard       bool
	local          bool
	servers        []Server
	group          *Group
}

// newTable builds the table. resolve returns the group for a list of servers.
func newTable(routes []Route, resolve func(domain string, servers []Server) *Group) *Table {
	t := &Table{
		suffixes: map[dnsname.Name]*rule{},
		below:    map[dnsname.Name]*rule{},
		zeros:    []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()},
	}
	for i := range routes {
		r := &routes[i]
		t.rule(r.Domain).add(r)
	}
	slices.SortStableFunc(t.texts, func(a, b textRule) int { return cmp.Compare(len(b.text), len(a.text)) })
	t.each(func(domain string, r *rule) {
		if len(r.servers) > 0 {
			r.group = resolve(domain, r.servers)
			t.groups = append(t.groups, r.group)
		}
	})
	return t
}

// rule returns the rule for a domain, made if there is none.
func (t *Table) rule(d dnsname.Domain) *rule {
	of := func(m map[dnsname.Name]*rule) *rule {
		t.maxLabels = max(t.maxLabels, d.Name.Labels())
		r := m[d.Name]
		if r == nil {
			r = new(rule)
			m[d.Name] = r
		}
		return r
	}
	one := func(p **rule) *rule {
		if *p == nil {
			*p = new(rule)
		}
		return *p
	}
	switch {
	case d.Match == dnsname.MatchSuffix && d.Name != dnsname.Root:
		return of(t.suffixes)
	case d.Match == dnsname.MatchBelow && d.Name != dnsname.Root:
		return of(t.below)
	case d.Match == dnsname.MatchUnqualified:
		return one(&t.plain)
	case d.Match == dnsname.MatchText && d.Text != "":
		for _, x := range t.texts {
			if x.text == d.Text {
				return x.rule
			}
		}
		r := new(rule)
		t.texts = append(t.texts, textRule{d.Text, r})
		return r
	}
	return one(&t.all)
}

func (r *rule) add(route *Route) {
	for _, a := range route.Addrs {
		if a = a.Unmap(); a.Is4() {
			r.addrs4 = append(r.addrs4, a)
		} else {
			r.addrs6 = append(r.addrs6, a)
		}
	}
	r.zero = r.zero || route.Zero
	r.standard = r.standard || route.Standard
	r.local = r.local || route.Local
	for _, s := range route.Servers {
		if !slices.Contains(r.servers, s) {
			r.servers = append(r.servers, s)
		}
	}
}

// each calls f for every rule. domain is "" for the rule of all names.
func (t *Table) each(f func(domain string, r *rule)) {
	if t.all != nil {
		f("", t.all)
	}
	if t.plain != nil {
		f("unqualified names", t.plain)
	}
	for _, name := range sorted(t.suffixes) {
		f(strings.TrimSuffix(name.String(), "."), t.suffixes[name])
	}
	for _, name := range sorted(t.below) {
		f("*."+strings.TrimSuffix(name.String(), "."), t.below[name])
	}
	for _, x := range t.texts {
		f("*"+x.text, x.rule)
	}
}

func sorted(m map[dnsname.Name]*rule) []dnsname.Name {
	names := make([]dnsname.Name, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Lookup returns the decision for a question about the canonical wire name:
// that of the longest domain which has one (dnsmasq's --server). It does not
// allocate.
func (t *Table) Lookup(name []byte, qtype uint16) Decision {
	if d := t.domain(name, qtype); d.Kind != Nobody {
		return d
	}
	if t.plain != nil && len(name) > 1 && int(name[0])+2 == len(name) {
		if d := t.decide(t.plain, qtype); d.Kind != Nobody {
			return d
		}
	}
	if t.all != nil {
		return t.decide(t.all, qtype)
	}
	return Decision{}
}

// domain looks through the domains that name is in, the longest first.
func (t *Table) domain(name []byte, qtype uint16) Decision {
	if t.maxLabels == 0 && len(t.texts) == 0 {
		return Decision{}
	}
	var buf [dnsname.MaxLabels]uint8
	offsets := dnsname.Offsets(buf[:0], name)
	texts := t.texts
	for i, off := range offsets {
		suffix := name[off:]
		if len(offsets)-i <= t.maxLabels {
			if r := t.suffixes[dnsname.Name(suffix)]; r != nil {
				if d := t.decide(r, qtype); d.Kind != Nobody {
					return d
				}
			}
			if r := t.below[dnsname.Name(suffix)]; r != nil && i > 0 {
				if d := t.decide(r, qtype); d.Kind != Nobody {
					return d
				}
			}
		}
		// A text longer than what is left of the name after this label comes
		// before that rest. "x.y" has two octets fewer than its wire form.
		rest := len(suffix) - int(suffix[0]) - 1 - 2
		for len(texts) > 0 && len(texts[0].text) > rest {
			if x := texts[0]; (dnsname.Domain{Match: dnsname.MatchText, Text: x.text}).Contains(name) {
				if d := t.decide(x.rule, qtype); d.Kind != Nobody {
					return d
				}
			}
			texts = texts[1:]
		}
	}
	return Decision{}
}

// decide says what a rule does with a type, in dnsmasq's order.
func (t *Table) decide(r *rule, qtype uint16) Decision {
	switch qtype {
	case wire.TypeA:
		if len(r.addrs4) > 0 {
			return Decision{Kind: Literal, Addrs: r.addrs4}
		}
		if r.zero {
			return Decision{Kind: Literal, Addrs: t.zeros[:1]}
		}
	case wire.TypeAAAA:
		if len(r.addrs6) > 0 {
			return Decision{Kind: Literal, Addrs: r.addrs6}
		}
		if r.zero {
			return Decision{Kind: Literal, Addrs: t.zeros[1:]}
		}
	case wire.TypeANY:
		if d := t.any(r); d.Kind != Nobody {
			return d
		}
	}
	switch {
	case r.standard:
		if t.all != nil && t.all.group != nil {
			return Decision{Kind: Ask, Group: t.all.group}
		}
	case r.group != nil:
		return Decision{Kind: Ask, Group: r.group}
	case r.local:
		return Decision{Kind: LocalOnly}
	}
	return Decision{}
}

func (t *Table) any(r *rule) Decision {
	switch {
	case len(r.addrs6) > 0:
		return Decision{Kind: Literal, Addrs: r.addrs6}
	case len(r.addrs4) > 0:
		return Decision{Kind: Literal, Addrs: r.addrs4}
	case r.zero:
		return Decision{Kind: Literal, Addrs: t.zeros}
	}
	return Decision{}
}
