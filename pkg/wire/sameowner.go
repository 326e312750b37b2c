package wire

// SameOwner, given to a record method of a Builder as the owner, stands for the
// owner of the record that was appended last. A large RRset takes much less
// time with it, since the name is not looked up for every record.
var SameOwner = []byte{0}

// isSameOwner reports whether owner is the value SameOwner, not just a name that
// equals it.
func isSameOwner(owner []byte) bool { return len(owner) == 1 && &owner[0] == &SameOwner[0] }

// appendSameOwner appends the owner of the last record, by a pointer where it
// is within reach.
func (b *Builder) appendSameOwner() {
	msg := b.buf[b.base:]
	off := b.last
	switch {
	case off == 0: // there is no record
		b.buf = append(b.buf, 0)
	case msg[off] == 0:
		b.buf = append(b.buf, 0)
	case msg[off]&pointerMark != 0:
		b.buf = append(b.buf, msg[off], msg[off+1])
	case off < maxPointer:
		b.buf = append(b.buf, pointerMark|byte(off>>8), byte(off))
	default:
		b.buf = append(b.buf, msg[off:nameSkip(msg, off)]...)
	}
}

// Names returns how many names the data of the record has that Copy expands and
// compresses anew.
func (rec *Record) Names() int { return int(layoutOf(rec.Type, rec.Class).names) }
