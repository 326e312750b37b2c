package filter

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"sort"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
)

// moves is a list of aliases made ready. A lookup takes as many steps as the
// number of aliases has binary digits, and one for each mask whose bits are not
// the first ones.
type moves struct {
	list   []options.Alias
	ranges []span // of addresses, without overlap and in order
	masks  []masked
}

// span is a range of addresses, up to the next one's first, with the place of
// its alias in the list, -1 if there is none.
type span struct {
	first uint32
	alias int
}

// masked holds the aliases of one mask by their addresses.
type masked struct {
	mask    uint32
	aliases map[uint32]int // places in the list
}

func newMoves(list []options.Alias) *moves {
	m := &moves{list: list}
	type bound struct {
		at    uint64 // where an alias begins, or the address after its last
		alias int
		ends  bool
	}
	var bounds []bound
	byMask := map[uint32]map[uint32]int{}
	for i, al := range list {
		first, last, mask := number(al.First), number(al.Last), number(al.Mask)
		switch {
		case al.Masked && bits.LeadingZeros32(^mask) != bits.OnesCount32(mask):
			if byMask[mask] == nil {
				byMask[mask] = map[uint32]int{}
			}
			byMask[mask][first&mask] = i
		case first <= last:
			bounds = append(bounds, bound{uint64(first), i, false}, bound{uint64(last) + 1, i, true})
		}
	}
	for mask, aliases := range byMask {
		m.masks = append(m.masks, masked{mask, aliases})
	}
	slices.SortFunc(bounds, func(a, b bound) int { return cmp.Compare(a.at, b.at) })
	var active latest
	ended := make([]bool, len(list))
	for i, b := range bounds {
		if b.ends {
			ended[b.alias] = true
		} else {
			heap.Push(&active, b.alias)
		}
		if i+1 < len(bounds) && bounds[i+1].at == b.at || b.at > math.MaxUint32 {
			continue
		}
		for len(active) > 0 && ended[active[0]] {
			heap.Pop(&active)
		}
		s := span{uint32(b.at), -1}
		if len(active) > 0 {
			s.alias = active[0]
		}
		m.ranges = append(m.ranges, s)
	}
	return m
}

// move returns what an address becomes.
func (m *moves) move(addr uint32) uint32 {
	found := -1
	if i := sort.Search(len(m.ranges), func(i int) bool { return m.ranges[i].first > addr }); i > 0 {
		found = m.ranges[i-1].alias
	}
	for _, x := range m.masks {
		if i, ok := x.aliases[addr&x.mask]; ok {
			found = max(found, i)
		}
	}
	if found < 0 {
		return addr
	}
	to, mask := number(m.list[found].To), number(m.list[found].Mask)
	return addr&^mask | to&mask
}

func number(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}

// latest is a heap of places in a list, the last one first.
type latest []int

func (h latest) Len() int           { return len(h) }
func (h latest) Less(i, j int) bool { return h[i] > h[j] }
func (h latest) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *latest) Push(x any)        { *h = append(*h, x.(int)) }
func (h *latest) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
