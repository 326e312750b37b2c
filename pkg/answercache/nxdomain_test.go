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

// The latest answer decides whether a name exists, for queries with the same key.
func TestNXDomainAndAnswersReplaceEachOther(t *testing.T) {
	c := New(Config{Entries: 10, StaleFor: 100, FailureTTL: 5})
	qa, q4, mx := ask(t, "x.example.", a), ask(t, "x.example.", dns.TypeAAAA), ask(t, "x.example.", dns.TypeMX)
	expect := func(step string, now float64, q *wire.Query, allowStale bool, want LookupResult, lines ...string) {
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
	c.StoreFailure(mx, wire.RcodeServFail, c.Epoch(), at(9))
	expect("a failure does not hide what is known", 9, mx, false, Hit, gone("12")...)
	expect("but for the expired", 22, mx, false, Expired)
	expect("which may be given", 22, mx, true, Stale, gone("0")...)
	c.StoreFailure(mx, wire.RcodeServFail, c.Epoch(), at(22))
	expect("after a failure at once", 23, mx, false, Stale, gone("0")...)
	checkShards(t, c)
}

// An alias exists, even if its target does not.
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

// The caller may know without an SOA record that a name does not exist.
func TestStoreAbsent(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		ttl  uint32
		want uint32 // seconds for which it is kept
	}{
		{"its time", Config{}, 10, 10},
		{"no time", Config{}, 0, 0},
		{"capped", Config{MaxCacheTTL: 7}, 10, 7},
		{"raised", Config{MinTTL: 20}, 10, 20},
		{"no negative answers", Config{NoNegative: true, MinTTL: 20}, 10, 0},
	} {
		tt.cfg.Entries = 10
		c := New(tt.cfg)
		if kept := c.StoreAbsent(ask(t, "no.example.", a), tt.ttl, c.Epoch(), at(0)); kept != (tt.want > 0) {
			t.Errorf("%s: kept %v", tt.name, kept)
		}
		for _, now := range []uint32{tt.want - min(tt.want, 1), tt.want} {
			m, result := lookup(t, c, at(float64(now)), ask(t, "no.example.", dns.TypeMX), false)
			if now < tt.want != (result == Hit) || result == Hit && !slices.Equal(zone(m), []string{"nxdomain"}) {
				t.Errorf("%s: result %d, %v after %d s", tt.name, result, m, now)
			}
		}
		checkShards(t, c)
	}
}

func TestHasRecords(t *testing.T) {
	c := New(Config{Entries: 100, FailureTTL: 5})
	store(t, c, at(0), ask(t, "www.example.", a), "www.example. 10 IN A 1.2.3.4")
	store(t, c, at(0), ask(t, "alias.example.", a), "alias.example. 10 IN CNAME b.", "b. 10 IN A 1.2.3.4")
	store(t, c, at(0), ask(t, "empty.example.", a), noData)
	store(t, c, at(0), ask(t, "no.example.", a), "nxdomain", absent)
	store(t, c, at(0), ask(t, "dead.example.", a), "nxdomain", "dead.example. 20 IN CNAME no.example.", absent)
	c.StoreFailure(ask(t, "broken.example.", a), wire.RcodeServFail, c.Epoch(), at(0))
	for name, want := range map[string]bool{"WWW.example.": true, "alias.example.": true} {
		if got := c.HasRecords(AppendKey(nil, ask(t, name, dns.TypeAAAA)), at(9)); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, q := range []*wire.Query{
		ask(t, "b.", a), ask(t, "empty.example.", a), ask(t, "no.example.", a), ask(t, "dead.example.", a),
		ask(t, "broken.example.", a), ask(t, "example.", a), ask(t, "www.example.", a, "do"), ask(t, "www.example.", a, "cd"),
	} {
		if c.HasRecords(AppendKey(nil, q), at(1)) {
			t.Errorf("%q has records", q.Name)
		}
	}
	if c.HasRecords(AppendKey(nil, ask(t, "www.example.", a)), at(10)) {
		t.Error("an expired answer counts")
	}
}

// With NXDomainCut, no name below a name that does not exist exists (RFC 8020).
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
