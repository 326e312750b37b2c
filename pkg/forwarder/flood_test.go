package forwarder

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// flood sends count questions about different names as fast as it can, each from one of 5000
// clients in turn. It returns the number of those answered at once.
func flood(f *Forwarder, c *counter, serial *uint64, count int) (atOnce int) {
	q := []byte("\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x10................\x07example\x00\x00\x01\x00\x01")
	out := make([]byte, 0, wire.MaxMessage)
	for i := range count {
		*serial++
		n := uint16(*serial % 5000)
		to := listener.NewReplyTo(c, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, byte(n >> 8), byte(n)}), n+1), netip.Addr{}, false)
		const hex = "0123456789abcdef"
		for i := range 16 {
			q[13+i] = hex[*serial>>(4*i)&15]
		}
		binary.BigEndian.PutUint16(q, n)
		if len(f.Handle(q, to, out)) > 0 {
			atOnce++
		}
		if i%32 == 31 {
			f.Flush()
		}
	}
	f.Flush()
	return atOnce
}

// heap returns the octets of the heap that are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // the second run frees what pools kept over the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestFloodMemory: many clients ask for ever new names, faster than the server answers. Every
// query is answered, refused because too many questions are in flight, or failed, and the
// memory does not grow.
func TestFloodMemory(t *testing.T) {
	rounds, count := 6, 15000
	if raceEnabled {
		count = 3000
	}
	for _, test := range []struct {
		name   string
		server func(testing.TB) netip.AddrPort
	}{
		{"a server that answers", newEcho},
		{"a silent server", newSinkhole},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := run(t, Config{
				InFlight: 150,
				Upstream: upstream.Config{
					Routes:  []upstream.Route{{Servers: []upstream.Server{{Addr: test.server(t)}}}},
					Timeout: 300 * time.Millisecond, FirstRetry: 50 * time.Millisecond,
				},
				Cache: answercache.Config{Entries: 1000, FailureTTL: 1},
			})
			c := &counter{bell: make(chan struct{}, 1)}
			var serial uint64
			var sizes []int64
			answered := int64(0)
			for range rounds {
				answered += int64(flood(f, c, &serial, count))
				if st := f.Stats(); st.InFlight > 150+38 || st.Waiting > 4*150*5/4 {
					t.Errorf("%d in flight, %d waiting", st.InFlight, st.Waiting)
				}
				waitFor(t, func() bool { return answered+c.answers.Load() == int64(serial) })
				sizes = append(sizes, heap())
			}
			st := f.Stats()
			if st.OverLimit == 0 && test.name == "a silent server" || st.Hits+st.Forwarded+st.Coalesced != serial || st.InFlight != 0 || st.Cache.Entries > 1000 {
				t.Errorf("stats %+v", st)
			}
			if first, last := sizes[1], sizes[rounds-1]; last > first+1<<20 {
				t.Errorf("the heap grows: %d octets after each round", sizes)
			}
		})
	}
}

// TestOnlyTheQuestionIsAnswered: what a reply says about other names does not answer questions
// about them, in whichever section it stands and whether or not the names are below the domain
// of the server.
func TestOnlyTheQuestionIsAnswered(t *testing.T) {
	const bank = "www.bank.example. 30 A 127.6.6.6"
	liar := newFakeServer(t, func(q *dns.Msg, _ bool) [][]byte {
		m := reply(q, 0, "a.evil.example. 30 CNAME www.bank.example.", bank, "b.evil.example. 30 A 127.6.6.6")
		for _, text := range []string{bank, "example. 300 NS ns.evil.example.", "c.evil.example. 30 A 127.6.6.6"} {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Error(err)
			}
			if rr.Header().Rrtype == dns.TypeNS {
				m.Ns = append(m.Ns, rr)
			} else {
				m.Extra = append(m.Extra, rr)
			}
		}
		return [][]byte{pack(m)}
	})
	honest := newFakeServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		return zone(0, q.Question[0].Name+" 30 A 127.1.0.1")(q, tcp)
	})
	cfg := to(honest)
	cfg.Upstream.Routes = append(cfg.Upstream.Routes,
		upstream.Route{Domain: suffix("a.evil.example."), Servers: []upstream.Server{{Addr: liar.Addr}}})
	cfg.Cache.Entries = 1000
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	for range 2 {
		if m := c.Ask(question("a.evil.example.", dns.TypeA)); len(m.Answer) == 0 {
			t.Fatalf("got %v", m)
		}
	}
	for _, name := range []string{"www.bank.example.", "b.evil.example.", "c.evil.example.", "example."} {
		if got, want := summary(c.Ask(question(name, dns.TypeA))), "NOERROR; rd; "+name+" 30 IN A 127.1.0.1"; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if liar.Seen() != 1 || honest.Seen() != 4 {
		t.Errorf("the servers were asked %d and %d times, want 1 and 4", liar.Seen(), honest.Seen())
	}
}
