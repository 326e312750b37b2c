// Package route finds the upstream servers for a name. Call [New] to build a [Table] from
// routes, and [Table.Lookup] to look a name up. The caller chooses the type G of a group of
// servers: the table holds one G for each list of servers, and returns it from Lookup.
package route

import (
	"cmp"
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Server is one upstream server and the way to reach it. It is comparable: equal servers
// count as one, which keeps its health when the routes change.
type Server struct {
	// Addr is the server's address, possibly with an IPv6 zone, and port.
	Addr netip.AddrPort
	// Source is the local address and port to send from (--server=...@source#port). If it is
	// not valid, the kernel chooses the address; port 0 means a random port.
	Source netip.AddrPort
	// Interface is the network interface to send through, "" for any.
	Interface string
	// TLS says whether to ask over TLS, and how to authenticate the server.
	TLS TLS
	// Role is the server's place among those of its domain.
	Role Role
}

// Role is a server's place among those of its domain.
type Role uint8

const (
	// Peer servers have no special role.
	Peer Role = iota
	// Replica servers give the same answers as the other replicas.
	Replica
	// Reserve servers are addresses that lead to any of the replicas.
	Reserve
)

// TLS says whether a server is asked over TLS, and how it is authenticated (RFC 8310 §5, the
// strict profile). It is comparable. The zero value asks in clear text, over UDP first.
type TLS struct {
	// On asks only over TLS. With Clear as well, it asks only over TCP in clear text, without
	// authentication.
	On, Clear bool
	// Name is the name that the certificate must be valid for; "" means the server's address.
	Name string
	// Pins are SHA-256 digests of public keys, 32 octets each, concatenated. If there are
	// any, one of these keys must be in the certificate chain.
	Pins string
}

// Encrypted reports whether the server is asked over TLS.
func (t TLS) Encrypted() bool { return t.On && !t.Clear }

// String returns the server's name in logs and metrics: its address and port, with the prefix
// "tls:" if it is asked over TLS, or "tcp:" if only over TCP.
func (s Server) String() string {
	scheme := "tls:"
	switch {
	case !s.TLS.On:
		return s.Addr.String()
	case s.TLS.Clear:
		scheme = "tcp:"
	}
	return scheme + s.Addr.Addr().String() + "#" + strconv.Itoa(int(s.Addr.Port()))
}

// Full returns String with all that distinguishes the server from others at the same address, in
// the form of the option --server.
func (s Server) Full() string {
	var b strings.Builder
	b.WriteString(s.String())
	if s.Interface != "" {
		b.WriteString("@" + s.Interface)
	}
	if s.Source.IsValid() {
		b.WriteString("@" + s.Source.Addr().String())
		if port := s.Source.Port(); port != 0 {
			b.WriteString("#" + strconv.Itoa(int(port)))
		}
	}
	if s.TLS.Name != "" {
		b.WriteString(",name=" + s.TLS.Name)
	}
	for pin := range slices.Chunk([]byte(s.TLS.Pins), 32) {
		b.WriteString(",pin=" + hex.EncodeToString(pin))
	}
	b.WriteString([...]string{Peer: "", Replica: ",replica", Reserve: ",reserve"}[s.Role])
	return b.String()
}

// Route says what to do with the names of a domain. Several routes of one domain are combined
// in order.
type Route struct {
	Domain dnsname.Domain
	// Servers are the servers to ask. The table may keep the slice, so the caller must not
	// change it. Routes that share one slice take less memory.
	Servers []Server
	// Standard sends the names to the servers of the routes for all names ("/domain/#").
	Standard bool
	// Local sends the names to no server: those without local data do not exist ("/domain/").
	Local bool
	// Addrs are the answers to A and AAAA questions, and Zero answers them with the
	// unspecified address, in both cases without asking a server (--address). A question of a
	// type that they do not answer goes to Servers of the same domain, then to shorter
	// domains.
	Addrs []netip.Addr
	Zero  bool
	// Unavailable, if not "", says why there is no server to ask now. It takes effect if the
	// domain has no Servers; no other server is asked then.
	Unavailable string
}

// Kind says what happens to a question.
type Kind uint8

const (
	// Nobody means that no route covers the name.
	Nobody Kind = iota
	// Ask means that the servers of a group must be asked.
	Ask
	// LocalOnly means that the name exists only where local data says so.
	LocalOnly
	// Literal means that the addresses of the route are the answer.
	Literal
	// Unavailable means that there is no server to ask now.
	Unavailable
)

// Decision is what a [Table] decides about a question.
type Decision[G any] struct {
	Kind Kind
	// Group is set for Ask; Servers is the list that it was made from. Both are read-only.
	Group   G
	Servers []Server
	// Addrs are the answers to a Literal question of type A, AAAA or ANY. Read-only.
	Addrs []netip.Addr
	// Reason is set for Unavailable.
	Reason string
}

// Same reports whether d and e ask the same servers, or give the same addresses. They may
// come from different tables. If there is a reserve server, its replicas are not compared:
// they all give the same answers.
func (d Decision[G]) Same(e Decision[G]) bool {
	if d.Kind != e.Kind || !slices.Equal(d.Addrs, e.Addrs) {
		return false
	}
	if slices.Equal(d.Servers, e.Servers) {
		return true
	}
	was, is := counted(d.Servers), counted(e.Servers)
	if len(was) != len(is) {
		return false
	}
	for _, s := range was { // no server is twice in a group
		if !slices.Contains(is, s) {
			return false
		}
	}
	return true
}

// counted returns the servers that distinguish one group from another: all of them, but
// without the replicas if there is a reserve server.
func counted(servers []Server) []Server {
	isReplica := func(s Server) bool { return s.Role == Replica }
	if !slices.ContainsFunc(servers, isReplica) || !slices.ContainsFunc(servers, func(s Server) bool { return s.Role == Reserve }) {
		return servers
	}
	return slices.DeleteFunc(slices.Clone(servers), isReplica)
}

// Table maps names to routes. It never changes, so it is safe for concurrent use.
type Table[G any] struct {
	suffixes  map[dnsname.Name]*rule[G] // of a name and all below it
	below     map[dnsname.Name]*rule[G] // of all below a name
	texts     map[string]*rule[G]       // by what names end in, as AppendDotted writes them
	lengths   []int                     // of the keys of texts in octets, the longest first
	plain     *rule[G]                  // of names of one label; nil if there is none
	all       *rule[G]                  // of all names; nil if there is none
	maxLabels int                       // the most labels of the keys of suffixes and below
	zeros     []netip.Addr              // 0.0.0.0 and ::
	findAbove sync.Once                 // makes above, at the first call of Below
	above     map[dnsname.Name]bool     // names above those of suffixes and below
}

// rule combines everything that routes say about one domain.
type rule[G any] struct {
	literal     *literal // the addresses of Literal answers; nil for none
	zero        bool     // the names have the addresses 0.0.0.0 and ::
	standard    bool     // the names go to the servers without a domain
	local       bool     // the names are answered from local data only
	unavailable string   // why there is no server to ask; "" if there is one
	servers     []Server // the servers of the domain
	group       G        // if there are servers
}

// literal is the addresses of a domain. Most domains have none.
type literal struct{ addrs4, addrs6 []netip.Addr }

// addrs returns the addresses of Literal answers.
func (r *rule[G]) addrs() literal {
	if r.literal == nil {
		return literal{}
	}
	return *r.literal
}

// New builds a table. It calls group to get the G for the servers of a domain. domain is the
// text of the configuration, "" for all names, and servers has no duplicates.
func New[G any](routes []Route, group func(domain string, servers []Server) G) *Table[G] {
	t := &Table[G]{
		suffixes: map[dnsname.Name]*rule[G]{},
		below:    map[dnsname.Name]*rule[G]{},
		texts:    map[string]*rule[G]{},
		zeros:    []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()},
	}
	crowds := crowds[G]{}
	for i := range routes {
		r := &routes[i]
		t.rule(r.Domain).addRoute(r, crowds)
	}
	lengths := map[int]bool{}
	for text := range t.texts {
		lengths[len(text)] = true
	}
	t.lengths = slices.SortedFunc(maps.Keys(lengths), func(a, b int) int { return b - a })
	t.each(func(domain string, r *rule[G]) {
		if len(r.servers) > 0 {
			r.group = group(domain, r.servers)
		}
	})
	return t
}

