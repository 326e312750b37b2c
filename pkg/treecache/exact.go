package treecache

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// exact finds the current Set of a path with one hash and one cache line that
// says which Sets to look at. It is not part of a Snapshot: a persistent
// structure costs an access to memory for each level, and in a large cluster a
// query spends most of its time waiting for memory.
//
// Readers never wait. Writers are serialised by the lock of the Tree, and each
// change becomes visible at once and as a whole. A Set keeps its slot until it is
// removed, so a reader never misses a Set that is there all the time.
type exact struct {
	seed  maphash.Seed
	table atomic.Pointer[exactTable]

	// For writers:
	size    int
	removed int // since the table was made
}

// exactTable has a power of two of buckets. The low bits of a Set's hash select
// its bucket; if that was full, the Set is in one of the following buckets.
type exactTable struct {
	buckets []bucket
}

// bucketSets makes a bucket 64 octets, one line of the processor's cache.
const bucketSets = 7

// bucket holds a few Sets.
type bucket struct {
	// tags has an octet for each slot of sets: 0 if the slot is empty, else part
	// of the hash. The octet above them is not 0 if a Set of this bucket may be in
	// the next bucket.
	tags atomic.Uint64
	sets [bucketSets]atomic.Pointer[Set]
}

const (
	overflowed = 1 << (8 * bucketSets)
	tagOctets  = overflowed / 0xff // 1 in each tag
)

// A table is rebuilt when it has more than maxFill Sets per bucket, or fewer than
// minFill. The two are some doublings apart, so that it is not rebuilt often.
const (
	maxFill = 4
	minFill = 1
	// minBuckets is the smallest table.
	minBuckets = 4
)

func (x *exact) init() {
	x.seed = maphash.MakeSeed()
	x.table.Store(&exactTable{buckets: make([]bucket, minBuckets)})
}

func (x *exact) hash(path Path) uint64 { return maphash.String(x.seed, string(path)) }

// tagOf returns the tag of a hash, repeated for each slot. It uses bits that do not
// select the bucket.
func tagOf(hash uint64) uint64 { return (hash>>57 | 0x80) * tagOctets }

// candidates returns a bit for each slot whose tag may be this one. The slot's
// number is that of the bit divided by 8.
func candidates(tags, tag uint64) uint64 {
	differ := (tags ^ tag) & (overflowed - 1)
	return (differ - tagOctets) &^ differ & (0x80 * tagOctets)
}

// get returns the current Set at path, or nil if there is none.
func (x *exact) get(path Path) *Set {
	hash := x.hash(path)
	tag := tagOf(hash)
	buckets := x.table.Load().buckets
	mask := uint64(len(buckets) - 1)
	for range buckets {
		b := &buckets[hash&mask]
		tags := b.tags.Load()
		for c := candidates(tags, tag); c != 0; c &= c - 1 {
			if set := b.sets[bits.TrailingZeros64(c)/8%bucketSets].Load(); set != nil && set.path == path {
				return set
			}
		}
		if tags < overflowed {
			return nil
		}
		hash++
	}
	return nil
}

// put stores set in place of the Set with the same path.
func (x *exact) put(set *Set) {
	if slot, _, _ := x.table.Load().find(x.hash(set.path), set.path); slot != nil {
		slot.Store(set)
		return
	}
	if n := len(x.table.Load().buckets); x.size >= maxFill*n {
		x.resize(2 * n)
	}
	x.table.Load().insert(x.hash(set.path), set)
	x.size++
}

// remove removes the Set at path, if there is one.
func (x *exact) remove(path Path) {
	slot, b, tag := x.table.Load().find(x.hash(path), path)
	if slot == nil {
		return
	}
	b.tags.Store(b.tags.Load() &^ tag)
	slot.Store(nil)
	x.size--
	x.removed++
	switch n := len(x.table.Load().buckets); {
	case x.size < minFill*n && n > minBuckets:
		x.resize(n / 2)
	case x.removed > maxFill*n: // many buckets are still marked as having been full
		x.resize(n)
	}
}

// find returns the slot of the Set at path, its bucket and its tag there, or nil
// if there is no such Set.
func (t *exactTable) find(hash uint64, path Path) (slot *atomic.Pointer[Set], b *bucket, tag uint64) {
	tag = tagOf(hash)
	mask := uint64(len(t.buckets) - 1)
	for range t.buckets {
		b := &t.buckets[hash&mask]
		tags := b.tags.Load()
		for i := range b.sets {
			if set := b.sets[i].Load(); set != nil && set.path == path {
				return &b.sets[i], b, tag & (0xff << (8 * i))
			}
		}
		if tags < overflowed {
			break
		}
		hash++
	}
	return nil, nil, 0
}

// insert adds a Set. The table must have room for it.
func (t *exactTable) insert(hash uint64, set *Set) {
	tag := tagOf(hash)
	mask := uint64(len(t.buckets) - 1)
	for ; ; hash++ {
		b := &t.buckets[hash&mask]
		tags := b.tags.Load()
		for i := range b.sets {
			if b.sets[i].Load() == nil {
				b.sets[i].Store(set)
				b.tags.Store(tags | tag&(0xff<<(8*i)))
				return
			}
		}
		b.tags.Store(tags | overflowed)
	}
}

// resize moves all Sets to a table of n buckets. Readers use the old table until
// the new one is complete.
func (x *exact) resize(n int) {
	old, t := x.table.Load(), &exactTable{buckets: make([]bucket, n)}
	for i := range old.buckets {
		for j := range old.buckets[i].sets {
			if set := old.buckets[i].sets[j].Load(); set != nil {
				t.insert(x.hash(set.path), set)
			}
		}
	}
	x.table.Store(t)
	x.removed = 0
}
