package treecache

import (
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Bounds of the work that one wildcard question may cause.
const (
	// MaxMatch is the number of records in a wildcard's answer: more than the
	// 4095 address records that fit in a message of 64 KiB.
	MaxMatch = 4096
	// maxVisits is the number of nodes and entries that are looked at.
	maxVisits = 1 << 15
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
// Everything else is matched as [Snapshot.Lookup] does, "any" included. The
// answer is Found or NoSuchName; it is cut at MaxMatch records, or when too much
// of the tree was looked at, and then Truncated. Several Services are in the
// order of their paths.
func (s *Snapshot) Match(name []byte) Answer {
	var offsets [dnsname.MaxLabels]uint8
	rel, ok := s.relative(offsets[:0], name)
	if !ok || len(rel) == 0 {
		return Answer{}
	}
	labels := make([]string, len(rel))
	for i, at := range rel {
		labels[len(rel)-1-i] = labelAt(name, int(at))
	}
	m := matcher{snapshot: s}
	m.dir(&s.top, labels)
	return m.answer()
}

// matcher walks the tree for one pattern.
type matcher struct {
	snapshot  *Snapshot
	found     []Answer // one view per Set, all of viewList excluded
	records   int      // in found
	visits    int
	truncated bool
}

const wildcard = "*"

// visit counts a node and reports whether the walk may go on.
func (m *matcher) visit() bool {
	m.visits++
	if m.visits > maxVisits || m.records >= MaxMatch {
		m.truncated = true
	}
	return !m.truncated
}

// dir matches labels, from d downwards.
func (m *matcher) dir(d *dir, labels []string) {
	label, rest := labels[0], labels[1:]
	s := m.snapshot
	switch {
	case label == wildcard && len(rest) == 0:
		m.entries(d)
	case label == wildcard:
		d.nodes.all(func(label string, n *node) bool {
			if !m.visit() {
				return false
			}
			if label[0] != '_' {
				m.node(n, rest)
			}
			return true
		})
	default:
		if n := d.child(s.hash(label), label); n != nil && m.visit() {
			m.node(n, rest)
		}
	}
}

// entries adds the external names of d.
func (m *matcher) entries(d *dir) {
	d.entries.all(func(_ string, n *node) bool {
		if !m.visit() {
			return false
		}
		m.add(n.set.node(m.snapshot.zone))
		return true
	})
}

// node matches labels, from n downwards.
func (m *matcher) node(n *node, labels []string) {
	switch {
	case n.set != nil:
		m.add(n.set.match(m.snapshot.zone, labels))
	case len(labels) > 0:
		m.dir(n.dir, labels)
	}
}

func (m *matcher) add(a Answer) {
	if a.Status == Found {
		m.found = append(m.found, a)
		m.records += a.Len()
	}
}

// match answers for a pattern below the Set's node, labels from the node
// downwards. A "*" in the middle matches nothing, since all nodes there start
// with "_".
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

// answer puts together what was found. The records of one Set stay a view.
func (m *matcher) answer() Answer {
	if len(m.found) == 0 {
		return Answer{Truncated: m.truncated}
	}
	if len(m.found) == 1 && m.records <= MaxMatch {
		a := m.found[0]
		a.Truncated = m.truncated
		return a
	}
	slices.SortFunc(m.found, func(a, b Answer) int {
		return strings.Compare(string(a.set.path), string(b.set.path))
	})
	list := make([]Record, 0, min(m.records, MaxMatch))
	aliases := make(map[dnsname.Name]bool)
	services := 0
	for i := range m.found {
		a := &m.found[i]
		for j := range a.Len() {
			if len(list) == MaxMatch {
				m.truncated = true
				break
			}
			r := a.At(j)
			if r.Alias { // targets of different Services differ otherwise
				target := r.Target()
				r.Repeat = aliases[target]
				aliases[target] = true
			}
			if !r.Repeat && !r.Alias { // an SRV answer has no external names
				services++
			}
			list = append(list, r)
		}
	}
	for i := range list {
		list[i].Weight = share(services)
	}
	a := ListAnswer(list)
	a.Truncated = m.truncated
	return a
}
