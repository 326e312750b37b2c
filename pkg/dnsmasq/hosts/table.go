// Package hosts keeps the names and addresses of hosts files in compact form: some dozens of
// octets for each name, and no pointers. Lists of hundreds of thousands of names thus take little
// memory and no time of the garbage collector.
//
// Use [Loader] to read files, and again when they may have changed. It makes a [Table]
// with a [TableBuilder]. A table does not change, and any goroutine may use it; a change
// of the files leads to a new table.
package hosts

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"net/netip"
)

// Table is the content of hosts files: names with their addresses in the order of the files, and
// the first name of each address. A nil table is empty.
type Table struct {
	seed    maphash.Seed // for the hashes of the indexes
	sources []string     // the paths of the files
	text    blob         // every name once, in canonical wire form

	byName  index      // of names
	nodes   vec[node]  // all names, and those that only have names below them
	entries vec[entry] // those of a name are neighbours, in the order of names

	by4, by6 index      // of addrs4 and addrs6
	addrs4   vec[addr4] // all IPv4 addresses
	addrs6   vec[addr6] // all IPv6 addresses
}

// node is a name that has addresses, or that has names with addresses below it.
type node struct {
	text  uint32 // where it is in Table.text; in the latter case the end of a longer name
	start uint32 // its first entry; the end is the next name's start
}

// entry is an address of a name.
type entry struct {
	addr   uint32 // an IPv4 address, or a place in addrs6
	source uint32 // a place in sources, with flag6 for IPv6
}

const flag6 = 1 << 31

// addr4 and addr6 are addresses with their first name.
type addr4 struct {
	addr         uint32
	node, source uint32
}

type addr6 struct {
	addr         [16]byte
	node, source uint32
}

// Addrs are the addresses of a name. The zero value is empty.
type Addrs struct {
	t          *Table
	start, end uint32
}

// Len returns the number of addresses.
func (a Addrs) Len() int { return int(a.end - a.start) }

// At returns the address with the index i.
func (a Addrs) At(i int) netip.Addr { return a.t.addr(*a.t.entries.at(a.start + uint32(i))) }

// Source returns the file with the address i.
func (a Addrs) Source(i int) string {
	return a.t.sources[a.t.entries.at(a.start+uint32(i)).source&^flag6]
}

// Find returns the addresses of a canonical name. known reports whether it has any, or whether
// there are names below it.
func (t *Table) Find(name []byte) (addrs Addrs, known bool) {
	if t == nil || t.nodes.len == 0 {
		return Addrs{}, false
	}
	p := t.byName.probe(maphash.Bytes(t.seed, name))
	for {
		n, more := t.byName.next(&p)
		if !more {
			return Addrs{}, false
		}
		if t.is(n, name) {
			return t.addrsOf(n), true
		}
	}
}

// Reverse returns the first name of an address, in wire form, and its file. The caller must not
// change the name.
func (t *Table) Reverse(addr netip.Addr) (name []byte, source string, ok bool) {
	if t == nil {
		return nil, "", false
	}
	addr = addr.Unmap()
	if addr.Is4() {
		if i, _, ok := t.lookUp4(number4(addr)); ok {
			a := t.addrs4.at(i)
			return t.nodeText(a.node), t.sources[a.source], true
		}
	} else if i, _, ok := t.lookUp6(addr.As16()); ok {
		a := t.addrs6.at(i)
		return t.nodeText(a.node), t.sources[a.source], true
	}
	return nil, "", false
}

// Each calls do with every address of every name, in the order of the names' first lines, until
// do returns false. reverse reports whether name is the first name of addr. name is valid only
// during the call, and must not be changed.
func (t *Table) Each(do func(name []byte, addr netip.Addr, reverse bool, source string) bool) {
	if t == nil {
		return
	}
	for n := range t.nodes.len {
		a := t.addrsOf(n)
		for i := range a.Len() {
			e := t.entries.at(a.start + uint32(i))
			if !do(t.nodeText(n), t.addr(*e), t.reverseOf(*e) == n, a.Source(i)) {
				return
			}
		}
	}
}

// Len returns the number of pairs of a name and an address.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return int(t.entries.len)
}

// Bytes returns the size of the table in octets.
func (t *Table) Bytes() int {
	if t == nil {
		return 0
	}
	const one = chunkLen
	return len(t.text.chunks)*blobChunk + len(t.nodes.chunks)*8*one + len(t.entries.chunks)*8*one +
		len(t.addrs4.chunks)*12*one + len(t.addrs6.chunks)*24*one +
		5*(len(t.byName.tags)+len(t.by4.tags)+len(t.by6.tags))
}

// is reports whether node n has this name.
func (t *Table) is(n uint32, name []byte) bool {
	text := t.text.from(t.nodes.at(n).text)
	return len(text) >= len(name) && string(text[:len(name)]) == string(name)
}

// nodeText returns the wire form of the name n.
func (t *Table) nodeText(n uint32) []byte {
	text := t.text.from(t.nodes.at(n).text)
	end := 0
	for text[end] != 0 {
		end += int(text[end]) + 1
	}
	return text[: end+1 : end+1]
}

func (t *Table) addrsOf(n uint32) Addrs {
	a := Addrs{t: t, start: t.nodes.at(n).start, end: t.entries.len}
	if n+1 < t.nodes.len {
		a.end = t.nodes.at(n + 1).start
	}
	return a
}

func (t *Table) addr(e entry) netip.Addr {
	if e.source&flag6 != 0 {
		return netip.AddrFrom16(t.addrs6.at(e.addr).addr)
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], e.addr)
	return netip.AddrFrom4(b)
}

// reverseOf returns the name that the address of an entry has.
func (t *Table) reverseOf(e entry) uint32 {
	if e.source&flag6 != 0 {
		return t.addrs6.at(e.addr).node
	}
	if i, _, ok := t.lookUp4(e.addr); ok {
		return t.addrs4.at(i).node
	}
	return math.MaxUint32
}

// lookUp4 and lookUp6 return the position of an address in addrs4 or addrs6. If it is missing, p
// is the free slot for it in the index.
func (t *Table) lookUp4(addr uint32) (i uint32, p probe, found bool) {
	return t.by4.find(t.hash4(addr), func(i uint32) bool { return t.addrs4.at(i).addr == addr })
}

func (t *Table) lookUp6(addr [16]byte) (i uint32, p probe, found bool) {
	return t.by6.find(maphash.Bytes(t.seed, addr[:]), func(i uint32) bool { return t.addrs6.at(i).addr == addr })
}

func (t *Table) hash4(addr uint32) uint64 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], addr)
	return maphash.Bytes(t.seed, b[:])
}

func number4(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}
