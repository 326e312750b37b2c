package answercache

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// loader stores answers for numbered names quickly.
type loader struct {
	q     wire.Query
	reply []byte
}

// newLoader returns a loader of answers with one address and a TTL of 300 s.
func newLoader() *loader {
	l := &loader{}
	l.q = wire.Query{Flags: wire.FlagRD, Name: []byte("\x0800000000\x03svc\x07cluster\x05local\x00"), Type: wire.TypeA, Class: wire.ClassIN}
	l.reply = wire.AppendHeader(nil, &l.q, wire.FlagRA)
	wire.SetCount(l.reply, wire.Answer, 1)
	l.reply = append(l.reply, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x0a\x00\x00\x01"...)
	return l
}

func (l *loader) name(n int) *wire.Query {
	const digits = "0123456789abcdef"
	for i := range 8 {
		l.q.Name[8-i] = digits[n>>(4*i)&15]
	}
	return &l.q
}

func (l *loader) store(c *Cache, n int, now int64) bool {
	q := l.name(n)
	copy(l.reply[wire.HeaderLen:], q.Name)
	var r wire.Reply
	if !wire.ParseReply(l.reply, &r) {
		panic("the loader's reply is malformed")
	}
	return c.Store(q, &r, nil, c.Epoch(), now)
}

func (l *loader) has(c *Cache, n int, now int64) bool {
	var buf [512]byte
	_, result := c.Lookup(buf[:0], l.name(n), now, false)
	return result == Hit
}

func TestCapacityIsExact(t *testing.T) {
	for _, size := range []int{1, 2, 3, 150, 10000} {
		c := New(Config{Entries: size})
		l := newLoader()
		for n := range size {
			l.store(c, n, at(0))
		}
		for n := range size {
			if !l.has(c, n, at(0)) {
				t.Fatalf("size %d: entry %d of as many is gone", size, n)
			}
		}
		if s := c.Stats(); s.Evictions != 0 || s.Entries != size || s.Insertions != uint64(size) {
			t.Errorf("size %d, filled: %+v", size, s)
		}
		for n := size; n < 2*size; n++ {
			l.store(c, n, at(0))
			if !l.has(c, n, at(0)) {
				t.Fatalf("size %d: the entry just stored is gone", size)
			}
		}
		if s := c.Stats(); s.Evictions != uint64(size) || s.Entries != size {
			t.Errorf("size %d, twice filled: %+v", size, s)
		}
	}
}

// Only entries that are still valid count as evicted.
func TestExpiredAreNotEvictions(t *testing.T) {
	c := New(Config{Entries: 100})
	l := newLoader()
	for n := range 100 {
		l.store(c, n, at(0))
		l.has(c, n, at(0))
	}
	for n := 100; n < 200; n++ {
		l.store(c, n, at(301))
	}
	if s := c.Stats(); s.Evictions != 0 || s.Entries != 100 {
		t.Errorf("%+v: want 100 entries, no evictions", s)
	}
}

func TestBytesAreBounded(t *testing.T) {
	const limit = 48 << 10
	c := New(Config{Entries: 1000, Bytes: limit})
	q := ask(t, "big.", wire.TypeTXT)
	for i := range 200 {
		q.Name = append([]byte("\x05"), fmt.Sprintf("big%02x\x00", i)...)
		name := fmt.Sprintf("big%02x.", i)
		store(t, c, at(0), q, name+` 10 IN TXT "`+strings.Repeat("x", 255)+`" "`+strings.Repeat("y", i)+`"`)
		if s := c.Stats(); s.Bytes > limit || s.Bytes <= 0 {
			t.Fatalf("%d bytes after %d answers, limit %d", s.Bytes, i+1, limit)
		}
	}
	if s := c.Stats(); s.Evictions == 0 || s.Entries < 70 {
		t.Errorf("%+v", s)
	}
	// Replacing an answer by a larger one keeps the limit too. An answer that is larger
	// than the whole cache is refused.
	huge := message(t, q, `x. 10 IN TXT "a"`)
	huge.Answer = nil
	for i := range 300 {
		huge.Answer = append(huge.Answer, message(t, q, fmt.Sprintf(`bigc7. 10 IN TXT "%d%s"`, i, strings.Repeat("z", 200))).Answer...)
	}
	if c.Store(q, parsed(t, huge), nil, c.Epoch(), at(0)) {
		t.Error("60 KiB of answer were stored in 48 KiB")
	}
	c.Clear()
	if s := c.Stats(); s.Bytes != 0 || s.Entries != 0 {
		t.Errorf("after Clear: %+v", s)
	}
}

func TestStats(t *testing.T) {
	c := New(Config{Entries: 10, StaleFor: 100})
	q := ask(t, "x.", a)
	store(t, c, at(0), q, "x. 10 IN A 1.2.3.4")
	lookup(t, c, at(1), q, false)
	got := c.Stats()
	if got.Bytes <= 0 || got.Bytes > got.MaxBytes {
		t.Errorf("%d of %d bytes", got.Bytes, got.MaxBytes)
	}
	got.Bytes = 0
	if diff := cmp.Diff(Stats{Insertions: 1, Entries: 1, MaxBytes: 1 << 20}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// lru is a cache with LRU eviction, which SIEVE must match. It only counts hits.
type lru struct {
	size  int
	clock int
	used  map[int]int // time of the last use of each name
	order []int       // names in the order of use, including outdated uses
	times []int
}

func (l *lru) ask(n int) bool {
	l.clock++
	_, hit := l.used[n]
	l.used[n] = l.clock
	l.order, l.times = append(l.order, n), append(l.times, l.clock)
	for len(l.used) > l.size {
		if l.used[l.order[0]] == l.times[0] {
			delete(l.used, l.order[0])
		}
		l.order, l.times = l.order[1:], l.times[1:]
	}
	return hit
}

// For skewed loads, the hit rate is at least that of LRU, even if a scan of names that are
// asked for only once is mixed in.
func TestHitRate(t *testing.T) {
	const names, size, asks = 5000, 300, 30000
	for _, tt := range []struct {
		skew float64
		scan bool
	}{{1.01, false}, {1.1, false}, {1.3, false}, {1.1, true}} {
		rng := rand.New(rand.NewPCG(1, uint64(tt.skew*100)))
		zipf := rand.NewZipf(rng, tt.skew, 1, names-1)
		c, l, twin := New(Config{Entries: size}), newLoader(), &lru{size: size, used: map[int]int{}}
		hits, twinHits := 0, 0
		for i := range asks {
			n := int(zipf.Uint64())
			if tt.scan && i%3 == 0 {
				n = names + i
			}
			if l.has(c, n, at(0)) {
				hits++
			} else {
				l.store(c, n, at(0))
			}
			if twin.ask(n) {
				twinHits++
			}
		}
		if hits < twinHits {
			t.Errorf("skew %v, scan %v: %d hits, LRU has %d", tt.skew, tt.scan, hits, twinHits)
		}
		t.Logf("skew %v, scan %v: %.1f %% hits, LRU %.1f %%", tt.skew, tt.scan, 100*float64(hits)/asks, 100*float64(twinHits)/asks)
	}
}

// Lookups, stores, dumps and clears run on many goroutines. The race detector and the checks of
// the octets of each answer find faults.
func TestConcurrent(t *testing.T) {
	c := New(Config{Entries: 40000, Bytes: 4 << 20, RoundRobin: true, StaleFor: 100})
	if len(c.shards) < 2 {
		t.Fatalf("%d shards, want several", len(c.shards))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(g)))
			l := newLoader()
			var buf [512]byte
			for i := range 5000 {
				n, now := rng.IntN(50000), at(float64(rng.IntN(500)))
				switch {
				case i%1000 == 999:
					c.Each(func(Item) bool { return rng.IntN(1000) > 0 })
				case g == 0 && i == 2500:
					c.Clear()
				case rng.IntN(2) == 0:
					l.store(c, n, now)
				default:
					out, result := c.Lookup(buf[:0], l.name(n), now, true)
					if result == Hit && binary.BigEndian.Uint32(out[len(out)-4:]) != 0x0a000001 {
						t.Errorf("a foreign answer: %x", out)
					}
				}
			}
		})
	}
	wg.Wait()
	checkShards(t, c)
}

