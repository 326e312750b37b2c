package listener

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// tcpPair returns the two ends of a TCP connection that no server knows.
func tcpPair(t *testing.T) (client net.Conn, server *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client = dialTCP(t, l.Addr().(*net.TCPAddr).AddrPort())
	server, err = l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// TestConnectionPanicIsOver: a panic in a connection's own goroutine ends that connection
// and leaves nothing behind.
func TestConnectionPanicIsOver(t *testing.T) {
	s := start(t, Config{Handler: handlerFunc(echo)})
	client, nc := tcpPair(t)
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

// brokenStream panics when it is written to.
type brokenStream struct{ stream }

func (brokenStream) Write([]byte) (int, error) { panic("a fault of ours") }

// TestPanicWhileWriting: a panic in the goroutine that writes what the kernel does not take at
// once ends that connection, and leaves neither counts nor a goroutine that waits for it.
func TestPanicWhileWriting(t *testing.T) {
	s, stop := startStoppable(t, Config{Handler: handlerFunc(echo)})
	client, nc := tcpPair(t)
	c, err := newConn(s, nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.conns.admit(c, 0); !ok {
		t.Fatal("not admitted")
	}
	c.nc, c.writeNow = brokenStream{c.nc}, func(uintptr) bool { return true } // as if the client read nothing
	write(t, client, query(1, 20))
	c.run()
	if n, panics := s.conns.open(), s.Stats().Panics; n != 0 || panics != 1 || !c.gone || c.writing {
		t.Errorf("%d connections, %d panics, closed %v, writing %v; want 0, 1, true, false", n, panics, c.gone, c.writing)
	}
	if n := s.Stats().TCPBufferBytes; n != 0 {
		t.Errorf("%d octets are still counted", n)
	}
	stop()
}

// failingSplitter panics on the calls of Split that it is told.
type failingSplitter struct {
	handlerFunc
	calls *atomic.Int32
	fail  func(call int32) bool
}

func (f failingSplitter) Split() Worker {
	if f.fail(f.calls.Add(1)) {
		panic("a fault of ours")
	}
	return plainWorker{f.handlerFunc}
}

// TestPanicOutsideHandlers: a panic in the goroutine of a UDP socket, or in the one that accepts
// TCP connections, does not end that goroutine.
func TestPanicOutsideHandlers(t *testing.T) {
	// The calls: the UDP socket twice, then one for each TCP connection.
	h := failingSplitter{handlerFunc(echo), new(atomic.Int32), func(call int32) bool { return call == 1 || call == 3 }}
	s := start(t, Config{sockets: 1, Handler: h})
	q := query(1, 20)
	wantBytes(t, answerTo(q), ask(t, dialUDP(t, s.Addrs()[0]), q))
	refused := dialTCP(t, s.Addrs()[0])
	if _, err := refused.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection that met the panic: %v, want EOF", err)
	}
	served := dialTCP(t, s.Addrs()[0])
	write(t, served, q)
	wantBytes(t, answerTo(q), read(t, served))
	if n := s.Stats().Panics; n != 2 {
		t.Errorf("%d panics counted, want 2", n)
	}
}
