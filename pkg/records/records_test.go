package records

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

const zoneLen = len("\x07cluster\x05local\x00")

func TestSliceKeepsEndpoints(t *testing.T) {
	want := []Endpoint{
		{Addr: netip.MustParseAddr("10.0.0.1"), Ready: true},
		{Addr: netip.MustParseAddr("10.0.0.2")},
		{Addr: netip.MustParseAddr("2001:db8::1"), Hostname: "a", Ready: true},
		{Addr: netip.MustParseAddr("10.0.0.3"), Hostname: "b"},
		{Hostname: "c", Ready: true},
		{},
	}
	var s Slice
	s.Grow(2)
	for _, e := range want {
		s.Add(e)
		s.Grow(1)
	}
	var got []Endpoint
	for i := range s.Len() {
		got = append(got, s.At(i))
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// TestSliceMemory holds an endpoint without hostname to its 20 octets.
func TestSliceMemory(t *testing.T) {
	const slices, endpoints = 1000, 100
	all := make([]*Slice, slices)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range all {
		all[i] = &Slice{Name: "slice"}
		all[i].Grow(endpoints)
		for j := range endpoints {
			all[i].Add(Endpoint{Addr: netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), byte(j)}), Ready: true})
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := (after.HeapAlloc - before.HeapAlloc) / (slices * endpoints); got > 24 {
		t.Errorf("%d octets for an endpoint, want at most 24", got)
	}
	runtime.KeepAlive(all)
}

func TestParseAddr(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"10.0.0.1", "10.0.0.1"},
		{"010.000.00.01", "10.0.0.1"},
		{"2001:db8:0:0:aaaa::1", "2001:db8::aaaa:0:0:1"},
		{"::ffff:10.0.0.1", "10.0.0.1"},
		{"::ffff:010.0.0.1", ""},
		{"", ""},
		{"None", ""},
		{"10.0.0", ""},
		{"10.0.0.256", ""},
		{"10.0.0.1.", ""},
		{"10..0.1", ""},
		{"fe80::1%eth0", ""},
		{"10.0.0.1/32", ""},
	} {
		got, ok := ParseAddr(tt.text)
		if ok != (tt.want != "") || (ok && got.String() != tt.want) {
			t.Errorf("ParseAddr(%q) = %v, %v, want %q", tt.text, got, ok, tt.want)
		}
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "010.0.0.1", "::1", "::ffff:1.2.3.4", "fe80::1%e", "0..0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := ParseAddr(text)
		if want, err := netip.ParseAddr(text); err == nil && want.Zone() == "" && (!ok || got != want.Unmap()) {
			t.Fatalf("ParseAddr(%q) = %v, %v, netip %v", text, got, ok, want)
		}
		if ok && (!got.IsValid() || got.Is4In6() || got.Zone() != "") {
			t.Fatalf("ParseAddr(%q) = %v", text, got)
		}
		if again, _ := ParseAddr(got.String()); ok && again != got {
			t.Fatalf("ParseAddr(%q) = %v, again %v", text, got, again)
		}
	})
}

func TestBuildKeepsItsInput(t *testing.T) {
	svc := &Service{
		Namespace: "default", Name: "hl", Kind: Headless,
		Ports: []Port{{"http", TCP, 80}},
	}
	slice := &Slice{Ports: []Port{{"B", TCP, 2}, {"a", TCP, 1}}}
	slice.Add(Endpoint{Addr: netip.MustParseAddr("10.0.0.2"), Hostname: "B", Ready: true})
	slice.Add(Endpoint{Addr: netip.MustParseAddr("10.0.0.1"), Ready: true})
	ports, endpoints := slices.Clone(slice.Ports), slices.Clone(slice.endpoints)
	if set, problems := Build(svc, []*Slice{slice}, zoneLen, DefaultTTL); set == nil || len(problems) > 0 {
		t.Fatalf("Build = %v, %v", set, problems)
	}
	if !slices.Equal(slice.Ports, ports) || !slices.Equal(slice.endpoints, endpoints) {
		t.Errorf("Build changed the slice to %v, %v", slice.Ports, slice.endpoints)
	}
}

func TestBuildFacts(t *testing.T) {
	notReady := &Slice{}
	notReady.Add(Endpoint{Addr: netip.MustParseAddr("10.0.0.1")})
	svc := &Service{Namespace: "default", Name: "web", ClusterIPs: []netip.Addr{netip.MustParseAddr("10.96.0.1")}}
	for _, tt := range []struct {
		name   string
		slices []*Slice
		want   bool
	}{
		{"no slice", nil, false},
		{"empty slice", []*Slice{{}}, false},
		{"one endpoint, not ready", []*Slice{{}, notReady}, true},
	} {
		set, _ := Build(svc, tt.slices, zoneLen, DefaultTTL)
		if set.HasEndpoints() != tt.want || set.Kind() != ClusterIP {
			t.Errorf("%s: HasEndpoints = %v, kind %d, want %v, %d", tt.name, set.HasEndpoints(), set.Kind(), tt.want, ClusterIP)
		}
		if path, ok := Path("default", "web"); set.Path() != path || !ok {
			t.Errorf("Path = %q, %v, the Set's %q", path, ok, set.Path())
		}
	}
	for _, names := range [][2]string{{"default", ""}, {"", "web"}, {"default", "WEB"}, {"Default", "web"}, {"default", "web.x"}, {"default", "*"}, {"default", "_web"}} {
		if path, ok := Path(names[0], names[1]); ok {
			t.Errorf("Path of %q = %q", names, path)
		}
	}
}

