package kubewatch

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/pkg/records"
)

func oneSlice(name string, ip netip.Addr) *item[sliceValue] {
	s := &records.Slice{Name: name}
	s.Add(records.Endpoint{Addr: ip, Ready: true})
	return &item[sliceValue]{key: key{"default", name}, kept: true, value: sliceValue{service: "s", parts: []*records.Slice{s}}}
}

// A Service may have any number of slices: each of them costs the same when it comes, changes,
// is listed again and goes, and what was handed out before stays as it was.
func TestManySlicesOfOneService(t *testing.T) {
	const n = 20_000
	state := newClusterState()
	sink := sliceSink{state, ofService}
	serviceSink{state}.set(&item[*records.Service]{key: key{"default", "s"}, kept: true, value: &records.Service{Namespace: "default", Name: "s", Kind: records.Headless}})
	items := make([]*item[sliceValue], n)
	for i := range items {
		items[i] = oneSlice(fmt.Sprintf("s-%05d", i), netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	sink.replace(items)
	_, first := state.service(key{"default", "s"})
	for _, i := range rand.Perm(n) {
		items[i] = oneSlice(items[i].key.name, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
		sink.set(items[i])
	}
	_, second := state.service(key{"default", "s"})
	for i := range n {
		sink.shareKept(items[i].key, items[i].value)
	}
	sink.replace(items[:n/2])
	for _, it := range items[:n/2] {
		sink.remove(it.key)
	}
	runtime.ReadMemStats(&after)
	if used := (after.TotalAlloc - before.TotalAlloc) / n; used > 2000 {
		t.Errorf("%d octets for each slice, want at most 2000", used)
	}
	for i := range n {
		if a, b := first[i].At(0).Addr.As4(), second[i].At(0).Addr.As4(); a[1] != 0 || b[1] != 1 || first[i].Name != items[i].key.name {
			t.Fatalf("slice %d was handed out as %v and %v, and then changed", i, a, b)
		}
	}
	if c := state.counts(); c.slices != 0 || c.endpoints != 0 {
		t.Errorf("%+v at the end", c)
	}
}

// However many heavy Services change, those that are not heavy are all taken at once, with one
// heavy one at most; each of these has its turn, and none is lost.
func TestHeavyServicesTakeTurns(t *testing.T) {
	state := newClusterState()
	sink := sliceSink{state, ofService}
	ip := netip.MustParseAddr("10.0.0.1")
	put := func(name string, endpoints int) {
		serviceSink{state}.set(&item[*records.Service]{key: key{"default", name}, kept: true, value: &records.Service{Namespace: "default", Name: name, Kind: records.Headless}})
		s := &records.Slice{Name: name + "-a"}
		for range endpoints {
			s.Add(records.Endpoint{Addr: ip, Ready: true})
		}
		ip = ip.Next()
		sink.set(&item[sliceValue]{key: key{"default", s.Name}, kept: true, value: sliceValue{service: name, parts: []*records.Slice{s}}, trigger: time.Unix(1, 0)})
	}
	sink.replace(nil)
	serviceSink{state}.replace(nil)
	for i := range 20 {
		put(fmt.Sprint("heavy-", i), heavy)
		put(fmt.Sprint("light-", i), heavy-1)
	}
	seen := map[key]int{}
	for range 20 {
		select {
		case <-state.wake:
		default:
			t.Fatal("there is work left, but nobody is told")
		}
		put("light-again", 1)
		work := state.takeWork(false)
		for i, k := range work.keys {
			seen[k]++
			if isHeavy := strings.HasPrefix(k.name, "heavy-"); isHeavy != (i == len(work.keys)-1) {
				t.Fatalf("%s at %d of %d", k.name, i, len(work.keys))
			}
			if len(work.triggers[k]) == 0 {
				t.Errorf("%v: no triggers", k)
			}
		}
		if len(work.triggers) != len(work.keys) {
			t.Errorf("%d triggers for %d keys", len(work.triggers), len(work.keys))
		}
	}
	if work := state.takeWork(false); len(work.keys) > 0 || len(seen) != 41 || seen[key{"default", "light-again"}] != 20 {
		t.Errorf("%d keys at the end, %d Services seen", len(work.keys), len(seen))
	}
	put("heavy-0", heavy)
	put("heavy-1", heavy)
	if work := state.takeWork(true); len(work.keys) != 2 {
		t.Errorf("%d keys, want the whole work", len(work.keys))
	}
}
