package listener

import (
	"net/netip"
	"strings"
	"testing"
)

// With Share two servers have one port, and a server without Share still refuses a port
// that others share.
func TestShare(t *testing.T) {
	listen := func(addr string, share bool) (*Server, error) {
		return Listen(Config{
			Addrs: []netip.AddrPort{netip.MustParseAddrPort(addr)}, Handler: handlerFunc(echo), Share: share, sockets: 2,
		})
	}
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		first, err := listen(host+":0", true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(first.Close)
		port := first.Addrs()[0].String()
		second, err := listen(port, true)
		if err != nil {
			t.Fatalf("a second server that shares %s: %v", port, err)
		}
		second.Close()
		if other, err := listen(port, false); err == nil {
			other.Close()
			t.Errorf("a server that does not share got %s", port)
		} else if !strings.Contains(err.Error(), "address already in use") {
			t.Errorf("unexpected error: %v", err)
		}
		alone, err := listen(host+":0", false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(alone.Close)
		if other, err := listen(alone.Addrs()[0].String(), true); err == nil {
			other.Close()
			t.Errorf("%v is shared with a server that does not share it", alone.Addrs()[0])
		}
	}
	// An address that no interface has (RFC 5737 §3).
	early, err := listen("192.0.2.1:0", true)
	if err != nil {
		t.Fatalf("an address that is not there yet: %v", err)
	}
	early.Close()
}
