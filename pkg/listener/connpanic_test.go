package listener

import (
	"net"
	"testing"
)

// TestConnectionPanicIsOver: a panic in a connection's own goroutine ends that connection
// and leaves nothing behind.
func TestConnectionPanicIsOver(t *testing.T) {
	s := start(t, Config{Handler: handlerFunc(echo)})
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := dialTCP(t, l.Addr().(*net.TCPAddr).AddrPort())
	nc, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newConn(s, nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.conns.admit(c, 0); !ok {
		t.Fatal("not admitted")
	}
	c.in.read = func(uintptr) bool { panic("a fault of ours") }
	write(t, client, query(1, 20))
	c.run()
	if n, panics := s.conns.open(), s.Stats().Panics; n != 0 || panics != 1 || !c.gone {
		t.Errorf("%d connections, %d panics, closed %v; want 0, 1, true", n, panics, c.gone)
	}
	if n := s.Stats().TCPBufferBytes; n != 0 {
		t.Errorf("%d octets are still counted", n)
	}
}
