package listener

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// dialFrom returns a connection from a local address, with a deadline.
func dialFrom(tb testing.TB, from string, to netip.AddrPort) *net.TCPConn {
	tb.Helper()
	c, err := net.DialTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)), net.TCPAddrFromAddrPort(to))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(hang))
	return c
}

// moody answers even ids at once, drops ids that leave 1 divided by 4, and
// never answers the others.
func moody(p []byte, to ReplyTo, r []byte) []byte {
	switch id := binary.BigEndian.Uint16(p); {
	case id%2 == 0:
		return append(r, p...)
	case id%4 == 1:
		to.Drop()
	}
	return nil
}

// Whatever the connections of some clients do, another client is answered, and after a while
// so is a new connection of theirs.
func TestTCPCrowdsLeaveRoom(t *testing.T) {
	const maxConns, perClient = 64, 16
	crowds := map[string]func(c *net.TCPConn){
		"idle":                  func(*net.TCPConn) {},
		"answered":              func(c *net.TCPConn) { write(t, c, query(2, 20)) },
		"dropped queries":       func(c *net.TCPConn) { write(t, c, query(1, 20), query(5, 20)) },
		"unanswered queries":    func(c *net.TCPConn) { write(t, c, query(3, 20)) },
		"half a length prefix":  func(c *net.TCPConn) { c.Write([]byte{1}) },
		"a length and no more":  func(c *net.TCPConn) { c.Write([]byte{255, 255}) },
		"half a message":        func(c *net.TCPConn) { c.Write([]byte{0, 20, 1, 2, 3}) },
		"a query and a half":    func(c *net.TCPConn) { write(t, c, query(2, 20)); c.Write([]byte{0}) },
		"too short a message":   func(c *net.TCPConn) { c.Write([]byte{0, 1, 1}) },
		"half closed":           func(c *net.TCPConn) { c.CloseWrite() },
		"half closed, dropped":  func(c *net.TCPConn) { write(t, c, query(1, 20)); c.CloseWrite() },
		"half closed, open end": func(c *net.TCPConn) { write(t, c, query(3, 20)); c.CloseWrite() },
	}
	for name, act := range crowds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{MaxConns: maxConns, maxConnsPerClient: perClient, Handler: handlerFunc(moody), grace: 10 * time.Millisecond})
			crowd := []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}
			for i := range maxConns {
				act(dialFrom(t, crowd[i%len(crowd)], s.Addrs()[0]))
			}
			testkit.Eventually(t, "all taken", func() bool { return s.Stats().TCPAccepted == maxConns })
			for range perClient / 2 { // each must find room
				other := dialFrom(t, "127.0.0.1", s.Addrs()[0])
				write(t, other, query(2, 20))
				read(t, other)
			}
			if name == "unanswered queries" || name == "half closed, open end" {
				return // the client's own share is in use
			}
			time.Sleep(stallTime)
			own := dialFrom(t, crowd[0], s.Addrs()[0])
			write(t, own, query(2, 20))
			read(t, own)
		})
	}
}

// A dropped query is finished: its connection is closed like any idle one, and at once if the
// client has finished sending.
func TestTCPDroppedQueryIsOver(t *testing.T) {
	s := start(t, Config{Handler: handlerFunc(moody), idleTimeout: 50 * time.Millisecond, pendingTimeout: time.Hour})
	c := dialTCP(t, s.Addrs()[0])
	write(t, c, query(1, 20))
	wantClosed(t, c)

	s = start(t, Config{Handler: handlerFunc(moody), idleTimeout: time.Hour, pendingTimeout: time.Hour})
	c = dialTCP(t, s.Addrs()[0])
	write(t, c, query(1, 20), query(2, 20), query(5, 20))
	c.CloseWrite()
	read(t, c)
	wantClosed(t, c)
	if n := s.Stats().TCPDropped; n != 2 {
		t.Errorf("counted %d dropped queries, want 2", n)
	}
}

// A query whose handler panics is finished too.
func TestTCPPanicIsOver(t *testing.T) {
	s := start(t, Config{pendingTimeout: time.Hour, Handler: handlerFunc(func([]byte, ReplyTo, []byte) []byte { panic("handler") })})
	c := dialTCP(t, s.Addrs()[0])
	write(t, c, query(1, 20))
	c.CloseWrite()
	wantClosed(t, c)
}
