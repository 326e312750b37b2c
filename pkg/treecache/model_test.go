package treecache

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// model is the obvious twin of a Tree: every name with its records in one map,
// upstream's tree for wildcards, a list of claimants for each address. It is
// built anew for each comparison.
type model struct {
	names    map[string][]string // full name without the zone -> records
	upstream *upstreamNode
	reverse  map[netip.Addr][]claimant
}

type claimant struct {
	rank    int
	created int64
	path    Path
	name    string
}

func newModel(specs map[Path]*SetSpec) *model {
	m := &model{
		names:    map[string][]string{},
		upstream: newUpstreamNode(),
		reverse:  map[netip.Addr][]claimant{},
	}
	for _, s := range specs {
		m.add(s)
	}
	return m
}

func (m *model) record(name, record string) {
	if !slices.Contains(m.names[name], record) {
		m.names[name] = append(m.names[name], record)
	}
}

func (m *model) add(s *SetSpec) {
	var labels []string // from the zone downwards
	for _, l := range s.Path.labels() {
		labels = append(labels, strings.Clone(l))
	}
	up := slices.Clone(labels)
	slices.Reverse(up)
	self := strings.Join(up, ".")
	if s.Alias != "" {
		r := "alias " + s.Alias.String()
		m.record(self, r)
		m.upstream.put(r, labels...)
		return
	}
	for i, h := range s.Hosts {
		label := h.Name
		if label == "" {
			label = HashLabel(h.Addr)
		}
		target := label + "." + self
		r := h.Addr.String() + " " + target
		if s.Kind == ExternalName {
			r = h.Addr.String() + " " + self
			m.record(self, r)
			m.upstream.put(r, labels...)
			continue
		}
		m.record(self, r)
		m.record(target, r)
		m.upstream.put(r, append(slices.Clone(labels), label)...)
		if h.Name == "" && s.Kind == Headless {
			m.record(string(dnsname.AppendDashed(nil, h.Addr))+"."+self, r)
		}
		for _, p := range s.Ports {
			if s.Kind == Headless && p.Hosts != nil && !slices.Contains(p.Hosts, i) {
				continue
			}
			to := target
			if s.Kind == ClusterIP {
				to = self
			}
			r := fmt.Sprintf("%d %s", p.Number, to)
			name := "_" + p.Name + "._" + p.Protocol.String() + "." + self
			m.record(name, r)
			m.record(label+"."+name, r)
			m.upstream.put(r, append(slices.Clone(labels), "_"+p.Protocol.String(), "_"+p.Name, label)...)
		}
		c := claimant{rank: 2, created: s.Created, path: s.Path, name: target}
		switch {
		case s.Kind == ClusterIP:
			c.rank, c.name = 0, self
		case h.Name != "":
			c.rank = 1
		}
		if !slices.Contains(m.reverse[h.Addr], c) {
			m.reverse[h.Addr] = append(m.reverse[h.Addr], c)
		}
	}
}

// lookup returns the status and the records of a name.
func (m *model) lookup(name string) (Status, []string) {
	if r := m.names[name]; r != nil {
		r = slices.Clone(r)
		slices.Sort(r)
		return Found, r
	}
	for other := range m.names {
		if strings.HasSuffix(other, "."+name) {
			return NoRecords, nil
		}
	}
	return NoSuchName, nil
}

// claims returns the names of an address in answer order: virtual addresses
// first, then the oldest; of one Service hostnames first.
func (m *model) claims(addr netip.Addr) []string {
	all := m.reverse[addr]
	slices.SortStableFunc(all, func(a, b claimant) int {
		switch {
		case (a.rank == 0) != (b.rank == 0):
			return a.rank - b.rank
		case a.created != b.created:
			return int(a.created - b.created)
		case a.path != b.path:
			return strings.Compare(string(a.path), string(b.path))
		case a.rank != b.rank:
			return a.rank - b.rank
		}
		return strings.Compare(a.name, b.name)
	})
	var names []string
	for _, c := range all {
		names = append(names, c.name)
	}
	return names
}

