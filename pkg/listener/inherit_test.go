package listener

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Queries that arrive while no server reads the sockets are answered by the next one, over UDP
// and TCP, and no socket of the first one takes any afterwards.
func TestInherit(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		addr := netip.MustParseAddrPort(host + ":0")
		first, err := Listen(Config{Addrs: []netip.AddrPort{addr}, Handler: handlerFunc(echo), Share: true, sockets: 3})
		if err != nil {
			t.Fatal(err)
		}
		files, err := first.Files()
		if err != nil {
			t.Fatal(err)
		}
		addr = first.Addrs()[0]
		first.Close()
		const queries = 50
		answered := make(chan error, 2*queries)
		for i := range 2 * queries { // from many ports, so that each socket gets some
			network := []string{"udp", "tcp"}[i%2]
			go func() {
				c := dns.Client{Net: network, Timeout: hang}
				_, _, err := c.Exchange(new(dns.Msg).SetQuestion("example.", dns.TypeA), addr.String())
				answered <- err
			}()
		}
		time.Sleep(50 * time.Millisecond) // until most have been sent
		second := start(t, Config{
			Addrs: []netip.AddrPort{addr}, Share: true, sockets: 7, Inherited: files,
			Handler: handlerFunc(func(packet []byte, _ ReplyTo, reply []byte) []byte {
				reply = append(reply, packet...)
				reply[2] |= 0x80 // QR
				return reply
			}),
		})
		for range 2 * queries {
			if err := <-answered; err != nil {
				t.Error(err)
			}
		}
		if got := second.Addrs(); len(got) != 1 || got[0] != addr {
			t.Errorf("%v, want %v", got, addr)
		}
		if second.cfg.sockets != 3 {
			t.Errorf("%d sockets", second.cfg.sockets)
		}
	}
}

// Sockets that are not those of the address are rejected, and closed.
func TestInheritOthers(t *testing.T) {
	files := func(addr string) (netip.AddrPort, []*os.File) {
		s, err := Listen(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort(addr)}, Handler: handlerFunc(echo), sockets: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		f, err := s.Files()
		if err != nil {
			t.Fatal(err)
		}
		return s.Addrs()[0], f[s.Addrs()[0]]
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(addr netip.AddrPort, list []*os.File) (netip.AddrPort, []*os.File){
		"of another address": func(addr netip.AddrPort, list []*os.File) (netip.AddrPort, []*os.File) {
			return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), addr.Port()), list
		},
		"in another order": func(addr netip.AddrPort, list []*os.File) (netip.AddrPort, []*os.File) {
			return addr, []*os.File{list[1], list[0]}
		},
		"without UDP": func(addr netip.AddrPort, list []*os.File) (netip.AddrPort, []*os.File) {
			return addr, list[:1]
		},
		"a file": func(addr netip.AddrPort, list []*os.File) (netip.AddrPort, []*os.File) {
			return addr, []*os.File{list[0], null}
		},
	} {
		addr, list := change(files("127.0.0.1:0"))
		s, err := Listen(Config{Addrs: []netip.AddrPort{addr}, Handler: handlerFunc(echo), Inherited: map[netip.AddrPort][]*os.File{addr: list}})
		if err == nil {
			s.Close()
			t.Errorf("sockets %s were accepted", name)
		}
		for _, f := range list {
			_ = f.Close()
		}
	}
	if _, err := net.FileListener(null); err == nil {
		t.Error("the file is still open")
	}
}
