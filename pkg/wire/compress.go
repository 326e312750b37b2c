package wire

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// nameTable remembers where names stand in the message being built. It is a small hash
// table of suffixes with open addressing. What it finds is compared with the message, so
// a collision only costs time, and not much: after a few probes and comparisons a name is
// written in full, which is always correct.
type nameTable struct {
	slots [tableSize]nameSlot
	used  int
	// starts and hashes are the offsets and hashes of the new suffixes of one name;
	// scratch memory of appendName.
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
	// nearlyFull is the number of used slots from which few new names find a slot.
	nearlyFull = tableSize - maxProbes
	// maxLookalikes is how many suffixes with the same hash and first label, but which
	// differ otherwise, are compared with one name.
	maxLookalikes = 4
	// maxPointer is the smallest offset that a pointer cannot express.
	maxPointer = 1 << 14
)

func (t *nameTable) clear() {
	if t.used > 0 {
		clear(t.slots[:])
		t.used = 0
	}
}

// rollback removes every name at or after an offset. Suffixes never move within the
// table, so the names before the offset can still be found.
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

// remember stores the offset of the suffix with that hash, unless no slot is free.
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

// compression says how a name may be compressed.
type compression uint8

const (
	inFull compression = iota
	// anySpelling is for owners. They take the spelling of the question, as clients
	// that compare names octet by octet (0x20) expect.
	anySpelling
	// sameSpelling is for names in RDATA. A pointer to another spelling would give the
	// target the random capitals of the question.
	sameSpelling
)

// find returns the offset of suffix in msg, or 0 if it is not in the table. It decrements
// lookalikes for each one that it meets, and finds nothing when that is zero.
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

// hashKey and hashStart are random and secret, so that nobody can choose names whose
// hashes collide.
//
//nolint:gochecknoglobals // constants of the process
var (
	hashKey   = rand.Uint64() | 1
	hashStart = rand.Uint64()
)

// hashWord adds eight octets, without the case of letters, to a hash.
func hashWord(hash, word uint64) uint64 {
	hi, lo := bits.Mul64(hash^dnsname.LowerWord(word), hashKey)
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

// hashSuffix returns a hash of the suffix of name that begins at off. It covers the
// suffix's length and eight octets of its first label, without their case. It is fast,
// and names of one message rarely have both in common.
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
	if size < 7 { // leave out octets of the next label
		head &= 1<<(8*(size+1)) - 1
	}
	head |= 0x2020202020202020
	return uint16((head ^ last<<32 ^ uint64(len(name)-off)<<48) * hashKey >> 48)
}

// rememberQuestion stores the suffixes of the question's name, which follows the header.
func (t *nameTable) rememberQuestion(question []byte) {
	name := question[:nameSkip(question, 0)]
	for off := 0; name[off] != 0; off += int(name[off]) + 1 {
		t.remember(hashSuffix(name, off), HeaderLen+off)
	}
}

// appendName appends name to dst, whose message starts at base.
func (t *nameTable) appendName(dst []byte, base int, name []byte, how compression) []byte {
	if how == inFull && (t.used >= nearlyFull || len(dst)-base >= maxPointer) {
		return append(dst, name...) // nothing to look up, and no space to remember it
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
