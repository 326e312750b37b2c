package answercache

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

const (
	absent = "ns example. 60 IN SOA n. h. 1 2 3 4 15"
	noData = absent
)

// A name that does not exist has no records of any type (RFC 2308 §5).
func TestNXDomainIsForEveryType(t *testing.T) {
	c := New(Config{Entries: 10})
	store(t, c, at(0), ask(t, "no.example.", a), "nxdomain", absent)
	want := []string{"nxdomain", "ns example. 14 SOA n. h. 1 2 3 4 15"}
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeCNAME, dns.TypeANY, 65280} {
		m, result := lookup(t, c, at(1), ask(t, "NO.example.", typ), false)
		if diff := cmp.Diff(want, zone(m)); diff != "" || result != Hit {
			t.Errorf("%s: result %d (-want +got):\n%s", dns.Type(typ), result, diff)
		}
	}
	for name, q := range map[string]*wire.Query{
		"another name": ask(t, "yes.example.", a), "below": ask(t, "a.no.example.", a), "above": ask(t, "example.", a),
		"DO": ask(t, "no.example.", a, "do"), "CD": ask(t, "no.example.", a, "cd"),
	} {
		if _, result := lookup(t, c, at(1), q, true); result != Miss {
			t.Errorf("%s: result %d, want a miss", name, result)
		}
	}
	if _, result := lookup(t, c, at(15), ask(t, "no.example.", dns.TypeMX), true); result != Miss {
		t.Errorf("after its time: result %d, want a miss", result)
	}
}

// What was said last of a name's existence holds, for those who asked alike.
func TestNXDomainAndAnswersReplaceEachOther(t *testing.T) {
	c := New(Config{Entries: 10, StaleFor: 100, FailureTTL: 5})
	qa, q4, mx := ask(t, "x.example.", a), ask(t, "x.example.", dns.TypeAAAA), ask(t, "x.example.", dns.TypeMX)
	expect := func(step string, now float64, q *wire.Query, allowStale bool, want Result, lines ...string) {
		t.Helper()
		m, result := lookup(t, c, at(now), q, allowStale)
		if result != want || !slices.Equal(zone(m), lines) {
			t.Errorf("%s: result %d, %q, want %d, %q", step, result, zone(m), want, lines)
		}
	}
	gone := func(ttl string) []string { return []string{"nxdomain", "ns example. " + ttl + " SOA n. h. 1 2 3 4 15"} }
	store(t, c, at(0), qa, "nxdomain", absent)
	store(t, c, at(1), ask(t, "x.example.", a, "cd"), "x.example. 60 IN A 1.2.3.4")
	expect("an answer with CD says nothing to others", 1, mx, false, Hit, gone("14")...)
	store(t, c, at(2), q4, noData)
	expect("the name exists: no data", 2, q4, false, Hit, gone("15")[1:]...)
	expect("another type may have some", 2, mx, true, Miss)
	store(t, c, at(3), q4, "nxdomain", absent)
	expect("the name is gone again", 3, q4, false, Hit, gone("15")...)
	expect("for the other type too", 4, mx, false, Hit, gone("14")...)
	store(t, c, at(5), qa, "x.example. 2 IN A 1.2.3.4")
	store(t, c, at(6), q4, "nxdomain", absent)
	expect("an answer of its own lives its time", 6, qa, false, Hit, "x.example. 1 A 1.2.3.4")
	expect("and is not shown when it is over", 8, qa, true, Hit, gone("13")...)
	c.StoreFailure(mx, wire.RcodeServFail, at(9))
	expect("a failure does not hide what is known", 9, mx, false, Hit, gone("12")...)
	expect("but for the expired", 22, mx, false, Expired)
	expect("which may be given", 22, mx, true, Stale, gone("0")...)
	c.StoreFailure(mx, wire.RcodeServFail, at(22))
	expect("after a failure at once", 23, mx, false, Stale, gone("0")...)
	checkShards(t, c)
}

// An alias exists, whatever becomes of its target.
func TestNXDomainOfATarget(t *testing.T) {
	c := New(Config{Entries: 10})
	store(t, c, at(0), ask(t, "alias.example.", a), "nxdomain", "alias.example. 20 IN CNAME no.example.", absent)
	m, _ := lookup(t, c, at(0), ask(t, "alias.example.", a), false)
	if diff := cmp.Diff([]string{"nxdomain", "alias.example. 20 CNAME no.example.", "ns example. 15 SOA n. h. 1 2 3 4 15"}, zone(m)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, typ := range []uint16{dns.TypeCNAME, dns.TypeMX} {
		if _, result := lookup(t, c, at(0), ask(t, "alias.example.", typ), false); result != Miss {
			t.Errorf("%s: result %d, want a miss", dns.Type(typ), result)
		}
	}
}

// RFC 8020, when it is switched on: nothing is below a name that does not exist.
func TestNXDomainCut(t *testing.T) {
	q := ask(t, "Www.A.no.example.", dns.TypeMX)
	for _, on := range []bool{false, true} {
		c := New(Config{Entries: 10, NXDomainCut: on, StaleFor: 100})
		store(t, c, at(0), ask(t, "no.example.", a), "nxdomain", absent)
		m, result := lookup(t, c, at(5), q, false)
		var want []string
		if on {
			want = []string{"nxdomain", "ns example. 10 SOA n. h. 1 2 3 4 15"}
		}
		if diff := cmp.Diff(want, zone(m)); diff != "" || (result == Hit) != on {
			t.Errorf("cut %v: result %d (-want +got):\n%s", on, result, diff)
		}
		for name, q := range map[string]*wire.Query{
			"beside": ask(t, "www.yes.example.", a), "above": ask(t, "example.", a), "in a label": ask(t, `a\.no.example.`, a),
			"DO": ask(t, "www.no.example.", a, "do"), "CD": ask(t, "www.no.example.", a, "cd"),
		} {
			if _, result := lookup(t, c, at(1), q, true); result != Miss {
				t.Errorf("cut %v, %s: result %d, want a miss", on, name, result)
			}
		}
		if _, result := lookup(t, c, at(15), q, true); result != Miss {
			t.Errorf("cut %v, expired: result %d, want a miss: only what is sure cuts", on, result)
		}
		store(t, c, at(20), ask(t, "no.example.", a), "nxdomain", absent)
		store(t, c, at(21), q, "www.a.no.example. 60 IN MX 1 m.")
		if m, _ := lookup(t, c, at(22), q, false); m == nil || len(m.Answer) != 1 {
			t.Errorf("cut %v: an answer of its own is not given: %v", on, m)
		}
		store(t, c, at(23), ask(t, "no.example.", dns.TypeTXT), noData)
		if _, result := lookup(t, c, at(24), ask(t, "b.no.example.", a), false); result != Miss {
			t.Errorf("cut %v: result %d below a name that exists after all", on, result)
		}
	}
}
