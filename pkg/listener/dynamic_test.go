package listener

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// Addresses come and go while the server runs; what stays is not disturbed and
// what was counted is not forgotten.
func TestUpdate(t *testing.T) {
	s := start(t, Config{Dynamic: true, Addrs: []netip.AddrPort{loopback4}, Handler: handlerFunc(echo)})
	if _, removed, err := s.Update(nil); len(removed) != 1 || err != nil || len(s.Addrs()) != 0 {
		t.Fatalf("Update(nil) removes %v, %v", removed, err)
	}
	port := quietPort(t).Port()
	at := func(text string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(text), port) }
	one, two, three := at("127.0.0.1"), at("127.0.0.2"), at("127.0.0.3")
	update := func(want, wantAdded, wantRemoved []netip.AddrPort) {
		t.Helper()
		added, removed, err := s.Update(want)
		same := cmp.Options{cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()}
		if err != nil || !cmp.Equal(added, wantAdded, same) || !cmp.Equal(removed, wantRemoved, same) || !cmp.Equal(s.Addrs(), want, same) {
			t.Fatalf("Update(%v) = %v, %v, %v; listens on %v", want, added, removed, err, s.Addrs())
		}
	}
	update([]netip.AddrPort{one, two}, []netip.AddrPort{one, two}, nil)
	stays := dialTCP(t, two)
	for _, addr := range []netip.AddrPort{one, two} {
		wantBytes(t, answerTo(query(1, 20)), ask(t, dialUDP(t, addr), query(1, 20)))
		c := dialTCP(t, addr)
		write(t, c, query(2, 30))
		wantBytes(t, answerTo(query(2, 30)), read(t, c))
	}
	testkit.Eventually(t, "both are counted", func() bool { return s.Stats().UDPReplies == 2 })

	update([]netip.AddrPort{two, three}, []netip.AddrPort{three}, []netip.AddrPort{one})
	if n := s.Stats().UDPReplies; n != 2 {
		t.Errorf("%d UDP replies are counted after an address went, want 2", n)
	}
	if c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(one)); err == nil {
		c.Close()
		t.Error("a removed address takes TCP connections")
	}
	wantBytes(t, answerTo(query(3, 20)), ask(t, dialUDP(t, three), query(3, 20)))
	write(t, stays, query(4, 30))
	wantBytes(t, answerTo(query(4, 30)), read(t, stays))

	// An address that cannot be bound does not disturb the others.
	foreign := at("192.0.2.1")
	added, removed, err := s.Update([]netip.AddrPort{foreign, two})
	if !errors.Is(err, syscall.EADDRNOTAVAIL) || len(added) != 0 || len(removed) != 1 {
		t.Errorf("Update with a foreign address = %v, %v, %v", added, removed, err)
	}
	wantBytes(t, answerTo(query(5, 20)), ask(t, dialUDP(t, two), query(5, 20)))
	update(nil, nil, []netip.AddrPort{two})
	update([]netip.AddrPort{one}, []netip.AddrPort{one}, nil)
	wantBytes(t, answerTo(query(6, 20)), ask(t, dialUDP(t, one), query(6, 20)))
}

// After the end nothing is bound any more.
func TestUpdateAfterTheEnd(t *testing.T) {
	s, stop := startStoppable(t, Config{Addrs: []netip.AddrPort{loopback4}, Handler: handlerFunc(echo)})
	stop()
	if added, removed, err := s.Update([]netip.AddrPort{quietPort(t)}); len(added) != 0 || len(removed) != 0 || err != nil {
		t.Errorf("Update = %v, %v, %v", added, removed, err)
	}
}
