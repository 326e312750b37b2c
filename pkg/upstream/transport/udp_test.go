package transport

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/pkg/upstream/route"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// TestLongOptionsInOneBatch: 64 questions with the longest name and options of
// all sizes go through one socket's batch, whole.
func TestLongOptionsInOneBatch(t *testing.T) {
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if err := pc.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	o := newTold()
	u, err := NewUDP(envOf(o), UDPConfig{Sockets: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	link := u.Link(route.Server{Addr: pc.LocalAddr().(*net.UDPAddr).AddrPort()})
	defer link.Close()
	label := append([]byte{63}, bytes.Repeat([]byte{'a'}, 63)...)
	name := append(bytes.Repeat(label, 3), append(append([]byte{61}, bytes.Repeat([]byte{'b'}, 61)...), 0)...)
	if len(name) != wire.MaxName {
		t.Fatalf("the name has %d octets", len(name))
	}
	sizes := []int{0, 12, 100, 282, 1000, 4000, 20000, 40000}
	var calls []*Call
	for round := range 8 {
		for _, size := range sizes {
			option := []byte{0xfd, 0xe9, byte(size >> 8), byte(size)}
			c := &Call{EDNS: true, Mixed: round%2 == 0, Question: &Question{
				Name: name, Type: wire.TypeA, Class: wire.ClassIN, Payload: 1232, Options: append(option, make([]byte, size)...),
			}}
			if err := link.Send(c, 1); err != nil {
				t.Fatal(err)
			}
			calls = append(calls, c)
		}
	}
	u.Flush(o)
	want := map[uint16]int{}
	for _, c := range calls {
		want[c.id] = len(c.append(nil))
	}
	buf := make([]byte, 65536)
	for range calls {
		_ = pc.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := pc.Read(buf)
		if err != nil {
			t.Fatalf("%v; %d messages are missing", err, len(want))
		}
		if id := wire.ID(buf); want[id] != n {
			t.Errorf("message %d has %d octets, want %d", id, n, want[id])
		} else {
			delete(want, id)
		}
	}
	c := &Call{EDNS: true, Question: &Question{Name: name, Options: make([]byte, 65300)}}
	if err := link.Send(c, 1); err == nil {
		t.Error("a question that fits no packet was taken")
	}
}

// TestRemotePool: the sockets of all servers leave half of the files to others.
func TestRemotePool(t *testing.T) {
	for _, test := range []struct {
		files   uint64
		servers int
		want    int
	}{
		{1 << 20, 1, 256},
		{1024, 1, 256},
		{1024, 2, 256},
		{1024, 4, 128},
		{1024, 16, 32},
		{64, 1, 32},
		{64, 100, minSockets},
		{1 << 63, 0, 256},
		{0, 3, minSockets},
	} {
		if got := remotePool(test.files, test.servers); got != test.want {
			t.Errorf("%d files, %d servers: %d sockets, want %d", test.files, test.servers, got, test.want)
		}
	}
	loopback := route.Server{Addr: netip.MustParseAddrPort("127.0.0.1:53")}
	if n, _, _ := new(udpSettings).limits(&loopback); n != loopbackSockets {
		t.Errorf("%d sockets to a loopback address", n)
	}
}

// TestIdleConnectionsEnd: connections that carry nothing are closed by us.
func TestIdleConnectionsEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 512)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	}()
	env := envOf(newTold())
	began := time.Now()
	env.Now = func() int64 { return int64(time.Since(began)) + 1 }
	tcp := NewTCP(env, 1, time.Millisecond)
	tcp.idle = 50 * time.Millisecond
	go tcp.Run(t.Context())
	link := tcp.Link(route.Server{Addr: l.Addr().(*net.TCPAddr).AddrPort()}, nil)
	c := &Call{Question: fuzzQuestion()}
	if err := link.Send(c, env.Now()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the idle connection stays")
	}
}
