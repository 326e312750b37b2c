package backend

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

const testZone = "cluster.local."

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func tcp(name string, number uint16) records.Port {
	return records.Port{Name: name, Protocol: records.TCP, Number: number}
}

// slice reads endpoints as "address", "address=hostname" or "-address", which is
// not ready.
func slice(ports []records.Port, endpoints ...string) []*records.Slice {
	s := &records.Slice{Name: "a", Ports: ports}
	for _, text := range endpoints {
		text, notReady := strings.CutPrefix(text, "-")
		addr, hostname, _ := strings.Cut(text, "=")
		s.Add(records.Endpoint{Addr: netip.MustParseAddr(addr), Hostname: hostname, Ready: !notReady})
	}
	return []*records.Slice{s}
}

func add(tb testing.TB, tree *treecache.Tree, svc records.Service, slices []*records.Slice) {
	tb.Helper()
	set, problems := records.Build(&svc, slices, 15, records.DefaultTTL)
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	if set != nil {
		tree.Replace(set)
	}
}

// fixture is the cluster of docs/reference/kubedns.md §16.
func fixture(tb testing.TB) *treecache.Tree {
	tb.Helper()
	tree := treecache.New(dnsname.MustParse(testZone))
	clusterIP := func(ns, name string, ips []netip.Addr, slices []*records.Slice, ports ...records.Port) {
		add(tb, tree, records.Service{Namespace: ns, Name: name, ClusterIPs: ips, Ports: ports}, slices)
	}
	headless := func(name string, slices []*records.Slice) {
		add(tb, tree, records.Service{Namespace: "default", Name: name, Kind: records.Headless}, slices)
	}
	external := func(ns, name, target string) {
		add(tb, tree, records.Service{Namespace: ns, Name: name, Kind: records.ExternalName, ExternalName: target}, nil)
	}
	clusterIP("default", "web", addrs("10.96.0.10"), nil, tcp("http", 80), tcp("https", 443),
		records.Port{Name: "dns", Protocol: records.UDP, Number: 53}, tcp("", 99))
	clusterIP("prod", "web", addrs("10.96.0.11"), nil, tcp("http", 8080))
	clusterIP("default", "dual", addrs("10.96.0.20", "2001:db8:0:0:aaaa::1"), nil, tcp("http", 80))
	clusterIP("default", "six", addrs("2001:db8::5"), nil, tcp("http", 80))
	clusterIP("default", "noports", addrs("10.96.0.30"), nil)
	clusterIP("default", "emptyip", nil, nil, tcp("http", 80))
	clusterIP("default", "fedsvc", addrs("10.96.0.40"), slice(nil, "10.0.4.1"))
	headless("hl", slice([]records.Port{tcp("http", 8080), tcp("", 1)}, "10.0.0.1", "10.0.0.2", "10.0.0.3=pet-0", "-10.0.0.9"))
	headless("hl-empty", slice(nil, "-10.0.0.9"))
	headless("hl-noep", nil)
	headless("hldup", slice([]records.Port{tcp("a", 1)}, "10.0.1.1=same", "10.0.1.2=same"))
	headless("hlmix", slice([]records.Port{{Name: "p", Protocol: records.SCTP, Number: 7}}, "10.0.2.1=a", "2001:db8::22=b"))
	for name, target := range map[string]string{
		"extns/e1": "ext.example.com", "extns2/e2": "alias.example.com", "extns3/enx": "a.nx.example.com",
		"extns4/esf": "a.servfail.example.com", "extns5/ein": "web.default.svc.cluster.local",
		"extns6/eloop": "eloop.extns6.svc.cluster.local", "extns7/l1": "l2.extns8.svc.cluster.local",
		"extns8/l2": "l1.extns7.svc.cluster.local", "extns9/eip": "192.0.2.9",
		"extns11/emiss": "nosuch.default.svc.cluster.local", "extns12/short": "localhost",
	} {
		ns, name, _ := strings.Cut(name, "/")
		external(ns, name, target)
	}
	return tree
}

// wire returns the canonical wire form of a name, under svc of the zone unless
// it ends in a dot.
func wire(name string) []byte {
	if !strings.HasSuffix(name, ".") {
		name += ".svc." + testZone
	}
	return []byte(dnsname.MustParse(name))
}

