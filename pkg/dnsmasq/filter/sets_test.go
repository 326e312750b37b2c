package filter

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

// TestSetsAreLists: a set answers as the list that it is made of, for random
// networks, domains, addresses and names.
func TestSetsAreLists(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	addr := func() netip.Addr {
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, byte(r.IntN(3)), byte(r.IntN(4)), byte(r.IntN(4))})
		}
		return netip.AddrFrom16([16]byte{0: 0xfd, 8: byte(r.IntN(3)), 15: byte(r.IntN(4))})
	}
	name := func() dnsname.Name {
		text := ""
		for range 1 + r.IntN(4) {
			text += string(rune('a'+r.IntN(3))) + "."
		}
		return dnsname.MustParse(text)
	}
	for range 300 {
		var networks []netip.Prefix
		var domains []dnsname.Domain
		for range r.IntN(12) {
			a := addr()
			networks = append(networks, netip.PrefixFrom(a, r.IntN(a.BitLen()+1)))
			domains = append(domains, []dnsname.Domain{
				{Match: dnsname.MatchSuffix, Name: name()},
				{Match: dnsname.MatchBelow, Name: name()},
				{Match: dnsname.MatchText, Text: []string{"a", "b.a", ".c"}[r.IntN(3)]},
				{Match: dnsname.MatchUnqualified},
			}[r.IntN(4)])
		}
		prefixes, names := newPrefixSet(networks), newDomainSet(domains)
		for range 50 {
			a, n := addr(), []byte(name())
			if want := slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) }); prefixes.contains(a) != want {
				t.Fatalf("%v in %v: %v, want %v", a, networks, !want, want)
			}
			if want := slices.ContainsFunc(domains, func(d dnsname.Domain) bool { return dnstest.Contains(d, n) }); names.contains(n) != want {
				t.Fatalf("%v in %v: %v, want %v", dnsname.Name(n), domains, !want, want)
			}
		}
	}
}

// TestManyDomains: a set takes time that grows with its size, not with its square.
func TestManyDomains(t *testing.T) {
	const n = 50_000 // squared, most of a minute
	var list []dnsname.Domain
	for i := range n {
		name := fmt.Sprintf("d%d.example", i)
		list = append(list, dnsname.Domain{Match: dnsname.MatchBelow, Name: dnsname.MustParse(name)}, dnsname.Domain{Match: dnsname.MatchText, Text: "x" + name})
	}
	begin := time.Now()
	s := newDomainSet(list)
	for i := range n {
		for form, want := range map[string]bool{"a.d%d.example": true, "abxd%d.example": true, "d%d.example": false} {
			if got := s.contains([]byte(dnsname.MustParse(fmt.Sprintf(form, i)))); got != want {
				t.Fatalf(form+": %v", i, got)
			}
		}
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}
