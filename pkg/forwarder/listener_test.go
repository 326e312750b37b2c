package forwarder

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// listen serves f at the addresses until the test ends.
func listen(t *testing.T, f *Forwarder, addrs ...string) *listener.Server {
	t.Helper()
	cfg := listener.Config{Handler: f}
	for _, a := range addrs {
		cfg.Addrs = append(cfg.Addrs, netip.MustParseAddrPort(a))
	}
	server, err := listener.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Run(t.Context()) })
	t.Cleanup(wg.Wait)
	return server
}

// TestThroughListener uses real sockets on both sides and many clients at the same time, whose
// questions all wait for the end of the batch.
func TestThroughListener(t *testing.T) {
	s := newFakeServer(t, func(q *dns.Msg, _ bool) [][]byte {
		return [][]byte{pack(reply(q, 0, q.Question[0].Name+" 30 A 127.1.0.1"))}
	})
	cfg := to(s)
	cfg.InFlight = 1000
	f := run(t, cfg)
	server := listen(t, f, "127.0.0.1:0", "[::1]:0")
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
	// A batch is counted when it is answered.
	waitFor(t, func() bool { st := f.Stats(); return st.Hits+st.Forwarded+st.Coalesced == 600 })
}

// TestLargestPackets: a client that announces 65535 octets gets an answer over UDP of whatever size
// the server's is: whole, or truncated to what a packet can carry.
func TestLargestPackets(t *testing.T) {
	size := 0
	s := newFakeServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		m := reply(q, 0)
		m.Truncated = !tcp
		for tcp && m.Len() < size {
			const head = 13 + 10 // the owner with its root, and the fixed part of a record
			room := min(max(size-m.Len()-head, 0), 60000)
			m.Answer = append(m.Answer, &dns.NULL{
				Hdr:  dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeNULL, Class: dns.ClassINET, Ttl: 60},
				Data: strings.Repeat("x", room),
			})
		}
		return [][]byte{pack(m)}
	})
	cfg := to(s)
	cfg.Upstream.Payload = 65535
	f := run(t, cfg)
	server := listen(t, f, "127.0.0.1:0")
	for i, n := range []int{65400, 65480, 65500, wire.MaxPacket, wire.MaxPacket + 1, 65520, 65535} {
		size = n
		for _, source := range []string{"server", "cache"} {
			q := question(fmt.Sprintf("n%d.example.", i), dns.TypeNULL)
			q.SetEdns0(65535, false)
			c := &dns.Client{UDPSize: 65535, Timeout: hang}
			if m, _, err := c.Exchange(q, server.Addrs()[0].String()); err != nil || m.Rcode != 0 || !m.Truncated && len(m.Answer) == 0 {
				t.Errorf("%d octets from the %s: %v", n, source, err)
			}
		}
	}
}

// TestPart: the packets of one batch share one reading of the clock, and the next batch reads
// it again. Hits are counted at the end of the batch.
func TestPart(t *testing.T) {
	cfg := to(newFakeServer(t, silence))
	cfg.Stages = []Stage{{Query: func(q *Query) bool {
		q.Build().Addr(nil, 1, netip.MustParseAddr("127.1.0.1"))
		return q.Answer("")
	}}}
	f := run(t, cfg)
	p := f.Split().(*Part)
	out, q := make([]byte, 0, wire.MaxMessage), pack(question("own.", dns.TypeA))
	last := int64(0)
	for range 100 {
		if len(p.Handle(q, listener.ReplyTo{}, out)) == 0 {
			t.Fatal("no answer")
		}
		first := p.now
		p.Handle(q, listener.ReplyTo{}, out)
		if p.now != first || first < last {
			t.Fatalf("within the batch the time goes from %d to %d, after %d", first, p.now, last)
		}
		last = first
		p.Flush()
	}
	if st := f.Stats(); st.Hits != 200 || st.Local != 200 || p.now != 0 {
		t.Errorf("%d hits, %d of them local, at %d; want 200 and no time", st.Hits, st.Local, p.now)
	}
}

// TestPreview: packets get the same answers whether all, some or none of them were passed to
// Preview, and also if the cache changes in between.
func TestPreview(t *testing.T) {
	sw := new(switched)
	sw.set(zone(0, rec))
	s := newFakeServer(t, sw.script)
	cfg := to(s)
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	c.Ask(question("www.example.", dns.TypeA))
	p := f.Split().(*Part)
	var packets [][]byte
	for i := range 40 {
		q := question([]string{"www.example.", "WWW.Example."}[i%2], dns.TypeA)
		q.Id = uint16(i)
		packets = append(packets, pack(q))
	}
	packets[3] = packets[3][:13]                   // FORMERR
	packets[4] = append(packets[4][:2], 0x80, 0)   // a response
	packets[5] = pack(question(".", dns.TypeAXFR)) // REFUSED
	out := make([]byte, 0, wire.MaxMessage)
	answers := func(shown [][]byte, between func()) (all []string) {
		if shown != nil {
			p.Preview(shown)
		}
		between()
		for _, packet := range packets {
			all = append(all, string(p.Handle(packet, c.To, out)))
		}
		p.Flush()
		return all
	}
	want := answers(nil, func() {})
	for name, shown := range map[string][][]byte{"all": packets, "some": packets[2:9], "others": {pack(question("else.", dns.TypeA))}} {
		if diff := cmp.Diff(want, answers(shown, func() {})); diff != "" {
			t.Errorf("%s shown (-want +got):\n%s", name, diff)
		}
	}
	seen, g := s.Seen(), newGate(t)
	sw.set(g.script(zone(0, rec))) // the server may be asked before the batch ends
	for i, a := range answers(packets, func() {
		cfg.Cache.Entries++ // leads to a new, empty cache
		if err := f.Reload(cfg); err != nil {
			t.Fatal(err)
		}
	}) {
		if known := i >= 3 && i <= 5; (a == "") == known && i != 4 {
			t.Errorf("packet %d is answered by %x from the cache that is gone", i, a)
		}
	}
	g.lift()
	waitFor(t, func() bool { return s.Seen() == seen+1 && f.Stats().InFlight == 0 })
}

// TestOnPanic: a packet for which a Part panicked is answered.
func TestOnPanic(t *testing.T) {
	q := question("www.example.", dns.TypeA)
	m := new(dns.Msg)
	if err := m.Unpack(OnPanic(pack(q), listener.ReplyTo{}, nil)); err != nil || m.Rcode != dns.RcodeServerFailure || m.Id != q.Id {
		t.Errorf("%v, %v", m, err)
	}
	if out := OnPanic([]byte("\x00\x01\x80"), listener.ReplyTo{}, nil); len(out) != 0 {
		t.Errorf("half a header is answered by %x", out)
	}
}
