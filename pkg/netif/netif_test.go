package netif

import (
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