// Slices are equal only if everything in them is.
func TestSliceEqual(t *testing.T) {
	addr := netip.MustParseAddr
	made := func() []*Slice {
		var list []*Slice
		for _, endpoints := range [][]Endpoint{
			nil,
			{{}},
			{{Ready: true}},
			{{Addr: addr("10.0.0.1")}},
			{{Addr: addr("10.0.0.2")}},
			{{Addr: addr("::1")}},
			{{Addr: addr("::")}},
			{{Addr: addr("10.0.0.1"), Hostname: "a"}},
			{{Addr: addr("10.0.0.1"), Hostname: "b"}},
			{{Addr: addr("10.0.0.1"), Ready: true}},
			{{Addr: addr("10.0.0.1")}, {Addr: addr("10.0.0.2")}},
			{{Addr: addr("10.0.0.2")}, {Addr: addr("10.0.0.1")}},
		} {
			for _, ports := range [][]Port{nil, {{"a", TCP, 1}}, {{"a", UDP, 1}}, {{"a", TCP, 2}}, {{"b", TCP, 1}}} {
				for _, name := range []string{"x", "y"} {
					for _, cluster := range []string{"", "c", "d"} {
						s := &Slice{Name: name, Ports: ports}
						for _, e := range endpoints {
							s.Add(e)
						}
						if cluster != "" {
							s.SetCluster(&cluster)
						}
						list = append(list, s)
					}
				}
			}
		}
		return list
	}
	left, right := made(), made()
	for i := range left {
		for j := range right {
			if left[i].Equal(right[j]) != (i == j) {
				t.Errorf("%+v and %+v: Equal returns %v", left[i], right[j], i != j)
			}
		}
	}
}

// An object has a bounded number of problems, however many of its parts are wrong.
func TestProblemsAreBounded(t *testing.T) {
	wide := &Slice{Name: "wide"}
	for range 1000 {
		wide.Add(Endpoint{Ready: true})
	}
	for i := range 2000 {
		wide.Ports = append(wide.Ports, Port{fmt.Sprintf("%063d", i), TCP, 80})
	}
	svc := &Service{Namespace: "default", Name: "s", Kind: Headless}
	imp := &Service{Namespace: "default", Name: "s", Kind: ClusterSetHeadless}
	_, one := Build(svc, []*Slice{wide}, zoneLen, DefaultTTL)
	_, other := BuildImport(imp, []*Slice{wide, wide}, 18, DefaultTTL)
	for _, problems := range [][]string{one, other} {
		if len(problems) != maxProblems || !strings.HasPrefix(problems[maxProblems-2], "EndpointSlice wide ") {
			t.Fatalf("%d problems", len(problems))
		}
		if got := problems[maxProblems-1]; got != "further parts: left out too" {
			t.Errorf("the last problem is %q", got)
		}
	}
}

// However long the names are, nothing in an answer is longer than a domain name, and the
// Service has its addresses if its own name fits.
func TestLongNames(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	label := func(most int) string { return strings.Repeat("x", 1+rng.IntN(most)) }
	for range 2000 {
		zone := dnsname.MustParse("cluster.local")
		for rng.IntN(3) > 0 {
			if l := label(63); 1+len(l)+len(zone) <= treecache.MaxZone {
				zone = dnsname.MustParse(l + "." + zone.String())
			}
		}
		s := &Slice{Name: "s", Ports: []Port{{"http", TCP, 80}}}
		s.Add(Endpoint{Addr: netip.MustParseAddr("10.0.0.1"), Hostname: label(63), Ready: true})
		s.Add(Endpoint{Addr: netip.MustParseAddr("10.0.0.2"), Ready: true})
		svc := &Service{
			Namespace: label(63), Name: label(63), Kind: Kind(rng.IntN(2)), ClusterIPs: []netip.Addr{netip.MustParseAddr("10.96.0.1")},
			Ports: []Port{{"http", TCP, 80}},
		}
		set, problems := Build(svc, []*Slice{s}, len(zone), DefaultTTL)
		own := len(svc.Namespace) + len(svc.Name) + 2 + 4 + len(zone)
		if want := own+treecache.MaxHashLabel <= dnsname.MaxName; (set != nil) != want || !want && len(problems) == 0 {
			t.Fatalf("%d octets: a Set: %v, problems %v", own, set != nil, problems)
		}
		if set == nil {
			continue
		}
		tree := treecache.New(zone)
		tree.Replace(set)
		answers := []treecache.Answer{tree.Snapshot().Reverse(netip.MustParseAddr("10.0.0.1"), nil), tree.Snapshot().Reverse(netip.MustParseAddr("10.96.0.1"), nil)}
		for _, prefix := range []string{"", "_http._tcp."} {
			if name, err := dnsname.Parse(prefix + svc.Name + "." + svc.Namespace + ".svc." + zone.String()); err == nil {
				answers = append(answers, tree.Snapshot().Lookup([]byte(name)))
			}
		}
		for _, a := range answers {
			for i := range a.Len() {
				r := a.At(i)
				if target := r.AppendTarget(nil); !dnsname.Valid(target) {
					t.Fatalf("in a zone of %d octets, %s/%s: a target of %d octets", len(zone), svc.Namespace, svc.Name, len(target))
				}
			}
		}
		if answers[2].Status != treecache.Found {
			t.Errorf("the Service itself: %v", answers[2].Status)
		}
	}
}

