package treecache

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Tree holds the current Snapshot, and an index for exact lookups in it. All
// methods are safe for concurrent use; readers never wait.
type Tree struct {
	current atomic.Pointer[Snapshot]
	exact   exact

	mu   sync.Mutex // serialises writers
	edit uint64     // transactions so far
}

// Snapshot is an immutable state of the whole tree.
type Snapshot struct {
	zone       dnsname.Name
	zoneLabels int
	seed       maphash.Seed
	top        dir // the node of the zone
	reverse    reverseIndex
	counts     Counts
}

// dir is a node that is not an owner: the zone, svc, or a namespace. As in
// kube-dns's tree, external names are not nodes but entries of their directory: a
// wildcard in the middle of a name does not match them, and they can be listed
// without a walk over all the Services beside them.
type dir struct {
	nodes   trie[string, node]
	entries trie[string, node]
	// edit is the transaction that made the directory; see trieNode.
	edit uint64
}

// node is a child of a directory: a directory or an owner, never both.
type node struct {
	dir *dir
	set *Set
	// self represents the owner in the reverse index.
	self *claim
}

// New returns an empty tree for a zone. It panics if zone is not a name or is longer
// than MaxZone octets.
func New(zone dnsname.Name) *Tree {
	if !dnsname.Valid([]byte(zone)) || len(zone) > MaxZone {
		panic(fmt.Sprintf("treecache: zone %q is not a name of at most %d octets", zone.String(), MaxZone))
	}
	t := &Tree{}
	t.exact.init()
	t.current.Store(&Snapshot{zone: zone, zoneLabels: zone.Labels(), seed: maphash.MakeSeed()})
	return t
}

// Snapshot returns the current state.
func (t *Tree) Snapshot() *Snapshot { return t.current.Load() }

// Zone returns the zone at the top of the tree.
func (s *Snapshot) Zone() dnsname.Name { return s.zone }

// Change replaces what one owner has.
type Change struct {
	Path Path
	Set  *Set // has the same Path; nil removes what the owner has
}

// Replace replaces whatever the owner at set.Path() had by set, and reports whether
// anything changed. The next lookup sees the change.
func (t *Tree) Replace(set *Set) (changed bool) {
	return t.Apply(Change{set.path, set})
}

// Apply makes all changes in their order, and reports whether anything changed. A
// Snapshot has either all of them or none, and many changes in one call cost less
// than in a call each. When Apply returns, every lookup sees them.
func (t *Tree) Apply(changes ...Change) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := *t.current.Load()
	t.edit++
	w := writer{snapshot: &next, edit: t.edit}
	made := changes[:0:0]
	for _, c := range changes {
		if w.change(c) {
			made = append(made, c)
		}
	}
	if len(made) == 0 {
		return false
	}
	// The index shows each change at once. It is updated last, so that it is ahead
	// of the Snapshot for a moment only.
	for _, c := range made {
		if c.Set != nil {
			t.exact.put(c.Set)
		} else {
			t.exact.remove(c.Path)
		}
	}
	next.counts.Owners, next.counts.Reverse = t.exact.size, next.reverse.size()
	t.current.Store(&next)
	return true
}

// change makes one change in the snapshot, and reports whether it changed anything.
func (w *writer) change(c Change) bool {
	s, path, set := w.snapshot, c.Path, c.Set
	was, self := s.find(path)
	if was.equal(set) {
		return false
	}
	old := self
	switch {
	case old == nil: // clone the path, whose text belongs to the Set
		self = &claim{path: Path(strings.Clone(string(path))), created: set.created, kind: set.kind}
	case set != nil && !old.standsFor(set):
		self = &claim{path: old.path, created: set.created, kind: set.kind}
		old.current.Store(nil)
	}
	path = self.path // everything that is kept shares one text
	labels := path.labels()
	if was != nil && (set == nil || was.entry() != set.entry()) {
		w.remove(&s.top, labels[:], was.entry())
	}
	if set != nil {
		w.put(&s.top, labels[:], node{set: set, self: self})
	}
	self.current.Store(set)
	w.reclaim(old, was, self, set)
	s.counts.change(was.counts(), -1)
	s.counts.change(set.counts(), 1)
	return true
}

// entry reports whether the Set is an entry of its directory, not a node.
func (s *Set) entry() bool { return s.kind == ExternalName }

func (s *Snapshot) hash(label string) uint64 { return maphash.String(s.seed, label) }

// find returns the Set at path and the claim of its owner, nil if there is none.
func (s *Snapshot) find(path Path) (*Set, *claim) {
	d := &s.top
	for _, label := range path.labels() {
		n := d.child(s.hash(label), label)
		switch {
		case n == nil:
			return nil, nil
		case n.dir == nil:
			return n.set, n.self
		}
		d = n.dir
	}
	return nil, nil
}

// lookup returns the Set at path, nil if there is none.
func (s *Snapshot) lookup(path Path) *Set {
	set, _ := s.find(path)
	return set
}

// child returns the node with that label, else the entry, else nil.
func (d *dir) child(hash uint64, label string) *node {
	if n := d.nodes.get(hash, label); n != nil {
		return n
	}
	return d.entries.get(hash, label)
}

// writer is one transaction on a snapshot that is not published yet.
type writer struct {
	snapshot *Snapshot
	edit     uint64
}

// put puts an owner at labels below d, as a node or as an entry, and makes the
// directories on the way. The writer must own d.
func (w *writer) put(d *dir, labels []string, owner node) {
	label, s := labels[0], w.snapshot
	hash := s.hash(label)
	if len(labels) > 1 {
		sub := &dir{}
		if old := d.nodes.get(hash, label); old != nil {
			if old.dir.edit == w.edit {
				w.put(old.dir, labels[1:], owner)
				return
			}
			*sub = *old.dir
		}
		sub.edit = w.edit
		w.put(sub, labels[1:], owner)
		d.nodes.put(w.edit, hash, label, node{dir: sub}, s.hash)
		return
	}
	t := &d.nodes
	if owner.set.entry() {
		t = &d.entries
	}
	t.put(w.edit, hash, label, owner, s.hash)
}

// remove removes the node or entry at labels below d, and the directories that
// become empty. The writer must own d.
func (w *writer) remove(d *dir, labels []string, entry bool) {
	label, s := labels[0], w.snapshot
	hash := s.hash(label)
	if len(labels) == 1 {
		t := &d.nodes
		if entry {
			t = &d.entries
		}
		t.remove(w.edit, hash, label)
		return
	}
	sub := *d.nodes.get(hash, label).dir
	w.remove(&sub, labels[1:], entry)
	if sub.nodes.size+sub.entries.size == 0 {
		d.nodes.remove(w.edit, hash, label)
		return
	}
	d.nodes.put(w.edit, hash, label, node{dir: &sub}, s.hash)
}
