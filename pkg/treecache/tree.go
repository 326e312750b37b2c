package treecache

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Tree holds the current Snapshot. All methods are safe for concurrent use;
// readers never wait.
type Tree struct {
	current atomic.Pointer[Snapshot]

	mu   sync.Mutex // serialises writers
	edit uint64     // transactions so far
}

// Snapshot is an immutable state of the whole tree.
type Snapshot struct {
	zone    dnsname.Name
	seed    maphash.Seed
	top     dir // the node of the zone
	reverse trie[[16]byte, *claim]
	owners  int
}

// dir is a node that is no owner: the zone, svc, a namespace. As in upstream's
// tree, external names are not nodes but entries of their directory; so they
// are not met by a wildcard in the middle of a name, and are listed without a
// walk over all the Services beside them.
type dir struct {
	nodes   trie[string, node]
	entries trie[string, node]
}

// node is a child of a directory: a directory or an owner, never both.
type node struct {
	dir *dir
	set *Set
	// claim stands for this owner in the reverse index.
	claim *claim
}

// claim says which owners claim an address. It is immutable. The claim of a
// single owner is shared by all its addresses.
type claim struct {
	paths []Path // ordered
}

// New returns an empty tree for a zone. It panics when zone is not a name, or
// longer than MaxZone octets.
func New(zone dnsname.Name) *Tree {
	if !dnsname.Valid([]byte(zone)) || len(zone) > MaxZone {
		panic(fmt.Sprintf("treecache: zone %q is no name of at most %d octets", zone.String(), MaxZone))
	}
	t := &Tree{}
	t.current.Store(&Snapshot{zone: zone, seed: maphash.MakeSeed()})
	return t
}

// Snapshot returns the current state.
func (t *Tree) Snapshot() *Snapshot { return t.current.Load() }

// Zone returns the zone at the top of the tree.
func (s *Snapshot) Zone() dnsname.Name { return s.zone }

// Owners returns the number of Sets.
func (s *Snapshot) Owners() int { return s.owners }

// Replace puts set in the place of whatever its owner, set.Path(), had before,
// and reports whether anything changed. The next lookup sees it. The owner is
// the place, so two owners cannot collide; but a path must not lead through
// another owner's node: such a Set is not taken.
func (t *Tree) Replace(set *Set) (changed bool) {
	return t.change(set.path, set)
}

// Remove takes away all that the owner at path has, and reports whether there
// was anything.
func (t *Tree) Remove(path Path) (changed bool) {
	return t.change(path, nil)
}

func (t *Tree) change(path Path, set *Set) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.current.Load()
	var buf [8]string
	labels := path.labels(buf[:0])
	was := old.find(labels)
	if was.dir != nil || was.set.equal(set) || !old.reachable(labels) {
		return false
	}
	t.edit++
	next := *old
	w := writer{snapshot: &next, edit: t.edit}
	self := was.claim
	if self == nil {
		self = &claim{paths: []Path{path}}
	}
	if was.set != nil && (set == nil || was.set.entry() != set.entry()) {
		w.remove(&next.top, labels, was.set.entry())
		next.owners--
	}
	if set != nil {
		w.put(&next.top, labels, node{set: set, claim: self})
		if was.set == nil || was.set.entry() != set.entry() {
			next.owners++
		}
	}
	w.reclaim(self, was.set, set)
	t.current.Store(&next)
	return true
}

// entry reports whether the Set is an entry of its directory, not a node.
func (s *Set) entry() bool { return s.kind == ExternalName }

func (s *Snapshot) hash(label string) uint64 { return maphash.String(s.seed, label) }

func (s *Snapshot) hashAddr(ip [16]byte) uint64 { return maphash.Bytes(s.seed, ip[:]) }

// find returns the node or entry at labels, from the zone downwards; the zero
// node when there is none.
func (s *Snapshot) find(labels []string) node {
	d := &s.top
	for i, label := range labels {
		n := d.child(s.hash(label), label)
		if n == nil {
			return node{}
		}
		if i == len(labels)-1 {
			return *n
		}
		if d = n.dir; d == nil {
			return node{}
		}
	}
	return node{}
}

// child returns the node of that label, else the entry, else nil.
func (d *dir) child(hash uint64, label string) *node {
	if n := d.nodes.get(hash, label); n != nil {
		return n
	}
	return d.entries.get(hash, label)
}

// reachable reports whether no owner's node lies above labels.
func (s *Snapshot) reachable(labels []string) bool {
	for i := 1; i < len(labels); i++ {
		if s.find(labels[:i]).set != nil {
			return false
		}
	}
	return true
}

