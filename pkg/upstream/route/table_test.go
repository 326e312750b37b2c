package route

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

func suffix(text string) dnsname.Domain {
	return dnsname.Domain{Match: dnsname.MatchSuffix, Name: dnsname.MustParse(text)}
}

func at(port uint16) Server {
	return Server{Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)}
}

// tableOf builds a table without groups.
func tableOf(routes ...Route) *Table[int] {
	return New(routes, func(string, []Server) int { return 0 })
}

// told is a decision in short.
func told(d Decision[int]) string {
	switch d.Kind {
	case Ask:
		var ports []string
		for _, s := range d.Servers {
			ports = append(ports, fmt.Sprint(s.Addr.Port()))
		}
		return strings.Join(ports, ",")
	case LocalOnly:
		return "local"
	case Unavailable:
		return d.Reason
	case Literal:
		return strings.Trim(fmt.Sprint(d.Addrs), "[]")
	}
	return "nobody"
}

func TestLookup(t *testing.T) {
	addr := netip.MustParseAddr
	table := tableOf(
		Route{Servers: []Server{at(1), at(2), at(1)}},
		Route{Domain: suffix("cluster.local."), Servers: []Server{at(3)}},
		Route{Domain: suffix("cluster.local."), Servers: []Server{at(4)}},
		Route{Domain: suffix("hole.cluster.local."), Standard: true},
		Route{Domain: suffix("only."), Local: true},
		Route{Domain: suffix("lost.com."), Unavailable: "no address"},
		Route{Domain: suffix("lost.com."), Addrs: []netip.Addr{addr("127.9.0.2")}},
		Route{Domain: suffix("found.com."), Unavailable: "no address"},
		Route{Domain: suffix("found.com."), Servers: []Server{at(11)}},
		Route{Domain: suffix("lit."), Addrs: []netip.Addr{addr("127.9.0.1")}},
		Route{Domain: suffix("lit6.only."), Addrs: []netip.Addr{addr("::9")}},
		Route{Domain: suffix("null."), Zero: true},
		Route{Domain: suffix("both."), Servers: []Server{at(5)}, Standard: true},
		Route{Domain: dnsname.Domain{Match: dnsname.MatchBelow, Name: dnsname.MustParse("strict.")}, Servers: []Server{at(6)}},
		Route{Domain: dnsname.Domain{Match: dnsname.MatchText, Text: "wild.com"}, Servers: []Server{at(7)}},
		Route{Domain: suffix("exact.wild.com."), Servers: []Server{at(8)}},
		Route{Domain: suffix("com."), Servers: []Server{at(9)}},
		Route{Domain: dnsname.Domain{Match: dnsname.MatchUnqualified}, Servers: []Server{at(10)}},
	)
	tests := []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"example.net.", wire.TypeA, "1,2"},
		{".", wire.TypeA, "1,2"},
		{"cluster.local.", wire.TypeA, "3,4"},
		{"a.b.svc.cluster.local.", wire.TypeA, "3,4"},
		{"xcluster.local.", wire.TypeA, "1,2"},
		{"local.", wire.TypeA, "10"},
		{"x.hole.cluster.local.", wire.TypeA, "1,2"},
		{"x.only.", wire.TypeTXT, "local"},
		{"x.lost.com.", wire.TypeTXT, "no address"},
		{"x.lost.com.", wire.TypeA, "127.9.0.2"},
		{"x.found.com.", wire.TypeA, "11"},
		{"lit.", wire.TypeA, "127.9.0.1"},
		{"x.lit.", wire.TypeAAAA, "1,2"},
		{"x.lit6.only.", wire.TypeAAAA, "::9"},
		{"x.lit6.only.", wire.TypeA, "local"},
		{"x.lit6.only.", wire.TypeANY, "::9"},
		{"null.", wire.TypeA, "0.0.0.0"},
		{"null.", wire.TypeAAAA, "::"},
		{"null.", wire.TypeANY, "0.0.0.0 ::"},
		{"x.null.", wire.TypeTXT, "1,2"},
		{"both.", wire.TypeA, "1,2"},
		{"strict.", wire.TypeA, "10"},
		{"a.strict.", wire.TypeA, "6"},
		{"wild.com.", wire.TypeA, "7"},
		{"superwild.com.", wire.TypeA, "7"},
		{"x.superwild.com.", wire.TypeA, "7"},
		{"exact.wild.com.", wire.TypeA, "8"},
		{"x.exact.wild.com.", wire.TypeA, "8"},
		{"mild.com.", wire.TypeA, "9"},
		{"plain.", wire.TypeA, "10"},
	}
	for _, test := range tests {
		t.Run(test.name+fmt.Sprint(test.qtype), func(t *testing.T) {
			name := []byte(dnsname.MustParse(test.name))
			if got := told(table.Lookup(name, test.qtype)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if n := testing.AllocsPerRun(10, func() { table.Lookup(name, test.qtype) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
	if got := told(tableOf().Lookup([]byte{0}, wire.TypeA)); got != "nobody" {
		t.Errorf("without routes: %s", got)
	}
}

// TestLookupAgreesWithSearch compares with the plain way: try every rule and
// take the longest.
func TestLookupAgreesWithSearch(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	labels := []string{"a", "b", "ab", "bab"}
	pick := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(labels[random.IntN(len(labels))] + ".")
		}
		return b.String()
	}
	for range 300 {
		var routes []Route
		for i := range 8 {
			d := dnsname.Domain{Match: dnsname.Match(1 + random.IntN(3))}
			text := pick(1 + random.IntN(3))
			if d.Match == dnsname.MatchText {
				d.Text = strings.TrimSuffix(text, ".")
			} else {
				d.Name = dnsname.MustParse(text)
			}
			if !slices.ContainsFunc(routes, func(r Route) bool { return r.Domain == d }) {
				routes = append(routes, Route{Domain: d, Servers: []Server{at(uint16(i + 1))}})
			}
		}
		table := tableOf(routes...)
		for range 30 {
			text := pick(1 + random.IntN(5))
			want, best := "nobody", -1
			for _, r := range routes {
				// Length of the text that must match; names come before texts.
				length := 2 * len(r.Domain.Text)
				if r.Domain.Name != "" {
					length = 2*(len(r.Domain.Name)-2) + 1
				}
				if r.Domain.Match == dnsname.MatchSuffix && text == r.Domain.Name.String() || r.Domain.Match == dnsname.MatchBelow {
					length++ // both forms of one name: the exact one holds for itself only
				}
				if r.Domain.Match == dnsname.MatchSuffix && text != r.Domain.Name.String() {
					length += 2
				}
				if dnstest.Contains(r.Domain, []byte(dnsname.MustParse(text))) && length > best {
					best, want = length, fmt.Sprint(r.Servers[0].Addr.Port())
				}
			}
			if got := told(table.Lookup([]byte(dnsname.MustParse(text)), wire.TypeA)); got != want {
				t.Fatalf("%s: got %s, want %s of %v", text, got, want, routes)
			}
		}
	}
}

// TestDomainForms: the names that each form of a domain contains.
func TestDomainForms(t *testing.T) {
	xy := dnsname.MustParse("x.y")
	for _, tt := range []struct {
		domain      dnsname.Domain
		inside, not []string
	}{
		{dnsname.Domain{}, []string{".", "a", "x.y"}, nil},
		{dnsname.Domain{Match: dnsname.MatchSuffix, Name: xy}, []string{"x.y", "X.Y", "a.x.y"}, []string{".", "y", "ax.y", "x.y.z"}},
		{dnsname.Domain{Match: dnsname.MatchSuffix, Name: dnsname.Root}, []string{".", "a", "x.y"}, nil},
		{dnsname.Domain{Match: dnsname.MatchBelow, Name: xy}, []string{"a.x.y", "b.A.x.Y"}, []string{"x.y", "y", "ax.y"}},
		{dnsname.Domain{Match: dnsname.MatchText, Text: "ld.com"}, []string{"ld.com", "wild.com", "a.WILD.com"}, []string{"com", "d.com", "wild.com.x", "."}},
		{dnsname.Domain{Match: dnsname.MatchUnqualified}, []string{"a", "web"}, []string{".", "x.y"}},
	} {
		table := tableOf(Route{Domain: tt.domain, Servers: []Server{at(1)}})
		for _, text := range append(tt.inside, tt.not...) {
			name := []byte(dnsname.MustParse(text))
			want := slices.Contains(tt.inside, text)
			if got := table.Lookup(name, wire.TypeA).Kind == Ask; got != want || dnstest.Contains(tt.domain, name) != want {
				t.Errorf("%+v contains %s: %t, want %t", tt.domain, text, got, want)
			}
		}
	}
}

// TestManyRoutes: building and lookups take time that grows with the input, not
// with its square, whatever the form of the domains.
func TestManyRoutes(t *testing.T) {
	const n = 50_000 // squared, most of a minute
	var routes []Route
	for i := range n {
		server := Server{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 53)}
		name := fmt.Sprintf("d%d.example", i)
		routes = append(
			routes,
			Route{Domain: suffix("one.example."), Servers: []Server{server, server}},
			Route{Domain: dnsname.Domain{Match: dnsname.MatchText, Text: "x" + name}, Servers: []Server{server}},
			Route{Domain: dnsname.Domain{Match: dnsname.MatchBelow, Name: dnsname.MustParse(name)}, Servers: []Server{server}},
		)
	}
	begin := time.Now()
	table := tableOf(routes...)
	one := table.Lookup([]byte(dnsname.MustParse("a.one.example")), wire.TypeA)
	if len(one.Servers) != n {
		t.Errorf("%d servers, want %d", len(one.Servers), n)
	}
	if !one.Same(tableOf(routes...).Lookup([]byte(dnsname.MustParse("b.one.example")), wire.TypeA)) {
		t.Error("equal tables do not say the same")
	}
	for i := range n {
		for _, form := range []string{"a.d%d.example", "abcx" + "d%d.example"} {
			name := []byte(dnsname.MustParse(fmt.Sprintf(form, i)))
			if d := table.Lookup(name, wire.TypeA); len(d.Servers) != 1 || d.Servers[0] != one.Servers[i] {
				t.Fatalf("%v: %v", dnsname.Name(name), d.Servers)
			}
			if !table.Below(name) { // there are texts
				t.Fatal("not below")
			}
		}
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestBelow: a name has routes below it if one is, but not for its own.
func TestBelow(t *testing.T) {
	table := tableOf(
		Route{Domain: suffix("a.b.example."), Local: true},
		Route{Domain: dnsname.Domain{Match: dnsname.MatchBelow, Name: dnsname.MustParse("c.d")}, Local: true},
	)
	for name, want := range map[string]bool{
		".": true, "example.": true, "b.example.": true, "a.b.example.": false, "x.a.b.example.": false, "d.": true, "c.d.": false, "ample.": false,
	} {
		if got := table.Below([]byte(dnsname.MustParse(name))); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if tableOf().Below([]byte("\x00")) {
		t.Error("an empty table has routes")
	}
}

// TestSameReplicas: which replicas there are does not make another answer.
func TestSameReplicas(t *testing.T) {
	placed := func(n uint16, role Role) Server {
		s := at(n)
		s.Role = role
		return s
	}
	reserve, other := placed(1, Reserve), placed(9, Reserve)
	a, b, c := placed(2, Replica), placed(3, Replica), placed(4, Replica)
	for _, row := range []struct {
		was, is []Server
		want    bool
	}{
		{[]Server{reserve, a, b}, []Server{reserve, c}, true},
		{[]Server{reserve}, []Server{reserve, a}, true},
		{[]Server{reserve, a}, []Server{reserve}, true},
		{[]Server{reserve, a}, []Server{other, a}, false},
		{[]Server{reserve, a}, []Server{at(1), a}, false},
		{[]Server{reserve, a}, []Server{reserve, a, at(5)}, false},
		{[]Server{a, b}, []Server{a, c}, false},
		{[]Server{a, b}, []Server{b, a}, true},
	} {
		decide := func(servers []Server) Decision[struct{}] { return Decision[struct{}]{Kind: Ask, Servers: servers} }
		if got := decide(row.was).Same(decide(row.is)); got != row.want {
			t.Errorf("%v and %v are the same: %v", row.was, row.is, got)
		}
	}
}