// words renders an answer as the model has it, and checks weights and Repeat.
func words(t *testing.T, what string, a Answer) []string {
	t.Helper()
	var got []string
	seen := map[string]bool{}
	weights := map[uint16]bool{}
	aliases := map[string]bool{} // which no answer has among its services
	for i := range a.Len() {
		r := a.At(i)
		target := strings.TrimSuffix(dnsname.Name(r.AppendTarget(nil)).String(), "."+testZone)
		service := fmt.Sprintf("%d %s", r.Port, strings.ToLower(target))
		if seen[service] != r.Repeat && !r.Alias {
			t.Errorf("%s: record %d (%s): Repeat = %v", what, i, service, r.Repeat)
		}
		seen[service] = true
		weights[r.Weight] = true
		switch {
		case r.Alias:
			aliases[service] = true
			got = append(got, "alias "+target)
		case r.Addr.IsValid():
			got = append(got, r.Addr.String()+" "+target)
		case !r.Repeat:
			got = append(got, service)
		}
	}
	if a.Status == Found && (len(weights) != 1 || !weights[share(len(seen)-len(aliases))]) {
		t.Errorf("%s: weights %v for %d services", what, weights, len(seen)-len(aliases))
	}
	slices.Sort(got)
	return got
}

var (
	modelOwners = []string{"a.ns1", "b.ns1", "c.ns1", "a.ns2", "b.ns2", "a.ns3"}
	modelHosts  = []string{"", "", "x", "y"}
	modelPorts  = []string{"http", "dns"}
)

// randomSpec returns a random Spec with distinct hosts.
func randomSpec(t *testing.T, rng *rand.Rand, owner string) *SetSpec {
	t.Helper()
	s := spec(t, owner, Kind(rng.IntN(3)))
	s.Created = int64(rng.IntN(3))
	s.HasEndpoints = rng.IntN(2) == 0
	if s.Kind == ExternalName && rng.IntN(3) > 0 {
		return s.alias([]string{"ext.example.com", "EXT.example.com", "b.example.com"}[rng.IntN(3)])
	}
	for range rng.IntN(5) + 1 {
		h := SetHost{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(6))})}
		if rng.IntN(3) == 0 {
			h.Addr = netip.AddrFrom16([16]byte{0x20, 1, 15: byte(rng.IntN(3))})
		}
		if s.Kind == Headless {
			h.Name = modelHosts[rng.IntN(len(modelHosts))]
		}
		if !slices.Contains(s.Hosts, h) {
			s.Hosts = append(s.Hosts, h)
		}
		if s.Kind == ExternalName {
			return s
		}
	}
	for _, name := range modelPorts {
		if rng.IntN(2) == 0 {
			continue
		}
		p := SetPort{Name: name, Protocol: Protocol(rng.IntN(2) + 1), Number: uint16(rng.IntN(3) + 1)}
		if s.Kind == Headless && rng.IntN(2) == 0 { // two mentions, each for some hosts
			for range 2 {
				p.Hosts = []int{rng.IntN(len(s.Hosts)), rng.IntN(len(s.Hosts))}
				p.Number = uint16(rng.IntN(3) + 1)
				s.Ports = append(s.Ports, p)
			}
			continue
		}
		s.Ports = append(s.Ports, p)
	}
	return s
}

