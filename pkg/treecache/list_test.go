package treecache

import (
	"net/netip"
	"slices"
	"testing"
)

func TestLabels(t *testing.T) {
	tree := New("\x01z\x00")
	for _, s := range []struct {
		service, namespace string
		alias              bool
	}{{"web", "default", false}, {"ext", "default", true}, {"db", "data", false}} {
		path, err := MakePath(s.service, s.namespace)
		if err != nil {
			t.Fatal(err)
		}
		spec := &SetSpec{Path: path, Kind: ClusterIP, TTL: 30, Hosts: []SetHost{{Addr: netip.MustParseAddr("10.0.0.1")}}}
		if s.alias {
			spec = &SetSpec{Path: path, Kind: ExternalName, TTL: 30, Alias: "\x01x\x00"}
		}
		tree.Replace(NewSet(spec))
	}
	labels := func(namespace string, most int) (got []string) {
		tree.Snapshot().Labels(namespace, func(l string) bool {
			got = append(got, l)
			return len(got) < most
		})
		slices.Sort(got)
		return got
	}
	if got := labels("default", 9); !slices.Equal(got, []string{"ext", "web"}) {
		t.Errorf("default: %v", got)
	}
	if got := labels("", 9); !slices.Equal(got, []string{"data", "default"}) {
		t.Errorf("namespaces: %v", got)
	}
	if got := labels("default", 1); len(got) != 1 {
		t.Errorf("stopped too late: %v", got)
	}
	if got := labels("none", 9); got != nil {
		t.Errorf("no such namespace: %v", got)
	}
}
