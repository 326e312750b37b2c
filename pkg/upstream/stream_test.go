package upstream

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// tcpScript serves one connection, the nth of its server. It returns to close
// it.
type tcpScript func(nth int, c *peer)

// peer is the server's end of a connection.
type peer struct{ net.Conn }

// query reads the next question, nil at the end of the connection.
func (p *peer) query() *dns.Msg {
	var size [2]byte
	if _, err := io.ReadFull(p, size[:]); err != nil {
		return nil
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(p, b); err != nil {
		return nil
	}
	q := new(dns.Msg)
	if q.Unpack(b) != nil {
		return nil
	}
	return q
}

// frame is a message with its length.
func frame(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

// answerTo answers with one record that tells the question's name.
func answerTo(q *dns.Msg) []byte {
	m := new(dns.Msg).SetReply(q)
	m.Answer = []dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 5},
		Txt: []string{q.Question[0].Name},
	}}
	return frame(packed(m))
}

func (p *peer) send(b []byte) { _, _ = p.Write(b) }

// maxConns bounds the connections for two questions.
const maxConns = 8

// truncating is a server whose answers over UDP are truncated; script serves
// TCP.
type truncating struct {
	spec  Server
	conns atomic.Int32 // taken
	open  atomic.Int32
	close func() // and waits until nothing is served
}

func newTruncating(tb testing.TB, script tcpScript) *truncating {
	tb.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		pc.Close()
		return newTruncating(tb, script) // the port is another's over TCP
	}
	s := &truncating{spec: Server{Addr: netip.MustParseAddrPort(pc.LocalAddr().String())}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var taken []net.Conn
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) == nil {
				m := new(dns.Msg).SetReply(q)
				m.Truncated = true
				_, _ = pc.WriteTo(packed(m), from)
			}
		}
	})
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			taken = append(taken, c)
			mu.Unlock()
			nth := int(s.conns.Add(1))
			s.open.Add(1)
			wg.Go(func() {
				defer s.open.Add(-1)
				defer c.Close()
				script(nth, &peer{c})
			})
		}
	})
	s.close = func() {
		pc.Close()
		l.Close()
		mu.Lock()
		for _, c := range taken {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	}
	tb.Cleanup(s.close)
	return s
}

// hearing is an owner that keeps what an answer says.
type hearing struct {
	quiet
	done chan string
}

func (o *hearing) Done(_ Sink, r *Result) {
	if r.Reply == nil {
		o.done <- r.Err.Error()
		return
	}
	m := new(dns.Msg)
	if err := m.Unpack(r.Reply.Msg); err != nil {
		o.done <- err.Error()
		return
	}
	text := dns.RcodeToString[m.Rcode]
	if m.Truncated {
		text += " tc"
	}
	for _, rr := range m.Answer {
		text += " " + strings.Join(rr.(*dns.TXT).Txt, "")
	}
	o.done <- text
}

func (o *hearing) wait(tb testing.TB) string {
	tb.Helper()
	select {
	case text := <-o.done:
		return text
	case <-time.After(hang):
		tb.Fatal("the exchange does not end")
		return ""
	}
}

func (s *Set) askText(name string) *hearing {
	o := &hearing{done: make(chan string, 2)}
	wire := make([]byte, 300)
	n, _ := dns.PackDomainName(name, wire, 0, nil, false)
	q := Question{Name: wire[:n], Type: dns.TypeTXT, Class: dns.ClassINET}
	s.Send(s.Table().Lookup(q.Name, q.Type).Group, &q, 0, o)
	s.Flush()
	return o
}

// serial answers each question in turn.
func serial(_ int, c *peer) {
	for q := c.query(); q != nil; q = c.query() {
		c.send(answerTo(q))
	}
}

