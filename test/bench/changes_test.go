package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kube-dns/kube-dns/pkg/serviceimport"
	"github.com/kube-dns/kube-dns/test/bench/objects"
)

func TestProber(t *testing.T) {
	p, err := newProber(&process{addr: netip.MustParseAddrPort("127.0.0.1:9")})
	if err != nil {
		t.Fatal(err)
	}
	defer p.conn.Close()
	began := time.Now()
	for _, name := range []string{"a.example.", "b.example."} {
		if err := p.expect(name, objects.Wire("13.0.0.7"), began); err != nil {
			t.Fatal(err)
		}
	}
	answer := func(id uint16, name, address string) []byte {
		m := new(dns.Msg).SetQuestion(name, dns.TypeA)
		m.Id, m.Response = id, true
		rr, err := dns.NewRR(name + " A " + address)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, b := range [][]byte{
		answer(1, "a.example.", "13.0.0.6"), // as it was before
		answer(1, "b.example.", "13.0.0.7"), // to another question
		answer(3, "a.example.", "13.0.0.7"), // to none
		{0, 1},
	} {
		p.note(b, began.Add(time.Millisecond))
	}
	if n := p.probe(began.Add(time.Second)); n != 2 || len(p.seen) != 0 {
		t.Errorf("%d waited for, %v seen; want 2 and none", n, p.seen)
	}
	p.note(answer(1, "a.example.", "13.0.0.7"), began.Add(2*time.Second))
	if diff := cmp.Diff([]time.Duration{2 * time.Second}, p.seen); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n := p.probe(began.Add(probeLimit + time.Second)); n != 0 || p.never != 1 {
		t.Errorf("%d waited for, %d never seen; want 0 and 1", n, p.never)
	}
}

func TestQuantile(t *testing.T) {
	l := latency{seen: []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9}}
	for f, want := range map[float64]time.Duration{0: 1, 0.5: 5, 0.99: 9, 1: 9} {
		if got := l.quantile(f); got != want {
			t.Errorf("%v: %v, want %v", f, got, want)
		}
	}
	l.never = 1
	if got := l.quantile(0.99); got != probeLimit {
		t.Errorf("a change that was never seen is %v", got)
	}
	if got := (latency{}).quantile(0.5); got != probeLimit {
		t.Errorf("of none: %v", got)
	}
}

// TestChange: each change is visible in the objects of the API server, and the next changes
// do not hide it.
func TestChange(t *testing.T) {
	for name, open := range map[string]func(objects.Cluster) (*apiCluster, error){"Services": openCluster, "ServiceImports": openImports} {
		t.Run(name, func(t *testing.T) {
			c, err := open(objects.Cluster{Services: 20, Endpoints: 100})
			if err != nil {
				t.Fatal(err)
			}
			defer c.front.Stop()
			checkChanges(t, c)
		})
	}
}

func checkChanges(t *testing.T, c *apiCluster) {
	t.Helper()
	want := map[int][][]byte{}
	kinds := map[bool]int{}
	for k := range 40 {
		i := c.nth(k)
		kinds[objects.Headless(i)]++
		want[i] = append(want[i], c.change(i))
	}
	if kinds[true] < 15 || kinds[false] < 15 {
		t.Errorf("headless and not: %v", kinds)
	}
	holds := map[string]bool{}
	for _, o := range c.api.Objects(&corev1.Service{}) {
		holds[string(wireOf(o.(*corev1.Service)))] = true
	}
	for _, o := range c.api.Objects(&serviceimport.ServiceImport{}) {
		if ips := o.(*serviceimport.ServiceImport).Spec.IPs; len(ips) > 0 {
			holds[string(objects.Wire(ips[0]))] = true
		}
	}
	for _, o := range c.api.Objects(&discoveryv1.EndpointSlice{}) {
		for _, e := range o.(*discoveryv1.EndpointSlice).Endpoints {
			holds[string(objects.Wire(e.Addresses[0]))] = true
		}
	}
	for i, list := range want {
		last := list[len(list)-1:]
		if objects.Headless(i) {
			last = list[max(0, len(list)-c.PerService()):]
		}
		for _, address := range last {
			if !holds[string(address)] {
				t.Errorf("Service %d does not have %v", i, address)
			}
		}
	}
}

// wireOf returns the address of a Service, nil of a headless one.
func wireOf(s *corev1.Service) []byte {
	if s.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	return objects.Wire(s.Spec.ClusterIP)
}