// writer is one transaction on a snapshot that is not published yet.
type writer struct {
	snapshot *Snapshot
	edit     uint64
}

// put sets the node or entry at labels below d, which the writer owns, and
// makes the directories on the way.
func (w *writer) put(d *dir, labels []string, n node) {
	label, s := labels[0], w.snapshot
	hash := s.hash(label)
	if len(labels) > 1 {
		sub := &dir{}
		if old := d.nodes.get(hash, label); old != nil {
			*sub = *old.dir
		}
		w.put(sub, labels[1:], n)
		d.nodes.put(w.edit, hash, label, node{dir: sub}, s.hash)
		return
	}
	t := &d.nodes
	if n.set.entry() {
		t = &d.entries
	}
	t.put(w.edit, hash, label, n, s.hash)
}

// remove takes away the node or entry at labels below d, which the writer owns,
// and the directories that become empty.
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

// reclaim brings the reverse index from the addresses of was to those of is.
func (w *writer) reclaim(self *claim, was, is *Set) {
	before, after := was.claimed(), is.claimed()
	compare := func(a, b [16]byte) int { return strings.Compare(string(a[:]), string(b[:])) }
	for len(before)+len(after) > 0 {
		switch {
		case len(after) == 0 || (len(before) > 0 && compare(before[0], after[0]) < 0):
			w.unclaim(before[0], self.paths[0])
			before = before[1:]
		case len(before) == 0 || compare(before[0], after[0]) > 0:
			w.claim(after[0], self)
			after = after[1:]
		default:
			before, after = before[1:], after[1:]
		}
	}
}

// claimed returns the addresses that the Set claims, ordered, each once. An
// external name claims none.
func (s *Set) claimed() [][16]byte {
	if s == nil || s.kind == ExternalName {
		return nil
	}
	ips := make([][16]byte, 0, s.numHosts())
	for i := range s.hashed {
		ips = append(ips, s.hashed[i].addr)
	}
	for _, h := range s.namedHosts() {
		ips = append(ips, h.addr)
	}
	slices.SortFunc(ips, func(a, b [16]byte) int { return strings.Compare(string(a[:]), string(b[:])) })
	return slices.Compact(ips)
}

func (w *writer) claim(ip [16]byte, self *claim) {
	s := w.snapshot
	hash, c := s.hashAddr(ip), self
	if old := s.reverse.get(hash, ip); old != nil {
		paths := append(slices.Clone((*old).paths), self.paths[0])
		slices.Sort(paths)
		c = &claim{paths: slices.Clip(slices.Compact(paths))}
	}
	s.reverse.put(w.edit, hash, ip, c, s.hashAddr)
}

func (w *writer) unclaim(ip [16]byte, path Path) {
	s := w.snapshot
	hash := s.hashAddr(ip)
	old := s.reverse.get(hash, ip)
	if old == nil {
		return
	}
	paths := slices.DeleteFunc(slices.Clone((*old).paths), func(p Path) bool { return p == path })
	if len(paths) == 0 {
		s.reverse.remove(w.edit, hash, ip)
		return
	}
	c := &claim{paths: paths}
	if len(paths) == 1 { // share the claim of the owner that is left
		var buf [8]string
		if n := s.find(paths[0].labels(buf[:0])); n.claim != nil {
			c = n.claim
		}
	}
	s.reverse.put(w.edit, hash, ip, c, s.hashAddr)
}

// claimants returns the records of every name that claims addr, in answer
// order: ClusterIPs, then hosts with a hostname, then the others; within each
// the older owner first, then by name.
func (s *Snapshot) claimants(addr netip.Addr, paths []Path) []Record {
	type ranked struct {
		rank    int
		created int64
		record  Record
	}
	var all []ranked
	var buf [8]string
	var records []Record
	for _, p := range paths {
		set := s.find(p.labels(buf[:0])).set
		if set == nil {
			continue
		}
		records = set.claims(records[:0], s.zone, addr)
		for _, r := range records {
			rank := 0
			switch {
			case r.hashed:
				rank = 2
			case r.label != "":
				rank = 1
			}
			all = append(all, ranked{rank, set.created, r})
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		if a.rank != b.rank {
			return a.rank - b.rank
		}
		switch {
		case a.created < b.created:
			return -1
		case a.created > b.created:
			return 1
		}
		return 0
	})
	out := make([]Record, len(all))
	for i := range all {
		out[i] = all[i].record
	}
	return out
}
