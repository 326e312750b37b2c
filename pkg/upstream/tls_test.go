package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

const tlsName = "dns.example.net"

// tlsCase is a TLS server, what is expected of it, and what it brings.
type tlsCase struct {
	name   string
	leaf   dnstest.Leaf
	server func(*tls.Config)   // changes the server's configuration
	expect string              // the name expected
	pins   []string            // of "leaf", "ca" or "other"
	roots  string              // "", or "other": another authority is trusted
	client string              // "", "good", "wrong": the client's certificate
	script dnstest.TLSScript   // what the server does
	want   string              // the answer, or a part of the error
	stats  func(*TLSStats) int // that must be 1
	again  int64               // how often a server that fails is asked besides the first time
}

func reason(name string) func(*TLSStats) int {
	return func(st *TLSStats) int {
		for i, n := range TLSReasons {
			if n == name {
				return int(st.Failures[i])
			}
		}
		return -1
	}
}

func good(names ...string) dnstest.Leaf { return dnstest.Leaf{Names: names} }

func tlsCases() []tlsCase {
	full := func(st *TLSStats) int { return int(st.Full) }
	answer := "NOERROR from"
	return []tlsCase{
		{name: "B1 good name, good CA", leaf: good(tlsName), expect: tlsName, want: answer, stats: full},
		{name: "B2 no name, address in the certificate", leaf: good("127.0.0.1"), want: answer, stats: full},
		{name: "B2 no name, none in the certificate", leaf: good(tlsName), want: "doesn't contain any IP SANs", stats: reason("name")},
		{name: "B3 wrong name", leaf: good("other.example"), expect: tlsName, want: "expected name dns.example.net but for other.example", stats: reason("name")},
		{name: "B3 common name only", leaf: dnstest.Leaf{CommonName: tlsName}, expect: tlsName, want: "common name only", stats: reason("name")},
		{name: "B3 unknown CA", leaf: good(tlsName), expect: tlsName, roots: "other", want: "signed by the unknown authority test CA", stats: reason("unknown_ca")},
		{name: "B3 self-signed", leaf: dnstest.Leaf{Names: []string{tlsName}, SelfSigned: true, CommonName: tlsName}, expect: tlsName, want: "(self-signed)", stats: reason("unknown_ca")},
		{name: "B3 expired", leaf: dnstest.Leaf{Names: []string{tlsName}, Expiry: -time.Minute}, expect: tlsName, want: "expired at 20", stats: reason("expired")},
		{name: "B3 from the future", leaf: dnstest.Leaf{Names: []string{tlsName}, NotBefore: time.Minute}, expect: tlsName, want: "not yet valid: it begins at 20", stats: reason("not_yet_valid")},
		{name: "B3 wrong use", leaf: dnstest.Leaf{Names: []string{tlsName}, Usage: x509.ExtKeyUsageClientAuth}, expect: tlsName, want: "extended key usage", stats: reason("unknown_ca")},
		{name: "B4 right pin, unknown CA", leaf: good(tlsName), expect: tlsName, roots: "other", pins: []string{"leaf"}, want: "unknown authority", stats: reason("unknown_ca")},
		{name: "B4 wrong pin, right CA", leaf: good(tlsName), expect: tlsName, pins: []string{"other"}, want: "none of the pinned keys", stats: reason("pin")},
		{name: "B5 the second pin", leaf: good(tlsName), expect: tlsName, pins: []string{"other", "leaf"}, want: answer, stats: full},
		{name: "B5 the authority's pin", leaf: good(tlsName), expect: tlsName, pins: []string{"ca"}, want: answer, stats: full},
		{name: "B6 wildcard, one label", leaf: good("*.example.net"), expect: tlsName, want: answer, stats: full},
		{name: "B6 wildcard, two labels", leaf: good("*.example.net"), expect: "a." + tlsName, want: "is not for the expected name", stats: reason("name")},
		{
			name: "B18 a server that says nothing", expect: tlsName, leaf: good(tlsName), want: "no connection within 2s", stats: reason("timeout"),
			script: dnstest.TLSScript{Raw: func(_ int, nc net.Conn) bool {
				_, _ = nc.Read(make([]byte, 1)) // and the rest of what comes
				time.Sleep(3 * time.Second)
				return true
			}},
		},
		{
			name: "B18 a plain server", expect: tlsName, leaf: good(tlsName), want: "does not speak TLS", stats: reason("protocol"),
			script: dnstest.TLSScript{Raw: func(_ int, nc net.Conn) bool {
				_, _ = nc.Write([]byte("\x00\x0cabcdefghijkl"))
				return true
			}},
		},
		{
			name: "B18 closed in the handshake", again: 1, expect: tlsName, leaf: good(tlsName), want: "closed the connection during the handshake", stats: reason("closed"),
			script: dnstest.TLSScript{Raw: func(_ int, nc net.Conn) bool { _, _ = nc.Read(make([]byte, 4096)); return true }},
		},
		{name: "B19 an old version", leaf: good(tlsName), expect: tlsName, server: func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, want: "protocol version", stats: reason("protocol")},
		{name: "TLS 1.2", leaf: good(tlsName), expect: tlsName, server: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, want: answer, stats: full},
		{name: "B20 a client certificate", leaf: good(tlsName), expect: tlsName, client: "good", server: wantClient, want: answer, stats: full},
		{name: "B20 no client certificate", leaf: good(tlsName), expect: tlsName, server: wantClient, want: "client certificate", stats: reason("client_cert")},
		{name: "B20 a wrong client certificate", leaf: good(tlsName), expect: tlsName, client: "wrong", server: wantClient, want: "client certificate", stats: reason("client_cert")},
		{name: "B20 no client certificate, TLS 1.2", leaf: good(tlsName), expect: tlsName, server: func(c *tls.Config) { wantClient(c); c.MaxVersion = tls.VersionTLS12 }, want: "client certificate", stats: reason("client_cert")},
		{name: "B43 a server that knows our protocol", leaf: good(tlsName), expect: tlsName, server: func(c *tls.Config) { c.NextProtos = []string{"dot"} }, want: answer, stats: full},
		{name: "B43 a server that demands our protocol", leaf: good(tlsName), expect: tlsName, server: demandALPN, want: answer, stats: full},
		{name: "B43 a server that knows other protocols", leaf: good(tlsName), expect: tlsName, server: func(c *tls.Config) { c.NextProtos = []string{"h2"} }, want: answer, stats: full},
	}
}

