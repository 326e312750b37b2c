// Package dnstest is for tests: it has scripted DNS servers on loopback, clients of handlers,
// and short texts for questions and answers.
package dnstest

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// Hang bounds every wait of a test.
const Hang = testkit.Hang

// Server is a scripted server on loopback, over UDP and TCP.
type Server struct {
	Addr netip.AddrPort
	udp  net.PacketConn

	mu      sync.Mutex
	queries []*dns.Msg // as received, TCP ones included
	ports   map[string]int
	tcp     int
}

// Script returns the raw packets to send back for a query, in order.
type Script func(q *dns.Msg, tcp bool) [][]byte

// NewServer starts a server that runs fn for each query.
func NewServer(tb testing.TB, fn Script) *Server {
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
	s := &Server{Addr: netip.MustParseAddrPort(pc.LocalAddr().String()), udp: pc, ports: map[string]int{}}
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

func (s *Server) note(q *dns.Msg, port string, tcp bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries = append(s.queries, q)
	s.ports[port]++
	if tcp {
		s.tcp++
	}
}

func (s *Server) serveUDP(fn Script, wg *sync.WaitGroup) {
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

func (s *Server) serveTCP(l net.Listener, fn Script, wg *sync.WaitGroup) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer c.Close()
			dc := &dns.Conn{Conn: c}
			_ = c.SetDeadline(time.Now().Add(Hang))
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

// Seen returns the number of queries received.
func (s *Server) Seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queries)
}

// All returns the queries received.
func (s *Server) All() []*dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.queries)
}

// Refuse closes the UDP port. A connected socket keeps other programs from using the port, so
// that the kernel reports it as closed to whoever sends to it.
func (s *Server) Refuse(tb testing.TB) {
	tb.Helper()
	s.udp.Close()
	taken, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(s.Addr), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:1")))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { taken.Close() })
}

// Last returns the last query.
func (s *Server) Last() *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries[len(s.queries)-1].Copy()
}

// Zone returns a script that answers with rcode and records, which are in presentation form.
func Zone(rcode int, records ...string) Script {
	return func(q *dns.Msg, _ bool) [][]byte { return [][]byte{Pack(Reply(q, rcode, records...))} }
}

// Reply returns a reply to q. A record that begins with "ns " goes into the authority
// section, one with "ad " into the additional section.
func Reply(q *dns.Msg, rcode int, records ...string) *dns.Msg {
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

// Pack returns the compressed message.
func Pack(m *dns.Msg) []byte {
	m.Compress = true
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// Silence answers nothing.
func Silence(*dns.Msg, bool) [][]byte { return nil }

// Ports returns the number of ports from which queries came.
func (s *Server) Ports() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ports)
}