// TestTreeAgainstModel compares the tree with the model after each of many
// random changes: every name of the model, those beside them, every wildcard
// pattern over the same labels, every address.
func TestTreeAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	tree := newTree(t)
	specs := map[Path]*SetSpec{}
	for step := range 150 {
		owner := modelOwners[rng.IntN(len(modelOwners))]
		service, namespace, _ := strings.Cut(owner, ".")
		path := mustPath(t, service, namespace)
		switch {
		case step%3 == 0: // several at once, some of one owner
			tree.Apply(randomChanges(t, rng, specs)...)
		case rng.IntN(4) == 0:
			_, had := specs[path]
			if got := tree.Apply(Change{Path: path}); got != had {
				t.Fatalf("step %d: Remove(%s) = %v, want %v", step, owner, got, had)
			}
			delete(specs, path)
		default:
			specs[path] = randomSpec(t, rng, owner)
			tree.Replace(NewSet(specs[path]))
		}
		compareWithModel(t, step, tree, newModel(specs), rng)
		if tree.Snapshot().Counts().Owners != len(specs) {
			t.Errorf("step %d: %d owners, want %d", step, tree.Snapshot().Counts().Owners, len(specs))
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// randomChanges returns changes, which it makes in specs.
func randomChanges(t *testing.T, rng *rand.Rand, specs map[Path]*SetSpec) []Change {
	t.Helper()
	var changes []Change
	for range 1 + rng.IntN(2*len(modelOwners)) {
		owner := modelOwners[rng.IntN(len(modelOwners))]
		service, namespace, _ := strings.Cut(owner, ".")
		c := Change{Path: mustPath(t, service, namespace)}
		delete(specs, c.Path)
		if rng.IntN(3) > 0 {
			specs[c.Path] = randomSpec(t, rng, owner)
			c.Set = NewSet(specs[c.Path])
		}
		changes = append(changes, c)
	}
	return changes
}

func compareWithModel(t *testing.T, step int, tree *Tree, m *model, rng *rand.Rand) {
	t.Helper()
	s := tree.Snapshot()
	names := []string{"ns1.svc", "ns2.svc", "ns4.svc", "svc", "q.ns1.svc", "_tcp.a.ns1.svc"}
	for name := range m.names {
		names = append(names, name, "x."+name, "_tcp."+name, "*."+name)
		if _, parent, ok := strings.Cut(name, "."); ok {
			names = append(names, parent)
		}
	}
	for _, name := range names {
		status, want := m.lookup(name)
		if name == "svc" && len(m.names) == 0 {
			status = NoSuchName
		}
		what := fmt.Sprintf("step %d: %s", step, name)
		wire := []byte(dnsname.MustParse(name + "." + testZone))
		a := s.Lookup(wire)
		if got := tree.Lookup(wire); show(got) != show(a) {
			t.Errorf("%s: the tree says %s, its snapshot %s", what, show(got), show(a))
		}
		if diff := cmp.Diff(want, words(t, what, a)); diff != "" || a.Status != status {
			t.Errorf("%s: %v, want %v\n%s", what, a.Status, status, diff)
		}
	}
	for _, pattern := range patterns(names, rng) {
		labels := strings.Split(pattern, ".")
		slices.Reverse(labels)
		want := slices.Compact(m.upstream.get(labels))
		what := fmt.Sprintf("step %d: match %s", step, pattern)
		a := s.Match([]byte(dnsname.MustParse(pattern+"."+testZone)), rng.Uint64())
		if step%10 == 0 {
			checkWalks(t, what, a, s.Lookup)
		}
		got := slices.Compact(words(t, what, a))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	for i := range 9 {
		addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		if i >= 6 {
			addr = netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i - 6)})
		}
		var got []string
		a := s.Reverse(addr, nil)
		if got := tree.Reverse(addr, nil); show(got) != show(a) {
			t.Errorf("step %d: reverse of %v: the tree says %s, its snapshot %s", step, addr, show(got), show(a))
		}
		for j := range a.Len() {
			r := a.At(j)
			got = append(got, strings.TrimSuffix(r.Target().String(), "."+testZone))
		}
		want := m.claims(addr)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("step %d: reverse of %v: %s", step, addr, diff)
		}
	}
}

// patterns returns the names that are not spelled with a dashed address, each
// once more with random labels replaced by wildcards.
func patterns(names []string, rng *rand.Rand) []string {
	var out []string
	for _, name := range names {
		if strings.Contains(name, "-") {
			continue
		}
		labels := strings.Split(name, ".")
		out = append(out, name)
		for i := range labels {
			if rng.IntN(3) == 0 {
				labels[i] = "*"
			}
		}
		out = append(out, strings.Join(labels, "."))
	}
	return out
}

// upstreamNode is upstream's tree, the obvious way: a map of child nodes and a
// map of entries.
type upstreamNode struct {
	nodes   map[string]*upstreamNode
	entries map[string][]string
}

func newUpstreamNode() *upstreamNode {
	return &upstreamNode{nodes: map[string]*upstreamNode{}, entries: map[string][]string{}}
}

// put adds a record under labels, from the zone downwards; the last is the
// entry.
func (n *upstreamNode) put(record string, labels ...string) {
	for _, l := range labels[:len(labels)-1] {
		if n.nodes[l] == nil {
			n.nodes[l] = newUpstreamNode()
		}
		n = n.nodes[l]
	}
	last := labels[len(labels)-1]
	n.entries[last] = append(n.entries[last], record)
}

// get is upstream's lookup with wildcards, except that the name of a namespace
// does not have the records of the external names in it.
func (n *upstreamNode) get(labels []string) []string {
	level := []*upstreamNode{n}
	for _, l := range labels[:len(labels)-1] {
		var next []*upstreamNode
		for _, n := range level {
			for label, kid := range n.nodes {
				if label == l || (l == "*" && !strings.HasPrefix(label, "_")) {
					next = append(next, kid)
				}
			}
		}
		level = next
	}
	last := labels[len(labels)-1]
	var got []string
	for _, n := range level {
		if e, ok := n.entries[last]; ok && last != "*" {
			got = append(got, e...)
			continue
		}
		from := n
		if last != "*" {
			from = n.nodes[last]
		}
		if namespace := len(labels) == 2 && last != "*"; from != nil && !namespace {
			for _, e := range from.entries {
				got = append(got, e...)
			}
		}
	}
	slices.Sort(got)
	return got
}
