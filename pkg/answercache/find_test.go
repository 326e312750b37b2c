package answercache

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

func TestFindTellsOriginAndTimes(t *testing.T) {
	c := New(Config{Entries: 10, FailureTTL: 5, FailureMaxTTL: 10, StaleFor: 60})
	q := ask(t, "www.example.", dns.TypeA)
	if items := c.Find(q, at(0)); len(items) != 0 {
		t.Errorf("empty: %+v", items)
	}
	c.Store(q, parsed(t, message(t, q, "www.example. 30 IN A 192.0.2.1")), nil, c.Epoch().From(7), at(0))
	c.StoreFailure(ask(t, "bad.example.", dns.TypeA), dns.RcodeServerFailure, c.Epoch().From(8), at(0))
	c.StoreAbsent(ask(t, "no.example.", dns.TypeA), 10, c.Epoch().From(9), at(0))
	c.Store(ask(t, "nobody.example.", dns.TypeA), parsed(t, message(t, ask(t, "nobody.example.", dns.TypeA), "nobody.example. 30 IN A 192.0.2.1")), nil, c.Epoch(), at(0))
	for _, tt := range []struct {
		name string
		typ  uint16
		at   float64
		want string
	}{
		{"www.example.", dns.TypeA, 10, "origin 7 rcode 0 age 10 left 20 failure false absent false dead false"},
		{"www.example.", dns.TypeA, 40, "origin 7 rcode 0 age 40 left -10 failure false absent false dead false"},
		{"www.example.", dns.TypeA, 100, "origin 7 rcode 0 age 100 left -70 failure false absent false dead true"},
		{"www.example.", dns.TypeAAAA, 10, ""},
		{"bad.example.", dns.TypeA, 1, "origin 8 rcode 2 age 1 left 4 failure true absent false dead false"},
		{"no.example.", dns.TypeTXT, 1, "origin 9 rcode 3 age 1 left 9 failure false absent true dead false"},
		{"nobody.example.", dns.TypeA, 1, "origin 0 rcode 0 age 1 left 29 failure false absent false dead false"},
	} {
		got := ""
		for _, i := range c.Find(ask(t, tt.name, tt.typ), at(tt.at)) {
			now := at(tt.at)
			got += fmt.Sprintf("origin %d rcode %d age %d left %d failure %v absent %v dead %v",
				i.Origin, i.Rcode, (now-i.Stored)/second, (i.Expires-now)/second, i.Failure, i.Absent, i.Dead)
		}
		if got != tt.want {
			t.Errorf("%s %d at %v: %s, want %s", tt.name, tt.typ, tt.at, got, tt.want)
		}
	}
}

// Find agrees with Lookup. It does not change what a later lookup finds, and does not protect
// an entry from eviction.
func TestFindAgreesWithLookup(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // no secret
	for _, cut := range []bool{false, true} {
		c := New(Config{Entries: 200, NXDomainCut: cut, FailureTTL: 1, FailureMaxTTL: 4, StaleFor: 20})
		names := []string{"a.", "b.a.", "c.b.a.", "d.", "e.d."}
		for step := range 20_000 {
			now := at(float64(step) / 10)
			q := ask(t, names[rng.IntN(len(names))], []uint16{dns.TypeA, dns.TypeTXT}[rng.IntN(2)])
			name, _, _ := dns.UnpackDomainName(q.Name, 0)
			switch rng.IntN(8) {
			case 0:
				store(t, c, now, q, fmt.Sprintf("%s %d IN A 192.0.2.1", name, rng.IntN(5)))
			case 1:
				store(t, c, now, q, "nxdomain", "ns . 3 IN SOA a. b. 1 2 3 4 3")
			case 2:
				c.StoreFailure(q, dns.RcodeServerFailure, c.Epoch(), now)
			default:
				items := c.Find(q, now)
				_, result := lookup(t, c, now, q, false)
				valid := slices.ContainsFunc(items, func(i Item) bool { return now < i.Expires })
				if found := result == Hit || result == Failed; found != valid {
					t.Fatalf("step %d, cut %v: %s %d: lookup %d, found %+v", step, cut, name, q.Type, result, items)
				}
			}
		}
	}
}

func TestFindDoesNotProtect(t *testing.T) {
	c := New(Config{Entries: 4})
	for i := range 4 {
		store(t, c, at(0), ask(t, fmt.Sprintf("n%d.example.", i), dns.TypeA), fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", i))
	}
	for range 10 {
		c.Find(ask(t, "n0.example.", dns.TypeA), at(1))
	}
	store(t, c, at(1), ask(t, "n4.example.", dns.TypeA), "n4.example. 300 IN A 192.0.2.1")
	if _, result := lookup(t, c, at(1), ask(t, "n0.example.", dns.TypeA), false); result != Miss {
		t.Errorf("result %d: looking for an entry has protected it", result)
	}
}