// show renders an answer: status, then one line per record: address, or alias;
// then priority, weight, port and target.
func show(a treecache.Answer) string {
	var b strings.Builder
	b.WriteString(a.Status.String())
	for i := range a.Len() {
		r := a.At(i)
		b.WriteByte('\n')
		switch {
		case r.Alias:
			fmt.Fprintf(&b, "ttl %d alias ", r.TTL)
		case r.Addr.IsValid():
			fmt.Fprintf(&b, "%s ", r.Addr)
		}
		if !r.HasTarget() {
			b.WriteString("no target")
			continue
		}
		fmt.Fprintf(&b, "%d %d %d %s", r.Priority, r.Weight, r.Port, strings.TrimSuffix(r.Target().String(), ".svc."+testZone))
		if r.Repeat {
			b.WriteString(" again")
		}
	}
	words := strings.Split(b.String(), "\n")
	slices.Sort(words[1:]) // those of several Services are in no order
	return strings.Join(words, "\n")
}

func lines(words ...string) string { return strings.Join(words, "\n") }

// TestReferenceRows are the rows of docs/reference/kubedns.md §16 that the backend
// decides. Numbers are the table's.
func TestReferenceRows(t *testing.T) {
	b := New(Config{Tree: fixture(t), Wildcards: true})
	const (
		nx     = "NoSuchName"
		nodata = "NoRecords"
		webIP  = "10.96.0.10 10 100 0 6464633335393634.web.default"
		l1     = "3234633364383235"
		l2     = "6661613463623165"
	)
	prodLabel := treecache.HashLabel(netip.MustParseAddr("10.96.0.11"))
	bothWebs := lines("Found", "10.96.0.10 10 50 0 6464633335393634.web.default", "10.96.0.11 10 50 0 "+prodLabel+".web.prod")
	hl := lines("Found", "10.0.0.1 10 33 0 "+l1+".hl.default", "10.0.0.2 10 33 0 "+l2+".hl.default", "10.0.0.3 10 33 0 pet-0.hl.default")
	dupBoth := lines("10.0.1.1 10 100 0 same.hldup.default", "10.0.1.2 10 100 0 same.hldup.default again")
	for _, tt := range []struct{ row, name, want string }{
		{"1-4", "web.default", "Found\n" + webIP},
		{"8", "_http._tcp.web.default", "Found\n10 100 80 web.default"},
		{"9", "_https._tcp.web.default", "Found\n10 100 443 web.default"},
		{"10", "_dns._udp.web.default", "Found\n10 100 53 web.default"},
		{"13", "_nope._tcp.web.default", nx},
		{"14, differs", "_tcp.web.default", nodata},
		{"15", "*._tcp.web.default", nx},
		{"16", "_http.*.web.default", nx},
		{"17", "*.*.web.default", nx},
		{"18-19", "*.web.default", "Found\n" + webIP},
		{"20", "any.web.default", nx},
		{"20", "web.any", nx},
		{"21", "web.*", bothWebs},
		{"22", "web.default.*.cluster.local.", "Found\n" + webIP},
		{"23", "web.*.*.cluster.local.", bothWebs},
		{"24", "*.default", nx},
		{"25", "*.extns", "Found\nttl 30 alias 10 100 0 ext.example.com."},
		{"26, not as upstream", "extns", "NoRecords"},
		{"29", "*.cluster.local.", nx},
		{"34, differs", "svc.cluster.local.", nodata},
		{"34, differs", "default", nodata},
		{"34, differs", "pod.cluster.local.", nodata},
		{"34, differs", "default.pod.cluster.local.", nodata},
		{"34", "nosuchns", nx},
		{"35", "nosuch.default", nx},
		{"36", "dual.default", lines("Found", "10.96.0.20 10 50 0 3666333233373631.dual.default",
			"2001:db8::aaaa:0:0:1 10 50 0 6530303737393231.dual.default")},
		{"37, weight differs", "_http._tcp.dual.default", "Found\n10 100 80 dual.default"},
		{"39", "six.default", "Found\n2001:db8::5 10 100 0 3331363733393831.six.default"},
		{"40", "_http._tcp.six.default", "Found\n10 100 80 six.default"},
		{"41", "noports.default", "Found\n10.96.0.30 10 100 0 3465646330366465.noports.default"},
		{"42", "emptyip.default", nx},
		{"43-45", "hl.default", hl},
		{"46", "_http._tcp.hl.default", lines("Found", "10 33 8080 "+l1+".hl.default", "10 33 8080 "+l2+".hl.default", "10 33 8080 pet-0.hl.default")},
		{"47-50", "pet-0.hl.default", "Found\n10.0.0.3 10 100 0 pet-0.hl.default"},
		{"51", "pet-1.hl.default", nx},
		{"52, differs", "10-0-0-1.hl.default", "Found\n10.0.0.1 10 100 0 " + l1 + ".hl.default"},
		{"53", l1 + ".hl.default", "Found\n10.0.0.1 10 100 0 " + l1 + ".hl.default"},
		{"54", "*.hl.default", hl},
		{"55", "pet-0._http._tcp.hl.default", "Found\n10 100 8080 pet-0.hl.default"},
		{"56", "hl-empty.default", nx},
		{"56", "hl-noep.default", nx},
		{"57, differs", "hldup.default", lines("Found", dupBoth)},
		{"57, differs", "same.hldup.default", lines("Found", dupBoth)},
		{"58", "_a._tcp.hldup.default", lines("Found", "10 100 1 same.hldup.default", "10 100 1 same.hldup.default again")},
		{"59", "hlmix.default", lines("Found", "10.0.2.1 10 50 0 a.hlmix.default", "2001:db8::22 10 50 0 b.hlmix.default")},
		{"60", "_p._sctp.hlmix.default", lines("Found", "10 50 7 a.hlmix.default", "10 50 7 b.hlmix.default")},
		{"61-63", "e1.extns", "Found\nttl 30 alias 10 100 0 ext.example.com."},
		{"64", "x.e1.extns", nx},
		{"69", "ein.extns5", "Found\nttl 30 alias 10 100 0 web.default"},
		{"71", "eip.extns9", "Found\n192.0.2.9 10 100 0 eip.extns9"},
		{"74", "1-2-3-4.default.pod.cluster.local.", "Found\n1.2.3.4 no target"},
		{"74", "1-2-3-4.nosuchns.pod.cluster.local.", "Found\n1.2.3.4 no target"},
		{"77", "1-2-3.default.pod.cluster.local.", nodata},
		{"77", "1-2-3-256.default.pod.cluster.local.", nodata},
		{"77", "01-2-3-4.default.pod.cluster.local.", nodata},
		{"77-78", "foo.default.pod.cluster.local.", nodata},
		{"79, differs", "2001-db8--1.default.pod.cluster.local.", "Found\n2001:db8::1 no target"},
		{"80", "*.default.pod.cluster.local.", nx},
		{"80", "1-2-3-4.*.pod.cluster.local.", nx},
		{"80", "x.1-2-3-4.default.pod.cluster.local.", nx},
		{"80", "*.pod.cluster.local.", nx},
	} {
		if got := show(b.Records(wire(tt.name))); got != tt.want {
			t.Errorf("row %s, %s: %s", tt.row, tt.name, cmp.Diff(tt.want, got))
		}
	}
	// Row 27: the external names of all namespaces, and nothing else.
	a := b.Records(wire("*.*"))
	if a.Status != treecache.Found || a.Len() != 11 || a.Truncated {
		t.Errorf("row 27: %v, %d records, truncated %v", a.Status, a.Len(), a.Truncated)
	}
}

