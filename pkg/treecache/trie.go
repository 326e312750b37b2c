package treecache

import (
	"math/bits"
	"slices"
)

// trie is a persistent hash trie: a change copies the nodes on one path and leaves
// every older version as it was. Each node has two bitmaps over the next six bits
// of the hash, one for keys stored in the node and one for child nodes; both are
// packed in bit order. The shape is canonical: a child node holds at least two
// keys, so equal contents have equal shapes.
//
// The caller passes the hash of each key. Keys that agree in all 64 bits share a
// last node and are searched one by one. The zero trie is empty.
type trie[K comparable, V any] struct {
	root *trieNode[K, V]
	size int
}

type trieNode[K comparable, V any] struct {
	leafMap uint64
	kidMap  uint64
	leaves  []trieLeaf[K, V]
	kids    []*trieNode[K, V]
	// edit is the transaction that made the node. Only that transaction may change
	// the node in place, until it is published.
	edit uint64
}

type trieLeaf[K comparable, V any] struct {
	key K
	val V
}

const (
	trieBits = 6
	trieMask = 1<<trieBits - 1
	// From this shift on the hash is used up: such nodes are plain lists.
	trieEnd = 66
)

// get returns the value of key, nil when there is none. The value must not be
// changed.
func (t *trie[K, V]) get(hash uint64, key K) *V {
	n := t.root
	for shift := 0; n != nil && shift < trieEnd; shift += trieBits {
		bit := uint64(1) << (hash >> shift & trieMask)
		if n.leafMap&bit != 0 {
			leaf := &n.leaves[bits.OnesCount64(n.leafMap&(bit-1))]
			if leaf.key == key {
				return &leaf.val
			}
			return nil
		}
		if n.kidMap&bit == 0 {
			return nil
		}
		n = n.kids[bits.OnesCount64(n.kidMap&(bit-1))]
	}
	if n != nil {
		for i := range n.leaves {
			if n.leaves[i].key == key {
				return &n.leaves[i].val
			}
		}
	}
	return nil
}

// put sets the value of key. hash is the hash of key; rehash returns that of any
// key.
func (t *trie[K, V]) put(edit, hash uint64, key K, val V, rehash func(K) uint64) {
	if t.root == nil {
		t.root = &trieNode[K, V]{edit: edit}
	}
	p := triePut[K, V]{edit: edit, hash: hash, leaf: trieLeaf[K, V]{key, val}, rehash: rehash}
	t.root = p.into(t.root, 0)
	if p.added {
		t.size++
	}
}

// triePut is one put on its way down.
type triePut[K comparable, V any] struct {
	edit, hash uint64
	leaf       trieLeaf[K, V]
	rehash     func(K) uint64
	added      bool
}

// into returns n, or its copy, with the leaf in it.
func (p *triePut[K, V]) into(n *trieNode[K, V], shift int) *trieNode[K, V] {
	n = n.own(p.edit)
	if shift >= trieEnd {
		at := slices.IndexFunc(n.leaves, func(l trieLeaf[K, V]) bool { return l.key == p.leaf.key })
		p.setLeaf(n, at, len(n.leaves))
		return n
	}
	bit := uint64(1) << (p.hash >> shift & trieMask)
	kid := bits.OnesCount64(n.kidMap & (bit - 1))
	at := bits.OnesCount64(n.leafMap & (bit - 1))
	switch {
	case n.kidMap&bit != 0:
		if below := p.into(n.kids[kid], shift+trieBits); below != n.kids[kid] {
			n.kids = slices.Clone(n.kids)
			n.kids[kid] = below
		}
	case n.leafMap&bit == 0:
		p.setLeaf(n, -1, at)
		n.leafMap |= bit
	case n.leaves[at].key == p.leaf.key:
		p.setLeaf(n, at, at)
	default: // two keys on one bit: both go one node down
		other := triePut[K, V]{edit: p.edit, leaf: n.leaves[at], rehash: p.rehash}
		other.hash = p.rehash(other.leaf.key)
		below := other.into(&trieNode[K, V]{edit: p.edit}, shift+trieBits)
		below = p.into(below, shift+trieBits)
		n.leaves = without(n.leaves, at)
		n.leafMap &^= bit
		n.kids = with(n.kids, kid, below)
		n.kidMap |= bit
	}
	return n
}

