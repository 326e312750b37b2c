package objects

import (
	"encoding/binary"
	"testing"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kube-dns/kube-dns/test/apiserver"
)

func TestFill(t *testing.T) {
	c := Cluster{Services: 250, Endpoints: 250 * 120}
	s := apiserver.New()
	c.Fill(s)
	for _, tt := range []struct {
		like apiserver.Object
		want int
	}{
		{&corev1.Namespace{}, 3},
		{&corev1.Node{}, 300},
		{&corev1.Service{}, 250},
		{&discoveryv1.EndpointSlice{}, 500},
	} {
		if got := len(s.Objects(tt.like)); got != tt.want {
			t.Errorf("%d objects like %T, want %d", got, tt.like, tt.want)
		}
	}
	nodes, addresses, headless, names := map[string]bool{}, map[string]bool{}, 0, 0
	for _, o := range s.Objects(&discoveryv1.EndpointSlice{}) {
		for _, e := range o.(*discoveryv1.EndpointSlice).Endpoints {
			addresses[e.Addresses[0]] = true
			nodes[*e.NodeName] = true
			if e.Hostname != nil {
				names++
			}
		}
	}
	for _, o := range s.Objects(&corev1.Service{}) {
		if o.(*corev1.Service).Spec.ClusterIP == corev1.ClusterIPNone {
			headless++
		}
	}
	if len(addresses) != c.Endpoints || len(nodes) != c.Nodes() || headless != 25 || names != 13*120 {
		t.Errorf("%d addresses on %d nodes, %d headless Services, %d hostnames", len(addresses), len(nodes), headless, names)
	}
}

// TestMix: the questions are about Services that exist and are what they are
// said to be.
func TestMix(t *testing.T) {
	c := Cluster{Services: 30, Endpoints: 300}
	known := map[string]bool{}
	for i := range c.Services {
		known[FullName(i)] = true
	}
	m, err := c.Mix()
	if err != nil {
		t.Fatal(err)
	}
	asked, kinds := map[string]bool{}, map[uint16]int{}
	for n, q := range m.Questions() {
		kinds[q.Type]++
		if q.Type == dns.TypeA && q.Rcode == dns.RcodeSuccess {
			asked[q.Name] = true
			if !known[q.Name] {
				t.Errorf("%s does not exist", q.Name)
			}
		}
		wire := m.Append(nil, n+len(m.Questions()))
		name, end, err := dns.UnpackDomainName(wire, 0)
		if err != nil || name != q.Name || binary.BigEndian.Uint16(wire[end:]) != q.Type || len(wire) != end+4 {
			t.Errorf("question %d: %s is packed as %x", n, q.Name, wire)
		}
	}
	if kinds[dns.TypeA] != 90 || kinds[dns.TypeAAAA] != 60 || kinds[dns.TypeSRV] != 30 || kinds[dns.TypePTR] != 30 {
		t.Errorf("types %v", kinds)
	}
	if len(asked) != 3+24 { // dual-stack ones are not asked for A
		t.Errorf("%d names have addresses: %v", len(asked), asked)
	}
}

func TestRight(t *testing.T) {
	m, err := NewMix(Question{"a.example.", dns.TypeA, dns.RcodeSuccess, true}, Question{"b.example.", dns.TypeA, dns.RcodeNameError, false})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		n     int
		asked string
		rcode int
		rr    string
		want  bool
	}{
		{"address", 0, "a.example.", dns.RcodeSuccess, "a.example. A 127.0.0.1", true},
		{"no data", 0, "a.example.", dns.RcodeSuccess, "", false},
		{"failure", 0, "a.example.", dns.RcodeServerFailure, "", false},
		{"no such name", 1, "b.example.", dns.RcodeNameError, "", true},
		{"address of none", 1, "b.example.", dns.RcodeSuccess, "b.example. A 127.0.0.1", false},
		{"another name", 0, "b.example.", dns.RcodeSuccess, "b.example. A 127.0.0.1", false},
	} {
		q := new(dns.Msg).SetQuestion(tt.asked, dns.TypeA)
		a := new(dns.Msg).SetRcode(q, tt.rcode)
		if tt.rr != "" {
			rr, err := dns.NewRR(tt.rr)
			if err != nil {
				t.Fatal(err)
			}
			a.Answer = append(a.Answer, rr)
		}
		packed, err := a.Pack()
		if err != nil {
			t.Fatal(err)
		}
		query := m.Append(make([]byte, 12), tt.n)
		if got := m.Right(tt.n, query, packed); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if m.Right(0, m.Append(make([]byte, 12), 0), m.Append(make([]byte, 12), 0)) {
		t.Error("a query is right")
	}
	if _, err := NewMix(Question{Name: "a..b."}); err == nil {
		t.Error("a bad name was packed")
	}
}