func TestReverseRows(t *testing.T) {
	b := New(Config{Tree: fixture(t)})
	for _, tt := range []struct{ row, addr, want string }{
		{"81", "10.96.0.10", "Found\n10 100 0 web.default"},
		{"82", "10.0.0.3", "Found\n10 100 0 pet-0.hl.default"},
		{"83, differs", "10.0.0.1", "Found\n10 100 0 3234633364383235.hl.default"},
		{"86", "2001:db8::aaaa:0:0:1", "Found\n10 100 0 dual.default"},
		{"87", "2001:db8::5", "Found\n10 100 0 six.default"},
		{"not ready", "10.0.0.9", "NoSuchName"},
		{"endpoint of a ClusterIP", "10.0.4.1", "NoSuchName"},
		{"pod", "1.2.3.4", "NoSuchName"},
		{"external", "192.0.2.9", "NoSuchName"},
	} {
		if got := show(b.ReverseRecord(netip.MustParseAddr(tt.addr), nil)); got != tt.want {
			t.Errorf("row %s, %s: %s", tt.row, tt.addr, cmp.Diff(tt.want, got))
		}
	}
}

func TestWithoutWildcards(t *testing.T) {
	b := New(Config{Tree: fixture(t)})
	for _, tt := range []struct{ name, want string }{
		{"*.web.default", "NoSuchName"},
		{"web.*", "NoSuchName"},
		{"*.extns", "NoSuchName"},
		{"extns", "NoRecords"},
		{"web.default", "Found\n10.96.0.10 10 100 0 6464633335393634.web.default"},
	} {
		if got := show(b.Records(wire(tt.name))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestPodNames(t *testing.T) {
	for _, wildcards := range []bool{false, true} {
		b := New(Config{Tree: fixture(t), Wildcards: wildcards})
		for _, tt := range []struct{ name, want string }{
			{"pet-0.hl.default", "Found\n10.0.0.3 10 100 0 pet-0.hl.default"},
			{"3234633364383235.hl.default", "Found\n10.0.0.1 10 100 0 3234633364383235.hl.default"},
			{"nosuch.hl.default", "NoSuchName"},
			{"_http._tcp.hl.default", "NoSuchName"},
			{"_tcp.hl.default", "NoSuchName"},
			{"hl.default", "NoRecords"},
			{"2001-db8-2-0-0-0-0-1.any", "Found\n2001:db8:2::1 no target"},
			{"--1.any", "Found\n::1 no target"},
			{"--ffff-1-2.any", "NoRecords"},
			{"*.hl.default", "NoSuchName"},
			{"pet-0.*.default", "NoSuchName"},
		} {
			if got := show(b.Records(wire(tt.name + ".pod." + testZone))); got != tt.want {
				t.Errorf("%s, wildcards %v: %s, want %s", tt.name, wildcards, got, tt.want)
			}
		}
	}
}

func TestEmptyCluster(t *testing.T) {
	b := New(Config{Tree: treecache.New(dnsname.MustParse(testZone)), Wildcards: true})
	for _, tt := range []struct{ name, want string }{
		{"svc.cluster.local.", "NoRecords"},
		{"pod.cluster.local.", "NoRecords"},
		{"cluster.local.", "NoRecords"},
		{"default.svc.cluster.local.", "NoSuchName"},
		{"web.default.svc.cluster.local.", "NoSuchName"},
		{"*.*.svc.cluster.local.", "NoSuchName"},
		{"local.", "NoSuchName"},
		{"example.com.", "NoSuchName"},
	} {
		if got := show(b.Records(wire(tt.name))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestUnsynced(t *testing.T) {
	synced := false
	tree := fixture(t)
	add(t, tree, records.Service{Namespace: "default", Name: "kubernetes", ClusterIPs: addrs("10.96.0.1")}, nil)
	b := New(Config{
		Tree: tree, Wildcards: true, Synced: func() bool { return synced },
		Fallback: netip.MustParseAddrPort("10.96.0.99:6443"),
	})
	plain := New(Config{Tree: tree, Synced: func() bool { return synced }})
	mapped := New(Config{Tree: tree, Synced: func() bool { return synced }, Fallback: netip.MustParseAddrPort("[::]:443")})
	label := treecache.HashLabel(netip.MustParseAddr("10.96.0.99"))
	for _, tt := range []struct{ name, want string }{
		{"kubernetes.default", "Found\n10.96.0.99 10 100 0 " + label + ".kubernetes.default"},
		{"_https._tcp.kubernetes.default", "Found\n10 100 6443 kubernetes.default"},
		{"_tcp.kubernetes.default", "Unavailable"},
		{"web.default", "Unavailable"},
		{"nosuch.default", "Unavailable"},
		{"default", "Unavailable"},
		{"1-2-3-4.default.pod.cluster.local.", "Unavailable"},
		{"*.kubernetes.default", "Unavailable"},
	} {
		if got := show(b.Records(wire(tt.name))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		for _, other := range []*Backend{plain, mapped} {
			if got := show(other.Records(wire(tt.name))); got != "Unavailable" {
				t.Errorf("%s without fallback: %s", tt.name, got)
			}
		}
	}
	for addr, want := range map[string]string{
		"10.96.0.99": "Found\n10 100 0 kubernetes.default",
		"10.96.0.10": "Unavailable",
	} {
		if got := show(b.ReverseRecord(netip.MustParseAddr(addr), nil)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
		if got := show(plain.ReverseRecord(netip.MustParseAddr(addr), nil)); got != "Unavailable" {
			t.Errorf("%s without fallback: %s", addr, got)
		}
	}
	if b.HasSynced() {
		t.Error("HasSynced = true")
	}
	synced = true
	if !b.HasSynced() {
		t.Error("HasSynced = false")
	}
	want := "Found\n10.96.0.1 10 100 0 6266366134663036.kubernetes.default"
	if got := show(b.Records(wire("kubernetes.default"))); got != want {
		t.Errorf("synced: %s, want %s", got, want)
	}
	if got := show(b.ReverseRecord(netip.MustParseAddr("10.96.0.99"), nil)); got != "NoSuchName" {
		t.Errorf("synced, reverse of the fallback: %s", got)
	}
}
