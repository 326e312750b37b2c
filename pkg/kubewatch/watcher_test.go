package kubewatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// fixture is a Watcher over three fake kinds, running in a bubble.
type fixture struct {
	*Watcher
	services, slices, endpoints *fakeAPI
	tree                        *treecache.Tree
	log                         *bytes.Buffer // read it after synctest.Wait only
	stop                        func()
}

// newFixture must be called in a synctest bubble; stop must be called.
func newFixture(t *testing.T, streams bool) *fixture {
	t.Helper()
	f := &fixture{
		services:  newFakeAPI(streams, func() apiObject { return &corev1.Service{} }),
		slices:    newFakeAPI(streams, func() apiObject { return &discoveryv1.EndpointSlice{} }),
		endpoints: newFakeAPI(streams, func() apiObject { return &corev1.Endpoints{} }), //nolint:staticcheck // the fallback
		tree:      treecache.New(dnsname.MustParse("cluster.local")),
		log:       &bytes.Buffer{},
	}
	f.Watcher = New(Config{
		Sources:    Sources{Services: f.services, Slices: f.slices, Endpoints: f.endpoints},
		Tree:       f.tree,
		Logger:     slog.New(slog.NewTextHandler(f.log, nil)),
		Registerer: prometheus.NewRegistry(),
	})
	return f
}

func (f *fixture) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	f.stop = func() { cancel(); <-done }
}

// claimed reports whether the tree has a name for ip.
func (f *fixture) claimed(ip string) bool {
	answer := f.tree.Snapshot().Reverse(netip.MustParseAddr(ip), nil)
	return answer.Len() > 0
}

// settled waits for d of virtual time, and until all goroutines are blocked.
func settled(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// dump returns the whole tree as text, the names of addrs included.
func dump(t *testing.T, tree *treecache.Tree, addrs []netip.Addr) string {
	t.Helper()
	var b bytes.Buffer
	snapshot := tree.Snapshot()
	if err := treecache.WriteJSON(&b, snapshot); err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		answer := snapshot.Reverse(a, nil)
		for i := range answer.Len() {
			r := answer.At(i)
			fmt.Fprintf(&b, "%s -> %s\n", a, r.Target())
		}
	}
	return b.String()
}

// naive builds a tree from the objects that the fake kinds hold now, the slow
// and obvious way.
func (f *fixture) naive() *treecache.Tree {
	tree := treecache.New(dnsname.MustParse("cluster.local"))
	c := &converter{}
	for _, s := range f.services.objects {
		service := c.convertService(s).value
		var list []*records.Slice
		for _, sl := range f.slices.sorted() {
			if v := c.convertSlice(sl).value; v.service == s.GetName() && sl.GetNamespace() == s.GetNamespace() {
				list = append(list, v.parts...)
			}
		}
		if set, _ := records.Build(service, list, 15, 0); set != nil {
			tree.Replace(set)
		}
	}
	return tree
}

func testService(name, ip string, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "test"}}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: ip, ClusterIPs: []string{ip},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}},
		},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func testSlice(name, service string, ips ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080))}},
	}
	for _, ip := range ips {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{ip}})
	}
	return s
}

// Whatever happens in whatever order, even if watches are cut, versions are forgotten and the
// server is away in between, the final tree corresponds to the final objects.
func TestRandomHistory(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomHistory(t, seed) })
		})
	}
}