// demandALPN has the server refuse clients that do not offer "dot".
func demandALPN(c *tls.Config) {
	c.NextProtos = []string{"dot"}
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if cs.NegotiatedProtocol != "dot" {
			return errors.New("no protocol was offered")
		}
		return nil
	}
}

func wantClient(c *tls.Config) { c.ClientAuth = tls.RequireAndVerifyClientCert }

// secure is a TLS server with its authority, and a set that asks it.
type secure struct {
	*dnstest.TLSServer
	ca   *dnstest.CA
	spec Server
}

func newSecure(tb testing.TB, script dnstest.TLSScript) *secure {
	tb.Helper()
	ca := dnstest.NewCA(tb, "test CA")
	s := dnstest.NewTLSServer(tb, &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tb, good(tlsName))}, MinVersion: tls.VersionTLS12}, script)
	return &secure{s, ca, Server{Addr: s.Addr, TLS: TLS{On: true, Name: tlsName}}}
}

func (s *secure) config(more ...*secure) Config {
	roots := s.ca.Pool()
	servers := []Server{s.spec}
	for _, o := range more {
		roots.AddCert(o.ca.Cert)
		servers = append(servers, o.spec)
	}
	trust := &Trust{Roots: roots}
	return Config{Routes: all(servers...), Trust: func() *Trust { return trust }, Timeout: 4 * time.Second, FirstRetry: 0}
}

// patientTLS runs a set with the real first retry.
func patientTLS(tb testing.TB, cfg Config) *Set {
	tb.Helper()
	cfg.FirstRetry = time.Second
	s, _ := running(tb, cfg)
	return s
}

