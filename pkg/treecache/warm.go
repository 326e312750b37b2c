package treecache

import (
	"math/bits"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// warmed is how many names Warm takes at a time.
const warmed = 32

// Warm brings what [Tree.Lookup] will read for each of names, which are
// canonical, into the processor's cache. A lookup waits for memory several
// times, each time for what tells where to look next; here the waits of many
// overlap, since none depends on another name's. Names that are of no owner are
// left out, and no reference is kept. The sum returned means nothing: without a
// use of it the compiler would leave out the reading.
func (t *Tree) Warm(names [][]byte) (sum uint64) {
	var (
		s       = t.Snapshot()
		buckets = t.exact.table.Load().buckets
		hashes  [warmed]uint64
		sets    [warmed]*Set
	)
	for len(names) > 0 {
		n := 0
		for _, name := range names[:min(len(names), warmed)] {
			if path := s.ownerOf(name); path != "" {
				hashes[n] = t.exact.hash(path)
				n++
			}
		}
		names = names[min(len(names), warmed):]
		for i, hash := range hashes[:n] {
			sets[i] = buckets[hash&uint64(len(buckets)-1)].likely(hash)
		}
		for _, set := range sets[:n] {
			if set != nil {
				sum += uint64(set.created) + uint64(set.path[0])
			}
		}
	}
	return sum
}

// ownerOf returns the path of the owner that a name would belong to, "" when it
// is too short or not in the zone. It is valid only while the caller may read
// name.
func (s *Snapshot) ownerOf(name []byte) Path {
	var offsets [dnsname.MaxLabels]uint8
	rel, ok := s.relative(offsets[:0], name)
	if !ok {
		return ""
	}
	path, _ := s.split(name, rel)
	return path
}

// likely returns the first Set whose tag is that of hash, nil when there is none.
func (b *bucket) likely(hash uint64) *Set {
	c := candidates(b.tags.Load(), tagOf(hash))
	if c == 0 {
		return nil
	}
	return b.sets[bits.TrailingZeros64(c)/8%bucketSets].Load()
}
