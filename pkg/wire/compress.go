package wire

import "encoding/binary"

// nameTable remembers where names stand in the message being built. It is a
// small hash table of suffixes in open addressing. What is found is compared
// with the message itself, so a collision costs time only, and after a few
// probes a name is not looked for any further: it is written out, which is
// always right.
type nameTable struct {
	slots [tableSize]nameSlot
	used  int
	// Offsets and hashes of one name's suffixes, scratch of append.
	starts [128]uint8
	hashes [128]uint16
}

type nameSlot struct {
	hash uint16
	off  uint16 // from the start of the message; 0 is empty
}

const (
	tableSize = 256
	maxProbes = 16
	// nearlyFull is when few of the names that come find a slot.
	nearlyFull = tableSize - maxProbes
	// maxPointer is the first offset that a pointer cannot express.
	maxPointer = 1 << 14
)

func (t *nameTable) clear() {
	if t.used > 0 {
		clear(t.slots[:])
		t.used = 0
	}
}

// rollback forgets every name at or after off.
func (t *nameTable) rollback(off int) {
	if t.used == 0 {
		return
	}
	old := t.slots
	clear(t.slots[:])
	t.used = 0
	for _, s := range old {
		if s.off != 0 && int(s.off) < off {
			t.add(s.hash, int(s.off))
		}
	}
}

func (t *nameTable) add(hash uint16, off int) {
	if off >= maxPointer {
		return
	}
	for i := range uint16(maxProbes) {
		if s := &t.slots[(hash+i)%tableSize]; s.off == 0 {
			*s = nameSlot{hash, uint16(off)}
			t.used++
			return
		}
	}
}

// compression says how a name may be written.
type compression uint8

const (
	inFull compression = iota
	// anySpelling is for owners: they take the spelling of the question, as
	// clients that compare octets expect (0x20).
	anySpelling
	// sameSpelling is for names in RDATA: a pointer to another spelling would
	// give a target the random capitals of the question.
	sameSpelling
)

// find returns the offset of suffix in msg, 0 if it is not there.
func (t *nameTable) find(msg []byte, hash uint16, suffix []byte, how compression) int {
	for i := range uint16(maxProbes) {
		s := t.slots[(hash+i)%tableSize]
		if s.off == 0 {
			return 0
		}
		if s.hash == hash && equalNameAt(msg, int(s.off), suffix, how == sameSpelling) {
			return int(s.off)
		}
	}
	return 0
}

// split fills starts and hashes and returns the number of labels. A suffix's
// hash covers its length and eight octets of its first label, without their
// case: cheap, and names of one message rarely share both.
func (t *nameTable) split(name []byte) int {
	n := 0
	for off := 0; name[off] != 0 && n < len(t.starts)-1; n++ {
		size := int(name[off])
		t.starts[n] = uint8(off)
		last := uint64(name[off+size] | 0x20)
		var head uint64
		if off+8 <= len(name) {
			head = binary.LittleEndian.Uint64(name[off:])
		} else {
			for _, c := range name[off:] {
				head = head<<8 | uint64(c)
			}
		}
		if size < 7 { // octets of the next label do not count
			head &= 1<<(8*(size+1)) - 1
		}
		head |= 0x2020202020202020
		hash := (head ^ last<<32 ^ uint64(len(name)-off)<<48) * 0x9e3779b97f4a7c15
		t.hashes[n] = uint16(hash >> 48)
		off += size + 1
	}
	return n
}

// addQuestion remembers the question's name, which follows the header.
func (t *nameTable) addQuestion(question []byte) {
	name := question[:nameSkip(question, 0)]
	for i := range t.split(name) {
		t.add(t.hashes[i], HeaderLen+int(t.starts[i]))
	}
}

// append appends name to dst, whose message starts at base.
func (t *nameTable) append(dst []byte, base int, name []byte, how compression) []byte {
	if how == inFull && (t.used >= nearlyFull || len(dst)-base >= maxPointer) {
		return append(dst, name...) // there is nothing to look for and nothing to remember
	}
	n := t.split(name)
	known, to := n, 0
	for i := range n {
		if to = t.find(dst[base:], t.hashes[i], name[t.starts[i]:], how); to != 0 {
			known = i
			break
		}
	}
	at := len(dst) - base
	if to == 0 || how == inFull {
		dst = append(dst, name...)
	} else {
		dst = append(dst, name[:t.starts[known]]...)
		dst = append(dst, pointerMark|byte(to>>8), byte(to))
	}
	for i := range known {
		t.add(t.hashes[i], at+int(t.starts[i]))
	}
	return dst
}