func TestTLSServers(t *testing.T) {
	t.Parallel()
	for _, c := range tlsCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ca, other := dnstest.NewCA(t, "test CA"), dnstest.NewCA(t, "other CA")
			leaf := ca.Leaf(t, c.leaf)
			config := &tls.Config{Certificates: []tls.Certificate{leaf}, ClientCAs: ca.Pool(), MinVersion: tls.VersionTLS10}
			if c.server != nil {
				c.server(config)
			}
			addr, plain := newCounting(t)
			server := dnstest.NewTLSServerAt(t, addr, config, c.script)
			trust := &Trust{Roots: ca.Pool()}
			if c.roots != "" {
				trust.Roots = other.Pool()
			}
			if c.client != "" {
				from := map[string]*dnstest.CA{"good": ca, "wrong": other}[c.client]
				cert := from.Leaf(t, dnstest.Leaf{Names: []string{"client"}, Usage: x509.ExtKeyUsageClientAuth})
				trust.Certificate = &cert
			}
			spec := Server{Addr: server.Addr, TLS: TLS{On: true, Name: c.expect}}
			for _, pin := range c.pins {
				cert := map[string]tls.Certificate{
					"leaf": leaf, "ca": {Leaf: ca.Cert}, "other": {Leaf: other.Cert},
				}[pin]
				sum, _ := hex.DecodeString(dnstest.Pin(cert))
				spec.TLS.Pins += string(sum)
			}
			s := patientTLS(t, Config{Routes: all(spec), Trust: func() *Trust { return trust }, Timeout: 4 * time.Second})
			got := s.askA("www.example.", 0).wait(t)
			st := s.Stats().Servers[0]
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if n := c.stats(st.TLS); n != 1 {
				t.Errorf("the outcome is counted %d times: %+v", n, *st.TLS)
			}
			bad := !strings.Contains(got, "NOERROR")
			if bad != st.Down || bad && server.Questions.Load() != 0 && c.client == "" && c.server == nil {
				t.Errorf("down %v, %d questions came to the server", st.Down, server.Questions.Load())
			}
			if bad && (!strings.HasPrefix(got, "TLS: tls:127.0.0.1#") || server.Accepted.Load() != 1+c.again) {
				t.Errorf("%q after %d connections", got, server.Accepted.Load())
			}
			if names := server.Names(); !bad && (len(names) != 1 || names[0] != c.expect) {
				t.Errorf("SNI %q", names)
			}
			if plain.Load() != 0 {
				t.Errorf("B7: %d packets in clear text", plain.Load())
			}
		})
	}
}

// newCounting counts packets to a UDP address.
func newCounting(tb testing.TB) (addr string, count *atomic.Int64) {
	tb.Helper()
	var n atomic.Int64
	var pc net.PacketConn
	for try := 0; pc == nil; try++ { // until a port is free for TCP as well
		var err error
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			tb.Fatal(err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			l.Close()
			break
		}
		pc.Close()
		if pc = nil; try == 20 {
			tb.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, _, err := pc.ReadFrom(make([]byte, 512)); err != nil {
				return
			}
			n.Add(1)
		}
	})
	tb.Cleanup(func() { pc.Close(); wg.Wait() })
	return pc.LocalAddr().String(), &n
}

// TestTLSManyQuestions is B11, B12 and B13: few handshakes, more questions in
// flight than TCP may have, answers in any order.
func TestTLSManyQuestions(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	server := newSecure(t, dnstest.TLSScript{Answer: func(q *dns.Msg, _ bool) [][]byte {
		time.Sleep(time.Duration(n.Add(1)%7) * 5 * time.Millisecond)
		return [][]byte{packed(new(dns.Msg).SetReply(q))}
	}})
	cfg := server.config()
	cfg.TCPExchanges = 8
	s := patientTLS(t, cfg)
	ask := func(count int) {
		var list []*waiting
		for i := range count {
			list = append(list, s.askA(fmt.Sprintf("n%d.example.", i), 0))
		}
		for _, w := range list {
			if got := w.wait(t); !strings.HasPrefix(got, "NOERROR") {
				t.Fatal(got)
			}
		}
	}
	ask(100)
	if got := server.Shaken.Load(); got > 2 {
		t.Errorf("100 questions at once on no connection: %d handshakes", got)
	}
	ask(300)
	if got := server.Shaken.Load(); got > 4 {
		t.Errorf("300 questions at once: %d handshakes", got)
	}
	if st := s.Stats(); st.TCPRefused != 0 || st.TCPDials != 0 {
		t.Errorf("%+v", st)
	}
}

