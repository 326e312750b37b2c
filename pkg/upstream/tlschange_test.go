package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// TestTLSSecondServer is B7, B18 and B26: if one of two servers fails, the other one answers
// in time.
func TestTLSSecondServer(t *testing.T) {
	t.Parallel()
	bad := newSecure(t, dnstest.TLSScript{Raw: func(_ int, nc net.Conn) bool { time.Sleep(3 * time.Second); return true }})
	ok := newSecure(t, dnstest.TLSScript{})
	cfg := bad.config(ok)
	cfg.Strategy = InOrder
	s, _ := running(t, func() Config { cfg.FirstRetry = 0; return cfg }())
	_ = s
	cfg.FirstRetry = 300 * time.Millisecond
	if err := s.Reload(func() Config { c := cfg; c.NewSink = func() Sink { return noSink{} }; return c }()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if got, want := s.askA("www.example.", 0).wait(t), "NOERROR from "+ok.Addr.String(); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

// TestTLSReload is B30 to B32.
func TestTLSReload(t *testing.T) {
	server := newSecure(t, dnstest.TLSScript{})
	cfg := server.config()
	cfg.NewSink = func() Sink { return noSink{} }
	s := patientTLS(t, cfg)
	ask := func(want string) {
		t.Helper()
		if got := s.askA("www.example.", 0).wait(t); !strings.Contains(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	ask("NOERROR")
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	ask("NOERROR")
	if got := server.Shaken.Load(); got != 1 {
		t.Errorf("the same servers: %d handshakes", got)
	}
	other := server.spec
	other.TLS.Name = "other.example"
	cfg.Routes = all(other)
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	ask("is not for the expected name")
	mixed := cfg
	mixed.Routes = all(other, Server{Addr: server.Addr})
	if err := s.Reload(mixed); err == nil || !strings.Contains(err.Error(), "clear text") {
		t.Errorf("B8: mixed servers: %v", err)
	}
	domain := dnstest.Suffix("secure.")
	mixed.Routes = []Route{{Domain: domain, Standard: true}, {Domain: domain, Servers: []Server{other}}, {Servers: []Server{{Addr: server.Addr}}}}
	if err := s.Reload(mixed); err == nil || !strings.Contains(err.Error(), "clear text") {
		t.Errorf("B8: a TLS server, and standard servers in clear text: %v", err)
	}
	cfg.Routes = []Route{{Servers: []Server{other}}, {Domain: dnstest.Suffix("plain."), Servers: []Server{{Addr: server.Addr}}}}
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	st := s.Stats().Servers
	if len(st) != 2 || st[0].Label == st[1].Label || (st[0].TLS == nil) == (st[1].TLS == nil) {
		t.Errorf("B32: %+v", st)
	}
}

// TestTLSOldConnections is B31: after a reload with another name for the same address, and
// after other certificates are trusted, the old connection answers what is open on it
// and then ends with a close_notify; new questions do not use it.
func TestTLSOldConnections(t *testing.T) {
	t.Parallel()
	for _, change := range []string{"name", "trust"} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			slow, ends := make(chan *dnstest.TLSPeer, 10), make(chan error, 10)
			server := newSecure(t, dnstest.TLSScript{Serve: func(p *dnstest.TLSPeer) {
				for {
					var length [2]byte
					if _, err := p.Read(length[:]); err != nil {
						ends <- err
						return
					}
					msg := make([]byte, int(length[0])<<8|int(length[1]))
					if _, err := io.ReadFull(p, msg); err != nil {
						ends <- err
						return
					}
					q := new(dns.Msg)
					if q.Unpack(msg) != nil {
						return
					}
					answer := func() { p.Write1(packed(new(dns.Msg).SetReply(q))) }
					if strings.HasPrefix(q.Question[0].Name, "slow.") {
						slow <- p
						time.AfterFunc(500*time.Millisecond, answer)
						continue
					}
					answer()
				}
			}})
			cfg := server.config()
			cfg.NewSink = func() Sink { return noSink{} }
			var trust atomic.Pointer[Trust]
			trust.Store(cfg.Trust())
			cfg.Trust = trust.Load
			s := patientTLS(t, cfg)
			open := s.askA("slow.example.", 0)
			<-slow
			switch change {
			case "name":
				other := server.spec
				other.TLS.Name = "other.example"
				cfg.Routes = all(other)
				if err := s.Reload(cfg); err != nil {
					t.Fatal(err)
				}
			case "trust":
				trust.Store(&Trust{Roots: dnstest.NewCA(t, "another CA").Pool()})
			}
			got := s.askA("www.example.", 0).wait(t)
			if want := map[string]string{"name": "expected name other.example", "trust": "unknown authority test CA"}[change]; !strings.Contains(got, want) {
				t.Errorf("the new question: %q, want %q", got, want)
			}
			if got := open.wait(t); !strings.HasPrefix(got, "NOERROR") {
				t.Errorf("the open question: %q", got)
			}
			select {
			case err := <-ends:
				if !errors.Is(err, io.EOF) {
					t.Errorf("the old connection ends with %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Error("the old connection stays open")
			}
		})
	}
}

// TestTLSPrefersHealthy is B26: of two servers, one of which accepts questions and says
// nothing, the healthy one gets nearly all questions, and all are answered.
func TestTLSPrefersHealthy(t *testing.T) {
	t.Parallel()
	for _, strategy := range []Strategy{Fastest, InOrder} {
		t.Run(fmt.Sprint(strategy), func(t *testing.T) {
			t.Parallel()
			silent := newSecure(t, dnstest.TLSScript{Answer: func(*dns.Msg, bool) [][]byte { return nil }})
			healthy := newSecure(t, dnstest.TLSScript{})
			cfg := silent.config(healthy)
			cfg.Strategy = strategy
			s := patientTLS(t, cfg)
			const questions = 200
			want := "NOERROR from " + healthy.Addr.String()
			for i := range questions {
				if got := s.askA(fmt.Sprintf("n%d.example.", i), 0).wait(t); got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
			// The fastest server of the first questions may be the healthy one; the other is then
			// tried later than the test takes.
			if n := silent.Questions.Load(); n == 0 && strategy == InOrder || n > questions/10 {
				t.Errorf("the silent server was asked %d times", n)
			}
			st := s.Stats().Servers
			if strategy == InOrder && !st[0].Down || st[1].Down || st[1].Answered < questions {
				t.Errorf("%+v, %+v", st[0], st[1])
			}
		})
	}
}

// TestTLSProtocolRefused is B43: a server that refuses all protocols, and none, is asked
// once with and once without at first, and then once each time.
func TestTLSProtocolRefused(t *testing.T) {
	t.Parallel()
	server := newSecure(t, dnstest.TLSScript{Raw: func(_ int, nc net.Conn) bool {
		_, _ = nc.Read(make([]byte, 4096))
		_, _ = nc.Write([]byte{21, 3, 3, 0, 2, 2, 120}) // no_application_protocol
		return true
	}})
	cfg := server.config()
	s := patientTLS(t, cfg)
	for i := range 50 {
		if got := s.askA(fmt.Sprintf("n%d.example.", i), 0).wait(t); !strings.Contains(got, `other protocols than "dot" on this port`) {
			t.Fatal(got)
		}
	}
	if n := server.Accepted.Load(); n != 2 {
		t.Errorf("%d connections at first", n)
	}
	for tried := time.Now(); server.Accepted.Load() == 2; time.Sleep(20 * time.Millisecond) {
		s.askA("again.example.", 0).wait(t)
		if time.Since(tried) > 10*time.Second {
			t.Fatal("the server is not tried again")
		}
	}
	if st := s.Stats().Servers[0]; server.Accepted.Load() != 3 || st.TLS.Failed != 2 {
		t.Errorf("%d connections, %+v", server.Accepted.Load(), *st.TLS)
	}
}

// TestTLSRestart is B16: a server that restarts closes all its connections, at once or one
// after the other, also those in the handshake. Questions that were open on them are repeated on connections
// that were made afterwards, not on one that is about to end, too.
func TestTLSRestart(t *testing.T) {
	t.Parallel()
	for _, during := range []string{"questions", "slowly", "handshake"} {
		t.Run(during, func(t *testing.T) {
			t.Parallel()
			var stopped atomic.Bool
			stopped.Store(true)
			var asked atomic.Int64
			const questions = 100
			var server *secure
			server = newSecure(t, dnstest.TLSScript{
				Raw: func(_ int, nc net.Conn) bool {
					if during == "handshake" && stopped.CompareAndSwap(true, false) {
						_, _ = nc.Read(make([]byte, 1))
						return true
					}
					return false
				},
				Answer: func(q *dns.Msg, _ bool) [][]byte {
					if n := asked.Add(1); during != "handshake" && n <= questions {
						if n == questions {
							server.DropSlowly(map[string]time.Duration{"slowly": 10 * time.Millisecond}[during])
						}
						return nil
					}
					return [][]byte{packed(new(dns.Msg).SetReply(q))}
				},
			})
			s := patientTLS(t, server.config())
			var list []*waiting
			for i := range questions {
				if i == questions/2 && during == "slowly" { // a second connection has the rest
					testkit.Eventually(t, "half of the questions", func() bool { return server.Questions.Load() == questions/2 })
				}
				list = append(list, s.askA(fmt.Sprintf("n%d.example.", i), 0))
			}
			for _, w := range list {
				if got := w.wait(t); !strings.HasPrefix(got, "NOERROR") {
					t.Error(got)
				}
			}
			if n, st := server.Accepted.Load(), s.Stats().Servers[0]; n > 8 || st.Down || st.TLS.Failed != 0 {
				t.Errorf("%d connections, %+v", n, *st.TLS)
			}
		})
	}
}
