package treecache

import (
	"fmt"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// TestWarm: Warm reads, for each name, the memory that its lookup reads.
func TestWarm(t *testing.T) {
	tree, _ := cluster(t, 1000)
	s := tree.Snapshot()
	var names [][]byte
	missed := 0
	for i := range 1000 {
		for _, prefix := range []string{"", "_http._tcp."} {
			name := wireName(fmt.Sprintf("%sservice-%d.namespace-%d", prefix, i, i/10))
			path := s.ownerOf(name)
			hash := tree.exact.hash(path)
			buckets := tree.exact.table.Load().buckets
			want := tree.exact.get(path)
			if want == nil {
				t.Fatalf("%q: nothing at %q", name, path)
			}
			if buckets[hash&uint64(len(buckets)-1)].likely(hash) != want {
				missed++ // in a bucket that is full, or behind a Set of the same tag
			}
			names = append(names, name)
		}
	}
	if missed > len(names)/10 {
		t.Errorf("%d of %d names were looked for in the wrong place", missed, len(names))
	}
	for _, odd := range []string{"", "\x00", "\x01", "\x03svc\x07cluster\x05local\x00", "\x01a\x01b\x00", "\x07cluster\x05local\x00"} {
		names = append(names, []byte(odd))
	}
	if tree.Warm(names) == 0 {
		t.Error("nothing was read")
	}
	if got := testing.AllocsPerRun(10, func() { tree.Warm(names) }); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
	if got := New(dnsname.MustParse(testZone)).Warm(names); got != 0 {
		t.Errorf("%d read in an empty tree", got)
	}
}

// BenchmarkWarm is what batches of lookups cost in a cluster too large for the
// processor's caches, with and without reading ahead.
func BenchmarkWarm(b *testing.B) {
	tree, _ := cluster(b, 100_000)
	var names [][]byte
	for i := range 100_000 {
		at := i * 7919 % 100_000
		names = append(names, wireName(fmt.Sprintf("service-%d.namespace-%d", at, at/10)))
	}
	for _, warm := range []bool{false, true} {
		b.Run(fmt.Sprintf("warm=%v", warm), func(b *testing.B) {
			i, sum := 0, uint64(0)
			for b.Loop() {
				batch := names[i : i+8]
				if warm {
					sum += tree.Warm(batch)
				}
				for _, name := range batch {
					a := tree.Lookup(name)
					sum += uint64(a.Len())
				}
				i = (i + 8) % (len(names) - 8)
			}
			if sum == 0 {
				b.Fatal("nothing found")
			}
		})
	}
}