func TestTLSSixteenOpen(t *testing.T) {
	t.Parallel()
	server := newSecure(t, dnstest.TLSScript{})
	s := patientTLS(t, server.config())
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 1000 / 16 {
				if got := s.askA(fmt.Sprintf("n%d-%d.example.", i, j), 0).wait(t); !strings.HasPrefix(got, "NOERROR") {
					t.Error(got)
				}
			}
		})
	}
	wg.Wait()
	if got := server.Shaken.Load(); got > 4 {
		t.Errorf("%d handshakes", got)
	}
}

// TestTLSClosing is B14 to B17: ways of closing connections that do not count as faults.
func TestTLSClosing(t *testing.T) {
	t.Parallel()
	keepalive := func(data ...byte) dnstest.Script {
		return func(q *dns.Msg, _ bool) [][]byte {
			m := new(dns.Msg).SetReply(q)
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: 11, Data: data})
			return [][]byte{packed(m)}
		}
	}
	for _, c := range []struct {
		name   string
		script dnstest.TLSScript
		after  time.Duration // between the questions
		shaken int64
	}{
		{"B14 closes after each answer", dnstest.TLSScript{Serve: func(p *dnstest.TLSPeer) {
			q := new(dns.Msg)
			if msg := p.Read1(); msg != nil && q.Unpack(msg) == nil {
				p.Write1(packed(new(dns.Msg).SetReply(q)))
			}
			p.Close()
		}}, 50 * time.Millisecond, 3},
		{"B16 closes with the question open", dnstest.TLSScript{Serve: func(p *dnstest.TLSPeer) {
			q := new(dns.Msg)
			for n := 0; ; n++ {
				msg := p.Read1()
				if msg == nil || p.Number == 0 && n == 2 {
					_ = p.NetConn().(*net.TCPConn).SetLinger(0)
					p.NetConn().Close() // RST, without close_notify
					return
				}
				if q.Unpack(msg) == nil {
					p.Write1(packed(new(dns.Msg).SetReply(q)))
				}
			}
		}}, 0, 2},
		{"B17 keepalive 0", dnstest.TLSScript{Answer: keepalive(0, 0)}, 100 * time.Millisecond, 3},
		{"B17 keepalive 0.1 s", dnstest.TLSScript{Answer: keepalive(0, 1)}, 300 * time.Millisecond, 3},
		{"B17 keepalive 30 s", dnstest.TLSScript{Answer: keepalive(1, 44)}, 300 * time.Millisecond, 1},
		{"B17 keepalive of a wrong length", dnstest.TLSScript{Answer: keepalive(0)}, 300 * time.Millisecond, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := newSecure(t, c.script)
			s := patientTLS(t, server.config())
			for i := range 3 {
				if got := s.askA(fmt.Sprintf("n%d.example.", i), 0).wait(t); !strings.HasPrefix(got, "NOERROR") {
					t.Fatal(got)
				}
				time.Sleep(c.after)
			}
			if got := server.Shaken.Load(); got != c.shaken {
				t.Errorf("%d handshakes, want %d", got, c.shaken)
			}
			if st := s.Stats().Servers[0]; st.Down || st.TLS.Full+st.TLS.Resumed != uint64(c.shaken) || st.TLS.Failed != 0 {
				t.Errorf("%+v %+v", st, *st.TLS)
			}
			if c.shaken == 3 && server.Resumed.Load() == 0 {
				t.Error("B29: no session was resumed")
			}
		})
	}
}

