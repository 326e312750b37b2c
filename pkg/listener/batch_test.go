package listener

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Late answers from several goroutines, single and in batches, reach the clients that asked,
// for every kind of bound address.
func TestLateAnswers(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		for _, batched := range []bool{false, true} {
			name := addr
			if batched {
				name += " batched"
			}
			t.Run(name, func(t *testing.T) { testLateAnswers(t, netip.MustParseAddrPort(addr), batched) })
		}
	}
}

func testLateAnswers(t *testing.T, addr netip.AddrPort, batched bool) {
	t.Helper()
	type job struct {
		to ReplyTo
		id uint16
	}
	jobs, done := make(chan job, 4096), make(chan struct{})
	s, stop := startStoppable(t, Config{Addrs: []netip.AddrPort{addr}, Handler: handlerFunc(func(p []byte, to ReplyTo, _ []byte) []byte {
		jobs <- job{to, binary.BigEndian.Uint16(p)}
		return nil
	})})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			var b Batch
			for j := range untilDone(jobs, done) {
				if !batched {
					j.to.Send(query(j.id, int(j.id)%900+12))
					continue
				}
				for more := true; more; {
					b.Add(j.to, query(j.id, int(j.id)%900+12))
					select {
					case j = <-jobs:
					default:
						more = false
					}
				}
				b.Flush()
			}
		})
	}
	target := addr.Addr()
	switch {
	case target.IsUnspecified() && target.Is4():
		target = netip.MustParseAddr("127.0.0.2")
	case target.IsUnspecified():
		target = netip.IPv6Loopback()
	}
	const count = 200
	for range 3 {
		c := dialUDP(t, netip.AddrPortFrom(target, s.Addrs()[0].Port()))
		c.SetReadBuffer(4 << 20)
		missing := make(map[uint16]bool)
		for id := range uint16(count) {
			c.Write(query(id, 12))
			missing[id] = true
			if id%20 == 19 { // a window, so that no queue overflows
				for len(missing) > 0 {
					got := receive(t, c)
					id := binary.BigEndian.Uint16(got)
					wantBytes(t, query(id, int(id)%900+12), got)
					delete(missing, id)
				}
			}
		}
	}
	close(done)
	wg.Wait()
	stop()
}

// untilDone ranges over c until done is closed; whoever sends to c may go on.
func untilDone[T any](c <-chan T, done <-chan struct{}) iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			select {
			case v := <-c:
				if !yield(v) {
					return
				}
			case <-done:
				return
			}
		}
	}
}

// Answers sent after the server has closed are dropped and counted.
func TestAnswerAfterStop(t *testing.T) {
	var col collector
	s, stop := startStoppable(t, Config{Handler: &col})
	c := dialUDP(t, s.Addrs()[0])
	c.Write(query(1, 12))
	to := col.wait(t, 1)
	stop()
	to.Send(query(1, 12))
	var b Batch
	b.Add(to, query(1, 12))
	b.Add(to, query(1, 12))
	b.Flush()
	if n := s.Stats().UDPLate; n != 3 {
		t.Errorf("counted %d times, want 3", n)
	}
	if len(b.groups) != 0 {
		t.Error("the batch keeps a closed socket")
	}
}

func TestBatchGroupsBySocket(t *testing.T) {
	var col collector
	cfg := Config{sockets: 1, Handler: &col, Addrs: []netip.AddrPort{loopback4, netip.MustParseAddrPort("127.0.0.2:0")}}
	s := start(t, cfg)
	one, two := dialUDP(t, s.Addrs()[0]), dialUDP(t, s.Addrs()[1])
	one.Write(query(1, 12))
	two.Write(query(2, 12))
	toOne, toTwo := col.wait(t, 1), col.wait(t, 2)
	var b Batch
	for range 100 { // more than a batch holds
		b.Add(toOne, query(1, 500))
		b.Add(toTwo, query(2, 600))
	}
	b.Flush()
	for range 100 {
		wantBytes(t, query(1, 500), receive(t, one))
		wantBytes(t, query(2, 600), receive(t, two))
	}
	if len(b.groups) != 2 {
		t.Errorf("%d groups, want 2", len(b.groups))
	}
	to := toOne
	b.Add(to, nil) // nothing to send
	b.Add(to, make([]byte, MaxMessageBytes+1))
	b.Flush()
	if n := s.Stats().Oversize; n != 1 {
		t.Errorf("oversize counted %d times, want 1", n)
	}
	one.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := one.Read(make([]byte, 1)); err == nil {
		t.Errorf("got %d octets more", n)
	}
}
