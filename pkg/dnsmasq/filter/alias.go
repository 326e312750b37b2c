package filter

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"sort"
)

// moves is a list of aliases made ready: ranges of IPv4 addresses that do not
// overlap, in order. A lookup takes as many steps as the number of ranges has
// binary digits.
type moves []moved

// moved is a range of addresses, up to the next one's first.
type moved struct {
	first    uint32
	to, mask uint32
	any      bool // false: these addresses stay
}

// newMoves makes the ranges; where aliases overlap, the first in the list counts.
func newMoves(list []Alias) moves {
	type bound struct {
		at    uint64 // where an alias begins, or the address after its last
		alias int
		ends  bool
	}
	var bounds []bound
	for i, al := range list {
		first, last := number(al.First), number(al.Last)
		if first > last {
			continue
		}
		bounds = append(bounds, bound{uint64(first), i, false}, bound{uint64(last) + 1, i, true})
	}
	slices.SortFunc(bounds, func(a, b bound) int { return cmp.Compare(a.at, b.at) })
	var ranges moves
	active := &lowest{}
	ended := make([]bool, len(list))
	for i, b := range bounds {
		if b.ends {
			ended[b.alias] = true
		} else {
			heap.Push(active, b.alias)
		}
		if i+1 < len(bounds) && bounds[i+1].at == b.at || b.at > math.MaxUint32 {
			continue
		}
		for active.Len() > 0 && ended[(*active)[0]] {
			heap.Pop(active)
		}
		r := moved{first: uint32(b.at)}
		if active.Len() > 0 {
			al := &list[(*active)[0]]
			r.to, r.mask, r.any = number(al.To), number(al.Mask), true
		}
		ranges = append(ranges, r)
	}
	return ranges
}

// move returns what an address becomes.
func (m moves) move(addr uint32) uint32 {
	i := sort.Search(len(m), func(i int) bool { return m[i].first > addr })
	if i == 0 || !m[i-1].any {
		return addr
	}
	r := &m[i-1]
	return addr&^r.mask | r.to&r.mask
}

func number(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}

// lowest is a heap of places in a list, the lowest first.
type lowest []int

func (h lowest) Len() int           { return len(h) }
func (h lowest) Less(i, j int) bool { return h[i] < h[j] }
func (h lowest) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lowest) Push(x any)        { *h = append(*h, x.(int)) }
func (h *lowest) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
