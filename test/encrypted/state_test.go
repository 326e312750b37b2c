package encrypted

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// TestFewConnections is B12: 1000 questions, 16 open at a time, take at most 4
// connections.
func TestFewConnections(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			h := newHostile(t, ca)
			p := start(t, setup{servers: []*dnstest.TLSServer{h.TLSServer}, ca: ca.PEM()})
			var sum counts
			var asked atomic.Int64
			const questions = 1000
			p.load(t, &sum, 16, 0, func() bool { return asked.Add(1) <= questions })
			if n := h.Shaken.Load(); n > 4 || sum.answered.Load() != questions {
				t.Errorf("%d handshakes, %d answers", n, sum.answered.Load())
			}
		})
	}
}

// TestRereadAuthority is B21 and B31: new content of --tls-ca-file is used from the next
// question on, even while a connection is open. If the file becomes invalid, the previous
// content stays in use, and that is reported once.
func TestRereadAuthority(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca, other := dnstest.NewCA(t, "CA"), dnstest.NewCA(t, "other CA")
			s := server(t, ca, dnstest.TLSScript{Answer: answer})
			path := filepath.Join(t.TempDir(), "ca.pem")
			write := func(data []byte) {
				t.Helper()
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(other.PEM())
			p := start(t, setup{servers: []*dnstest.TLSServer{s}, args: []string{"--tls-ca-file=" + path}})
			p.want(t, "a.example.", "signed by the unknown authority CA")
			becomes := func(rcode int) {
				t.Helper()
				testkit.Eventually(t, dns.RcodeToString[rcode], func() bool {
					return p.ask(t, fmt.Sprintf("n%d.example.", rand.Uint32())).Rcode == rcode
				})
			}
			write(append(other.PEM(), ca.PEM()...))
			becomes(dns.RcodeSuccess)
			write([]byte("-----BEGIN CERT"))
			testkit.Eventually(t, "the broken file to be reported", func() bool {
				becomes(dns.RcodeSuccess)
				return strings.Contains(p.Log(), "keeping the previous certificates")
			})
			if n := strings.Count(p.Log(), "keeping the previous certificates"); n != 1 {
				t.Errorf("%d lines", n)
			}
			write(other.PEM())
			becomes(dns.RcodeServerFailure)
		})
	}
}

// TestRestartedServer is B29: if the server has forgotten a session, there is a full
// handshake, which does not count as a failure.
func TestRestartedServer(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			s := server(t, ca, dnstest.TLSScript{Answer: answer})
			p := start(t, setup{servers: []*dnstest.TLSServer{s}, ca: ca.PEM()})
			p.want(t, "a.example.", address)
			s.Drop()
			p.want(t, "b.example.", address)
			if s.Resumed.Load() != 1 {
				t.Errorf("%d sessions resumed", s.Resumed.Load())
			}
			s.Config.Store(dnstest.ServerConfig(ca.Leaf(t, named))) // with ticket keys of its own
			s.Drop()
			p.want(t, "c.example.", address)
			if s.Resumed.Load() != 1 || s.Shaken.Load() != 3 || p.failures(t) != 0 {
				t.Errorf("%d handshakes, %d resumed, %v failures", s.Shaken.Load(), s.Resumed.Load(), p.failures(t))
			}
		})
	}
}

