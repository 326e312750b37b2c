package treecache

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHashLabel(t *testing.T) {
	for _, tt := range []struct {
		addr string
		hash uint32
		want string
	}{
		{"1.2.3.4", 0xbcbac077, "6263626163303737"},
		{"10.0.0.1", 0x24c3d825, "3234633364383235"},
		{"10.0.0.2", 0xfaa4cb1e, "6661613463623165"},
		{"10.96.0.1", 0xbf6a4f06, "6266366134663036"},
		{"10.96.0.10", 0xddc35964, "6464633335393634"},
		{"10.96.0.30", 0x4edc06de, "3465646330366465"},
		{"2001:db8::1", 0x5790a02d, "3537393061303264"},
		{"::ffff:10.0.0.1", 0x24c3d825, "3234633364383235"},
	} {
		addr := netip.MustParseAddr(tt.addr)
		if got := hashLabel(addr.Unmap()); got != tt.hash {
			t.Errorf("hashLabel(%s) = %x, want %x", tt.addr, got, tt.hash)
		}
		if got := HashLabel(addr); got != tt.want {
			t.Errorf("HashLabel(%s) = %s, want %s", tt.addr, got, tt.want)
		}
	}
}

func TestHashLabelSpelling(t *testing.T) {
	for _, tt := range []struct {
		hash uint32
		want string
	}{
		{0, "30"}, {0xf, "66"}, {0x10, "3130"}, {0x0abcdef1, "61626364656631"}, {0xffffffff, "6666666666666666"},
	} {
		got := string(appendHashLabel(nil, tt.hash))
		if got[1:] != tt.want || int(got[0]) != len(tt.want) {
			t.Errorf("appendHashLabel(%x) = %q, want %s", tt.hash, got, tt.want)
		}
		if back, ok := parseHashLabel(tt.want); back != tt.hash || !ok {
			t.Errorf("parseHashLabel(%s) = %x, %v", tt.want, back, ok)
		}
	}
	for _, bad := range []string{
		"", "3", "333", "3030", "3041", "6a", "6G", "ff", "00", "6646", // padded, upper-case, no digits
		"666666666666666666", "web", "pet-0",
	} {
		if h, ok := parseHashLabel(bad); ok {
			t.Errorf("parseHashLabel(%q) = %x, want none", bad, h)
		}
	}
}

func FuzzHashLabel(f *testing.F) {
	f.Add("30")
	f.Add("3234633364383235")
	f.Fuzz(func(t *testing.T, label string) {
		h, ok := parseHashLabel(label)
		if got := string(appendHashLabel(nil, h)[1:]); ok && got != label {
			t.Fatalf("parseHashLabel(%q) = %x, which is spelled %q", label, h, got)
		}
		var printed uint32
		if _, err := fmt.Sscanf(unhex(label), "%x", &printed); ok && (err != nil || printed != h) {
			t.Fatalf("parseHashLabel(%q) = %x, want %x, %v", label, h, printed, err)
		}
	})
}

func unhex(s string) string {
	var b []byte
	if _, err := fmt.Sscanf(s, "%x", &b); err != nil {
		return ""
	}
	return string(b)
}

const (
	label1 = "3234633364383235" // of 10.0.0.1
	label2 = "6661613463623165" // of 10.0.0.2
)

