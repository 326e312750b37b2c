package treecache

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

func TestReplaceReportsChange(t *testing.T) {
	web := func() *SetSpec {
		return spec(t, "web.default", ClusterIP).hosts("10.96.0.10").port("http", TCP, 80)
	}
	hl := func() *SetSpec {
		return spec(t, "hl.default", Headless).hosts("10.0.0.1", "10.0.0.2=b").port("p", TCP, 1, 0).port("p", TCP, 2, 1)
	}
	change := func(s *SetSpec, f func(*SetSpec)) *SetSpec {
		f(s)
		return s
	}
	tree := newTree(t, web(), hl())
	for _, tt := range []struct {
		name string
		spec *SetSpec
		want bool
	}{
		{"the same", web(), false},
		{"port number", change(web(), func(s *SetSpec) { s.Ports[0].Number = 81 }), true},
		{"port name", change(web(), func(s *SetSpec) { s.Ports[0].Name = "x" }), true},
		{"protocol", change(web(), func(s *SetSpec) { s.Ports[0].Protocol = UDP }), true},
		{"no port", change(web(), func(s *SetSpec) { s.Ports = nil }), true},
		{"address", change(web(), func(s *SetSpec) { s.Hosts[0].Addr = netip.MustParseAddr("10.96.0.11") }), true},
		{"TTL", change(web(), func(s *SetSpec) { s.TTL = 5 }), true},
		{"priority", change(web(), func(s *SetSpec) { s.Priority = 5 }), true},
		{"age", change(web(), func(s *SetSpec) { s.Created = 5 }), true},
		{"endpoints", change(web(), func(s *SetSpec) { s.HasEndpoints = true }), true},
		{"kind", change(web(), func(s *SetSpec) { s.Kind = Headless }), true},
		{"alias", spec(t, "web.default", ExternalName).alias("a.example"), true},
		{"other alias", spec(t, "web.default", ExternalName).alias("A.example"), true},
		{"headless, the same", hl(), false},
		{"hostname", change(hl(), func(s *SetSpec) { s.Hosts[1].Name = "c" }), true},
		{"port's hosts", change(hl(), func(s *SetSpec) { s.Ports[0].Hosts = []int{0, 1} }), true},
	} {
		before := tree.Snapshot()
		if got := tree.Replace(NewSet(tt.spec)); got != tt.want {
			t.Errorf("%s: Replace = %v, want %v", tt.name, got, tt.want)
		}
		if (tree.Snapshot() != before) != tt.want {
			t.Errorf("%s: a new snapshot = %v, want %v", tt.name, !tt.want, tt.want)
		}
		tree.Replace(NewSet(web()))
		tree.Replace(NewSet(hl()))
	}
	if tree.Apply(Change{Path: mustPath(t, "nosuch", "default")}) || tree.Apply(Change{Path: mustPath(t, "web", "nosuch")}) {
		t.Error("Remove of nothing reported a change")
	}
}

// TestEmptyParentsVanish: a namespace exists while it has a Service, of
// whatever kind.
func TestEmptyParentsVanish(t *testing.T) {
	tree := newTree(t, spec(t, "web.default", ClusterIP).hosts("10.96.0.10"))
	for _, s := range []*SetSpec{
		spec(t, "web.prod", ClusterIP).hosts("10.96.0.11"),
		spec(t, "ext.prod", ExternalName).alias("example.com"),
	} {
		set := NewSet(s)
		tree.Replace(set)
		if got := tree.Snapshot().Lookup(wireName("prod")).Status; got != NoRecords {
			t.Errorf("namespace with %q: %v, want NoRecords", set.Path(), got)
		}
		tree.Apply(Change{Path: set.Path()})
		if got := tree.Snapshot().Lookup(wireName("prod")).Status; got != NoSuchName {
			t.Errorf("namespace without %q: %v, want NoSuchName", set.Path(), got)
		}
	}
	tree.Apply(Change{Path: mustPath(t, "web", "default")})
	s := tree.Snapshot()
	if got := s.Lookup(wireName("svc.cluster.local.")).Status; got != NoSuchName {
		t.Errorf("svc in an empty tree: %v, want NoSuchName", got)
	}
	if s.Counts().Owners != 0 || s.top.nodes.root != nil || s.reverse.size() != 0 {
		t.Errorf("an emptied tree has %d owners, top %v, %d addresses", s.Counts().Owners, s.top.nodes.root, s.reverse.size())
	}
}

