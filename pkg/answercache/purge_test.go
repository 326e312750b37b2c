package answercache

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Purge removes entries of every kind if keep rejects their names, and no others.
func TestPurgeEveryKind(t *testing.T) {
	c := New(Config{Entries: 100, FailureTTL: 5, StaleFor: 100, NegativeTTL: 5})
	soa := "ns . 60 IN SOA n. h. 1 2 3 4 15"
	fill := func(zone string) {
		store(t, c, at(0), ask(t, "valid."+zone, a), "valid."+zone+" 60 IN A 1.2.3.4")
		store(t, c, at(0), ask(t, "VALID."+zone, aaaa, "do", "cd"), soa)
		store(t, c, at(0), ask(t, "nx."+zone, a), "nxdomain", soa)
		store(t, c, at(0), ask(t, "bare."+zone, a), "nxdomain")
		store(t, c, at(-20), ask(t, "stale."+zone, a), "stale."+zone+" 10 IN A 1.2.3.4")
		c.StoreFailure(ask(t, "fail."+zone, a), wire.RcodeServFail, c.Epoch(), at(0))
		c.StoreAbsent(ask(t, "absent."+zone, a), 60, c.Epoch(), at(0))
	}
	count := func(zone string) (n int) {
		for _, name := range []string{"valid", "nx", "bare", "stale", "fail", "absent"} {
			if _, result := lookup(t, c, at(1), ask(t, name+"."+zone, a), true); result != Miss {
				n++
			}
		}
		if _, result := lookup(t, c, at(1), ask(t, "valid."+zone, aaaa, "do", "cd"), true); result != Miss {
			n++
		}
		return n
	}
	fill("corp.example.")
	fill("cluster.local.")
	if a, b := count("corp.example."), count("cluster.local."); a != 7 || b != 7 {
		t.Fatalf("%d and %d entries before, want 7 each", a, b)
	}
	before := c.Epoch()
	corp := []byte("\x04corp\x07example\x00")
	if n := c.Purge(func(name []byte, _ uint16) bool { return !bytes.HasSuffix(name, corp) }); n != 7 {
		t.Errorf("Purge removed %d entries, want 7", n)
	}
	if a, b := count("corp.example."), count("cluster.local."); a != 0 || b != 7 {
		t.Errorf("%d and %d entries left, want 0 and 7", a, b)
	}
	checkShards(t, c)
	if s := c.Stats(); s.Entries != 7 {
		t.Errorf("Stats count %d entries, want 7", s.Entries)
	}

	// An answer to a question from before the purge is not stored.
	q := ask(t, "valid.corp.example.", a)
	late := parsed(t, message(t, q, "valid.corp.example. 60 IN A 6.6.6.6"))
	for i, epoch := range []Epoch{before, {}, New(Config{Entries: 1}).Epoch()} {
		if c.Store(q, late, nil, epoch, at(1)) || c.StoreFailure(q, 2, epoch, at(1)) || c.StoreAbsent(q, 60, epoch, at(1)) {
			t.Errorf("epoch %d: an answer from before the purge was stored", i)
		}
	}
	if n := count("corp.example."); n != 0 {
		t.Errorf("%d entries came back", n)
	}
	if !c.Store(q, late, nil, c.Epoch(), at(1)) {
		t.Error("an answer asked for after the purge was not stored")
	}
	before = c.Epoch()
	c.Clear()
	if c.Store(q, late, nil, before, at(1)) {
		t.Error("an answer from before Clear was stored")
	}
}

// Purge sees every entry of every shard, while others store, look up, clear and purge.
func TestPurgeConcurrent(t *testing.T) {
	const names = 4 * perShard
	c := New(Config{Entries: names})
	l := newLoader()
	for n := range names {
		l.store(c, n, at(0))
	}
	old := c.Epoch()
	odd := func(name []byte, typ uint16) bool {
		if typ != wire.TypeA {
			t.Errorf("keep is given the type %d", typ)
		}
		return name[8]&1 == 0
	}
	var others sync.WaitGroup
	for i := range 3 {
		others.Go(func() {
			l := newLoader()
			for n := range 20000 {
				n = n*3 + i
				l.has(c, n, at(1))
				q := l.name(n)
				copy(l.reply[wire.HeaderLen:], q.Name)
				var r wire.Reply
				if !wire.ParseReply(l.reply, &r) {
					panic("the loader's reply is malformed")
				}
				c.Store(q, &r, nil, old, at(1))
			}
		})
	}
	c.Purge(odd)
	c.Each(func(i Item) bool {
		if i.Name[8]&1 != 0 {
			t.Errorf("%q is left", i.Name)
		}
		return !t.Failed()
	})
	others.Wait()
	if n := c.Purge(odd); n != 0 {
		t.Errorf("%d entries came back from an older epoch", n)
	}
	checkShards(t, c)
	if s := c.Stats(); s.Entries < names/4 || s.Entries > names/2 {
		t.Errorf("%d of %d entries are left", s.Entries, names)
	}
	others.Go(c.Clear)
	others.Go(func() { c.Purge(func([]byte, uint16) bool { c.Clear(); return false }) })
	others.Wait()
	checkShards(t, c)
}

func TestPurgeNil(t *testing.T) {
	var c *Cache
	if n := c.Purge(nil); n != 0 || c.Epoch() != (Epoch{}) {
		t.Error("a nil cache has something to purge")
	}
	New(Config{}).Purge(func([]byte, uint16) bool { return false })
}

func BenchmarkPurge(b *testing.B) {
	for _, n := range []int{10000, 100000} {
		b.Run(fmt.Sprint("entries=", n), func(b *testing.B) {
			c, _ := filled(n)
			for b.Loop() {
				c.Purge(func([]byte, uint16) bool { return true })
			}
		})
	}
}