func randomHistory(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	f := newFixture(t, seed%2 == 0)
	var addrs []netip.Addr
	for i := range 6 {
		addrs = append(addrs, netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i)))
	}
	ip := func() string { return addrs[rng.IntN(len(addrs))].String() }
	step := func() {
		name := fmt.Sprintf("s%d", rng.IntN(3))
		switch rng.IntN(8) {
		case 0:
			f.services.remove(key{"default", name})
		case 1:
			f.services.put(testService(name, ip()))
		case 2:
			f.services.put(testService(name, corev1.ClusterIPNone, func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = rng.IntN(2) == 0 }))
		case 3:
			f.services.put(testService(name, "", func(s *corev1.Service) {
				s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}
			}))
		case 4:
			f.slices.remove(key{"default", fmt.Sprintf("e%d", rng.IntN(5))})
		default:
			sl := testSlice(fmt.Sprintf("e%d", rng.IntN(5)), name, ip(), ip())
			if rng.IntN(3) == 0 {
				sl.Endpoints[0].Hostname = new("h")
			}
			sl.Endpoints[1].Conditions.Ready = new(rng.IntN(2) == 0)
			switch rng.IntN(10) {
			case 0:
				sl.Labels = nil
			case 1, 2: // label values that are no names of Services, but nearly
				odd := []string{strings.ToUpper(name), name + ".default", name + "_"}[rng.IntN(3)]
				sl.Labels[discoveryv1.LabelServiceName] = odd
			}
			f.slices.put(sl)
		}
	}
	for range rng.IntN(20) {
		step()
	}
	f.run(t)
	defer f.stop()
	for range 60 {
		step()
		api := []*fakeAPI{f.services, f.slices}[rng.IntN(2)]
		switch rng.IntN(12) {
		case 0:
			api.cut()
		case 1:
			api.forget()
		case 2:
			api.setFail(errors.New("away"))
		case 3, 4, 5:
			api.setFail(nil)
		case 6, 7:
			settled(time.Duration(rng.IntN(20)) * time.Millisecond)
		case 8:
			settled(time.Duration(rng.IntN(10)) * time.Second)
		}
	}
	f.services.setFail(nil)
	f.slices.setFail(nil)
	settled(10 * time.Second)
	if !f.HasSynced() {
		t.Fatal("not synced")
	}
	if diff := cmp.Diff(dump(t, f.naive(), addrs), dump(t, f.tree, addrs)); diff != "" {
		t.Errorf("the tree is not what the objects imply (-want +got)\n%s", diff)
	}
	if got, want := f.Status().Services, len(f.services.objects); got != want {
		t.Errorf("Status().Services = %d, want %d", got, want)
	}
}

// No query may be told that a name does not exist while only one list is complete.
func TestNothingBeforeEveryList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		f.services.put(testService("db", corev1.ClusterIPNone))
		f.slices.put(testSlice("db-1", "db", "10.0.0.1"))
		f.slices.setFail(errors.New("away"))
		f.run(t)
		defer f.stop()
		settled(time.Hour)
		if f.HasSynced() || f.tree.Snapshot().Counts().Owners != 0 {
			t.Fatalf("synced %t with %d owners in the tree before the slices were listed", f.HasSynced(), f.tree.Snapshot().Counts().Owners)
		}
		f.slices.setFail(nil)
		select {
		case <-f.Synced():
		case <-time.After(10 * time.Second):
			t.Fatal("not synced though everything can be listed")
		}
		if f.tree.Snapshot().Counts().Owners != 1 {
			t.Error("synced before the first build was in the tree")
		}
	})
}

// A server that opens each stream, and ends it before it has sent anything, is a failing server:
// the failure is logged once a minute.
func TestHollowStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		f.services.put(testService("web", "10.0.0.1"))
		f.services.hollow = errors.New("the answer is empty")
		f.run(t)
		defer f.stop()
		settled(10 * time.Minute)
		if n := strings.Count(f.log.String(), "level=ERROR"); n < 9 || n > 11 || strings.Contains(f.log.String(), "succeed again") {
			t.Errorf("%d errors in 10 minutes:\n%s", n, f.log)
		}
		if r := f.Status().Resources[0]; r.Connected || !strings.Contains(r.LastError, "the answer is empty") {
			t.Errorf("status %+v", r)
		}
		f.services.mu.Lock()
		f.services.hollow = nil
		f.services.mu.Unlock()
		settled(10 * time.Second)
		if !f.HasSynced() || !f.Status().Resources[0].Connected || !strings.Contains(f.log.String(), "succeed again") {
			t.Errorf("not well again:\n%s", f.log)
		}
	})
}

func TestAPIAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		f.services.put(testService("web", "10.0.0.1"))
		f.run(t)
		defer f.stop()
		settled(time.Second)
		away := time.Now()
		f.services.setFail(fmt.Errorf("dial: %w", syscall.ECONNREFUSED))
		settled(30 * time.Minute)
		r := f.Status().Resources[0]
		if r.Connected || r.Resource != "services" || r.Since.Sub(away) > time.Second || !strings.Contains(r.LastError, "refused") {
			t.Errorf("status %+v, want services away since %s", r, away)
		}
		if !f.HasSynced() || f.tree.Snapshot().Counts().Owners != 1 {
			t.Error("what was known is gone while the API server is away")
		}
		if n := strings.Count(f.log.String(), "level=ERROR"); n < 25 || n > 31 {
			t.Errorf("%d errors logged in half an hour, want one a minute", n)
		}
		// A restarted server remembers no versions from which a watch could continue.
		f.services.put(testService("new", "10.0.0.2"))
		f.services.setFail(nil)
		settled(8 * time.Second)
		if f.tree.Snapshot().Counts().Owners != 2 {
			t.Error("a Service made meanwhile is unknown 8 s after the API server came back")
		}
		if r := f.Status().Resources[0]; !r.Connected || r.LastError != "" {
			t.Errorf("status %+v, want connected", r)
		}
		if !strings.Contains(f.log.String(), "succeed again") {
			t.Error("the recovery was not logged")
		}
	})
}

// A server that refuses connections must not hold up the end.
func TestRunEndsWhileAPIIsAway(t *testing.T) {
	for _, err := range []error{syscall.ECONNREFUSED, apierrors.NewTooManyRequests("busy", 30)} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, true)
			f.services.setFail(err)
			f.slices.setFail(err)
			f.run(t)
			settled(time.Minute)
			start := time.Now()
			f.stop()
			if d := time.Since(start); d > time.Second {
				t.Errorf("%v: Run took %s to end", err, d)
			}
		})
	}
}

func forbidden(resource string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no rule"))
}

func TestForbiddenIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		f.services.setFail(forbidden("services"))
		f.run(t)
		defer f.stop()
		settled(3 * time.Minute)
		log := f.log.String()
		if n := strings.Count(log, "forbids"); n < 3 || n > 4 || !strings.Contains(log, "resource=services") || !strings.Contains(log, "verb=list") {
			t.Errorf("%d complaints in 3 minutes, want one a minute that names verb and resource:\n%s", n, log)
		}
	})
}

func TestEndpointsStandIn(t *testing.T) {
	for _, err := range []error{
		forbidden("endpointslices"),
		apierrors.NewNotFound(schema.GroupResource{Resource: "endpointslices"}, ""),
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, true)
			f.services.put(testService("db", corev1.ClusterIPNone))
			f.endpoints.put(&corev1.Endpoints{ //nolint:staticcheck // the fallback
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db"},
				Subsets: []corev1.EndpointSubset{ //nolint:staticcheck // the fallback
					{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}}, NotReadyAddresses: []corev1.EndpointAddress{{IP: "10.0.0.2"}}},
					{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.3"}}},
				},
			})
			f.slices.put(testSlice("db-1", "db", "10.0.0.9"))
			f.slices.setFail(err)
			f.run(t)
			defer f.stop()
			settled(time.Second)
			claimed := f.claimed
			if !f.HasSynced() || !claimed("10.0.0.1") || claimed("10.0.0.2") || !claimed("10.0.0.3") {
				t.Errorf("synced %t; Endpoints do not stand in", f.HasSynced())
			}
			if s := f.Status(); !s.EndpointsInUse || s.Resources[1].Resource != "endpoints" || s.Endpoints != 3 {
				t.Errorf("status %+v", s)
			}
			settled(10 * time.Minute)
			if n := strings.Count(f.log.String(), "missing_rule"); n != 1 {
				t.Errorf("%d warnings name the missing rule, want 1", n)
			}
			f.slices.setFail(nil)
			settled(2 * time.Minute)
			if f.Status().EndpointsInUse || claimed("10.0.0.1") || !claimed("10.0.0.9") {
				t.Error("EndpointSlices are not used though they can be read again")
			}
			// Taken away in the middle of a watch.
			f.slices.setFail(err)
			settled(2 * time.Minute)
			if !f.Status().EndpointsInUse || !claimed("10.0.0.1") || claimed("10.0.0.9") {
				t.Error("Endpoints do not stand in after the right was taken away")
			}
		})
	}
}