// setLeaf replaces the leaf at index old, or inserts at index fresh when old is
// negative. The leaves of an owned node may still be shared, so they are
// copied.
func (p *triePut[K, V]) setLeaf(n *trieNode[K, V], old, fresh int) {
	if old < 0 {
		n.leaves = with(n.leaves, fresh, p.leaf)
		p.added = true
		return
	}
	n.leaves = slices.Clone(n.leaves)
	n.leaves[old] = p.leaf
}

// remove removes key, if it is there.
func (t *trie[K, V]) remove(edit, hash uint64, key K) {
	if t.root == nil || t.get(hash, key) == nil {
		return
	}
	t.root = removeFrom(t.root, edit, hash, key, 0)
	t.size--
	if t.size == 0 {
		t.root = nil
	}
}

// removeFrom returns n, or its copy, without key, which it has.
func removeFrom[K comparable, V any](n *trieNode[K, V], edit, hash uint64, key K, shift int) *trieNode[K, V] {
	n = n.own(edit)
	if shift >= trieEnd {
		at := slices.IndexFunc(n.leaves, func(l trieLeaf[K, V]) bool { return l.key == key })
		n.leaves = without(n.leaves, at)
		return n
	}
	bit := uint64(1) << (hash >> shift & trieMask)
	if n.leafMap&bit != 0 {
		n.leaves = without(n.leaves, bits.OnesCount64(n.leafMap&(bit-1)))
		n.leafMap &^= bit
		return n
	}
	kid := bits.OnesCount64(n.kidMap & (bit - 1))
	below := removeFrom(n.kids[kid], edit, hash, key, shift+trieBits)
	if len(below.kids) == 0 && len(below.leaves) == 1 { // pull the last leaf up
		n.kids = without(n.kids, kid)
		n.kidMap &^= bit
		n.leaves = with(n.leaves, bits.OnesCount64(n.leafMap&(bit-1)), below.leaves[0])
		n.leafMap |= bit
		return n
	}
	if below != n.kids[kid] {
		n.kids = slices.Clone(n.kids)
		n.kids[kid] = below
	}
	return n
}

// own returns n if this transaction made it, else a copy that the transaction owns.
// The copy shares the slices of n until one of them is changed.
func (n *trieNode[K, V]) own(edit uint64) *trieNode[K, V] {
	if n.edit == edit {
		return n
	}
	c := *n
	c.edit = edit
	return &c
}

// from calls yield for every key until it returns false, beginning at a place chosen by the bits
// of start, and wraps around. It reports whether yield never returned false.
func (t *trie[K, V]) from(start uint64, yield func(K, *V) bool) bool {
	return t.root == nil || t.root.from(start, yield)
}

func (n *trieNode[K, V]) from(start uint64, yield func(K, *V) bool) bool {
	leaves := len(n.leaves)
	size := leaves + len(n.kids)
	at := int(start&trieMask) * size >> trieBits
	for range size {
		switch {
		case at < leaves:
			if !yield(n.leaves[at].key, &n.leaves[at].val) {
				return false
			}
		case !n.kids[at-leaves].from(bits.RotateLeft64(start, -trieBits), yield):
			return false
		}
		if at++; at == size {
			at = 0
		}
	}
	return true
}

// with returns a copy of s, of exact capacity, with v inserted at i.
func with[T any](s []T, i int, v T) []T {
	c := make([]T, len(s)+1)
	copy(c, s[:i])
	c[i] = v
	copy(c[i+1:], s[i:])
	return c
}

// without returns a copy of s, of exact capacity, without element i; nil when
// nothing is left.
func without[T any](s []T, i int) []T {
	if len(s) == 1 {
		return nil
	}
	c := make([]T, len(s)-1)
	copy(c, s[:i])
	copy(c[i:], s[i+1:])
	return c
}
