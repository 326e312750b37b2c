package forwarder

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/listener"
)

// TestThroughListener: real sockets on both sides, many clients at a time, all
// of whose questions wait for the batch's end.
func TestThroughListener(t *testing.T) {
	s := newFakeServer(t, func(q *dns.Msg, _ bool) [][]byte {
		return [][]byte{pack(reply(q, 0, q.Question[0].Name+" 30 A 127.1.0.1"))}
	})
	cfg := to(s)
	cfg.InFlight = 1000
	f := run(t, cfg)
	server, err := listener.Listen(listener.Config{
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("[::1]:0")}, Handler: f.Batched(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = server.Run(ctx) })
	var clients sync.WaitGroup
	for i := range 12 {
		clients.Go(func() {
			c := &dns.Client{Net: []string{"udp", "tcp"}[i%2], Timeout: hang}
			conn, err := c.Dial(server.Addrs()[i/2%2].String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for n := range 50 {
				q := question(fmt.Sprintf("n%d.Example.", n*(i%3+1)), dns.TypeA)
				m, _, err := c.ExchangeWithConn(q, conn)
				if err != nil || len(m.Answer) != 1 || m.Question[0] != q.Question[0] {
					t.Errorf("client %d, question %d: %v, %v", i, n, m, err)
					return
				}
			}
		})
	}
	clients.Wait()
	if st := f.Stats(); st.Queries != 600 || st.Hits+st.Forwarded+st.Coalesced != 600 {
		t.Errorf("stats %+v", st)
	}
}

// TestBatchedTime: packets of one batch share a reading of the clock, the next
// batch reads it anew.
func TestBatchedTime(t *testing.T) {
	f := run(t, to(newFakeServer(t, silence)))
	b := f.Batched()
	first := b.now()
	for range 100 {
		if again := b.now(); again != first {
			t.Fatalf("within the batch the time goes from %d to %d", first, again)
		}
	}
	for last := first; last < first+100; last++ {
		b.Flush()
		if next := b.now(); next < last {
			t.Fatalf("time goes back from %d to %d", last, next)
		}
	}
	b.Flush()
	if f.batchNow.Load() != 0 {
		t.Error("a time is kept while nothing is done")
	}
	waitFor(t, func() bool {
		defer b.Flush()
		return b.now() > first
	})
}