// An API server that is starting forbids everything for some seconds. Endpoints, which hold
// less, must not be used because of that.
func TestEndpointsDoNotStandInForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		f.services.put(testService("db", corev1.ClusterIPNone))
		f.slices.put(testSlice("db-1", "db", "10.0.0.9"))
		f.run(t)
		defer f.stop()
		settled(time.Second)
		for range 10 {
			f.slices.setFail(forbidden("endpointslices"))
			settled(50 * time.Second)
			if f.Status().EndpointsInUse || !f.claimed("10.0.0.9") {
				t.Fatal("Endpoints stand in for slices that were forbidden for 50 s")
			}
			f.slices.setFail(nil)
			settled(10 * time.Second)
		}
	})
}

// If fifty slices change at once, there are few rebuilds, and the changes are visible within
// 20 ms.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		f.services.put(testService("db", corev1.ClusterIPNone))
		f.run(t)
		defer f.stop()
		settled(time.Second)
		before := testutil.ToFloat64(f.metrics.rebuilds)
		for i := range 50 {
			f.slices.put(testSlice(fmt.Sprintf("db-%d", i), "db", fmt.Sprintf("10.0.0.%d", i)))
		}
		settled(20 * time.Millisecond)
		if n := testutil.ToFloat64(f.metrics.rebuilds) - before; n != 1 {
			t.Errorf("%v rebuilds, want 1", n)
		}
		if !f.claimed("10.0.0.49") {
			t.Error("the last slice is not visible after 20 ms")
		}
	})
}

// Changes must become visible even if they never stop.
func TestEndlessBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		f.services.put(testService("db", corev1.ClusterIPNone))
		f.run(t)
		defer f.stop()
		settled(time.Second)
		for i := range 40 {
			f.slices.put(testSlice("db-1", "db", fmt.Sprintf("10.0.0.%d", i)))
			time.Sleep(time.Millisecond)
		}
		// The state of 11 ms ago or less, while changes still come.
		seen := 0
		for i := range 40 {
			if f.claimed(fmt.Sprintf("10.0.0.%d", i)) {
				seen = i
			}
		}
		if seen < 28 {
			t.Errorf("after 40 changes the %dth is visible", seen)
		}
	})
}

// Every Service is rebuilt once in five minutes, a part of them at a time.
func TestResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		for i := range 120 {
			f.services.put(testService(fmt.Sprintf("s%d", i), fmt.Sprintf("10.0.0.%d", i)))
		}
		f.run(t)
		defer f.stop()
		settled(time.Second)
		path, _ := records.Path("default", "s7")
		f.tree.Apply(treecache.Change{Path: path}) // something went wrong
		last, most := testutil.ToFloat64(f.metrics.rebuilds), 0.0
		for range 10 * 60 {
			settled(time.Second)
			now := testutil.ToFloat64(f.metrics.rebuilds)
			most, last = max(most, now-last), now
		}
		if f.tree.Snapshot().Counts().Owners != 120 {
			t.Error("a resync did not bring back what was missing")
		}
		if last < 2*120 || most > 5 {
			t.Errorf("%v rebuilds, at most %v in a second; want about 360 and 2", last, most)
		}
	})
}

func TestInvalidPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		f.services.put(testService("web", "10.0.0.300", func(s *corev1.Service) { s.Spec.ClusterIPs = []string{"10.0.0.300", "10.0.0.2"} }))
		f.services.put(testService("db", corev1.ClusterIPNone))
		sl := testSlice("db-1", "db", "nonsense", "10.0.0.1")
		sl.Ports[0].Protocol = new(corev1.Protocol("CARRIER-PIGEON"))
		f.slices.put(sl)
		f.run(t)
		defer f.stop()
		settled(time.Hour)
		for _, ip := range []string{"10.0.0.1", "10.0.0.2"} {
			if !f.claimed(ip) {
				t.Errorf("%s is unknown: a bad neighbour took it along", ip)
			}
		}
		if s := f.Status(); s.SkippedServices != 2 || s.SkippedPieces != 3 {
			t.Errorf("skipped %d pieces of %d services, want 3 of 2", s.SkippedPieces, s.SkippedServices)
		}
		log := f.log.String()
		if n := strings.Count(log, "level=WARN"); n != 2 || !strings.Contains(log, "service=web") || !strings.Contains(log, "EndpointSlice db-1") {
			t.Errorf("%d warnings, want one for each service:\n%s", n, log)
		}
		f.services.remove(key{"default", "web"})
		f.services.remove(key{"default", "db"})
		settled(time.Second)
		if s := f.Status(); s.SkippedServices != 0 || s.SkippedPieces != 0 {
			t.Errorf("skipped %d pieces of %d services after they went", s.SkippedPieces, s.SkippedServices)
		}
	})
}

