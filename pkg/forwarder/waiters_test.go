package forwarder

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/listener"
)

// mailbox is a listener.Sink that keeps all messages.
type mailbox struct {
	mu   sync.Mutex
	msgs [][]byte
}

func (m *mailbox) Send(_ listener.ReplyTo, msg []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.msgs = append(m.msgs, append([]byte(nil), msg...))
}

func (m *mailbox) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.msgs)
}

// withCookie adds a client cookie to a query with EDNS.
func withCookie(q *dns.Msg, cookie string) *dns.Msg {
	q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
	return q
}

// TestRepeatedQuery: a query that a client sends again while it waits gets one answer. One with the
// same id that differs in what its answer must repeat or obey gets an answer of its own: the client
// might ignore, or be unable to read, the one to the other query.
func TestRepeatedQuery(t *testing.T) {
	small := question("www.example.", dns.TypeA, "edns")
	small.IsEdns0().SetUDPSize(512)
	for _, test := range []struct {
		name          string
		first, second *dns.Msg
		answers       int
	}{
		{"equal", question("www.example.", dns.TypeA), question("www.example.", dns.TypeA), 1},
		{"equal with EDNS", question("www.example.", dns.TypeA, "edns"), question("www.example.", dns.TypeA, "edns"), 1},
		{"equal with a cookie", withCookie(question("www.example.", dns.TypeA, "edns"), "0102030405060708"), withCookie(question("www.example.", dns.TypeA, "edns"), "0102030405060708"), 1},
		{"equal in another spelling than the first", question("WWW.example.", dns.TypeA), question("WWW.example.", dns.TypeA), 1},
		{"spelling", question("www.example.", dns.TypeA), question("wWw.eXample.", dns.TypeA), 2},
		{"EDNS is left out", question("www.example.", dns.TypeA, "edns"), question("www.example.", dns.TypeA), 2},
		{"EDNS is added", question("www.example.", dns.TypeA), question("www.example.", dns.TypeA, "edns"), 2},
		{"size", question("www.example.", dns.TypeA, "edns"), small, 2},
		{"a cookie is added", question("www.example.", dns.TypeA, "edns"), withCookie(question("www.example.", dns.TypeA, "edns"), "0102030405060708"), 2},
		{"another cookie", withCookie(question("www.example.", dns.TypeA, "edns"), "0102030405060708"), withCookie(question("www.example.", dns.TypeA, "edns"), "1112131415161718"), 2},
		{"another question", question("www.example.", dns.TypeA), question("www.example.", dns.TypeAAAA), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGate(t)
			f := run(t, to(newFakeServer(t, g.script(zone(0, rec)))))
			other := newClient(t, f, 3, false) // the first spelling of the question in flight is not this client's
			other.Start(question("www.Example.", test.first.Question[0].Qtype))
			box := new(mailbox)
			client := listener.NewReplyTo(box, netip.MustParseAddrPort("127.0.0.2:999"), netip.Addr{}, false)
			for _, q := range []*dns.Msg{test.first, test.second, test.first, test.second} {
				q.Id = 7
				if out := f.Handle(pack(q), client, make([]byte, 0, listener.MaxMessageBytes)); len(out) > 0 {
					t.Fatalf("answered at once: %x", out)
				}
				f.Flush()
			}
			g.lift()
			waitFor(t, func() bool { st := f.Stats(); return st.InFlight == 0 && box.count() >= test.answers })
			if n := box.count(); n != test.answers {
				t.Fatalf("%d answers, want %d", n, test.answers)
			}
			for i, want := range []*dns.Msg{test.first, test.second}[:test.answers] {
				var m dns.Msg
				if err := m.Unpack(box.msgs[i]); err != nil {
					t.Fatal(err)
				}
				if m.Question[0].Name != want.Question[0].Name || (m.IsEdns0() == nil) != (want.IsEdns0() == nil) {
					t.Errorf("answer %d does not fit its query: %v", i, &m)
				}
			}
		})
	}
}

