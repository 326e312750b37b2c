package upstream

import (
	"bytes"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/upstream/transport"
	"github.com/kube-dns/kube-dns/pkg/wire"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

// TestRepliesReachThePolicy: the policy gets the events that correspond to the servers'
// replies. The policy's own scenarios test its decisions.
func TestRepliesReachThePolicy(t *testing.T) {
	good := rcode(0)
	plainOnly := func(refusal func(q *dns.Msg) [][]byte) func(*dns.Msg) [][]byte {
		return func(q *dns.Msg) [][]byte {
			if q.IsEdns0() != nil {
				return refusal(q)
			}
			return good(q)
		}
	}
	bare := func(code byte) func(*dns.Msg) [][]byte {
		return func(q *dns.Msg) [][]byte {
			return [][]byte{{byte(q.Id >> 8), byte(q.Id), 0x80, code, 0, 0, 0, 0, 0, 0, 0, 0}}
		}
	}
	badVersion := func(q *dns.Msg) [][]byte {
		m := new(dns.Msg).SetReply(q)
		m.SetEdns0(1232, false)
		m.IsEdns0().SetExtendedRcode(dns.RcodeBadVers)
		return [][]byte{packed(m)}
	}
	garbled := func(q *dns.Msg) [][]byte {
		b := packed(textReply(q))
		return [][]byte{b[:len(b)-3]}
	}
	for _, test := range []struct {
		name    string
		servers []func(*dns.Msg) [][]byte
		want    string
	}{
		{"FORMERR to EDNS", []func(*dns.Msg) [][]byte{plainOnly(rcode(dns.RcodeFormatError))}, "NOERROR"},
		{"NOTIMP to EDNS", []func(*dns.Msg) [][]byte{plainOnly(rcode(dns.RcodeNotImplemented))}, "NOERROR"},
		{"bare FORMERR to EDNS", []func(*dns.Msg) [][]byte{plainOnly(bare(1))}, "NOERROR"},
		{"bare NOTIMP to EDNS", []func(*dns.Msg) [][]byte{plainOnly(bare(4))}, "NOERROR"},
		{"BADVERS to EDNS", []func(*dns.Msg) [][]byte{plainOnly(badVersion)}, "NOERROR"},
		{"FORMERR to all", []func(*dns.Msg) [][]byte{rcode(dns.RcodeFormatError)}, "FORMERR"},
		{"NOTIMP, then good", []func(*dns.Msg) [][]byte{rcode(dns.RcodeNotImplemented), good}, "NOERROR"},
		{"REFUSED, then good", []func(*dns.Msg) [][]byte{rcode(dns.RcodeRefused), good}, "NOERROR"},
		{"NOTAUTH, then NXDOMAIN", []func(*dns.Msg) [][]byte{rcode(dns.RcodeNotAuth), rcode(dns.RcodeNameError)}, "NXDOMAIN"},
		{"garbled, then good", []func(*dns.Msg) [][]byte{garbled, good}, "NOERROR"},
		{"garbled", []func(*dns.Msg) [][]byte{garbled}, ErrMalformed.Error()},
		{"SERVFAIL twice", []func(*dns.Msg) [][]byte{rcode(2), rcode(2)}, "SERVFAIL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var servers []Server
			for _, script := range test.servers {
				servers = append(servers, scripted(t, script))
			}
			s, _ := running(t, Config{Routes: all(servers...), Strategy: InOrder})
			for range 2 {
				if got := s.askA("www.example.", 0).wait(t); !strings.HasPrefix(got, test.want) {
					t.Errorf("got %q, want %q", got, test.want)
				}
			}
		})
	}
}

// fakeLink sends nothing; the test makes the replies.
type fakeLink struct{ waiting map[*transport.Call]bool }

func (l *fakeLink) Send(c *transport.Call, _ int64) error {
	l.waiting[c] = true
	return nil
}

func (l *fakeLink) Cancel(c *transport.Call) bool {
	was := l.waiting[c]
	delete(l.waiting, c)
	return was
}

func (l *fakeLink) Rearm(c *transport.Call) bool {
	l.waiting[c] = true
	return true
}

func (*fakeLink) Doubt(*transport.Call) {}
func (*fakeLink) Retire(int64)          {}
func (*fakeLink) Close()                {}

// verdicts is an owner that records how its exchange ended.
type verdicts struct {
	quiet
	calls  int
	ignore int // good replies to be ignored
	judged int
	reply  []byte
}

func (v *verdicts) Ignores(*wire.Reply) bool {
	v.judged++
	v.ignore--
	return v.ignore >= 0
}

func (v *verdicts) Done(_ Sink, r *Result) {
	v.calls++
	if r.Reply != nil {
		v.reply = bytes.Clone(r.Reply.Msg)
	}
	if (r.Reply == nil) == (r.Err == nil) {
		panic("both or none of reply and error")
	}
}

