package forwarder

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// hang bounds every wait of a test.
const hang = 20 * time.Second

// fakeServer is a scripted server on loopback, over UDP and TCP.
type fakeServer struct {
	addr netip.AddrPort
	udp  net.PacketConn

	mu      sync.Mutex
	queries []*dns.Msg // as received, TCP ones included
	ports   map[string]int
	tcp     int
}

// script makes the packets to send back for a query; raw packets, in order.
type script func(q *dns.Msg, tcp bool) [][]byte

// newFakeServer starts a server that runs fn for each query.
func newFakeServer(tb testing.TB, fn script) *fakeServer {
	tb.Helper()
	var (
		pc  net.PacketConn
		l   net.Listener
		err error
	)
	for range 20 { // a port that is free for both
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			tb.Fatal(err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		pc.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	s := &fakeServer{addr: netip.MustParseAddrPort(pc.LocalAddr().String()), udp: pc, ports: map[string]int{}}
	var wg sync.WaitGroup
	wg.Go(func() { s.serveUDP(fn, &wg) })
	wg.Go(func() { s.serveTCP(l, fn, &wg) })
	tb.Cleanup(func() {
		pc.Close()
		l.Close()
		wg.Wait()
	})
	return s
}

func (s *fakeServer) note(q *dns.Msg, port string, tcp bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries = append(s.queries, q)
	s.ports[port]++
	if tcp {
		s.tcp++
	}
}

func (s *fakeServer) serveUDP(fn script, wg *sync.WaitGroup) {
	buf := make([]byte, 65536)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		q := new(dns.Msg)
		if q.Unpack(buf[:n]) != nil {
			continue
		}
		s.note(q, from.String(), false)
		wg.Go(func() {
			for _, p := range fn(q, false) {
				_, _ = s.udp.WriteTo(p, from)
			}
		})
	}
}

func (s *fakeServer) serveTCP(l net.Listener, fn script, wg *sync.WaitGroup) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer c.Close()
			dc := &dns.Conn{Conn: c}
			_ = c.SetDeadline(time.Now().Add(hang))
			for {
				q, err := dc.ReadMsg()
				if err != nil {
					return
				}
				s.note(q, c.RemoteAddr().String(), true)
				packets := fn(q, true)
				if packets == nil {
					return
				}
				for _, p := range packets {
					_, _ = dc.Write(p)
				}
			}
		})
	}
}

// seen returns how many queries came.
func (s *fakeServer) seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queries)
}

// all returns the queries that came.
func (s *fakeServer) all() []*dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.queries)
}

// refuse closes the UDP port. A connected socket keeps it from others, so that
// the kernel tells who asks that nobody is there.
func (s *fakeServer) refuse(tb testing.TB) {
	tb.Helper()
	s.udp.Close()
	taken, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(s.addr), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:1")))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { taken.Close() })
}

// last returns the last query.
func (s *fakeServer) last() *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries[len(s.queries)-1].Copy()
}

// zone answers from records in presentation form.
func zone(rcode int, records ...string) script {
	return func(q *dns.Msg, _ bool) [][]byte { return [][]byte{pack(reply(q, rcode, records...))} }
}

// reply makes a reply. A record that begins with "ns " goes to the authority
// section, with "ad " to the additional one.
func reply(q *dns.Msg, rcode int, records ...string) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Rcode, m.RecursionAvailable = rcode, true
	if q.IsEdns0() != nil {
		m.SetEdns0(1232, q.IsEdns0().Do())
	}
	for _, text := range records {
		section := &m.Answer
		switch {
		case len(text) > 3 && text[:3] == "ns ":
			section, text = &m.Ns, text[3:]
		case len(text) > 3 && text[:3] == "ad ":
			section, text = &m.Extra, text[3:]
		}
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		*section = append(*section, rr)
	}
	return m
}

