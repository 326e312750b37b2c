package treecache

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// exact finds the current Set of each path: one hash, then one line of memory
// that says which Sets to look at. It is not part of a Snapshot, since what is
// persistent costs an access to memory for each level, and most of what a
// query costs in a large cluster is waiting for memory.
//
// Readers never wait. Writers take turns, by the lock of the Tree; each change
// becomes visible at once and as a whole. A Set stays in its place until it is
// removed, so a reader never misses one that is there all the time.
type exact struct {
	seed  maphash.Seed
	table atomic.Pointer[exactTable]

	// For writers:
	size    int
	removed int // since the table was made
}

// exactTable has a power of two of buckets. A Set is in the bucket that the low
// bits of its hash say, or, when that was full, in one of those after it.
type exactTable struct {
	buckets []bucket
}

// bucketSets makes a bucket 64 octets, one line of the processor's cache.
const bucketSets = 7

// bucket holds a few Sets.
type bucket struct {
	// tags has an octet for each of sets, 0 for an empty place, else part of the
	// hash. The octet above them is not 0 when a Set of this bucket may be in
	// the next one.
	tags atomic.Uint64
	sets [bucketSets]atomic.Pointer[Set]
}

const (
	overflowed = 1 << (8 * bucketSets)
	tagOctets  = overflowed / 0xff // 1 in each tag
)

// A table is made anew when it has more than maxFill Sets for a bucket, or
// less than minFill. Between are a few doublings.
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

// tagOf returns the tag of a hash, in each of the places; bits that the number
// of the bucket does not need.
func tagOf(hash uint64) uint64 { return (hash>>57 | 0x80) * tagOctets }

// candidates returns a bit for each place the tag of which may be this one;
// the number of the place is that of the bit by 8.
func candidates(tags, tag uint64) uint64 {
	differ := (tags ^ tag) & (overflowed - 1)
	return (differ - tagOctets) &^ differ & (0x80 * tagOctets)
}

// get returns the current Set at path, nil when there is none.
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

// put puts set in the place of the Set of the same path.
func (x *exact) put(set *Set) {
	if place, _, _ := x.table.Load().find(x.hash(set.path), set.path); place != nil {
		place.Store(set)
		return
	}
	if n := len(x.table.Load().buckets); x.size >= maxFill*n {
		x.resize(2 * n)
	}
	x.table.Load().insert(x.hash(set.path), set)
	x.size++
}

// remove takes the Set at path out, if there is one.
func (x *exact) remove(path Path) {
	place, b, tag := x.table.Load().find(x.hash(path), path)
	if place == nil {
		return
	}
	b.tags.Store(b.tags.Load() &^ tag)
	place.Store(nil)
	x.size--
	x.removed++
	switch n := len(x.table.Load().buckets); {
	case x.size < minFill*n && n > minBuckets:
		x.resize(n / 2)
	case x.removed > maxFill*n: // marks of buckets that were full have gathered
		x.resize(n)
	}
}

// find returns the place of the Set at path, its bucket and its tag there; nil
// when there is none.
func (t *exactTable) find(hash uint64, path Path) (place *atomic.Pointer[Set], b *bucket, tag uint64) {
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

// insert adds a Set, for which there must be room.
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

// resize moves all to a table of n buckets. Readers go on in the old one until
// the new one is whole.
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