// checkShards compares the counts of every shard with its content.
func checkShards(t *testing.T, c *Cache) {
	t.Helper()
	for i := range c.shards {
		s := &c.shards[i]
		slots, bytes, queued, free := 0, int64(0), 0, 0
		var entries []*entry
		for part := range s.parts() {
			entries = append(entries, part...)
		}
		for _, e := range entries {
			bytes += e.cost()
			hash, at := c.locate(e.key())
			own, nx := s.table.Load().find(e.key(), at, forgotten)
			if c.shard(hash) != s || own != e && nx != e || s.queue[e.node].entry != e {
				t.Fatalf("shard %d: an entry cannot be found", i)
			}
		}
		for j := range s.table.Load().slots {
			if e := s.table.Load().slots[j].entry.Load(); e != nil {
				slots++
			}
		}
		for j := s.queue[0].older; j != 0; j = s.queue[j].older {
			queued++
			if s.queue[s.queue[j].newer].older != j {
				t.Fatalf("shard %d: the queue is broken", i)
			}
		}
		for j := s.free; j != 0; j = s.queue[j].older {
			free++
		}
		if slots != s.count || queued != s.count || bytes != s.bytes || free+s.count != len(s.queue)-1 || s.count > s.maxEntries || s.bytes > s.maxBytes {
			t.Fatalf("shard %d: %d slots, %d queued, %d free of %d, count %d, %d bytes counted as %d", i, slots, queued, free, len(s.queue)-1, s.count, bytes, s.bytes)
		}
	}
}
