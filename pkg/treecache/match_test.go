package treecache

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMatch(t *testing.T) {
	tree := newTree(t,
		spec(t, "web.default", ClusterIP).hosts("10.96.0.10").port("http", TCP, 80),
		spec(t, "web.prod", ClusterIP).hosts("10.96.0.11").port("http", TCP, 8080),
		spec(t, "hl.default", Headless).hosts("10.0.0.1=a", "10.0.0.3=pet-0").port("http", TCP, 8080),
		spec(t, "e1.extns", ExternalName).alias("ext.example.com"),
		spec(t, "e2.extns2", ExternalName).alias("other.example.com"),
		spec(t, "e3.extns2", ExternalName).alias("EXT.example.com"),
	)
	hidden, err := MakePath("web", "_hidden")
	if err != nil {
		t.Fatal(err)
	}
	tree.Replace(NewSet(&SetSpec{Path: hidden, Hosts: []SetHost{{Addr: netip.MustParseAddr("10.96.0.99")}}}))
	web := "Found\n10.96.0.10 10 100 0 6464633335393634.web.default"
	both := lines("Found", "10.96.0.10 10 50 0 6464633335393634.web.default",
		"10.96.0.11 10 50 0 "+HashLabel(netip.MustParseAddr("10.96.0.11"))+".web.prod")
	hl := lines("Found", "10.0.0.1 10 50 0 a.hl.default", "10.0.0.3 10 50 0 pet-0.hl.default")
	none := "NoSuchName"
	for _, tt := range []struct{ name, want string }{
		{"web.default", web},
		{"*._tcp.web.default", none},
		{"_http.*.web.default", none},
		{"*.*.web.default", none},
		{"*.web.default", web},
		{"any.web.default", none},
		{"web.any", none},
		{"web.*", both},
		{"web.default.*.cluster.local.", web},
		{"web.*.*.cluster.local.", both},
		{"*.default", none},
		{"default", none},
		{"*.hl.default", hl},
		{"pet-0.hl.*", "Found\n10.0.0.3 10 100 0 pet-0.hl.default"},
		{"pet-0.*.default", "Found\n10.0.0.3 10 100 0 pet-0.hl.default"},
		{"*.*.default", lines("Found", "10.0.0.1 10 33 0 a.hl.default", "10.0.0.3 10 33 0 pet-0.hl.default",
			"10.96.0.10 10 33 0 6464633335393634.web.default")},
		{"*._http._tcp.hl.default", lines("Found", "10 50 8080 a.hl.default", "10 50 8080 pet-0.hl.default")},
		{"a._http._tcp.hl.*", "Found\n10 100 8080 a.hl.default"},
		{"_http._tcp.web.*", lines("Found", "10 50 80 web.default", "10 50 8080 web.prod")},
		{"x.*._http._tcp.hl.default", none},
		{"_tcp.web.*", none},
		{"*.extns", "Found\nalias 10 100 0 ext.example.com."},
		{"extns", none},
		{"e1.*", "Found\nalias 10 100 0 ext.example.com."},
		{"x.e1.*", none},
		{"*.e1.extns", none},
		{"*.*", lines("Found", "alias 10 100 0 EXT.example.com.", "alias 10 100 0 ext.example.com.",
			"alias 10 100 0 other.example.com.")},
		{"*.cluster.local.", none},
		{"*.svc.cluster.local.", none},
		{"svc.cluster.local.", none},
		{"cluster.local.", none},
		{"web.default.svc.*.local.", none}, // not under the zone
		{"*.*.*.*.*.*.*.cluster.local.", none},
	} {
		for range 20 {
			if got := showSorted(tree.Snapshot().Match(wireName(tt.name), rand.Uint64())); got != tt.want {
				t.Errorf("%s:\n%s", tt.name, cmp.Diff(tt.want, got))
				break
			}
		}
	}
}

// showSorted is show with the records in order: those of several Services have
// none.
func showSorted(a Answer) string {
	words := strings.Split(show(a), "\n")
	slices.Sort(words[1:])
	return strings.Join(words, "\n")
}

// TestMatchWeighsServicesOnly: external names are no part of an SRV answer, so
// they take no share of its weight.
func TestMatchWeighsServicesOnly(t *testing.T) {
	tree := newTree(t,
		spec(t, "web.default", ClusterIP).hosts("10.96.0.10"),
		spec(t, "web.extns", ExternalName).alias("ext.example.com"),
	)
	want := lines("Found", "10.96.0.10 10 100 0 6464633335393634.web.default", "alias 10 100 0 ext.example.com.")
	if diff := cmp.Diff(want, showSorted(tree.Snapshot().Match(wireName("web.*"), 0))); diff != "" {
		t.Error(diff)
	}
}

// TestUpstreamTreeVectors are the vectors of upstream's tree: two keys under one
// node, one under its sibling.
func TestUpstreamTreeVectors(t *testing.T) {
	tree := newTree(t,
		spec(t, "p2.p1", Headless).hosts("10.0.0.1=key1", "10.0.0.2=key2"),
		spec(t, "p3.p1", Headless).hosts("10.0.0.3=key3"),
	)
	count := func(name string) int {
		a := tree.Snapshot().Match(wireName(name), 0)
		return a.Len()
	}
	for _, tt := range []struct {
		name string
		want int
	}{{"p1", 0}, {"p2.p1", 2}, {"p3.p1", 1}, {"key1.p2.p1", 1}, {"key3.p2.p1", 0}, {"*.p2.p1", 2}, {"*.*.p1", 3}} {
		if got := count(tt.name); got != tt.want {
			t.Errorf("%s: %d records, want %d", tt.name, got, tt.want)
		}
	}
	if p := mustPath(t, "p2", "p1"); !tree.Apply(Change{Path: p}) || tree.Apply(Change{Path: p}) {
		t.Error("Remove: want true, then false")
	}
	if got := count("key3.p3.p1"); got != 1 {
		t.Errorf("after Remove of the sibling: %d records, want 1", got)
	}
}
