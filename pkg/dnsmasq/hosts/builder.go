package hosts

import (
	"hash/maphash"
	"net/netip"
	"slices"
)

// TableBuilder collects the lines of hosts files. The zero value is ready to use.
// [TableBuilder.Table] empties it.
type TableBuilder struct {
	t     *Table
	lines vec[line]
}

// line is one address of one name, in the order of reading.
type line struct {
	node uint32
	entry
}

// maxNumber is the largest number of a name, entry or file. It leaves the flag bit free.
const maxNumber = flag6 - 1

// open begins a new file.
func (b *TableBuilder) open(path string) {
	if b.t == nil {
		b.t = &Table{seed: maphash.MakeSeed()}
	}
	b.t.sources = append(b.t.sources, path)
}

// addName adds an address, read from the last file that was opened, to a canonical name other
// than the root. first says that the name is the first one of its line. It then becomes the
// reverse name of the address, unless an earlier line has given it one. addName returns false if
// the table is full, which takes gigabytes.
func (b *TableBuilder) addName(addr netip.Addr, name []byte, first bool) bool {
	t := b.t
	n, ok := b.intern(name)
	if !ok || b.lines.len == maxNumber || len(t.sources) > maxNumber {
		return false
	}
	l := line{node: n, entry: entry{source: uint32(len(t.sources) - 1)}}
	if addr = addr.Unmap(); addr.Is4() {
		l.addr = number4(addr)
		if first {
			b.reverse4(&l)
		}
	} else {
		b.reverse6(addr.As16(), &l)
		l.source |= flag6
	}
	b.lines.push(l)
	return true
}

// intern returns the node of a name. It adds that node, and those of the names above it, if they
// are missing. It returns false if the table is full.
func (b *TableBuilder) intern(text []byte) (number uint32, ok bool) {
	t := b.t
	at, stored := uint32(0), false // where text is, once it is
	for first := true; len(text) > 1; first = false {
		n, p, known := b.findName(text)
		if !known {
			if !stored {
				if at, stored = t.text.addText(text); !stored {
					return 0, false
				}
			}
			if t.nodes.len == maxNumber {
				return 0, false
			}
			n = t.nodes.push(node{text: at})
			t.byName.put(p, n)
		}
		if first {
			number = n
		}
		if known {
			break // and so are those above it
		}
		skip := 1 + int(text[0])
		text, at = text[skip:], at+uint32(skip)
	}
	return number, true
}

// findName looks up a name. If it is unknown, p is the free slot for it.
func (b *TableBuilder) findName(text []byte) (n uint32, p probe, known bool) {
	t := b.t
	t.byName.room(t.hashNode)
	return t.byName.find(maphash.Bytes(t.seed, text), func(n uint32) bool { return t.is(n, text) })
}

// reverse4 makes the name of a line the reverse name of an IPv4 address that has none yet.
func (b *TableBuilder) reverse4(l *line) {
	t := b.t
	t.by4.room(t.hashAddr4)
	if _, p, found := t.lookUp4(l.addr); !found {
		t.by4.put(p, t.addrs4.push(addr4{l.addr, l.node, l.source}))
	}
}

// reverse6 stores the position of an IPv6 address in l, and makes the name of the line its
// reverse name if it has none yet. The first name of a line must be added before the others.
func (b *TableBuilder) reverse6(addr [16]byte, l *line) {
	t := b.t
	t.by6.room(t.hashAddr6)
	i, p, found := t.lookUp6(addr)
	if !found {
		i = t.addrs6.push(addr6{addr, l.node, l.source})
		t.by6.put(p, i)
	}
	l.addr = i
}

// Table returns a table of everything that was added, and empties b.
func (b *TableBuilder) Table() *Table {
	t := b.t
	if t == nil {
		return nil
	}
	b.group()
	b.unique()
	t.byName.trim(t.hashNode)
	t.by4.trim(t.hashAddr4)
	t.by6.trim(t.hashAddr6)
	t.sources = slices.Clip(t.sources)
	*b = TableBuilder{}
	return t
}

// group sorts the entries by name, and keeps the order of those of one name.
func (b *TableBuilder) group() {
	t := b.t
	for i := range b.lines.len {
		t.nodes.at(b.lines.at(i).node).start++
	}
	// start holds the number of entries so far; turn it into the index after the last one.
	sum := uint32(0)
	for n := range t.nodes.len {
		node := t.nodes.at(n)
		sum += node.start
		node.start = sum
	}
	t.entries.resize(sum)
	for i := b.lines.len; i > 0; i-- {
		l := b.lines.at(i - 1)
		node := t.nodes.at(l.node)
		node.start--
		*t.entries.at(node.start) = l.entry
	}
	b.lines = vec[line]{}
}

// crowd is the number of addresses of a name from which on a map is used to find equal ones.
// Comparing each with all others would take quadratic time.
const crowd = 32

// unique removes repeated addresses of a name, and keeps the first of each.
func (b *TableBuilder) unique() {
	t := b.t
	kept := uint32(0)
	for n := range t.nodes.len {
		a := t.addrsOf(n) // the next name has not moved yet
		start := kept
		var seen map[uint64]bool
		if a.Len() > crowd {
			seen = make(map[uint64]bool, a.Len())
		}
		for i := a.start; i < a.end; i++ {
			e := *t.entries.at(i)
			key := uint64(e.source&flag6)<<32 | uint64(e.addr)
			known := seen[key]
			if seen != nil {
				seen[key] = true
			} else {
				for k := start; k < kept && !known; k++ {
					have := t.entries.at(k)
					known = have.addr == e.addr && have.source&flag6 == e.source&flag6
				}
			}
			if !known {
				*t.entries.at(kept) = e
				kept++
			}
		}
		t.nodes.at(n).start = start
	}
	t.entries.resize(kept)
}

func (t *Table) hashNode(n uint32) uint64  { return maphash.Bytes(t.seed, t.nodeText(n)) }
func (t *Table) hashAddr4(i uint32) uint64 { return t.hash4(t.addrs4.at(i).addr) }
func (t *Table) hashAddr6(i uint32) uint64 { return maphash.Bytes(t.seed, t.addrs6.at(i).addr[:]) }
