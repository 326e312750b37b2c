package forwarder

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// moody answers in every way in which a server can be wrong.
func moody(q *dns.Msg, tcp bool) [][]byte {
	name := q.Question[0].Name
	good := reply(q, 0, name+" 1 A 127.1.0.1")
	switch mood := rand.IntN(12); {
	case tcp && mood < 3:
		return nil
	case tcp:
		return [][]byte{pack(good)}
	case mood == 0:
		return nil
	case mood == 1:
		return [][]byte{pack(reply(q, dns.RcodeServerFailure))}
	case mood == 2:
		good.Truncated = true
		return [][]byte{pack(good)}
	case mood == 3:
		b := pack(good)
		return [][]byte{b[:len(b)-9]}
	case mood == 4:
		bad := good.Copy()
		bad.Id += uint16(rand.IntN(100))
		return [][]byte{pack(bad), pack(good), pack(good)}
	case mood == 5:
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
	case mood == 6 && q.IsEdns0() != nil:
		return [][]byte{pack(reply(q, dns.RcodeFormatError))}
	}
	return [][]byte{pack(good)}
}

// tallying is a sink that counts the answers to each query of one client.
type tallying struct {
	mu      sync.Mutex
	answers map[uint16]int
	bell    chan struct{}
}

func (c *tallying) Send(_ listener.ReplyTo, msg []byte) {
	c.mu.Lock()
	c.answers[uint16(msg[0])<<8|uint16(msg[1])]++
	c.mu.Unlock()
	c.bell <- struct{}{}
}

// TestStorm: whatever servers do while configurations change, every query gets exactly one
// answer, and nothing remains in flight.
func TestStorm(t *testing.T) {
	a, b := newFakeServer(t, moody), newFakeServer(t, moody)
	cfg := to(a, b)
	cfg.InFlight = 100000
	cfg.Cache.Entries = 50
	cfg.Cache.StaleFor, cfg.StaleAfter = 60, 30*time.Millisecond
	cfg.Upstream.Timeout = time.Second
	cfg.Upstream.FirstRetry = 20 * time.Millisecond
	cfg.Upstream.SocketUses = 20
	f := run(t, cfg)
	const clients, queries = 6, 400
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			c := &tallying{answers: map[uint16]int{}, bell: make(chan struct{}, queries+10)}
			to := listener.NewReplyTo(c, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(n)}), 999), netip.Addr{}, n%3 == 0)
			out := make([]byte, 0, listener.MaxMessageBytes)
			for i := range queries {
				q := question(fmt.Sprintf("n%d.example.", rand.IntN(300)), dns.TypeA, "edns")
				q.Id = uint16(i)
				if b := f.Handle(pack(q), to, out); len(b) > 0 {
					c.Send(to, b)
				}
				f.Flush()
				if i%20 == 19 {
					time.Sleep(10 * time.Millisecond)
				}
			}
			deadline := time.After(hang)
			for range queries {
				select {
				case <-c.bell:
				case <-deadline:
					t.Errorf("client %d got %d answers of %d", n, len(c.answers), queries)
					return
				}
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			for id, n := range c.answers {
				if n != 1 {
					t.Errorf("query %d got %d answers", id, n)
				}
			}
		})
	}
	for i := range 20 {
		time.Sleep(20 * time.Millisecond)
		next := cfg
		next.Upstream.Strategy = upstream.Strategy(i % 3)
		if i%4 == 3 {
			next.Upstream.Routes = []upstream.Route{{Servers: []upstream.Server{{Addr: b.Addr}}}}
		}
		if err := f.Reload(next); err != nil {
			t.Error(err)
		}
		f.Clear()
	}
	wg.Wait()
	waitFor(t, func() bool { st := f.Stats(); return st.InFlight == 0 && st.Waiting == 0 && st.Upstream.InFlight == 0 })
	if st := f.Stats(); st.Panics != 0 || st.Hits+st.Forwarded+st.Coalesced != clients*queries {
		t.Errorf("stats %+v", st)
	}
}