// TestTCP: the outcome of a question over TCP, twice in a row.
func TestTCP(t *testing.T) {
	t.Parallel()
	const good, cut = "NOERROR www.example.", "NOERROR tc"
	octets := func(_ int, c *peer) {
		for q := c.query(); q != nil; q = c.query() {
			for _, b := range answerTo(q) {
				c.send([]byte{b})
			}
		}
	}
	long := func(_ int, c *peer) {
		for q := c.query(); q != nil; q = c.query() {
			m := new(dns.Msg).SetReply(q)
			for range 240 {
				m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: "www.example.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{strings.Repeat("x", 240)}})
			}
			c.send(frame(packed(m)))
		}
	}
	changed := func(change func(m *dns.Msg)) tcpScript {
		return func(_ int, c *peer) {
			for q := c.query(); q != nil; q = c.query() {
				m := new(dns.Msg).SetReply(q)
				change(m)
				c.send(frame(packed(m)))
				c.send(frame(nil))
				c.send(frame([]byte{1}))
				c.send(answerTo(q))
			}
		}
	}
	tests := []struct {
		name   string
		script tcpScript
		want   string
		conns  int32 // at most
	}{
		{"one connection for both", serial, good, 1},
		{"closes after one answer", func(_ int, c *peer) {
			if q := c.query(); q != nil {
				c.send(answerTo(q))
			}
		}, good, maxConns}, // the second question may meet the end of the first connection
		{"octet by octet", octets, good, 1},
		{"the longest", long, "NOERROR" + strings.Repeat(" "+strings.Repeat("x", 240), 240), 1},
		{"closes the first connection at once", func(nth int, c *peer) {
			if nth > 1 {
				serial(nth, c)
			}
		}, good, maxConns},
		{"closes the first connection in a message", func(nth int, c *peer) {
			if nth > 1 {
				serial(nth, c)
			} else if q := c.query(); q != nil {
				c.send(answerTo(q)[:20])
			}
		}, good, maxConns},
		{"closes every connection in a message", func(_ int, c *peer) {
			if q := c.query(); q != nil {
				c.send(answerTo(q)[:20])
			}
		}, cut, maxConns},
		{"closes every connection at once", func(int, *peer) {}, cut, maxConns},
		{"wrong id first", changed(func(m *dns.Msg) { m.Id ^= 0x100 }), good, 1},
		{"wrong name first", changed(func(m *dns.Msg) { m.Question[0].Name = "wwx.example." }), good, 1},
		{"wrong type first", changed(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }), good, 1},
		{"a question first", changed(func(m *dns.Msg) { m.Response = false }), good, 1},
		{"nothing but wrong ids", func(_ int, c *peer) {
			q := c.query()
			for q != nil {
				q.Id++
				if _, err := c.Write(answerTo(q)); err != nil {
					return
				}
			}
		}, cut, maxConns},
		{"a length of more than comes", func(_ int, c *peer) {
			if q := c.query(); q != nil {
				b := answerTo(q)
				b[0]++
				c.send(b)
				c.query()
			}
		}, cut, maxConns},
		{"a length of less than the message", func(_ int, c *peer) {
			if q := c.query(); q != nil {
				b := answerTo(q)
				b[1] -= 4
				c.send(b)
				c.query()
			}
		}, "malformed answer", maxConns},
		{"silent", func(_ int, c *peer) { c.query(); c.query() }, cut, maxConns},
		{"truncated over TCP too", changed(func(m *dns.Msg) { m.Truncated = true }), cut, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := newTruncating(t, test.script)
			cfg := Config{Routes: all(server.spec)}
			if test.want == cut || test.want == "malformed answer" {
				cfg.Timeout = 500 * time.Millisecond // only its end tells
			}
			s, stop := running(t, cfg)
			for range 2 {
				if got := s.askText("www.example.").wait(t); got != test.want && (test.want != "malformed answer" || got != cut) {
					t.Errorf("got %.60q, want %.60q", got, test.want)
				}
			}
			if n := server.conns.Load(); n > test.conns {
				t.Errorf("%d connections, want at most %d", n, test.conns)
			}
			if st := s.Stats(); st.Servers[0].Down || st.InFlight != 0 {
				t.Errorf("a server that answers over UDP counts as down: %+v", st)
			}
			stop()
			if n := s.Stats().TCPConns; n != 0 {
				t.Errorf("%d connections after the end", n)
			}
		})
	}
}