// TestSetNames looks up every shape of name that a Set has, and those next to
// them that it has not.
func TestSetNames(t *testing.T) {
	tree := newTree(t,
		spec(t, "web.default", ClusterIP).hosts("10.96.0.10").
			port("http", TCP, 80).port("https", TCP, 443).port("dns", UDP, 53),
		spec(t, "dual.default", ClusterIP).hosts("10.96.0.20", "2001:db8::aaaa:0:0:1").port("http", TCP, 80),
		spec(t, "hl.default", Headless).hosts("10.0.0.1", "10.0.0.2", "10.0.0.3=pet-0", "2001:db8:2::").
			port("http", TCP, 8080),
		spec(t, "same.default", Headless).hosts("10.0.1.2=same", "10.0.1.1=same", "10.0.1.1=same", "10.0.1.3").
			port("a", TCP, 1),
		spec(t, "odd.default", Headless).hosts("10.0.0.1", "10.0.0.2", "10.0.0.3=c").
			port("p", SCTP, 7, 0, 1).port("p", SCTP, 8, 1, 2).port("none", TCP, 9, 99).
			port("whole", TCP, 5, 0, 1, 2).port("twice", TCP, 6).port("twice", TCP, 6, 1).port("two", TCP, 1).port("two", TCP, 2),
		spec(t, "ext.names", ExternalName).alias("Ext.Example.com"),
		spec(t, "ip.names", ExternalName).hosts("192.0.2.9"),
	)
	for _, tt := range []struct{ name, want string }{
		{"web.default", "Found\n10.96.0.10 10 100 0 6464633335393634.web.default"},
		{"6464633335393634.web.default", "Found\n10.96.0.10 10 100 0 6464633335393634.web.default"},
		{"_http._tcp.web.default", "Found\n10 100 80 web.default"},
		{"_https._tcp.web.default", "Found\n10 100 443 web.default"},
		{"_dns._udp.web.default", "Found\n10 100 53 web.default"},
		{"6464633335393634._http._tcp.web.default", "Found\n10 100 80 web.default"},
		{"_tcp.web.default", "NoRecords"},
		{"_udp.web.default", "NoRecords"},
		{"_sctp.web.default", "NoSuchName"},
		{"_dns._tcp.web.default", "NoSuchName"},
		{"http.tcp.web.default", "NoSuchName"},
		{"_http.tcp.web.default", "NoSuchName"},
		{"_._tcp.web.default", "NoSuchName"},
		{"_http.web.default", "NoSuchName"},
		{"_.web.default", "NoSuchName"},
		{"x.web.default", "NoSuchName"},
		{"10-96-0-10.web.default", "NoSuchName"}, // no endpoint
		{"x._http._tcp.web.default", "NoSuchName"},
		{"y.6464633335393634._http._tcp.web.default", "NoSuchName"},
		{"*.web.default", "NoSuchName"},

		{"dual.default", lines("Found", "10.96.0.20 10 50 0 3666333233373631.dual.default",
			"2001:db8::aaaa:0:0:1 10 50 0 6530303737393231.dual.default")},
		{"_http._tcp.dual.default", "Found\n10 100 80 dual.default"}, // merged, then weighed

		{"hl.default", lines("Found", "10.0.0.1 10 25 0 "+label1+".hl.default", // ordered by family and label
			"10.0.0.2 10 25 0 "+label2+".hl.default",
			"2001:db8:2:: 10 25 0 "+HashLabel(netip.MustParseAddr("2001:db8:2::"))+".hl.default",
			"10.0.0.3 10 25 0 pet-0.hl.default")},
		{"pet-0.hl.default", "Found\n10.0.0.3 10 100 0 pet-0.hl.default"},
		{label1 + ".hl.default", "Found\n10.0.0.1 10 100 0 " + label1 + ".hl.default"},
		{"10-0-0-1.hl.default", "Found\n10.0.0.1 10 100 0 " + label1 + ".hl.default"},
		{"2001-db8-2--0.hl.default", "Found\n2001:db8:2:: 10 100 0 " + HashLabel(netip.MustParseAddr("2001:db8:2::")) + ".hl.default"},
		{"2001-db8-2--.hl.default", "NoSuchName"},
		{"10-0-0-3.hl.default", "NoSuchName"},                                      // it has a hostname
		{HashLabel(netip.MustParseAddr("10.0.0.3")) + ".hl.default", "NoSuchName"}, // as well
		{"10-0-0-4.hl.default", "NoSuchName"},
		{"pet-0._http._tcp.hl.default", "Found\n10 100 8080 pet-0.hl.default"},
		{label2 + "._http._tcp.hl.default", "Found\n10 100 8080 " + label2 + ".hl.default"},
		{"pet-1.hl.default", "NoSuchName"},
		{"pet.hl.default", "NoSuchName"},

		{"same.default", lines("Found", "10.0.1.3 10 50 0 "+HashLabel(netip.MustParseAddr("10.0.1.3"))+".same.default",
			"10.0.1.1 10 50 0 same.same.default", "10.0.1.2 10 50 0 same.same.default again")},
		{"same.same.default", lines("Found", "10.0.1.1 10 100 0 same.same.default", "10.0.1.2 10 100 0 same.same.default again")},
		{"_a._tcp.same.default", lines("Found", "10 50 1 "+HashLabel(netip.MustParseAddr("10.0.1.3"))+".same.default",
			"10 50 1 same.same.default", "10 50 1 same.same.default again")},

		{"_p._sctp.odd.default", lines("Found", "10 25 7 "+label1+".odd.default", "10 25 7 "+label2+".odd.default",
			"10 25 8 "+label2+".odd.default", "10 25 8 c.odd.default")},
		{label2 + "._p._sctp.odd.default", lines("Found", "10 50 7 "+label2+".odd.default", "10 50 8 "+label2+".odd.default")},
		{"c._p._sctp.odd.default", "Found\n10 100 8 c.odd.default"},
		{"_none._tcp.odd.default", "NoSuchName"},
		{"_whole._tcp.odd.default", lines("Found", "10 33 5 "+label1+".odd.default", "10 33 5 "+label2+".odd.default", "10 33 5 c.odd.default")},
		{"_twice._tcp.odd.default", lines("Found", "10 33 6 "+label1+".odd.default", "10 33 6 "+label2+".odd.default", "10 33 6 c.odd.default")},
		{"c._two._tcp.odd.default", lines("Found", "10 50 1 c.odd.default", "10 50 2 c.odd.default")},

		{"ext.names", "Found\nalias 10 100 0 Ext.Example.com."},
		{"x.ext.names", "NoSuchName"},
		{"_http._tcp.ext.names", "NoSuchName"},
		{"ip.names", "Found\n192.0.2.9 10 100 0 ip.names"},
		{HashLabel(netip.MustParseAddr("192.0.2.9")) + ".ip.names", "NoSuchName"},

		{"default", "NoRecords"},
		{"names", "NoRecords"},
		{"svc.cluster.local.", "NoRecords"},
		{"cluster.local.", "NoRecords"},
		{"prod", "NoSuchName"},
		{"any.default", "NoSuchName"},
		{"pod.cluster.local.", "NoSuchName"},
		{"local.", "NoSuchName"},
		{"web.default.svc.cluster.example.", "NoSuchName"},
		{`web.default.svcx\007cluster.local.`, "NoSuchName"},
		{`svc.x\007cluster.local.`, "NoSuchName"},
	} {
		if got := show(tree.Snapshot().Lookup(wireName(tt.name))); got != tt.want {
			t.Errorf("%s:\n%s", tt.name, cmp.Diff(tt.want, got))
		}
	}
}

