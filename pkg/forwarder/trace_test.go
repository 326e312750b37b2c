package forwarder

import (
	"net/netip"
	"sync"
	"testing"
)

// Servers keep their numbers. Beyond the limit, further servers get none.
func TestOrigins(t *testing.T) {
	var o origins
	if o.server(0).IsValid() || o.server(7).IsValid() || o.number(netip.AddrPort{}) != 0 {
		t.Error("numbers of nobody")
	}
	server := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 53)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range maxOrigins + 10 {
				n := o.number(server(i))
				if n != 0 && o.server(n) != server(i) || n == 0 && o.server(maxOrigins) == (netip.AddrPort{}) {
					t.Errorf("server %d has the number %d, which is %v", i, n, o.server(n))
				}
			}
		})
	}
	wg.Wait()
	if n := o.number(server(maxOrigins + 11)); n != 0 {
		t.Errorf("number %d beyond the bound", n)
	}
	if n := testing.AllocsPerRun(100, func() { o.number(server(3)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