// TestTermination is B39: after SIGTERM, an open question is still answered, and the
// connection ends with close_notify.
func TestTermination(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			ends, asked := make(chan error, 4), make(chan bool, 4)
			s := server(t, ca, dnstest.TLSScript{Serve: func(p *dnstest.TLSPeer) {
				if q := question(p); q != nil {
					asked <- true
					time.Sleep(500 * time.Millisecond)
					p.Write1(dnstest.Pack(right(q)))
				}
				_, err := p.Read(make([]byte, 1))
				ends <- err
			}})
			p := start(t, setup{servers: []*dnstest.TLSServer{s}, ca: ca.PEM(), args: []string{"--lameduck=2s"}})
			got := make(chan string, 1)
			go func() {
				m, _, err := (&dns.Client{Timeout: 5 * time.Second}).Exchange(new(dns.Msg).SetQuestion("www.example.", dns.TypeA), p.addr)
				got <- fmt.Sprint(m, err)
			}()
			<-asked
			if err := p.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if text := <-got; !strings.Contains(text, address) {
				t.Errorf("the open question: %s", text)
			}
			if err := <-ends; !errors.Is(err, io.EOF) {
				t.Errorf("the connection ends with %v", err)
			}
			if _, err := p.Wait(patience); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCounters is B45: a thousand failing questions count as a few failures with one reason
// in the metrics, and cause one line in the log. The recovery causes one line too.
func TestCounters(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			h := newHostile(t, ca)
			good := h.Config.Load()
			h.Config.Store(dnstest.ServerConfig(ca.Leaf(t, dnstest.Leaf{Names: []string{"other.example"}})))
			p := start(t, setup{servers: []*dnstest.TLSServer{h.TLSServer}, ca: ca.PEM()})
			for i := range 20 {
				p.flood(t, fmt.Sprintf("r%d", i), "example.", 50)
			}
			failed := p.metric(t, `tls_failures_total\{reason="name",.*\}`)
			if all := p.failures(t); failed == 0 || failed != all || int64(failed) != h.Accepted.Load() || failed > 5 {
				t.Errorf("%v failures, %v of the name, %d connections", all, failed, h.Accepted.Load())
			}
			if n := p.metric(t, `tls_handshakes_total\{result="failed",.*\}`); n != failed {
				t.Errorf("%v handshakes failed", n)
			}
			// A state that does not last until the next check of the log is not reported.
			testkit.Eventually(t, "the trouble to be logged", func() bool { return strings.Contains(p.Log(), "cannot be asked over TLS") })
			h.Config.Store(good)
			p.recovers(t, patience)
			want := float64(good.Certificates[0].Leaf.NotAfter.Unix())
			if n := p.metric(t, `tls_certificate_expiry_timestamp_seconds\{.*\}`); n != want {
				t.Errorf("the certificate expires at %v, want %v", n, want)
			}
			testkit.Eventually(t, "the end to be logged", func() bool { return strings.Contains(p.Log(), "answers again") })
			if n := strings.Count(p.Log(), "cannot be asked over TLS"); n != 1 {
				t.Errorf("%d lines", n)
			}
		})
	}
}

// TestPaddedOptions is B24: the length of questions over TLS is a multiple of 128 octets,
// even with a client's subnet and cookie. In clear text nothing is padded.
func TestPaddedOptions(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			s := server(t, ca, dnstest.TLSScript{Answer: answer})
			plain := dnstest.NewServer(t, dnstest.Zone(dns.RcodeSuccess))
			secure := start(t, setup{servers: []*dnstest.TLSServer{s}, ca: ca.PEM()})
			args := map[string]string{"dnscache": "--server=127.0.0.1#", "kubedns": "--nameservers=127.0.0.1:"}
			inClear := start(t, setup{args: []string{args[name] + fmt.Sprint(plain.Addr.Port())}})
			for i := range 40 {
				q := new(dns.Msg).SetQuestion(strings.Repeat("x", i+1)+".example.", dns.TypeA)
				q.SetEdns0(1232, i%2 == 0)
				q.IsEdns0().Option = []dns.EDNS0{
					&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}},
					&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"},
					&dns.EDNS0_PADDING{Padding: make([]byte, i)},
				}
				for _, p := range []*program{secure, inClear} {
					if m, _, err := (&dns.Client{Timeout: 5 * time.Second}).Exchange(q.Copy(), p.addr); err != nil || m.Rcode != dns.RcodeSuccess {
						t.Fatalf("%v, %v", m, err)
					}
				}
			}
			for _, msg := range s.Messages() {
				if len(msg)%128 != 0 {
					t.Errorf("a question of %d octets", len(msg))
				}
			}
			for _, q := range plain.All() {
				if opt := q.IsEdns0(); opt != nil {
					for _, o := range opt.Option {
						if o.Option() == 11 || o.Option() == 12 {
							t.Errorf("in clear text: %v", o)
						}
					}
				}
			}
		})
	}
}