// Ports that would take too much memory are left out, and that is a problem of the object.
func TestTooManyPortsAndEndpoints(t *testing.T) {
	var slices []*Slice
	for i := range 2 {
		s := &Slice{Name: fmt.Sprint(i)}
		for j := range 500 {
			s.Add(Endpoint{Addr: netip.AddrFrom4([4]byte{10, byte(i), byte(j >> 8), byte(j)}), Ready: true})
		}
		for j := range 1000 {
			s.Ports = append(s.Ports, Port{fmt.Sprintf("p%d", j), TCP, uint16(1000*i + j + 1)})
		}
		slices = append(slices, s)
	}
	set, problems := Build(&Service{Namespace: "default", Name: "s", Kind: Headless}, slices, zoneLen, DefaultTTL)
	if set.PortsLeftOut() == 0 || len(problems) != 1 || !strings.Contains(problems[0], "too many combinations of port and endpoint") {
		t.Errorf("%d ports left out, problems %v", set.PortsLeftOut(), problems)
	}
}

// TestUpdates are the changes upstream's own tests make: what is new is there,
// what is old is gone, in both directions.
func TestUpdates(t *testing.T) {
	svc := &Service{Namespace: "default", Name: "s", Kind: Headless}
	slice := func(addr, hostname, port string) *Slice {
		s := &Slice{Ports: []Port{{port, TCP, 80}}}
		s.Add(Endpoint{Addr: netip.MustParseAddr(addr), Hostname: hostname, Ready: true})
		return s
	}
	tree := treecache.New("\x01z\x00")
	replace := func(s ...*Slice) {
		set, problems := Build(svc, s, zoneLen, DefaultTTL)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if path, _ := Path("default", "s"); set == nil {
			tree.Apply(treecache.Change{Path: path})
		} else {
			tree.Replace(set)
		}
	}
	status := func(name string) treecache.Status {
		return tree.Snapshot().Lookup([]byte(name + "\x01s\x07default\x03svc\x01z\x00")).Status
	}
	reverse := func(addr string) treecache.Status {
		return tree.Snapshot().Reverse(netip.MustParseAddr(addr), nil).Status
	}
	check := func(step string, got, want treecache.Status) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", step, got, want)
		}
	}
	replace()
	check("no endpoints yet", status(""), treecache.NoSuchName)
	replace(slice("10.0.0.1", "h", "http1"))
	check("endpoints arrived", status(""), treecache.Found)
	check("their port", status("\x06_http1\x04_tcp"), treecache.Found)
	replace(slice("10.0.0.2", "h", "http2"))
	check("port renamed, old name", status("\x06_http1\x04_tcp"), treecache.NoSuchName)
	check("port renamed, new name", status("\x06_http2\x04_tcp"), treecache.Found)
	check("address changed, old reverse name", reverse("10.0.0.1"), treecache.NoSuchName)
	check("address changed, new reverse name", reverse("10.0.0.2"), treecache.Found)
	replace()
	check("endpoints gone", status(""), treecache.NoSuchName)
	check("endpoints gone, hostname", status("\x01h"), treecache.NoSuchName)
	check("endpoints gone, reverse name", reverse("10.0.0.2"), treecache.NoSuchName)
	svc.Kind, svc.ClusterIPs = ClusterIP, []netip.Addr{netip.MustParseAddr("10.96.0.1")}
	replace(slice("10.0.0.2", "h", "http2"))
	check("became ClusterIP", status(""), treecache.Found)
	check("became ClusterIP, hostname", status("\x01h"), treecache.NoSuchName)
	check("became ClusterIP, old reverse name", reverse("10.0.0.2"), treecache.NoSuchName)
}

func BenchmarkBuildHeadless(b *testing.B) {
	for _, n := range []int{50, 5000} {
		svc := &Service{Namespace: "default", Name: "hl", Kind: Headless}
		var list []*Slice
		for i := 0; i < n; i += 100 {
			s := &Slice{Ports: []Port{{"http", TCP, 80}}}
			for j := i; j < min(i+100, n); j++ {
				s.Add(Endpoint{Addr: netip.AddrFrom4([4]byte{10, 0, byte(j >> 8), byte(j)}), Ready: true})
			}
			list = append(list, s)
		}
		b.Run(fmt.Sprintf("endpoints=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if set, _ := Build(svc, list, zoneLen, DefaultTTL); set == nil {
					b.Fatal("no Set")
				}
			}
		})
	}
}
