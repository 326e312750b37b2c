package listener

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/test/testkit"
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

// TestStepBack: of two servers that share a port, the one that steps back gets no more queries
// and connections, whichever was there first, and none is lost when it ends. Without another
// server it goes on answering.
func TestStepBack(t *testing.T) {
	for _, host := range []string{"127.0.0.1:0", "[::1]:0"} {
		addr := netip.MustParseAddrPort(host)
		server := func() (*Server, func()) {
			return startStoppable(t, Config{Addrs: []netip.AddrPort{addr}, Handler: handlerFunc(echo), Share: true, sockets: 3})
		}
		old, stop := server()
		addr = old.Addrs()[0]
		old.StepBack()
		burst(t, addr, func() {})
		for round := range 4 {
			fresh, stopFresh := server()
			leaving, end, staying := old, stop, fresh
			if round%2 == 1 { // the later one leaves
				leaving, end, staying = fresh, stopFresh, old
			} else {
				old, stop = fresh, stopFresh
			}
			var before, after Stats
			burst(t, addr, func() {
				gets := func(s *Server, more uint64) {
					from := s.Stats().UDPQueries
					testkit.Eventually(t, "the server gets queries", func() bool { return s.Stats().UDPQueries >= from+more })
				}
				gets(leaving, 1)
				leaving.StepBack()
				gets(staying, 20)
				before = leaving.Stats()
				gets(staying, 100)
				after = leaving.Stats()
				end()
			})
			if after.UDPQueries != before.UDPQueries || after.TCPAccepted != before.TCPAccepted {
				t.Errorf("%s, round %d: after it stepped back the server got %d queries and %d connections", host, round,
					after.UDPQueries-before.UDPQueries, after.TCPAccepted-before.TCPAccepted)
			}
		}
		stop()
	}
}

// burst sends queries over UDP and TCP while it calls during, and for a moment before and after.
// Each must be answered.
func burst(t *testing.T, addr netip.AddrPort, during func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, network := range []string{"udp", "tcp"} {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := exchangeOnce(network, addr); err != nil {
					t.Errorf("over %s: %v", network, err)
					return
				}
			}
		})
	}
	time.Sleep(30 * time.Millisecond)
	during()
	time.Sleep(30 * time.Millisecond)
	cancel()
	wg.Wait()
}

func exchangeOnce(network string, addr netip.AddrPort) error {
	c, err := net.Dial(network, addr.String())
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	q := query(7, 40)
	if network == "tcp" {
		q = append([]byte{0, 40}, q...)
	}
	if _, err := c.Write(q); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, len(q)))
	return err
}
