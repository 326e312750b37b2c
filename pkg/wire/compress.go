package wire

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// nameTable remembers where names stand in the message being built: a small
// hash table of suffixes with open addressing. What is found is compared with
// the message itself, so a collision costs time only, and not much: after a few
// probes and comparisons a name is written out, which is always right.
type nameTable struct {
	slots [tableSize]nameSlot
	used  int
	// Offsets and hashes of the suffixes of one name that are new, scratch of
	// appendName.
	starts [128]uint8
	hashes [128]uint16
}

// nameSlot says where a suffix stands.
type nameSlot struct {
	hash   uint16
	offset uint16 // from the start of the message; 0 is empty
}

const (
	tableSize = 256
	maxProbes = 16
	// nearlyFull is when few of the names that come find a slot.
	nearlyFull = tableSize - maxProbes
	// maxLookalikes bounds the suffixes that are compared with one name, and
	// have its hash and its first label, but differ.
	maxLookalikes = 4
	// maxPointer is the first offset that a pointer cannot express.
	maxPointer = 1 << 14
)

func (t *nameTable) clear() {
	if t.used > 0 {
		clear(t.slots[:])
		t.used = 0
	}
}

// rollback forgets every name at or after an offset. Suffixes never move within
// the table, so what was there before stays within reach.
func (t *nameTable) rollback(offset int) {
	if t.used == 0 {
		return
	}
	for i := range t.slots {
		if s := &t.slots[i]; s.offset != 0 && int(s.offset) >= offset {
			*s = nameSlot{}
			t.used--
		}
	}
}

// remember notes that the suffix with that hash stands at an offset.
func (t *nameTable) remember(hash uint16, offset int) {
	if offset >= maxPointer {
		return
	}
	for i := range uint16(maxProbes) {
		if s := &t.slots[(hash+i)%tableSize]; s.offset == 0 {
			*s = nameSlot{hash, uint16(offset)}
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

// find returns the offset of suffix in msg, 0 if it is not there. It lowers
// lookalikes, and finds nothing once that is used up.
func (t *nameTable) find(msg []byte, hash uint16, suffix []byte, how compression, lookalikes *int) int {
	for i := range uint16(maxProbes) {
		s := t.slots[(hash+i)%tableSize]
		if s.offset == 0 || *lookalikes == 0 {
			return 0
		}
		if s.hash != hash {
			continue
		}
		at := int(s.offset)
		if equalNameAt(msg, at, suffix, how == sameSpelling) {
			return at
		}
		if msg[at] == suffix[0] && msg[at+1]|0x20 == suffix[1]|0x20 {
			*lookalikes--
		}
	}
	return 0
}

// hashKey and hashStart are secret, so that nobody can choose names that
// collide.
//
//nolint:gochecknoglobals // constants of the process
var (
	hashKey   = rand.Uint64() | 1
	hashStart = rand.Uint64()
)

// hashWord adds eight octets, without the case of letters, to a hash.
func hashWord(hash, word uint64) uint64 {
	hi, lo := bits.Mul64(hash^lowerWord(word), hashKey)
	return hi ^ lo
}

// hashName returns a hash of a canonical name.
func hashName(name []byte) uint32 {
	hash := hashStart
	for ; len(name) > 8; name = name[8:] {
		hash = hashWord(hash, binary.LittleEndian.Uint64(name))
	}
	var word uint64
	for i, c := range name {
		word |= uint64(c) << (8 * i)
	}
	return uint32(hashWord(hash, word))
}

// hashSuffix returns a hash of the suffix of name that begins at off: of its
// length and eight octets of its first label, without their case. It is cheap,
// and names of one message rarely share both.
func hashSuffix(name []byte, off int) uint16 {
	size := int(name[off])
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
	return uint16((head ^ last<<32 ^ uint64(len(name)-off)<<48) * hashKey >> 48)
}

// rememberQuestion remembers the question's name, which follows the header.
func (t *nameTable) rememberQuestion(question []byte) {
	name := question[:nameSkip(question, 0)]
	for off := 0; name[off] != 0; off += int(name[off]) + 1 {
		t.remember(hashSuffix(name, off), HeaderLen+off)
	}
}

// appendName appends name to dst, whose message starts at base.
func (t *nameTable) appendName(dst []byte, base int, name []byte, how compression) []byte {
	if how == inFull && (t.used >= nearlyFull || len(dst)-base >= maxPointer) {
		return append(dst, name...) // there is nothing to look for and nothing to remember
	}
	off, to, labels, lookalikes := 0, 0, 0, maxLookalikes
	for name[off] != 0 && labels < len(t.starts) {
		hash := hashSuffix(name, off)
		if to = t.find(dst[base:], hash, name[off:], how, &lookalikes); to != 0 {
			break
		}
		t.starts[labels], t.hashes[labels] = uint8(off), hash
		labels++
		off += int(name[off]) + 1
	}
	at := len(dst) - base
	if to == 0 || how == inFull {
		dst = append(dst, name...)
	} else {
		dst = append(dst, name[:off]...)
		dst = append(dst, pointerMark|byte(to>>8), byte(to))
	}
	for i := range labels {
		t.remember(t.hashes[i], at+int(t.starts[i]))
	}
	return dst
}
