package kubewatch

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// bigCluster fills two fake kinds with 10 000 Services, a tenth of them
// headless, and 10 endpoints each, as an API server would deliver them.
func bigCluster(services, slices *fakeAPI) {
	for i := range 10_000 {
		ns, name := fmt.Sprintf("team-%d", i%100), fmt.Sprintf("service-%d", i)
		ip := fmt.Sprintf("10.%d.%d.%d", 96+i/65536, i/256%256, i%256)
		if i%10 == 0 {
			ip = corev1.ClusterIPNone
		}
		s := testService(name, ip)
		s.Namespace = ns
		services.put(s)
		sl := testSlice(name+"-x7k2p", name)
		sl.Namespace = ns
		for j := range 10 {
			n := i*10 + j
			e := discoveryv1.Endpoint{
				Addresses:  []string{fmt.Sprintf("10.%d.%d.%d", 128+n/65536, n/256%256, n%256)},
				Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
				NodeName:   new("node"),
			}
			if i%20 == 0 {
				e.Hostname = new(fmt.Sprintf("%s-%d", name, j))
			}
			sl.Endpoints = append(sl.Endpoints, e)
		}
		slices.put(sl)
	}
}

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// BenchmarkBigCluster measures start and one change with 10 000 Services and
// 100 000 endpoints, and what heap it all takes, the tree included.
func BenchmarkBigCluster(b *testing.B) {
	services := newFakeAPI(true, func() apiObject { return &corev1.Service{} })
	slices := newFakeAPI(true, func() apiObject { return &discoveryv1.EndpointSlice{} })
	bigCluster(services, slices)
	for _, api := range []*fakeAPI{services, slices} {
		api.log = nil
	}
	start := func(b *testing.B) (*Watcher, func()) {
		b.Helper()
		w := New(Config{
			Sources: Sources{Services: services, Slices: slices},
			Tree:    treecache.New(dnsname.MustParse("cluster.local")),
			Logger:  slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = w.Run(ctx)
		}()
		<-w.Synced()
		return w, func() { cancel(); <-done }
	}
	b.Run("start", func(b *testing.B) {
		before := heap()
		var stop func()
		var w *Watcher
		for b.Loop() {
			if stop != nil {
				stop()
			}
			w, stop = start(b)
		}
		b.ReportMetric(heap()-before, "MiB-heap")
		stop()
		runtime.KeepAlive(w)
	})
	b.Run("change", func(b *testing.B) {
		w, stop := start(b)
		defer stop()
		k := key{"team-0", "service-100"}
		list := []*discoveryv1.EndpointSlice{}
		for i := range 2 {
			sl := testSlice("service-100-x7k2p", "service-100", fmt.Sprintf("10.200.0.%d", i))
			sl.Namespace = k.namespace
			list = append(list, sl)
		}
		store := w.slices.store
		i := 0
		for b.Loop() {
			if err := store.Update(list[i%2]); err != nil {
				b.Fatal(err)
			}
			i++
			w.cluster.rebuild(pendingWork{keys: []key{k}})
		}
	})
}

// The compact store must stay well below what plain objects would take.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Log("heap sizes mean nothing under the race detector; only that it works is seen")
	}
	services := newFakeAPI(true, func() apiObject { return &corev1.Service{} })
	slices := newFakeAPI(true, func() apiObject { return &discoveryv1.EndpointSlice{} })
	bigCluster(services, slices)
	before := heap()
	w := New(Config{
		Sources: Sources{Services: services, Slices: slices},
		Tree:    treecache.New(dnsname.MustParse("cluster.local")),
		Logger:  slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx)
	}()
	select {
	case <-w.Synced():
	case <-time.After(2 * time.Minute):
		t.Fatal("not synced")
	}
	took := heap() - before
	t.Logf("%.1f MiB of heap", took)
	if took > 24 && !raceEnabled {
		t.Errorf("10 000 Services with 100 000 endpoints take %.1f MiB of heap, want at most 24", took)
	}
	if s := w.Status(); s.Services != 10_000 || s.Slices != 10_000 || s.Endpoints != 100_000 {
		t.Errorf("status %+v", s)
	}
	cancel()
	<-done
}
