package hosts

// index is a hash table with linear probing that maps keys to the numbers of elements. The keys
// themselves are stored elsewhere. One octet of the hash beside each number avoids most
// comparisons of keys.
type index struct {
	tags    []uint8 // 0 is free
	numbers []uint32
	used    uint32
}

// maxLoad is how full the table may be, and growLoad how full it is after it has grown, in
// percent.
const (
	maxLoad  = 70
	growLoad = 40
	minSlots = 16
)

// probe is the state of a search for the numbers that a hash may belong to.
type probe struct {
	at  uint32
	tag uint8
}

func (x *index) probe(hash uint64) probe {
	tag := uint8(hash)
	if tag == 0 {
		tag = 1
	}
	return probe{at: uint32(hash >> 32 * uint64(len(x.tags)) >> 32), tag: tag}
}

// next returns the next number whose key may be the wanted one. It returns false if there are no
// more; p is then the free slot for the key.
func (x *index) next(p *probe) (uint32, bool) {
	tags := x.tags
	for at := p.at; at < uint32(len(tags)); {
		tag := tags[at]
		if tag == 0 {
			p.at = at
			return 0, false
		}
		found := at
		if at++; at == uint32(len(tags)) {
			at = 0
		}
		if tag == p.tag {
			p.at = at
			return x.numbers[found], true
		}
	}
	return 0, false
}

// find returns the number for which is returns true, among those that hash may belong to. If
// there is none, p is the free slot for it.
func (x *index) find(hash uint64, is func(number uint32) bool) (number uint32, p probe, found bool) {
	p = x.probe(hash)
	for {
		number, more := x.next(&p)
		if !more || is(number) {
			return number, p, more
		}
	}
}

// room makes room for one more number. hash returns the hash of a number's key. room must be
// called before the search that finds the free slot.
func (x *index) room(hash func(uint32) uint64) {
	if (uint64(x.used)+1)*100 > uint64(len(x.tags))*maxLoad {
		x.resize(max(minSlots, uint32((uint64(x.used)+1)*100/growLoad)), hash)
	}
}

// trim frees the unused slots.
func (x *index) trim(hash func(uint32) uint64) {
	if slots := uint32(uint64(x.used)*100/maxLoad) + 1; uint64(slots)*10 < uint64(len(x.tags))*9 {
		x.resize(slots, hash)
	}
}

// put stores a number in the free slot that a search has found.
func (x *index) put(p probe, number uint32) {
	x.tags[p.at], x.numbers[p.at] = p.tag, number
	x.used++
}

func (x *index) resize(slots uint32, hash func(uint32) uint64) {
	old := *x
	*x = index{tags: make([]uint8, slots), numbers: make([]uint32, slots)}
	for i, tag := range old.tags {
		if tag == 0 {
			continue
		}
		n := old.numbers[i]
		p := x.probe(hash(n))
		for {
			if _, more := x.next(&p); !more {
				break
			}
		}
		x.put(p, n)
	}
}