func pack(m *dns.Msg) []byte {
	m.Compress = true
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// silence answers nothing.
func silence(*dns.Msg, bool) [][]byte { return nil }

// client is a listener.Sink that collects answers by id.
type client struct {
	t  testing.TB
	f  *Forwarder
	to listener.ReplyTo

	mu      sync.Mutex
	answers map[uint16][]byte
	arrived chan uint16
}

func (c *client) Send(_ listener.ReplyTo, msg []byte) {
	id := uint16(msg[0])<<8 | uint16(msg[1])
	c.mu.Lock()
	c.answers[id] = append([]byte(nil), msg...)
	c.mu.Unlock()
	select {
	case c.arrived <- id:
	default:
	}
}

// newClient returns a client with the address 127.0.0.<host>.
func newClient(tb testing.TB, f *Forwarder, host byte, stream bool) *client {
	tb.Helper()
	c := &client{t: tb, f: f, answers: map[uint16][]byte{}, arrived: make(chan uint16, 1<<15)}
	peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, host}), 40000)
	c.to = listener.NewReplyTo(c, peer, netip.MustParseAddr("127.0.0.1"), stream)
	return c
}

// start sends a query; its answer arrives at once or later.
func (c *client) start(q *dns.Msg) {
	c.t.Helper()
	c.raw(pack(q))
}

func (c *client) raw(packet []byte) {
	if out := c.f.Handle(packet, c.to, make([]byte, 0, listener.MaxMessageBytes)); len(out) > 0 {
		c.Send(c.to, out)
	}
}

// wait returns the answer to the query with that id.
func (c *client) wait(id uint16) *dns.Msg {
	c.t.Helper()
	b := c.waitRaw(id)
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		c.t.Fatalf("answer %x: %v", b, err)
	}
	return m
}

func (c *client) waitRaw(id uint16) []byte {
	c.t.Helper()
	timeout := time.After(hang)
	for {
		c.mu.Lock()
		b, ok := c.answers[id]
		delete(c.answers, id)
		c.mu.Unlock()
		if ok {
			return b
		}
		select {
		case <-c.arrived:
		case <-timeout:
			c.t.Fatalf("query %d got no answer", id)
		}
	}
}

// ask sends a query and waits for its answer.
func (c *client) ask(q *dns.Msg) *dns.Msg {
	c.t.Helper()
	c.start(q)
	return c.wait(q.Id)
}

// question makes a query. Options: "edns", "do", "cd", "ad", "nord".
func question(name string, qtype uint16, options ...string) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	for _, o := range options {
		switch o {
		case "edns":
			q.SetEdns0(1232, false)
		case "do":
			q.SetEdns0(1232, true)
		case "cd":
			q.CheckingDisabled = true
		case "ad":
			q.AuthenticatedData = true
		case "nord":
			q.RecursionDesired = false
		default:
			panic("unknown option " + o)
		}
	}
	return q
}

// run makes a forwarder and runs it until the test ends.
func run(tb testing.TB, cfg Config) *Forwarder {
	tb.Helper()
	f, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Error(err)
			}
		case <-time.After(hang):
			tb.Error("Run does not end")
		}
	})
	return f
}

// to is a configuration that asks the given servers about everything, with a
// cache. It is patient: on a busy machine an answer may be late, and a server
// alone must not be asked twice for that.
func to(servers ...*fakeServer) Config {
	var specs []upstream.Server
	for _, s := range servers {
		specs = append(specs, upstream.Server{Addr: s.addr})
	}
	up := upstream.Config{Routes: []upstream.Route{{Servers: specs}}, Timeout: hang * 3 / 4}
	if len(servers) == 1 {
		up.FirstRetry = hang / 4
	}
	return Config{
		Upstream: up,
		Cache:    answercache.Config{Entries: 1000, FailureTTL: 1},
	}
}

func name(text string) dnsname.Name { return dnsname.MustParse(text) }

func suffix(text string) dnsname.Domain {
	return dnsname.Domain{Match: dnsname.MatchSuffix, Name: name(text)}
}

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// newSinkhole returns the address of a socket that nobody reads.
func newSinkhole(tb testing.TB) netip.AddrPort {
	tb.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { pc.Close() })
	return netip.MustParseAddrPort(pc.LocalAddr().String())
}

// start runs f until the returned func is called.
func start(f *Forwarder) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// waitFor waits until ok.
func waitFor(tb testing.TB, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(hang); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatal("what was waited for did not happen")
		}
	}
}
