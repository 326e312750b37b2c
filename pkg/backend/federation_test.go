package backend

import (
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

const (
	testPlaceZone   = "testcontinent-testreg-testzone"
	testPlaceRegion = "testcontinent-testreg"
)

func remoteName(service string) string {
	return "Found\nttl 0 alias 0 100 0 " + service + ".myfed.svc." + testPlaceZone + "." + testPlaceRegion + ".example.com."
}

// TestFederationRows are rows 88 to 95 of docs/reference/kubedns.md §16.
func TestFederationRows(t *testing.T) {
	tree := fixture(t)
	b := New(Config{Tree: tree, Wildcards: true})
	b.SetFederations(map[string]string{"myfed": "example.com", "badfed": "not..valid"})
	b.SetNode(testPlaceZone, testPlaceRegion)
	local := func(name string) string { return "Found\nttl 0 alias 0 100 0 " + name }
	for _, tt := range []struct{ row, name, want string }{
		{"88", "fedsvc.default.myfed", local("fedsvc.default")},
		{"89", "web.default.myfed", remoteName("web.default")},
		{"90", "nope.default.myfed", remoteName("nope.default")},
		{"91", "hl.default.myfed", local("hl.default")},
		{"headless without endpoints", "hl-empty.default.myfed", remoteName("hl-empty.default")},
		{"external name", "e1.extns.myfed", local("e1.extns")},
		{"92", "fedsvc.default.otherfed", "NoSuchName"},
		{"94", "9svc.default.myfed", "NoSuchName"},
		{"94", "*.default.myfed", "NoSuchName"},
		{"namespace that is no label", "web.a_b.myfed", "NoSuchName"},
		{"95, local service", "fedsvc.default.badfed", local("fedsvc.default")},
		{"95, no local service", "nope.default.badfed", "NoRecords"},
		{"too many labels", "x.fedsvc.default.myfed", "NoSuchName"},
		{"too few labels", "default.myfed", "NoSuchName"},
		{"not under svc", "fedsvc.default.myfed.cluster.local.", "NoSuchName"},
		{"under pod", "fedsvc.default.myfed.pod.cluster.local.", "NoSuchName"},
		{"the service itself", "web.default", "Found\n10.96.0.10 10 100 0 6464633335393634.web.default"},
	} {
		if got := show(b.Records(wire(tt.name))); got != tt.want {
			t.Errorf("row %s, %s: %s, want %s", tt.row, tt.name, got, tt.want)
		}
	}
}

// TestFederationNamedLikeNamespace: the names of endpoints in that namespace
// are the specification's, so they stay.
func TestFederationNamedLikeNamespace(t *testing.T) {
	b := New(Config{Tree: fixture(t)})
	b.SetNode(testPlaceZone, testPlaceRegion)
	const name = "pet-0.hl.default"
	want := show(b.Records(wire(name)))
	b.SetFederations(map[string]string{"default": "example.com"})
	if got := show(b.Records(wire(name))); got != want || !strings.HasPrefix(got, "Found\n10.") {
		t.Errorf("%s: %s, want %s", name, got, want)
	}
	if got := show(b.Records(wire("pet-9.hl.default"))); !strings.Contains(got, "pet-9.hl.default.svc."+testPlaceZone) {
		t.Errorf("a name that no endpoint has: %s, want the federated one", got)
	}
}

// TestFederationOrder: a namespace that has a federation's name takes no name
// away from a Service that is older, and keeps its own names against a younger
// one.
func TestFederationOrder(t *testing.T) {
	for _, tt := range []struct {
		service, endpoint int64 // when each was created
		federated         bool
	}{{100, 200, true}, {200, 100, false}, {100, 100, true}} { // the last by name: web.default before default.myfed
		tree := treecache.New(dnsname.MustParse(testZone))
		b := New(Config{Tree: tree})
		b.SetFederations(map[string]string{"myfed": "example.com"})
		b.SetNode(testPlaceZone, testPlaceRegion)
		add(t, tree, records.Service{Namespace: "default", Name: "web", ClusterIPs: addrs("10.96.0.10"), Created: tt.service}, slice(nil, "10.0.0.1"))
		add(t, tree, records.Service{Namespace: "myfed", Name: "default", Kind: records.Headless, Created: tt.endpoint}, slice(nil, "10.6.6.6=web"))
		got := show(b.Records(wire("web.default.myfed")))
		if federated := strings.Contains(got, "alias"); federated != tt.federated {
			t.Errorf("Service of %d, endpoint of %d: %s", tt.service, tt.endpoint, got)
		}
	}
}

func TestFederationNeedsPlace(t *testing.T) {
	b := New(Config{Tree: fixture(t)})
	b.SetFederations(map[string]string{"myfed": "example.com"})
	check := func(step, want string) {
		t.Helper()
		if got := show(b.Records(wire("web.default.myfed"))); got != want {
			t.Errorf("%s: %s, want %s", step, got, want)
		}
	}
	check("place unknown", "NoRecords")
	b.SetNode("", testPlaceRegion)
	check("zone unknown", "NoRecords")
	b.SetNode(testPlaceZone, "")
	check("region unknown", "NoRecords")
	b.SetNode("a..b", testPlaceRegion)
	check("zone that is no name", "NoRecords")
	b.SetNode(strings.Repeat(strings.Repeat("x", 60)+".", 3)+strings.Repeat("x", 20), testPlaceRegion)
	check("name too long", "NoRecords")
	b.SetNode(testPlaceZone, testPlaceRegion)
	check("place known", remoteName("web.default"))
	b.SetFederations(map[string]string{"otherfed": "example.com"})
	check("federation renamed", "NoSuchName")
	b.SetFederations(map[string]string{"myfed": "."})
	check("federation of the root", "NoRecords")
	b.SetFederations(nil)
	check("no federation", "NoSuchName")
}

// TestFederationFollowsEndpoints: no local Service, then one without endpoints,
// then with, then without again.
func TestFederationFollowsEndpoints(t *testing.T) {
	tree := treecache.New(dnsname.MustParse(testZone))
	b := New(Config{Tree: tree})
	b.SetFederations(map[string]string{"myfed": "example.com"})
	b.SetNode(testPlaceZone, testPlaceRegion)
	svc := records.Service{Namespace: "default", Name: "web", ClusterIPs: addrs("10.96.0.10")}
	local := "Found\nttl 0 alias 0 100 0 web.default"
	for _, tt := range []struct {
		step   string
		change func()
		want   string
	}{
		{"no Service", func() {}, remoteName("web.default")},
		{"no endpoints", func() { add(t, tree, svc, nil) }, remoteName("web.default")},
		{"an endpoint", func() { add(t, tree, svc, slice(nil, "10.0.0.1")) }, local},
		{"an endpoint that is not ready", func() { add(t, tree, svc, slice(nil, "-10.0.0.1")) }, local},
		{"no endpoints again", func() { add(t, tree, svc, slice(nil)) }, remoteName("web.default")},
	} {
		tt.change()
		if got := show(b.Records(wire("web.default.myfed"))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.step, got, tt.want)
		}
	}
}

func TestSetFederationsCopies(t *testing.T) {
	domains := map[string]string{"myfed": "example.com"}
	b := New(Config{Tree: fixture(t)})
	b.SetFederations(domains)
	b.SetNode(testPlaceZone, testPlaceRegion)
	domains["myfed"] = "example.net"
	if got := show(b.Records(wire("web.default.myfed"))); got != remoteName("web.default") {
		t.Errorf("after a change of the caller's map: %s", got)
	}
}
