package wire

// nameTable remembers where names stand in the message being built. It is a
// small hash table of suffixes in open addressing, filled to at most three
// quarters; after that, names are still found but no longer added. Hits are
// compared with the message itself, so a collision costs time only.
type nameTable struct {
	slots [tableSize]nameSlot
	used  int
	// Offsets and hashes of one name's labels, scratch of append.
	starts [128]uint8
	hashes [128]uint16
}

type nameSlot struct {
	hash uint16
	off  uint16 // from the start of the message; 0 is empty
}

const (
	tableSize = 256
	tableFull = tableSize * 3 / 4
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
	if off >= maxPointer || t.used >= tableFull {
		return
	}
	i := hash % tableSize
	for t.slots[i].off != 0 {
		i = (i + 1) % tableSize
	}
	t.slots[i] = nameSlot{hash, uint16(off)}
	t.used++
}

// find returns the offset of suffix in msg, 0 if it is not there.
func (t *nameTable) find(msg []byte, hash uint16, suffix []byte) int {
	for i := hash % tableSize; t.slots[i].off != 0; i = (i + 1) % tableSize {
		if s := t.slots[i]; s.hash == hash && EqualNameAt(msg, int(s.off), suffix) {
			return int(s.off)
		}
	}
	return 0
}

// split fills starts and hashes and returns the number of labels. A suffix's
// hash covers all labels in it, so it is computed from the right.
func (t *nameTable) split(name []byte) int {
	n := 0
	for off := 0; name[off] != 0 && n < len(t.starts)-1; off += int(name[off]) + 1 {
		t.starts[n] = uint8(off)
		n++
	}
	hash := uint32(2166136261) // FNV-1a
	for i := n - 1; i >= 0; i-- {
		off := int(t.starts[i])
		for _, c := range name[off : off+int(name[off])+1] {
			hash = (hash ^ uint32(lower(c))) * 16777619
		}
		t.hashes[i] = uint16(hash>>16) ^ uint16(hash)
	}
	return n
}

// addQuestion remembers the question's name, the first of a message.
func (t *nameTable) addQuestion(_ []byte, _ int, name []byte) {
	for i := range t.split(name) {
		t.add(t.hashes[i], HeaderLen+int(t.starts[i]))
	}
}

// append appends name to dst, whose message starts at base.
func (t *nameTable) append(dst []byte, base int, name []byte, compress bool) []byte {
	n := t.split(name)
	known, to := n, 0
	for i := range n {
		if to = t.find(dst[base:], t.hashes[i], name[t.starts[i]:]); to != 0 {
			known = i
			break
		}
	}
	at := len(dst) - base
	switch {
	case to == 0 || !compress:
		dst = append(dst, name...)
	default:
		dst = append(dst, name[:t.starts[known]]...)
		dst = append(dst, pointerMark|byte(to>>8), byte(to))
	}
	for i := range known {
		t.add(t.hashes[i], at+int(t.starts[i]))
	}
	return dst
}