// TestTCPReorder: many questions share few connections and are answered in any
// order.
func TestTCPReorder(t *testing.T) {
	t.Parallel()
	const questions = 100
	server := newTruncating(t, func(_ int, c *peer) {
		var answers sync.WaitGroup
		defer answers.Wait()
		for q := c.query(); q != nil; q = c.query() {
			answers.Go(func() {
				time.Sleep(rand.N(20 * time.Millisecond))
				c.send(answerTo(q))
			})
		}
	})
	s, _ := running(t, Config{Routes: all(server.spec)})
	var owners []*hearing
	for i := range questions {
		owners = append(owners, s.askText(fmt.Sprintf("n%d.example.", i)))
	}
	for i, o := range owners {
		if got, want := o.wait(t), fmt.Sprintf("NOERROR n%d.example.", i); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if n := server.conns.Load(); n > 4 {
		t.Errorf("%d connections, want at most 4", n)
	}
	if st := s.Stats(); st.TCPRefused != 0 || st.TCPExchanges < questions {
		t.Errorf("stats %+v", st)
	}
}

// TestTCPSingle: a server that closes after each answer loses no question, and
// is soon known: questions are not pipelined to it any more.
func TestTCPSingle(t *testing.T) {
	t.Parallel()
	const questions = 40
	var lost [3]atomic.Int32 // of each round's questions
	server := newTruncating(t, func(_ int, c *peer) {
		q := c.query()
		if q == nil {
			return
		}
		time.Sleep(20 * time.Millisecond) // others queue behind it
		c.send(answerTo(q))
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		for q := c.query(); q != nil; q = c.query() {
			lost[q.Question[0].Name[1]-'0'].Add(1)
		}
	})
	s, stop := running(t, Config{Routes: all(server.spec)})
	for round := range lost {
		var owners []*hearing
		for i := range questions {
			owners = append(owners, s.askText(fmt.Sprintf("r%d-n%d.example.", round, i)))
		}
		for i, o := range owners {
			if got, want := o.wait(t), fmt.Sprintf("NOERROR r%d-n%d.example.", round, i); got != want {
				t.Fatalf("round %d: got %q, want %q", round, got, want)
			}
		}
	}
	stop()
	server.close() // and nobody counts any more
	for round := range lost {
		if n := lost[round].Load(); round > 0 && n != 0 {
			t.Errorf("round %d: %d questions were sent to a connection that closes after one", round, n)
		}
	}
}

// TestTCPLimit: beyond the limit, the truncated answer is given at once; nothing waits and
// nothing grows.
func TestTCPLimit(t *testing.T) {
	t.Parallel()
	const limit = 8
	hold := make(chan struct{})
	server := newTruncating(t, func(_ int, c *peer) {
		q := c.query()
		<-hold
		for ; q != nil; q = c.query() {
			c.send(answerTo(q))
		}
	})
	s, _ := running(t, Config{Routes: all(server.spec), TCPExchanges: limit})
	var owners []*hearing
	for i := range 3 * limit {
		owners = append(owners, s.askText(fmt.Sprintf("n%d.example.", i)))
	}
	for end := time.Now().Add(hang); s.Stats().TCPRefused < 2*limit; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d were refused, want %d", s.Stats().TCPRefused, 2*limit)
		}
	}
	close(hold)
	whole := 0
	for _, o := range owners {
		if got := o.wait(t); !strings.HasSuffix(got, "tc") {
			whole++
		}
	}
	if whole != limit {
		t.Errorf("%d whole answers, want %d", whole, limit)
	}
}

// TestTCPReload: connections to a server that is removed end when they have
// answered.
func TestTCPReload(t *testing.T) {
	t.Parallel()
	hold, asked := make(chan struct{}), make(chan struct{}, 4)
	server := newTruncating(t, func(_ int, c *peer) {
		for q := c.query(); q != nil; q = c.query() {
			asked <- struct{}{}
			<-hold
			c.send(answerTo(q))
		}
	})
	s, _ := running(t, Config{Routes: all(server.spec), Timeout: hang})
	o := s.askText("www.example.")
	<-asked
	if err := s.Reload(Config{Routes: all(scriptedSilent(t)), NewSink: func() Sink { return noSink{} }, Timeout: hang}); err != nil {
		t.Fatal(err)
	}
	close(hold)
	if got, want := o.wait(t), "NOERROR www.example."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for end := time.Now().Add(hang); s.Stats().TCPConns != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the removed server's connection stays")
		}
	}
}