// TestKindChange: nothing of the old kind stays.
func TestKindChange(t *testing.T) {
	kinds := []*SetSpec{
		spec(t, "s.default", ClusterIP).hosts("10.96.0.10").port("http", TCP, 80),
		spec(t, "s.default", Headless).hosts("10.0.0.1", "10.0.0.2=b").port("p", TCP, 80),
		spec(t, "s.default", ExternalName).alias("example.com"),
	}
	for _, from := range kinds {
		for _, to := range kinds {
			tree := newTree(t, from)
			tree.Replace(NewSet(to))
			fresh := newTree(t, to)
			if diff := cmp.Diff(dump(t, fresh), dump(t, tree)); diff != "" {
				t.Errorf("from %d to %d: %s", from.Kind, to.Kind, diff)
			}
			if got := tree.Snapshot().Counts().Owners; got != 1 {
				t.Errorf("from %d to %d: %d owners, want 1", from.Kind, to.Kind, got)
			}
			for _, addr := range []string{"10.96.0.10", "10.0.0.1", "10.0.0.2"} {
				a := netip.MustParseAddr(addr)
				if got, want := show(tree.Snapshot().Reverse(a, nil)), show(fresh.Snapshot().Reverse(a, nil)); got != want {
					t.Errorf("from %d to %d: reverse of %s = %s, want %s", from.Kind, to.Kind, addr, got, want)
				}
			}
		}
	}
}

func dump(tb testing.TB, tree *Tree) string {
	tb.Helper()
	var b strings.Builder
	if err := WriteJSON(&b, tree.Snapshot()); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestReverseOrder(t *testing.T) {
	created := func(s *SetSpec, at int64) *SetSpec {
		s.Created = at
		return s
	}
	tree := newTree(t,
		created(spec(t, "young.default", Headless).hosts("10.0.0.1"), 300),
		created(spec(t, "old.default", Headless).hosts("10.0.0.1"), 100),
		created(spec(t, "named.default", Headless).hosts("10.0.0.1=b", "10.0.0.1=a", "10.0.0.9=a"), 200),
		created(spec(t, "older.default", Headless).hosts("10.0.0.1=z"), 50),
		created(spec(t, "vip.default", ClusterIP).hosts("10.0.0.1", "10.0.0.7"), 400),
		created(spec(t, "twin.default", Headless).hosts("10.0.0.1"), 100),
		spec(t, "ext.names", ExternalName).hosts("10.0.0.1"),
	)
	reverse := func(addr string) string { return show(tree.Snapshot().Reverse(netip.MustParseAddr(addr), nil)) }
	want := lines("Found", "10 100 0 vip.default", "10 100 0 z.older.default",
		"10 100 0 "+label1+".old.default", "10 100 0 "+label1+".twin.default",
		"10 100 0 a.named.default", "10 100 0 b.named.default", "10 100 0 "+label1+".young.default")
	if diff := cmp.Diff(want, reverse("10.0.0.1")); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct{ addr, want string }{
		{"10.0.0.7", "Found\n10 100 0 vip.default"},
		{"10.0.0.9", "Found\n10 100 0 a.named.default"},
		{"10.0.0.2", "NoSuchName"},
		{"::ffff:10.0.0.1", "NoSuchName"},
	} {
		if got := reverse(tt.addr); got != tt.want {
			t.Errorf("reverse of %s = %s, want %s", tt.addr, got, tt.want)
		}
	}
	if got := tree.Snapshot().Reverse(netip.Addr{}, nil); got.Status != NoSuchName {
		t.Errorf("reverse of no address = %v", got.Status)
	}
	for _, owner := range []string{"vip", "older", "named", "old", "young"} {
		tree.Apply(Change{Path: mustPath(t, owner, "default")})
	}
	if got, want := reverse("10.0.0.1"), "Found\n10 100 0 "+label1+".twin.default"; got != want {
		t.Errorf("the last claimant: %s, want %s", got, want)
	}
	tree.Apply(Change{Path: mustPath(t, "twin", "default")})
	if got := reverse("10.0.0.1"); got != "NoSuchName" {
		t.Errorf("without claimants: %s", got)
	}
}

func TestNewPanics(t *testing.T) {
	long := dnsname.MustParse(strings.Repeat("x.", 113) + "xx")
	New(long) // 230 octets
	for _, zone := range []dnsname.Name{"", "local", long[:len(long)-1], dnsname.MustParse(strings.Repeat("x.", 113) + "xxx")} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%q) did not panic", string(zone))
				}
			}()
			New(zone)
		}()
	}
}

