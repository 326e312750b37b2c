package nslookup

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// scripted is a DNS server on loopback that does what its func says. It counts
// the questions by name and type.
type scripted struct {
	addr netip.AddrPort
	mu   sync.Mutex
	seen []string
}

// script answers one question: the packets to send back, none for silence.
type script func(tcp bool, query *dns.Msg) [][]byte

func newScripted(t *testing.T, do script) *scripted {
	t.Helper()
	pc, ln := listenBoth(t)
	s := &scripted{addr: netip.MustParseAddrPort(pc.LocalAddr().String())}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, p := range do(false, s.note(t, buf[:n])) {
				_, _ = pc.WriteTo(p, from)
			}
		}
	})
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			stream := dns.Conn{Conn: c}
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			p, err := stream.ReadMsgHeader(nil)
			if err == nil {
				for _, r := range do(true, s.note(t, p)) {
					_, _ = stream.Write(r)
				}
			}
			c.Close()
		}
	})
	t.Cleanup(func() {
		pc.Close()
		ln.Close()
		wg.Wait()
	})
	return s
}

// listenBoth returns sockets on a port that is free over UDP and TCP: what is
// free over one may be taken over the other.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 50 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, ln
		}
		pc.Close()
	}
	t.Fatal("no port that is free over UDP and TCP")
	return nil, nil
}

func (s *scripted) note(t *testing.T, packet []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil {
		t.Errorf("the question is not a message: %v", err)
		return m
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, m.Question[0].Name+" "+dns.TypeToString[m.Question[0].Qtype])
	return m
}

func (s *scripted) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

func (s *scripted) port() uint16 { return s.addr.Port() }

// reply makes an authoritative reply with records in zone file form.
func reply(t *testing.T, query *dns.Msg, rcode int, records ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetRcode(query, rcode)
	m.Authoritative = true
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Errorf("record %q: %v", text, err)
			continue
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

func pack(t *testing.T, m *dns.Msg) [][]byte {
	t.Helper()
	p, err := m.Pack()
	if err != nil {
		t.Errorf("packing: %v", err)
	}
	return [][]byte{p}
}

// zone answers from a table "name TYPE" to records; other types of a name in it
// have no data, other names do not exist.
func zone(t *testing.T, records map[string][]string) script {
	t.Helper()
	return func(_ bool, q *dns.Msg) [][]byte {
		name := q.Question[0].Name
		if rrs, ok := records[name+" "+dns.TypeToString[q.Question[0].Qtype]]; ok {
			return pack(t, reply(t, q, dns.RcodeSuccess, rrs...))
		}
		for key := range records {
			if len(key) > len(name) && key[:len(name)+1] == name+" " {
				return pack(t, reply(t, q, dns.RcodeSuccess))
			}
		}
		return pack(t, reply(t, q, dns.RcodeNameError))
	}
}

// deadPort returns a port of 127.0.0.1 with nobody behind it. A socket that is
// connected elsewhere keeps it from others.
func deadPort(t *testing.T) string {
	t.Helper()
	here, elsewhere := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	c, err := net.DialUDP("udp", here, elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return strconv.Itoa(c.LocalAddr().(*net.UDPAddr).Port)
}

func writeResolvConf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
