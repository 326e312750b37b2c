package backend

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// clusterSetFixture has the imports web (two addresses, two ports) and big (headless,
// n endpoints in each of two clusters, one of them with a two-label id).
func clusterSetFixture(t *testing.T, n int) *treecache.Tree {
	t.Helper()
	tree := treecache.New(dnsname.MustParse("clusterset.local."))
	zone := len(tree.Snapshot().Zone())
	add := func(imp *records.Service, slices ...*records.Slice) {
		imp.Namespace = "default"
		set, problems := records.BuildImport(imp, slices, zone, 30)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		tree.Replace(set)
	}
	port := records.Port{Name: "http", Protocol: records.TCP, Number: 80}
	add(&records.Service{
		Name: "web", Kind: records.ClusterSetIP, Ports: []records.Port{port, {Name: "x", Protocol: records.UDP, Number: 81}},
		ClusterIPs: []netip.Addr{netip.MustParseAddr("10.7.0.1"), netip.MustParseAddr("fd00:7::1")},
	})
	var slices []*records.Slice
	for c, cluster := range []string{"ca", "cb.region"} {
		for i := range n {
			if i%100 == 0 {
				s := &records.Slice{Name: fmt.Sprintf("%s-%d", cluster, i), Ports: []records.Port{port}}
				s.SetCluster(&cluster)
				slices = append(slices, s)
			}
			e := records.Endpoint{Addr: netip.AddrFrom4([4]byte{10, byte(c), byte(i >> 8), byte(i)}), Ready: true}
			if i%2 == 0 {
				e.Hostname = fmt.Sprintf("pod-%d", i)
			}
			slices[len(slices)-1].Add(e)
		}
	}
	add(&records.Service{Name: "big", Kind: records.ClusterSetHeadless}, slices...)
	return tree
}

func setName(text string) []byte {
	return []byte(dnsname.MustParse(text + ".default.svc.clusterset.local."))
}

// A question about a multi-cluster Service allocates nothing, and takes no longer the
// more endpoints there are.
func TestClusterSetAllocs(t *testing.T) {
	b := NewClusterSet(clusterSetFixture(t, 10_000), func() bool { return true })
	var record treecache.Record
	for _, text := range []string{
		"web", "_http._tcp.web", "_tcp.web", "nosuch", "ca.web", "big", "_http._tcp.big", "pod-8.ca.big", "10-1-0-3.cb.region.big",
		"region.big", "cb.region.big", "cb.big", "pod-9.ca.big", "x.y.z.big",
	} {
		name := setName(text)
		ask := func() {
			a := b.Records(name)
			for _, v6 := range []bool{false, true} {
				walk := a.Addrs(v6)
				for range 4 {
					walk.Next()
				}
			}
			if a.Status == treecache.Found {
				services := a.Services(a.Len() / 2)
				for range 4 {
					services.Next(&record)
				}
			}
		}
		if got := testing.AllocsPerRun(100, ask); got > 0 {
			t.Errorf("%s: %v allocations", text, got)
		}
		best := time.Hour
		for range 100 {
			start := time.Now()
			ask()
			best = min(best, time.Since(start))
		}
		if best > 50*time.Microsecond {
			t.Errorf("%s: %v", text, best)
		}
	}
}

// Before the imports are known nothing is said about any name, and never about an
// address.
func TestClusterSetUnsynced(t *testing.T) {
	synced := false
	b := NewClusterSet(clusterSetFixture(t, 1), func() bool { return synced })
	for _, text := range []string{"web", "nosuch"} {
		if a := b.Records(setName(text)); a.Status != treecache.Unavailable {
			t.Errorf("%s: %v", text, a.Status)
		}
	}
	synced = true
	if a := b.Records(setName("web")); a.Status != treecache.Found {
		t.Errorf("web: %v", a.Status)
	}
	empty := NewClusterSet(treecache.New(dnsname.MustParse("clusterset.local.")), func() bool { return true })
	for text, want := range map[string]treecache.Status{
		"svc.clusterset.local.": treecache.NoRecords, "clusterset.local.": treecache.NoRecords, "pod.clusterset.local.": treecache.NoSuchName,
	} {
		if a := empty.Records([]byte(dnsname.MustParse(text))); a.Status != want {
			t.Errorf("%s: %v, want %v", text, a.Status, want)
		}
	}
	if a := b.ReverseRecord(netip.MustParseAddr("10.7.0.1"), nil); a.Status != treecache.NoSuchName {
		t.Errorf("reverse: %v", a.Status)
	}
}