// TestReadersSeeWholeSets: while a headless Service swaps between two sets of
// endpoints, a reader sees one of them, in the forward tree and in the reverse
// index alike.
func TestReadersSeeWholeSets(t *testing.T) {
	const hosts = 20
	sets := make([]*Set, 2)
	for i := range sets {
		s := spec(t, "hl.default", Headless).port("http", TCP, uint16(80+i))
		for j := range hosts {
			s.hosts(fmt.Sprintf("10.0.%d.%d", i, j))
		}
		sets[i] = NewSet(s)
	}
	tree := newTree(t)
	tree.Replace(sets[0])
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			name, port := wireName("hl.default"), wireName("_http._tcp.hl.default")
			for {
				select {
				case <-done:
					return
				default:
				}
				s := tree.Snapshot()
				a, p := s.Lookup(name), s.Lookup(port)
				if a.Len() != hosts || p.Len() != hosts {
					t.Errorf("%d and %d records, want %d", a.Len(), p.Len(), hosts)
					return
				}
				first, service := a.At(0), p.At(0)
				which := first.Addr.As4()[2]
				if service.Port != 80+uint16(which) {
					t.Errorf("port %d with addresses of set %d", service.Port, which)
					return
				}
				for i := range hosts {
					r := a.At(i)
					if back := s.Reverse(r.Addr, nil); r.Addr.As4()[2] != which || back.Len() != 1 {
						t.Errorf("%v among set %d, or without reverse", r.Addr, which)
						return
					}
				}
				other := netip.AddrFrom4([4]byte{10, 0, 1 - which, 0})
				if s.Reverse(other, nil).Status != NoSuchName {
					t.Errorf("%v has a reverse name beside set %d", other, which)
					return
				}
			}
		})
	}
	for i := range 500 {
		tree.Replace(sets[i%2])
		if i%50 == 49 {
			tree.Replace(NewSet(spec(t, fmt.Sprintf("web-%d.default", i), ClusterIP).hosts("10.96.0.1")))
		}
	}
	close(done)
	wg.Wait()
}

// TestApply: many changes at once are one Snapshot, and none of those before
// changes with it.
func TestApply(t *testing.T) {
	changes := func(from, to int, address string) []Change {
		var list []Change
		for i := from; i < to; i++ {
			set := NewSet(spec(t, fmt.Sprintf("web-%d.ns-%d", i, i%7), ClusterIP).hosts(fmt.Sprintf(address, i/250, i%250)))
			list = append(list, Change{set.Path(), set})
		}
		return list
	}
	tree := newTree(t)
	if tree.Apply() || tree.Apply(Change{Path: mustPath(t, "web-1", "ns-1")}) {
		t.Error("a change was reported where there is none")
	}
	states := []func() bool{
		func() bool { return tree.Apply(changes(0, 500, "10.1.%d.%d")...) },
		func() bool { return tree.Apply(changes(250, 750, "10.1.%d.%d")...) },
		func() bool { return tree.Apply(changes(0, 750, "10.2.%d.%d")...) },
		func() bool {
			var gone []Change
			for _, c := range changes(100, 700, "10.2.%d.%d") {
				gone = append(gone, Change{Path: c.Path})
			}
			return tree.Apply(gone...)
		},
	}
	text := func(s *Snapshot) string {
		var b strings.Builder
		fmt.Fprintln(&b, s.Counts())
		for i := range 750 {
			fmt.Fprintln(&b, show(s.Lookup(wireName(fmt.Sprintf("web-%d.ns-%d", i, i%7)))))
			for _, network := range []byte{1, 2} {
				fmt.Fprintln(&b, show(s.Reverse(netip.AddrFrom4([4]byte{10, network, byte(i / 250), byte(i % 250)}), nil)))
			}
		}
		return b.String()
	}
	snapshots, texts := []*Snapshot{tree.Snapshot()}, []string{text(tree.Snapshot())}
	for i, apply := range states {
		if !apply() {
			t.Errorf("state %d: nothing changed", i)
		}
		snapshots, texts = append(snapshots, tree.Snapshot()), append(texts, text(tree.Snapshot()))
		for j, s := range snapshots {
			if diff := cmp.Diff(texts[j], text(s)); diff != "" {
				t.Fatalf("state %d changed with state %d\n%s", j, i+1, diff)
			}
		}
	}
	for i, want := range []int{0, 500, 750, 750, 150} {
		if got := snapshots[i].Counts().Owners; got != want {
			t.Errorf("state %d: %d owners, want %d", i, got, want)
		}
	}
	if tree.Apply(changes(0, 100, "10.2.%d.%d")...) {
		t.Error("the same again was a change")
	}
}
