//go:build !race

package answercache

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Whatever is stored, in any number and size, the memory stays within the limit: floods of
// names, of large answers, of large answers for few names, of failures, and of names that do
// not exist.
func TestFloodsLeaveMemoryFlat(t *testing.T) {
	const limit = 4 << 20
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	large := ask(t, "00000000.large.", dns.TypeTXT)
	m := message(t, large)
	for i := range 200 {
		m.Answer = append(m.Answer, &dns.TXT{
			Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeTXT, Class: 1, Ttl: 60}, Txt: []string{fmt.Sprint(i), strings.Repeat("x", 255)},
		})
	}
	reply := parsed(t, m) // 55 KiB
	number := func(q *wire.Query, n int) { copy(q.Name[1:], fmt.Sprintf("%08d", n)) }
	l := newLoader()
	for _, tt := range []struct {
		name  string
		count int
		store func(c *Cache, n int)
	}{
		{"names", 60000, func(c *Cache, n int) { l.store(c, n, at(0)) }},
		{"large answers", 600, func(c *Cache, n int) {
			number(large, n)
			copy(reply.Name, large.Name)
			if !c.Store(large, reply, nil, c.Epoch(), at(0)) {
				t.Fatal("a large answer was not stored")
			}
		}},
		{"large answers for few names", 600, func(c *Cache, n int) {
			number(large, n%3)
			copy(reply.Name, large.Name)
			c.Store(large, reply, nil, c.Epoch(), at(0))
		}},
		{"failures", 60000, func(c *Cache, n int) { c.StoreFailure(l.name(n), wire.RcodeServFail, c.Epoch(), at(0)) }},
		{"absent names", 60000, func(c *Cache, n int) { c.StoreAbsent(l.name(n), 60, c.Epoch(), at(0)) }},
		{"all in turn", 30000, func(c *Cache, n int) {
			l.store(c, n, at(0))
			if n%20 == 0 {
				number(large, n)
				copy(reply.Name, large.Name)
				c.Store(large, reply, nil, c.Epoch(), at(0))
			}
		}},
	} {
		before := heap()
		c := New(Config{Entries: 1 << 20, Bytes: limit, FailureTTL: 60, StaleFor: Forever})
		most := int64(0)
		for n := range tt.count {
			tt.store(c, n)
			if n%(tt.count/10) == 0 {
				most = max(most, heap()-before)
			}
		}
		most = max(most, heap()-before)
		st := c.Stats()
		t.Logf("%s: at most %d KiB of heap, %d KiB counted, %d entries, %d evictions", tt.name, most>>10, st.Bytes>>10, st.Entries, st.Evictions)
		if st.Bytes > limit || most > limit+limit/2 {
			t.Errorf("%s: %d octets counted, %d of heap, limit %d", tt.name, st.Bytes, most, limit)
		}
		if st.Bytes > limit/2 && st.Evictions == 0 && tt.name != "large answers for few names" {
			t.Errorf("%s: nothing was evicted, the flood is too small", tt.name)
		}
		checkShards(t, c)
		runtime.KeepAlive(c)
	}
}

// The slots of the entries of one name are consecutive, so their number must be limited: a
// client that asks for one name with every type must not slow down others.
func TestTypesOfANameAreBounded(t *testing.T) {
	c := New(Config{Entries: 1000})
	other := ask(t, "other.example.", a)
	store(t, c, at(0), other, "other.example. 60 IN A 1.2.3.4")
	const types = 500
	for typ := range uint16(types) {
		store(t, c, at(0), ask(t, "x.example.", 1000+typ), noData)
	}
	if entries := c.Stats().Entries; entries != maxTypes+1 {
		t.Errorf("%d entries, want %d", entries, maxTypes+1)
	}
	for typ, want := range map[uint16]LookupResult{1000: Miss, 1000 + types - maxTypes: Hit, 1000 + types - 1: Hit} {
		if _, result := lookup(t, c, at(1), ask(t, "x.example.", typ), false); result != want {
			t.Errorf("type %d: result %d, want %d", typ, result, want)
		}
	}
	if _, result := lookup(t, c, at(1), other, false); result != Hit {
		t.Errorf("another name: result %d, want a hit", result)
	}
}