// ForAll returns the group for names without a route of their own.
func (t *Table[G]) ForAll() (group G, ok bool) {
	if t.all == nil || len(t.all.servers) == 0 {
		return group, false
	}
	return t.all.group, true
}

// rule returns the rule for a domain, and creates it if there is none.
func (t *Table[G]) rule(d dnsname.Domain) *rule[G] {
	of := func(m map[dnsname.Name]*rule[G]) *rule[G] {
		t.maxLabels = max(t.maxLabels, d.Name.Labels())
		r := m[d.Name]
		if r == nil {
			r = new(rule[G])
			m[d.Name] = r
		}
		return r
	}
	one := func(p **rule[G]) *rule[G] {
		if *p == nil {
			*p = new(rule[G])
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
		r := t.texts[d.Text]
		if r == nil {
			r = new(rule[G])
			t.texts[d.Text] = r
		}
		return r
	}
	return one(&t.all)
}

// crowds holds the servers of rules that have many, so that duplicates are found quickly.
// Searching the list for each new server would take quadratic time.
type crowds[G any] map[*rule[G]]map[Server]bool

// crowd is the number of servers from which a rule is kept in crowds.
const crowd = 32

// has reports whether a rule already has a server, and records that it has it from now on.
func (c crowds[G]) has(r *rule[G], s Server) bool {
	if len(r.servers) < crowd {
		return slices.Contains(r.servers, s)
	}
	known := c[r]
	if known == nil {
		known = map[Server]bool{}
		for _, have := range r.servers {
			known[have] = true
		}
		c[r] = known
	}
	was := known[s]
	known[s] = true
	return was
}

func (r *rule[G]) addRoute(route *Route, crowds crowds[G]) {
	if len(route.Addrs) > 0 && r.literal == nil {
		r.literal = new(literal)
	}
	for _, a := range route.Addrs {
		if a = a.Unmap(); a.Is4() {
			r.literal.addrs4 = append(r.literal.addrs4, a)
		} else {
			r.literal.addrs6 = append(r.literal.addrs6, a)
		}
	}
	r.zero = r.zero || route.Zero
	r.standard = r.standard || route.Standard
	r.local = r.local || route.Local
	r.unavailable = cmp.Or(r.unavailable, route.Unavailable)
	if len(r.servers) == 0 && len(route.Servers) == 1 {
		r.servers = route.Servers[:1:1] // shared; more servers go into memory of their own
		return
	}
	for _, s := range route.Servers {
		if !crowds.has(r, s) {
			r.servers = append(r.servers, s)
		}
	}
}

// each calls f for every rule. domain is "" for the rule of all names.
func (t *Table[G]) each(f func(domain string, r *rule[G])) {
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
	for _, text := range sorted(t.texts) {
		f("*"+text, t.texts[text])
	}
}

func sorted[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// Lookup returns the decision for a question. name is in canonical wire form. The longest
// domain that has a route for the name decides, as with dnsmasq's --server. Lookup does not
// allocate.
func (t *Table[G]) Lookup(name []byte, qtype uint16) Decision[G] {
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
	return Decision[G]{}
}

// Below reports whether a domain below name, which is in canonical wire form, has a route of
// its own. If so, what holds for name need not hold for all names below it.
func (t *Table[G]) Below(name []byte) bool {
	t.findAbove.Do(func() {
		t.above = map[dnsname.Name]bool{}
		for _, m := range [...]map[dnsname.Name]*rule[G]{t.suffixes, t.below} {
			for domain := range m {
				for domain != dnsname.Root {
					domain = domain.Parent()
					t.above[domain] = true
				}
			}
		}
	})
	return len(t.texts) > 0 || t.above[dnsname.Name(name)]
}

// domain returns the decision of the longest domain that contains name and has one.
func (t *Table[G]) domain(name []byte, qtype uint16) Decision[G] {
	if t.maxLabels == 0 && len(t.texts) == 0 {
		return Decision[G]{}
	}
	var buf [dnsname.MaxLabels]uint8
	offsets := dnsname.Offsets(buf[:0], name)
	lengths := t.lengths
	var dottedBuf [dnsname.MaxName]byte
	var dotted []byte
	if len(lengths) > 0 {
		dotted = dnsname.AppendDotted(dottedBuf[:0], name)
	}
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
		// Texts that are longer than the rest of the name after this label must be compared
		// before that rest. The text "x.y" has two octets fewer than its wire form.
		rest := len(suffix) - int(suffix[0]) - 1 - 2
		for len(lengths) > 0 && lengths[0] > rest {
			if n := len(dotted) - lengths[0]; n >= 0 {
				if r := t.texts[string(dotted[n:])]; r != nil {
					if d := t.decide(r, qtype); d.Kind != Nobody {
						return d
					}
				}
			}
			lengths = lengths[1:]
		}
	}
	return Decision[G]{}
}

// decide returns what a rule says about a query type. Its parts take effect in dnsmasq's
// order.
func (t *Table[G]) decide(r *rule[G], qtype uint16) Decision[G] {
	switch qtype {
	case wire.TypeA:
		if addrs := r.addrs().addrs4; len(addrs) > 0 {
			return Decision[G]{Kind: Literal, Addrs: addrs}
		}
		if r.zero {
			return Decision[G]{Kind: Literal, Addrs: t.zeros[:1]}
		}
	case wire.TypeAAAA:
		if addrs := r.addrs().addrs6; len(addrs) > 0 {
			return Decision[G]{Kind: Literal, Addrs: addrs}
		}
		if r.zero {
			return Decision[G]{Kind: Literal, Addrs: t.zeros[1:]}
		}
	case wire.TypeANY:
		if d := t.any(r); d.Kind != Nobody {
			return d
		}
	}
	switch {
	case r.standard:
		if t.all != nil && len(t.all.servers) > 0 {
			return Decision[G]{Kind: Ask, Group: t.all.group, Servers: t.all.servers}
		}
	case len(r.servers) > 0:
		return Decision[G]{Kind: Ask, Group: r.group, Servers: r.servers}
	case r.unavailable != "":
		return Decision[G]{Kind: Unavailable, Reason: r.unavailable}
	case r.local:
		return Decision[G]{Kind: LocalOnly}
	}
	return Decision[G]{}
}

func (t *Table[G]) any(r *rule[G]) Decision[G] {
	switch l := r.addrs(); {
	case len(l.addrs6) > 0:
		return Decision[G]{Kind: Literal, Addrs: l.addrs6}
	case len(l.addrs4) > 0:
		return Decision[G]{Kind: Literal, Addrs: l.addrs4}
	case r.zero:
		return Decision[G]{Kind: Literal, Addrs: t.zeros}
	}
	return Decision[G]{}
}
