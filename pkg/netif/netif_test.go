package netif

import (
	"net"
	"net/netip"
	"slices"
	"testing"
)

func TestAllHasLoopback(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(i Interface) bool { return slices.Contains(i.Addrs, netip.MustParseAddr("127.0.0.1")) }) {
		t.Errorf("127.0.0.1 is not among %v", all)
	}
}

// All says what package net says, which asks the kernel once for each interface.
func TestAllAgreesWithNet(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		at := slices.IndexFunc(all, func(item Interface) bool { return item.Name == i.Name })
		if at < 0 {
			t.Errorf("%s is missing", i.Name)
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, a := range addrs {
			want = append(want, a.String())
		}
		for _, n := range all[at].Networks {
			got = append(got, n.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", i.Name, got, want)
		}
	}
}
