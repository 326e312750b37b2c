package kubewatch

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-dns/kube-dns/pkg/records"
)

func TestConvertService(t *testing.T) {
	addr := netip.MustParseAddr
	tests := []struct {
		name string
		spec corev1.ServiceSpec
		want records.Service
	}{
		{
			"cluster addresses of both families, canonical",
			corev1.ServiceSpec{ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1", "FD00:0::1"}},
			records.Service{Kind: records.ClusterIP, ClusterIPs: []netip.Addr{addr("10.0.0.1"), addr("fd00::1")}},
		},
		{
			"the old single field",
			corev1.ServiceSpec{ClusterIP: "::ffff:10.0.0.1"},
			records.Service{Kind: records.ClusterIP, ClusterIPs: []netip.Addr{addr("10.0.0.1")}},
		},
		{
			"headless, its ports mean nothing",
			corev1.ServiceSpec{ClusterIP: "None", ClusterIPs: []string{"None"}, Ports: []corev1.ServicePort{{Port: 80}}, PublishNotReadyAddresses: true},
			records.Service{Kind: records.Headless, PublishNotReady: true},
		},
		{"no address", corev1.ServiceSpec{}, records.Service{Kind: records.Headless}},
		{
			"external name, even with an address",
			corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "Example.com.", ClusterIP: "10.0.0.1"},
			records.Service{Kind: records.ExternalName, ExternalName: "Example.com."},
		},
		{
			"ports",
			corev1.ServiceSpec{ClusterIP: "10.0.0.1", Ports: []corev1.ServicePort{
				{Name: "a", Port: 80},
				{Name: "b", Port: 53, Protocol: corev1.ProtocolUDP},
				{Name: "c", Port: 70000, Protocol: corev1.ProtocolSCTP},
				{Port: 1, Protocol: "X"},
			}},
			records.Service{
				Kind: records.ClusterIP, ClusterIPs: []netip.Addr{addr("10.0.0.1")},
				Ports: []records.Port{{Name: "a", Protocol: records.TCP, Number: 80}, {Name: "b", Protocol: records.UDP, Number: 53}, {Name: "c", Protocol: records.SCTP}, {Number: 1}},
			},
		},
		{
			"a bad address keeps its place",
			corev1.ServiceSpec{ClusterIPs: []string{"x", "10.0.0.1"}},
			records.Service{Kind: records.ClusterIP, ClusterIPs: []netip.Addr{{}, addr("10.0.0.1")}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "s", CreationTimestamp: metav1.NewTime(time.Unix(1234, 0))},
				Spec:       tt.spec,
			}
			tt.want.Namespace, tt.want.Name, tt.want.Created = "n", "s", 1234
			got := newDecoder().convertService(in).value
			if diff := cmp.Diff(&tt.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestConvertSlice(t *testing.T) {
	in := testSlice("s-1", "s", "10.0.0.1")
	in.Ports = []discoveryv1.EndpointPort{
		{Name: new("http"), Port: new(int32(80)), Protocol: new(corev1.ProtocolUDP)},
		{Port: new(int32(81))},
		{Name: new("every")}, // all ports
	}
	in.Endpoints = []discoveryv1.Endpoint{
		{Addresses: []string{"10.0.0.1", "10.0.0.2"}, Hostname: new("h")},
		{Addresses: []string{"10.0.0.3"}, Conditions: discoveryv1.EndpointConditions{Ready: new(false), Serving: new(true), Terminating: new(true)}},
		{Addresses: []string{"10.0.0.4"}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}},
		{Addresses: []string{"x"}},
	}
	got := newDecoder().convertSlice(in).value
	if got.service != "s" || len(got.parts) != 1 || got.parts[0].Name != "s-1" {
		t.Fatalf("got %+v", got)
	}
	part := got.parts[0]
	wantPorts := []records.Port{{Name: "http", Protocol: records.UDP, Number: 80}, {Protocol: records.TCP, Number: 81}}
	if diff := cmp.Diff(wantPorts, part.Ports); diff != "" {
		t.Errorf("ports (-want +got)\n%s", diff)
	}
	addr := netip.MustParseAddr
	want := []records.Endpoint{
		{Addr: addr("10.0.0.1"), Hostname: "h", Ready: true},
		{Addr: addr("10.0.0.2"), Hostname: "h", Ready: true},
		{Addr: addr("10.0.0.3")},
		{Addr: addr("10.0.0.4"), Ready: true},
		{Ready: true},
	}
	var endpoints []records.Endpoint
	for i := range part.Len() {
		endpoints = append(endpoints, part.At(i))
	}
	if diff := cmp.Diff(want, endpoints, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("endpoints (-want +got)\n%s", diff)
	}
}

func TestConvertNothing(t *testing.T) {
	noLabel, names := testSlice("a", ""), testSlice("a", "s")
	noLabel.Labels = nil
	names.AddressType = discoveryv1.AddressTypeFQDN
	c := newDecoder()
	for _, tt := range []struct {
		name    string
		convert convertFunc[sliceValue]
		obj     any
		ok      bool
	}{
		{"slice of no service", c.convertSlice, noLabel, true},
		{"slice of names", c.convertSlice, names, true},
		{"another kind as slice", c.convertSlice, &corev1.Service{}, false},
		{"endpoints without subsets", c.converter.convertEndpoints, &corev1.Endpoints{}, true}, //nolint:staticcheck // the fallback
		{"another kind as endpoints", c.converter.convertEndpoints, names, false},
	} {
		if got := tt.convert(tt.obj); got.kept || got.ok != tt.ok {
			t.Errorf("%s: %+v; want nothing kept, %t", tt.name, got, tt.ok)
		}
	}
	if got := c.convertService(names); got.kept || got.ok {
		t.Errorf("another kind as service: %+v", got)
	}
}

func TestIntern(t *testing.T) {
	var in interner
	for i := range 2 * maxShared {
		text := time.Duration(i).String()
		if got := in.intern([]byte(text)); got != text {
			t.Fatalf("intern(%q) = %q", text, got)
		}
		ports := []records.Port{{Name: text, Protocol: records.TCP, Number: uint16(i)}}
		if got := in.internPorts(ports); !slices.Equal(got, ports) {
			t.Fatalf("internPorts(%v) = %v", ports, got)
		}
	}
	if len(in.texts) > maxShared || len(in.ports) > maxShared {
		t.Errorf("%d texts and %d lists kept, want at most %d", len(in.texts), len(in.ports), maxShared)
	}
}

// What is remembered for ever is small, however large the objects are.
func TestInternKeepsOnlySmallValues(t *testing.T) {
	var in interner
	for n := range 400 {
		ports := make([]records.Port, n)
		for i := range ports {
			ports[i] = records.Port{Name: fmt.Sprintf("p-%d-%d", n, i), Protocol: records.TCP, Number: uint16(i + 1)}
		}
		if got := in.internPorts(ports); !slices.Equal(got, ports) {
			t.Fatalf("internPorts of %d ports returns %d others", n, len(got))
		}
		text := strings.Repeat("x", n)
		if got, pointed := in.intern([]byte(text)), in.internPointer([]byte(text)); got != text || *pointed != text {
			t.Fatalf("intern(%q) = %q, %q", text, got, *pointed)
		}
	}
	for _, size := range []int{len(slices.MaxFunc(slices.Collect(maps.Keys(in.texts)), byLength)), len(slices.MaxFunc(slices.Collect(maps.Keys(in.ports)), byLength))} {
		if size > maxSharedSize || size < maxSharedSize/2 {
			t.Errorf("the largest value that is remembered has %d octets, want nearly %d", size, maxSharedSize)
		}
	}
}

func byLength(a, b string) int { return len(a) - len(b) }

// Lists that differ anywhere must not share memory.
func TestInternPortsTellsApart(t *testing.T) {
	lists := [][]records.Port{
		nil,
		{{}},
		{{}, {}},
		{{Name: "a"}},
		{{Name: "a"}, {Name: "b"}},
		{{Name: "ab"}},
		{{Name: "a", Protocol: records.TCP}},
		{{Name: "a", Protocol: records.UDP}},
		{{Name: "a", Number: 1}},
		{{Name: "a", Number: 256}},
		{{Name: "a"}, {Protocol: records.TCP, Number: 1, Name: "b"}},
	}
	var in interner
	for range 2 {
		for _, list := range lists {
			if got := in.internPorts(slices.Clone(list)); !slices.Equal(got, list) {
				t.Errorf("internPorts(%v) = %v", list, got)
			}
		}
	}
}

// The fast way to read an address says nothing else than the slow one.
func FuzzParseAddr(f *testing.F) {
	for _, text := range []string{
		"10.0.0.1", "0.0.0.0", "255.255.255.255", "256.0.0.1", "010.0.0.1", "00.0.0.0", "1.2.3", "1.2.3.4.5", "1..2.3",
		".1.2.3", "1.2.3.", "", "fd00::1", "::ffff:10.0.0.1", "fe80::1%eth0", "1.2.3.4 ", "1.2.3.4000", "\xb1.2.3.4",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, _ := records.ParseAddr(text)
		if got := parseAddr([]byte(text)); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	})
}
