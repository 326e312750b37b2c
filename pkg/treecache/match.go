package treecache

import (
	"math"
	"math/bits"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Bounds of what one wildcard question may cost.
const (
	// maxWork is the number of memory accesses for which the processor probably has to wait;
	// together they take 0.1 ms. It is enough for a directory of a thousand children.
	maxWork = 1 << 10
	// MaxFound is the largest number of Services that a wildcard finds.
	MaxFound = 128
)

// Match answers for a canonical wire name in which the label "*" is a wildcard,
// by the rules of kube-dns:
//
//   - In the middle of the name, "*" stands for every child node whose label
//     does not start with "_". External names are no nodes.
//   - As the last label (the leftmost of the name), "*" stays on the node and
//     gives the node's own records: of a Service its addresses, of a namespace
//     its external names, of _port._proto its services.
//
// All other labels, including "any", are matched as by [Snapshot.Lookup]. The Status is Found
// or NoSuchName. If a wildcard matches more than may be searched, some matches are left out
// and the answer is Truncated. start says where in each directory the search begins: with a
// random number, every Service is equally likely to be in the answer.
func (s *Snapshot) Match(name []byte, start uint64) Answer {
	var offsets [dnsname.MaxLabels]uint8
	rel, ok := s.relative(offsets[:0], name)
	if !ok || len(rel) == 0 || len(rel) > maxDepth {
		return Answer{}
	}
	m := matcher{snapshot: s, start: start, left: maxWork}
	n := len(rel)
	for i, at := range rel {
		label := labelAt(name, int(at))
		m.labels[n-1-i] = label
		m.hashes[n-1-i] = s.hash(label)
	}
	m.dir(&s.top, 0, n)
	return m.answer()
}

// maxDepth is the number of labels of the longest name below the zone:
// <host>._port._proto.<service>.<namespace>.svc.
const maxDepth = pathLabels + 3

// matcher searches the tree for one pattern.
type matcher struct {
	snapshot *Snapshot        // what is searched
	labels   [maxDepth]string // of the pattern, from the zone downwards
	hashes   [maxDepth]uint64 // of labels
	start    uint64           // where in each directory to begin
	left     int              // of maxWork
	found    []part           // the parts of the answer so far
	services int              // in found
	cut      bool             // whether the search stopped at maxWork
}

const wildcard = "*"

// spend subtracts n from the remaining work, and reports whether enough was left.
func (m *matcher) spend(n int) bool {
	m.left -= n
	if m.left < 0 {
		m.cut = true
	}
	return !m.cut
}

// dir matches the labels [at, n), from d downwards.
func (m *matcher) dir(d *dir, at, n int) {
	label := m.labels[at]
	switch {
	case label == wildcard && at == n-1:
		m.entries(d)
	case label == wildcard:
		d.nodes.from(m.start, func(label string, child *node) bool {
			if !m.spend(1) {
				return false
			}
			if label[0] != '_' {
				m.node(child, at+1, n)
			}
			return !m.cut
		})
	default:
		const accesses = 2 // of a trie
		if child := d.child(m.hashes[at], label); m.spend(accesses) && child != nil {
			m.node(child, at+1, n)
		}
	}
}

// entries adds the external names of d.
func (m *matcher) entries(d *dir) {
	d.entries.from(m.start, func(_ string, child *node) bool {
		if !m.spend(1) {
			return false
		}
		m.keep(child.set.node(m.snapshot.zone))
		return !m.cut
	})
}

// node matches the labels [at, n), from child downwards.
func (m *matcher) node(child *node, at, n int) {
	switch {
	case child.set != nil && m.spend(child.set.matchWork(n-at)):
		m.keep(child.set.match(m.snapshot.zone, m.labels[at:n]))
	case child.set == nil && at < n:
		m.dir(child.dir, at, n)
	}
}

// matchWork returns the work that a search below the Set's node costs.
func (s *Set) matchWork(labels int) int {
	if labels == 0 {
		return 0
	}
	return bits.Len(uint(s.numHosts()+len(s.ports))) / 2 // the last steps are close together
}

// keep adds a result to the answer.
func (m *matcher) keep(a Answer) {
	switch {
	case a.Status != Found:
		return
	case len(m.found) == MaxFound:
		m.cut = true
		return
	}
	if len(m.found) == cap(m.found) {
		// Grow in two steps: doubling would make twice as much garbage, and collecting
		// garbage is most of the cost of a large answer.
		room := 8
		if cap(m.found) > 0 {
			room = MaxFound
		}
		m.found = append(make([]part, 0, room), m.found...)
	}
	m.found = append(m.found, a.part)
	switch a.view {
	case viewAlias: // an SRV answer has no external names
	case viewRefs:
		m.services += a.Len()
	case viewNode:
		m.services++
	default:
		if s := a.set; a.Len() == s.numHosts() {
			m.services += int(s.targets)
		} else {
			m.services++
		}
	}
}

// match answers for a pattern below the Set's node. labels are given from the node downwards.
// A "*" in the middle matches nothing, because all nodes there start with "_".
func (s *Set) match(zone dnsname.Name, labels []string) Answer {
	n := len(labels)
	switch {
	case n == 0:
		return s.node(zone)
	case n > 3 || slices.Contains(labels[:n-1], wildcard):
		return Answer{}
	case labels[n-1] != wildcard:
		return s.rel(zone, labels)
	case n == 1 && !s.entry():
		return s.node(zone)
	case n == 3:
		return s.rel(zone, labels[:2])
	}
	return Answer{}
}

// answer returns the answer with everything that was found.
func (m *matcher) answer() Answer {
	if len(m.found) == 0 {
		return Answer{Truncated: m.cut}
	}
	a := Answer{Status: Found, Truncated: m.cut, zone: m.snapshot.zone, weight: share(m.services)}
	if len(m.found) == 1 {
		a.part = m.found[0]
		return a
	}
	found, total := m.found, 0
	for i := range found {
		p := &found[i]
		if total+int(p.hi-p.lo) > math.MaxInt32 {
			found, a.Truncated = found[:i], true
			break
		}
		p.base = int32(total)
		total += int(p.hi - p.lo)
	}
	a.several = &found
	a.part = part{view: viewSeveral, hi: int32(total)}
	return a
}