// Lists come in pages where the server cannot stream, and begin anew when a
// continuation has expired.
func TestPagedList(t *testing.T) {
	for _, expire := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, false)
			const n = 3*pageSize - 1
			for i := range n {
				f.services.put(testService(fmt.Sprintf("s%d", i), "10.0.0.1"))
			}
			f.services.expire = expire
			f.run(t)
			defer f.stop()
			settled(time.Second)
			if got := f.tree.Snapshot().Counts().Owners; got != n {
				t.Errorf("%d services, want %d", got, n)
			}
			if want := 3; f.services.lists != want {
				t.Errorf("%d list requests, want %d", f.services.lists, want)
			}
		})
	}
}

func TestStreamedList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		f.services.put(testService("web", "10.0.0.1"))
		f.run(t)
		defer f.stop()
		settled(time.Second)
		if !f.HasSynced() || f.services.lists != 0 || f.services.streamed != 1 {
			t.Errorf("synced %t, %d lists, %d streams; want one stream only", f.HasSynced(), f.services.lists, f.services.streamed)
		}
	})
}

func TestTombstone(t *testing.T) {
	s := newClusterState()
	store := newStore(newHealth("services", slog.New(slog.DiscardHandler)), newDecoder().convertService, serviceSink{s})
	for _, obj := range []any{testService("a", "10.0.0.1"), testService("b", "10.0.0.2"), testService("c", "10.0.0.3")} {
		if err := store.Add(obj); err != nil {
			t.Fatal(err)
		}
	}
	for _, gone := range []any{cache.DeletedFinalStateUnknown{Key: "default/a"}, testService("b", "10.0.0.2"), testService("never", "10.0.0.2")} {
		if err := store.Delete(gone); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.keys(); len(got) != 1 || got[0].name != "c" {
		t.Errorf("left: %v, want c", got)
	}
	for _, wrong := range []any{"text", testSlice("d", "d"), &item[sliceValue]{}} {
		if err := store.Add(wrong); err == nil {
			t.Errorf("%T was taken for a Service", wrong)
		}
	}
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		f.services.put(testService("web", "10.0.0.1"))
		f.slices.put(testSlice("web-1", "web", "10.1.0.1", "10.1.0.2"))
		f.run(t)
		defer f.stop()
		settled(time.Second)
		want := `# HELP kubedns_kubernetes_objects Objects kept in memory.
# TYPE kubedns_kubernetes_objects gauge
kubedns_kubernetes_objects{kind="endpoint"} 2
kubedns_kubernetes_objects{kind="endpointslice"} 1
kubedns_kubernetes_objects{kind="service"} 1
# HELP kubedns_kubernetes_synced 1 once every list has been received and its records are served.
# TYPE kubedns_kubernetes_synced gauge
kubedns_kubernetes_synced 1
# HELP kubedns_kubernetes_connected 1 while the last request for the resource succeeded.
# TYPE kubedns_kubernetes_connected gauge
kubedns_kubernetes_connected{resource="endpointslices.discovery.k8s.io"} 1
kubedns_kubernetes_connected{resource="services"} 1
`
		reg := f.cfg.Registerer.(*prometheus.Registry)
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "kubedns_kubernetes_objects", "kubedns_kubernetes_synced", "kubedns_kubernetes_connected"); err != nil {
			t.Error(err)
		}
		if faults, err := testutil.GatherAndLint(reg); err != nil || len(faults) > 0 {
			t.Errorf("lint: %v %v", faults, err)
		}
	})
}
