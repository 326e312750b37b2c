package treecache

import (
	"math/bits"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// warmed is the number of names that Warm handles at a time.
const warmed = 32

// Warm brings into the processor's cache what [Tree.Lookup] will read for each of
// the canonical names. A lookup waits for memory several times in a row, because
// each access tells where to look next; here the waits for many names overlap.
// Names without an owner are skipped, and no reference is kept. The returned sum
// has no meaning: it only keeps the compiler from removing the reads.
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

// ownerOf returns the path of the owner that a name would belong to, "" if the name
// is too short or not in the zone. The path is valid only while the caller may
// read name.
func (s *Snapshot) ownerOf(name []byte) Path {
	var offsets [dnsname.MaxLabels]uint8
	rel, ok := s.relative(offsets[:0], name)
	if !ok {
		return ""
	}
	path, _ := s.split(name, rel)
	return path
}

// likely returns the first Set with the tag of hash, nil if there is none.
func (b *bucket) likely(hash uint64) *Set {
	c := candidates(b.tags.Load(), tagOf(hash))
	if c == 0 {
		return nil
	}
	return b.sets[bits.TrailingZeros64(c)/8%bucketSets].Load()
}