func TestWeights(t *testing.T) {
	for _, tt := range []struct {
		targets int
		want    uint16
	}{{1, 100}, {2, 50}, {3, 33}, {6, 16}, {7, 14}, {30, 3}, {100, 1}, {101, 1}, {5000, 1}} {
		s := spec(t, "hl.default", Headless).port("http", TCP, 80)
		for i := range tt.targets {
			s.Hosts = append(s.Hosts, SetHost{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})})
		}
		tree := newTree(t, s)
		for _, name := range []string{"hl.default", "_http._tcp.hl.default"} {
			a := tree.Snapshot().Lookup(wireName(name))
			for i := range a.Len() {
				if r := a.At(i); r.Weight != tt.want {
					t.Errorf("%s with %d targets: weight %d, want %d", name, tt.targets, r.Weight, tt.want)
					break
				}
			}
		}
	}
}

func TestGlue(t *testing.T) {
	tree := newTree(t,
		spec(t, "dual.default", ClusterIP).hosts("10.96.0.20", "2001:db8::1").port("http", TCP, 80),
		spec(t, "hl.default", Headless).hosts("10.0.0.1", "10.0.0.3=pet-0", "2001:db8::3=pet-0").
			port("http", TCP, 80).port("odd", TCP, 1, 0, 1).port("odd", TCP, 2, 2),
		spec(t, "ext.names", ExternalName).alias("example.com"),
	)
	for _, tt := range []struct {
		name string
		want []string // of each record: the glue's addresses, or "unknown"
	}{
		{"dual.default", []string{"10.96.0.20", "2001:db8::1"}},
		{"_http._tcp.dual.default", []string{"10.96.0.20 2001:db8::1"}},
		{"hl.default", []string{"10.0.0.1", "10.0.0.3 2001:db8::3"}},
		{"_http._tcp.hl.default", []string{"10.0.0.1", "10.0.0.3 2001:db8::3"}},
		{"_odd._tcp.hl.default", []string{"10.0.0.1", "10.0.0.3 2001:db8::3", "10.0.0.3 2001:db8::3"}},
		{"ext.names", nil},
		{"*.*", nil},
	} {
		a := tree.Snapshot().Match(wireName(tt.name), 0)
		var got []string
		var r Record
		for walk := a.Services(0); walk.Next(&r); {
			g, ok := walk.Glue()
			if !ok {
				got = append(got, "unknown")
				continue
			}
			var addrs []string
			for j := range g.Len() {
				r := g.At(j)
				addrs = append(addrs, r.Addr.String())
			}
			got = append(got, strings.Join(addrs, " "))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestNewSetNothing(t *testing.T) {
	if s := NewSet(spec(t, "hl.default", Headless).port("http", TCP, 80)); s != nil {
		t.Errorf("a Set without hosts = %v, want nil", s)
	}
	if s := NewSet(&SetSpec{Path: mustPath(t, "a", "b"), Hosts: []SetHost{{}}}); s != nil {
		t.Errorf("a Set with an invalid address alone = %v, want nil", s)
	}
}

func TestMakePath(t *testing.T) {
	long := strings.Repeat("x", 63)
	for _, tt := range []struct {
		service, namespace string
		want               Path // "" for an error
	}{
		{"web", "default", "\x03web\x07default\x03svc"},
		{"WEB", "Default", "\x03web\x07default\x03svc"},
		{long, long, Path("\x3f" + long + "\x3f" + long + "\x03svc")},
		{long + "x", "default", ""},
		{"web", long + "x", ""},
		{"", "default", ""},
		{"web", "", ""},
	} {
		got, err := MakePath(tt.service, tt.namespace)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("MakePath(%q, %q) = %q, %v, want %q", tt.service, tt.namespace, got, err, tt.want)
		}
	}
}

// A hostname that is spelled as another host's hash label is one name with it.
func TestHostnameLikeHashLabel(t *testing.T) {
	s := newTree(t, spec(t, "hl.default", Headless).
		hosts("10.0.0.1", "10.0.0.9=3234633364383235", "10.0.0.2=pet-0").port("http", TCP, 80, 0, 1, 2)).Snapshot()
	for _, tt := range []struct{ name, want string }{
		{"3234633364383235.hl.default", lines("Found",
			"10.0.0.1 10 100 0 3234633364383235.hl.default", "10.0.0.9 10 100 0 3234633364383235.hl.default again")},
		{"_http._tcp.hl.default", lines("Found", "10 50 80 3234633364383235.hl.default", "10 50 80 3234633364383235.hl.default again", "10 50 80 pet-0.hl.default")},
		{"3234633364383235._http._tcp.hl.default", lines("Found", "10 100 80 3234633364383235.hl.default", "10 100 80 3234633364383235.hl.default again")},
	} {
		if diff := cmp.Diff(tt.want, show(s.Lookup(wireName(tt.name)))); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	if got, want := show(s.Reverse(netip.MustParseAddr("10.0.0.1"), nil)), lines("Found", "10 100 0 3234633364383235.hl.default"); got != want {
		t.Errorf("reverse: %s, want %s", got, want)
	}
}