// TestTLSPadding is B24.
func TestTLSPadding(t *testing.T) {
	t.Parallel()
	server := newSecure(t, dnstest.TLSScript{})
	s := patientTLS(t, server.config())
	for n := 1; n < 60; n++ {
		name := strings.Repeat("x.", n) + "example."
		if got := s.askA(name, 0).wait(t); !strings.HasPrefix(got, "NOERROR") {
			t.Fatal(got)
		}
	}
	for _, msg := range server.Messages() {
		q := new(dns.Msg)
		if err := q.Unpack(msg); err != nil || len(msg)%128 != 0 || q.IsEdns0() == nil {
			t.Fatalf("a question of %d octets: %v", len(msg), err)
		}
		opts := q.IsEdns0().Option
		if opts[0].Option() != 11 || opts[len(opts)-1].Option() != 12 {
			t.Fatalf("options %v", opts)
		}
	}
}

// TestTLSBroken is B27 and B28: a broken server is not asked for a while, and used when it
// works again.
func TestTLSBroken(t *testing.T) {
	t.Parallel()
	server := newSecure(t, dnstest.TLSScript{})
	cfg := server.config()
	trust := atomic.Pointer[Trust]{}
	trust.Store(&Trust{Roots: x509.NewCertPool()})
	cfg.Trust = trust.Load
	s := patientTLS(t, cfg)
	for i := range 500 {
		if got := s.askA(fmt.Sprintf("n%d.example.", i), 0).wait(t); !strings.Contains(got, "unknown authority") {
			t.Fatal(got)
		}
	}
	if got := server.Accepted.Load(); got > 3 {
		t.Errorf("%d connections in a moment", got)
	}
	trust.Store(&Trust{Roots: server.ca.Pool()})
	back := time.Now()
	for i := 0; ; i++ {
		if strings.HasPrefix(s.askA(fmt.Sprintf("m%d.example.", i), 0).wait(t), "NOERROR") {
			break
		}
		if time.Since(back) > 10*time.Second {
			t.Fatal("the server is not used again")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if st := s.Stats().Servers[0]; st.Down || st.TLS.Problem != "" {
		t.Errorf("%+v", *st.TLS)
	}
}

// TestTLSWrongReplies is B33 and B35.
func TestTLSWrongReplies(t *testing.T) {
	t.Parallel()
	server := newSecure(t, dnstest.TLSScript{Answer: func(q *dns.Msg, _ bool) [][]byte {
		right := new(dns.Msg).SetReply(q)
		right.Truncated = true
		id, question, query := right.Copy(), right.Copy(), q.Copy()
		id.Id ^= 1
		question.Question[0].Name = "other."
		return [][]byte{packed(id), packed(question), packed(query), packed(right)}
	}})
	s := patientTLS(t, server.config())
	if got := s.askText("www.example.").wait(t); got != "NOERROR tc" {
		t.Errorf("got %q", got)
	}
	if st := s.Stats(); st.WrongReplies != 3 || st.TCPExchanges != 0 || server.Questions.Load() != 1 {
		t.Errorf("%+v", st)
	}
}

// TestTLSCloseEnds: when a set is closed, its connections end with a close_notify.
func TestTLSCloseEnds(t *testing.T) {
	end := make(chan error, 1)
	server := newSecure(t, dnstest.TLSScript{Serve: func(p *dnstest.TLSPeer) {
		q := new(dns.Msg)
		if msg := p.Read1(); msg != nil && q.Unpack(msg) == nil {
			p.Write1(packed(new(dns.Msg).SetReply(q)))
		}
		_, err := p.Read(make([]byte, 1))
		end <- err
	}})
	cfg := server.config()
	cfg.FirstRetry = time.Second
	s, stop := running(t, cfg)
	if got := s.askA("www.example.", 0).wait(t); !strings.HasPrefix(got, "NOERROR") {
		t.Fatal(got)
	}
	stop()
	if err := <-end; err == nil || err.Error() != "EOF" {
		t.Errorf("B39: the connection ends with %v", err)
	}
}