// FuzzExchange passes messages, cut from one input, to the calls that wait. The owner must be
// called once, with a message that can be parsed, and nothing may be held afterwards.
func FuzzExchange(f *testing.F) {
	s, err := New(Config{Routes: all(at(53), at(54)), NewSink: func() Sink { return noSink{} }})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	q := new(dns.Msg).SetQuestion("www.example.", dns.TypeA)
	q.SetEdns0(1232, false)
	for _, code := range []int{0, 1, 2, 3, 4, 5, 9} {
		f.Add(packed(new(dns.Msg).SetRcode(q, code)), byte(code), byte(code))
	}
	tc := new(dns.Msg).SetReply(q)
	tc.Truncated = true
	f.Add(append(packed(tc), packed(textReply(q))...), byte(29), byte(1))
	f.Fuzz(func(t *testing.T, octets []byte, size, ignore byte) {
		link := &fakeLink{waiting: map[*transport.Call]bool{}}
		for _, srv := range s.order {
			srv.links = [2]transport.Link{link, link}
		}
		w := s.newWorker()
		owner := &verdicts{ignore: int(ignore % 4)}
		group, _ := s.Table().ForAll()
		s.Send(group, &Question{Name: []byte("\x03www\x07example\x00"), Type: wire.TypeA, Class: wire.ClassIN}, 0, owner)
		exchanges := map[*exchange]bool{} // the question's, maybe one that measures
		for c := range link.waiting {
			if ex := c.Owner.(*exchange); !exchanges[ex] {
				exchanges[ex] = true
				ex.refs.Add(1) // ours
			}
		}
		for len(link.waiting) > 0 && owner.calls == 0 && len(octets) > 0 {
			var c *transport.Call
			for c = range link.waiting {
				break
			}
			msg := octets[:min(len(octets), 29+int(size))]
			octets = octets[len(msg):]
			if len(msg) < 29 { // a link hands on only what repeats the question
				break
			}
			delete(link.waiting, c)
			msg = bytes.Clone(msg)
			copy(msg[4:], "\x00\x01")
			copy(msg[12:], "\x03www\x07example\x00\x00\x01\x00\x01")
			w.Replied(c, msg, size%5 == 0, s.now())
		}
		for ex := range exchanges {
			if ex.abandon() {
				w.conclude(ex, policy.EndTimeout)
			}
		}
		if owner.calls != 1 {
			t.Errorf("the owner was told %d times", owner.calls)
		}
		var r wire.Reply
		if owner.reply != nil && !wire.ParseReply(owner.reply, &r) {
			t.Errorf("the owner got %x", owner.reply)
		}
		for ex := range exchanges {
			if n := ex.refs.Load(); n != 1 || len(link.waiting) != 0 {
				t.Errorf("%d references to the exchange, %d calls are left", n, len(link.waiting))
			}
			ex.release()
		}
	})
}

func at(port uint16) Server {
	return Server{Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)}
}

// echo is a server that answers without allocating.
func echo(tb testing.TB) Server {
	tb.Helper()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, from, err := pc.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			buf[2] |= 0x80
			_, _ = pc.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	tb.Cleanup(func() {
		pc.Close()
		<-done
	})
	return Server{Addr: pc.LocalAddr().(*net.UDPAddr).AddrPort()}
}

// ringing is an owner of many questions.
type ringing struct {
	quiet
	done chan struct{}
	name [17]byte
}

func (r *ringing) Done(Sink, *Result) { r.done <- struct{}{} }

// ask asks n questions at a time.
func (r *ringing) ask(s *Set, n int) {
	copy(r.name[:], "\x07aaaaaaa\x07example\x00")
	q := Question{Name: r.name[:], Type: wire.TypeA, Class: wire.ClassIN, Flags: wire.FlagRD}
	d := s.Table().Lookup(q.Name, q.Type)
	for i := range n {
		r.name[1] = 'a' + byte(i%26)
		s.Send(d.Group, &q, time.Second, r)
	}
	s.Flush()
	for range n {
		<-r.done
	}
}

// TestExchangeAllocations: an exchange allocates nothing in the steady state.
func TestExchangeAllocations(t *testing.T) {
	if dnstest.RaceEnabled {
		return // the race detector allocates
	}
	s, _ := running(t, Config{Routes: all(echo(t)), MixCase: true})
	r := &ringing{done: make(chan struct{}, 64)}
	for range 50 {
		r.ask(s, 32)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 200
	for range rounds {
		r.ask(s, 32)
	}
	runtime.ReadMemStats(&after)
	// The garbage collector may empty pools meanwhile.
	if n := float64(after.Mallocs-before.Mallocs) / (rounds * 32); n > 0.1 {
		t.Errorf("%.2f allocations per exchange", n)
	}
}

// BenchmarkExchange includes the server, in the same process.
func BenchmarkExchange(b *testing.B) {
	s, _ := running(b, Config{Routes: all(echo(b))})
	r := &ringing{done: make(chan struct{}, 64)}
	b.ReportAllocs()
	for b.Loop() {
		r.ask(s, 32)
	}
}
