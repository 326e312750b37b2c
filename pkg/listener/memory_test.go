package listener

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// heap returns the octets of the heap that are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // the second empties what pools kept over the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestTCPIdleMemory: a connection that waits holds no buffers, however long its
// last messages were.
func TestTCPIdleMemory(t *testing.T) {
	const conns = 200
	s := start(t, Config{idleTimeout: 3 * hang, Handler: handlerFunc(func(_ []byte, _ ReplyTo, r []byte) []byte {
		return append(r, query(1, 60000)...)
	})})
	var list []net.Conn
	for range conns {
		list = append(list, dialTCP(t, s.Addrs()[0]))
	}
	write(t, list[0], query(1, 20000))
	read(t, list[0])
	testkit.Eventually(t, "all are taken", func() bool { return s.Stats().TCPAccepted == conns })
	before := heap()
	for _, c := range list {
		write(t, c, query(1, 20000))
		read(t, c)
	}
	testkit.Eventually(t, "all is given back", func() bool { return s.Stats().TCPBufferBytes == 0 })
	if each := (heap() - before) / conns; each > 6<<10 {
		t.Errorf("%d octets for each idle connection", each)
	}
	if n := s.Stats().TCPOpen; n != conns {
		t.Errorf("%d connections open, want %d", n, conns)
	}
}

// TestTCPShed: clients that ask much and read nothing are thrown out before
// they take more memory than there is for all; others do not notice.
func TestTCPShed(t *testing.T) {
	const limit = 2 << 20
	big := query(1, 60000)
	s := start(t, Config{maxBufferBytes: limit, Handler: handlerFunc(func(p []byte, to ReplyTo, r []byte) []byte {
		if len(p) < 100 {
			return echo(p, to, r)
		}
		return append(r, big...)
	})})
	for range 40 {
		c := dialTCP(t, s.Addrs()[0])
		c.SetReadBuffer(4096)
		go func() {
			for range 1000 {
				if _, err := c.Write(appendFrame(nil, query(1, 200))); err != nil {
					return
				}
			}
		}()
	}
	other := dialTCP(t, s.Addrs()[0])
	most := uint64(0)
	for end := time.Now().Add(hang); s.Stats().TCPShed < 10; {
		write(t, other, query(2, 20))
		wantBytes(t, answerTo(query(2, 20)), read(t, other))
		most = max(most, s.Stats().TCPBufferBytes)
		if time.Now().After(end) {
			t.Fatalf("nobody is thrown out with %d octets in use", most)
		}
	}
	if most > limit+limit/4 {
		t.Errorf("%d octets in use, want at most %d", most, limit)
	}
}

// TestTCPShedInput: long messages that are not sent to their end count too.
func TestTCPShedInput(t *testing.T) {
	s := start(t, Config{maxBufferBytes: 64 << 10, Handler: handlerFunc(echo)})
	short := dialTCP(t, s.Addrs()[0])
	write(t, short, query(1, 7000))
	wantBytes(t, answerTo(query(1, 7000)), read(t, short))
	long := dialTCP(t, s.Addrs()[0])
	if _, err := long.Write(appendFrame(nil, query(1, 40000))[:30000]); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the long one is thrown out", func() bool { return s.Stats().TCPShed == 1 && s.Stats().TCPOpen == 1 })
	testkit.Eventually(t, "all is given back", func() bool { return s.Stats().TCPBufferBytes == 0 })
}