// TestWaitersAreShared: one client's queries that join questions in flight do not keep other clients
// from joining one.
func TestWaitersAreShared(t *testing.T) {
	g := newGate(t)
	cfg := to(newFakeServer(t, g.script(zone(0, rec))))
	cfg.InFlight = 20
	f := run(t, cfg)
	greedy := newClient(t, f, 2, false)
	for i := range 3 * waitersPerQuestion * cfg.InFlight {
		q := question("slow.example.", dns.TypeA)
		q.Id = uint16(i)
		greedy.Start(q)
	}
	if st := f.Stats(); st.Waiting != waitersPerQuestion*cfg.InFlight || st.OverLimit == 0 {
		t.Fatalf("the limit was not reached: %+v", st)
	}
	over := f.Stats().OverLimit
	var clients []*client
	var asked []uint16
	for host := range byte(10) {
		c, q := newClient(t, f, 10+host, false), question("www.example.", dns.TypeA)
		c.Start(q)
		clients, asked = append(clients, c), append(asked, q.Id)
	}
	g.lift()
	for i, c := range clients {
		if got := summary(c.Wait(asked[i])); got != good {
			t.Errorf("client %d: %q", i, got)
		}
	}
	waitFor(t, func() bool { st := f.Stats(); return st.InFlight == 0 && st.Waiting == 0 })
	if st := f.Stats(); st.OverLimit != over {
		t.Errorf("%d more queries were refused", st.OverLimit-over)
	}
}

// TestShares: whatever clients do, counts are exact, nobody is refused below the limit or gets more
// than the limit and its reserve, and a client with nothing gets something while the reserve lasts.
func TestShares(t *testing.T) {
	const limit = 10
	var s shares
	held := map[netip.Addr]int{}
	total := 0
	for i := range 10000 {
		client := netip.AddrFrom4([4]byte{192, 0, 2, byte(i * 7919 % 13)})
		if i%3 == 2 && held[client] > 0 {
			s.release(client)
			held[client]--
			total--
			continue
		}
		active := len(s.clients)
		got := s.admit(client, limit)
		switch {
		case !got && total < limit:
			t.Fatalf("step %d: refused with %d of %d held", i, total, limit)
		case !got && held[client] == 0 && total < limit+limit/4 && active < limit:
			t.Fatalf("step %d: a client with nothing was refused with %d of %d held", i, total, limit)
		case got:
			held[client]++
			total++
		}
		active = 0
		for _, n := range held {
			if n > 0 {
				active++
			}
		}
		if s.total != total || len(s.clients) != active || total > limit+(limit+3)/4 {
			t.Fatalf("step %d: %d held by %d, counted %d by %d", i, total, active, s.total, len(s.clients))
		}
	}
}

// TestSlowWithOtherSpellings: while clients get the expired answer because the server is slow, other
// queries with spellings of their own join the question. It is a test for the race detector.
func TestSlowWithOtherSpellings(t *testing.T) {
	g := newGate(t)
	f, c, _ := stale(t, func(c *Config) {
		rfc8767(c)
		c.Upstream.Timeout, c.Upstream.FirstRetry = hang, hang
		c.Stages = []Stage{{Query: func(q *Query) bool {
			q.Private = q.Client() == netip.MustParseAddr("127.0.0.9")
			return false
		}}}
	}, g.script(zone(0, "www.example. 60 A 127.1.0.2")))
	private := newClient(t, f, 9, false)
	var asked []uint16
	for i := range 8 {
		name := []byte("www.example.")
		name[i%3] -= 0x20
		name[4+i%7] -= 0x20
		q := question(string(name), dns.TypeA, "edns")
		c.Start(q)
		asked = append(asked, q.Id)
	}
	end := time.Now().Add(150 * time.Millisecond) // some of it after Config.StaleAfter
	var joined []*dns.Msg
	for i := 0; time.Now().Before(end) && len(joined) < 300; i++ {
		q := question(fmt.Sprintf("%c%c%c.example.", "wW"[i%2], "wW"[i/2%2], "wW"[i/4%2]), dns.TypeA)
		private.Start(q)
		joined = append(joined, q)
		time.Sleep(200 * time.Microsecond)
	}
	for _, id := range asked {
		if m := c.Wait(id); len(m.Answer) != 1 || m.Answer[0].Header().Ttl != 30 {
			t.Errorf("expired answer: %q", summary(m))
		}
	}
	g.lift()
	for _, q := range joined {
		if m := private.Wait(q.Id); len(m.Answer) != 1 || m.Question[0].Name != q.Question[0].Name {
			t.Errorf("late answer: %q", summary(m))
		}
	}
	waitFor(t, func() bool { st := f.Stats(); return st.InFlight == 0 && st.Waiting == 0 })
}
