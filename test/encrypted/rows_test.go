package encrypted

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// TestIdleClose is B15: that a server closes idle connections after 1.5 s does not count as a
// fault, and after a while we close them first.
func TestIdleClose(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			var theirs, ours atomic.Int64
			s := server(t, ca, dnstest.TLSScript{Serve: func(p *dnstest.TLSPeer) {
				for {
					_ = p.SetReadDeadline(time.Now().Add(1500 * time.Millisecond))
					q := question(p)
					if q == nil {
						break
					}
					p.Write1(dnstest.Pack(right(q)))
				}
				// An expired deadline does not close the connection: the other side still has
				// it open.
				_ = p.SetWriteDeadline(time.Now().Add(time.Second))
				if one := make([]byte, 1); closedByPeer(p.NetConn(), one) {
					ours.Add(1)
				} else {
					theirs.Add(1)
				}
				p.Close()
			}})
			p := start(t, setup{servers: []*dnstest.TLSServer{s}, ca: ca.PEM()})
			for i := range 9 {
				p.want(t, fmt.Sprintf("n%d.example.", i), address)
				time.Sleep(1700 * time.Millisecond)
			}
			if p.failures(t) != 0 || strings.Contains(p.Log(), "cannot be asked") {
				t.Errorf("the server is blamed: %v failures", p.failures(t))
			}
			if ours.Load() == 0 || theirs.Load() > 7 {
				t.Errorf("%d connections closed by the server, %d by the program", theirs.Load(), ours.Load())
			}
		})
	}
}

// closedByPeer reports whether the other side has closed the connection.
func closedByPeer(nc net.Conn, one []byte) bool {
	_ = nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err := nc.Read(one)
	return err == nil || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// TestRoots is B22: --tls-ca-file replaces the system's authorities. Without it, these are
// used or, where there are none, the built-in ones, which do not include ours.
func TestRoots(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca, other := dnstest.NewCA(t, "CA"), dnstest.NewCA(t, "other CA")
			system := filepath.Join(t.TempDir(), "system.pem")
			if err := os.WriteFile(system, ca.PEM(), 0o600); err != nil {
				t.Fatal(err)
			}
			nobody := []string{"SSL_CERT_FILE=/nowhere", "SSL_CERT_DIR=/nowhere"}
			known := []string{"SSL_CERT_FILE=" + system, "SSL_CERT_DIR=/nowhere"}
			for _, c := range []struct {
				name string
				set  setup
				want string
			}{
				{"the system's", setup{env: known}, address},
				{"a file alone", setup{env: nobody, ca: ca.PEM()}, address},
				{"another file beside the system's", setup{env: known, ca: other.PEM()}, "signed by the unknown authority CA"},
				{"built in", setup{env: nobody}, "signed by the unknown authority CA"},
			} {
				t.Run(c.name, func(t *testing.T) {
					c.set.servers = []*dnstest.TLSServer{server(t, ca, dnstest.TLSScript{Answer: answer})}
					start(t, c.set).want(t, "www.example.", c.want)
				})
			}
		})
	}
}

// TestRotatedAuthority is B23: a server whose new certificate is from another authority is
// asked as long as the connection lasts, and not afterwards.
func TestRotatedAuthority(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca, other := dnstest.NewCA(t, "CA"), dnstest.NewCA(t, "other CA")
			s := server(t, ca, dnstest.TLSScript{Answer: answer})
			p := start(t, setup{servers: []*dnstest.TLSServer{s}, ca: ca.PEM()})
			p.want(t, "a.example.", address)
			s.Config.Store(dnstest.ServerConfig(other.Leaf(t, named)))
			p.want(t, "b.example.", address)
			if s.Accepted.Load() != 1 {
				t.Errorf("%d connections", s.Accepted.Load())
			}
			s.Drop()
			p.want(t, "c.example.", "signed by the unknown authority other CA")
			if s.Questions.Load() != 2 {
				t.Errorf("%d questions", s.Questions.Load())
			}
		})
	}
}

// TestStrayReplies is B33: messages that answer no question are ignored up to a limit, at
// which the connection ends.
func TestStrayReplies(t *testing.T) {
	for _, c := range []struct {
		strays int
		empty  bool // messages without any octet
		ok     bool
	}{{60, false, true}, {70, false, false}, {60, true, true}, {100_000, true, false}} {
		t.Run(fmt.Sprint(c.strays, c.empty), func(t *testing.T) {
			t.Parallel()
			for name, start := range starters {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					ca := dnstest.NewCA(t, "CA")
					s := server(t, ca, dnstest.TLSScript{Serve: func(p *dnstest.TLSPeer) {
						defer p.Close()
						for q := question(p); q != nil; q = question(p) {
							good := right(q)
							var stray []byte
							if !c.empty {
								wrong := good.Copy()
								wrong.Id ^= 1
								stray = dnstest.Pack(wrong)
							}
							for range c.strays {
								p.Write1(stray)
							}
							p.Write1(dnstest.Pack(good))
						}
					}})
					p := start(t, setup{servers: []*dnstest.TLSServer{s}, ca: ca.PEM()})
					if c.ok {
						p.want(t, "www.example.", address)
						return
					}
					began := time.Now()
					p.want(t, "www.example.", "SERVFAIL")
					if took := time.Since(began); took > 6*time.Second || s.Accepted.Load() < 2 || s.Accepted.Load() > 4 {
						t.Errorf("%d connections in %v", s.Accepted.Load(), took)
					}
				})
			}
		})
	}
}

// long returns a reply of exactly 65 535 octets.
func long(q *dns.Msg) []byte {
	const header, record = 12, 12
	m := dnstest.Reply(q, dns.RcodeSuccess)
	m.Extra, m.Compress = nil, true
	left := dns.MaxMsgSize - header - len(q.Question[0].Name) - 1 - 4
	for left > 0 {
		n := min(left-record-1, 255)
		if rest := left - record - 1 - n; rest > 0 && rest < record+2 {
			n -= record + 2
		}
		m.Answer = append(m.Answer, &dns.TXT{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60},
			Txt: []string{strings.Repeat("x", n)},
		})
		left -= record + 1 + n
	}
	return dnstest.Pack(m)
}

// TestLongAnswer is B34: the longest possible message arrives, whatever the size of the TLS
// records.
func TestLongAnswer(t *testing.T) {
	for _, size := range []int{1, 1000, 16384} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			for name, start := range starters {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					ca := dnstest.NewCA(t, "CA")
					s := server(t, ca, dnstest.TLSScript{Serve: func(p *dnstest.TLSPeer) {
						defer p.Close()
						for q := question(p); q != nil; q = question(p) {
							msg := long(q)
							out := append([]byte{byte(len(msg) >> 8), byte(len(msg))}, msg...)
							for len(out) > 0 {
								n, err := p.Write(out[:min(size, len(out))])
								if err != nil {
									return
								}
								out = out[n:]
							}
						}
					}})
					p := start(t, setup{servers: []*dnstest.TLSServer{s}, ca: ca.PEM()})
					m, _, err := (&dns.Client{Net: "tcp", Timeout: 10 * time.Second}).Exchange(new(dns.Msg).SetQuestion("www.example.", dns.TypeTXT), p.addr)
					if err != nil || m.Rcode != dns.RcodeSuccess || len(m.Answer) < 200 {
						t.Fatalf("%v: %d records", err, len(m.Answer))
					}
					m.Compress = true
					if n := len(dnstest.Pack(m)); n != dns.MaxMsgSize {
						t.Errorf("%d octets", n)
					}
				})
			}
		})
	}
}

// TestDrip is B34: waiting for a message whose octets arrive only now and then ends in time,
// and so does its connection.
func TestDrip(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			var open atomic.Int64
			s := server(t, ca, dnstest.TLSScript{Serve: func(p *dnstest.TLSPeer) {
				defer p.Close()
				open.Add(1)
				defer open.Add(-1)
				for q := question(p); q != nil; q = question(p) {
					out := append([]byte{0xff, 0xff}, dnstest.Pack(right(q))...)
					for {
						if _, err := p.Write(out[:1]); err != nil {
							return
						}
						if len(out) > 1 {
							out = out[1:]
						}
						time.Sleep(50 * time.Millisecond)
					}
				}
			}})
			p := start(t, setup{servers: []*dnstest.TLSServer{s}, ca: ca.PEM()})
			began := time.Now()
			p.want(t, "www.example.", "SERVFAIL")
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("it took %v", took)
			}
			testkit.Eventually(t, "the connections to end", func() bool { return open.Load() == 0 })
			if n := s.Accepted.Load(); n > 4 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestAllServers is B36: --all-servers asks all servers, --strict-order the first one that
// works.
func TestAllServers(t *testing.T) {
	t.Parallel()
	for _, option := range []string{"--all-servers", "--strict-order"} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			first, second := server(t, ca, dnstest.TLSScript{Answer: answer}), server(t, ca, dnstest.TLSScript{Answer: answer})
			p := startCache(t, setup{servers: []*dnstest.TLSServer{first, second}, ca: ca.PEM(), args: []string{option}})
			const questions = 20
			for i := range questions {
				p.want(t, fmt.Sprintf("n%d.example.", i), address)
			}
			if option == "--all-servers" {
				testkit.Eventually(t, "both to be asked", func() bool { return first.Questions.Load() == questions && second.Questions.Load() == questions })
			} else if n := second.Questions.Load(); first.Questions.Load() < questions || n > 2 {
				t.Errorf("the first was asked %d times, the second %d", first.Questions.Load(), n)
			}
			bad := ca.Leaf(t, dnstest.Leaf{Names: []string{"other.example"}})
			first.Config.Store(dnstest.ServerConfig(bad))
			first.Drop()
			before := second.Questions.Load()
			for i := range questions {
				p.want(t, fmt.Sprintf("m%d.example.", i), address)
			}
			if n := second.Questions.Load() - before; n < questions {
				t.Errorf("the second was asked %d times with the first one down", n)
			}
			if n := first.Accepted.Load(); n > 5 {
				t.Errorf("%d connections to the one that is down", n)
			}
		})
	}
}

// TestLoopOverTLS is B37: --dns-loop-detect detects a loop through a server over TLS.
func TestLoopOverTLS(t *testing.T) {
	t.Parallel()
	ca := dnstest.NewCA(t, "CA")
	var self string
	ready := make(chan struct{})
	s := server(t, ca, dnstest.TLSScript{Answer: func(q *dns.Msg, _ bool) [][]byte {
		<-ready
		m, _, err := (&dns.Client{Timeout: 200 * time.Millisecond}).Exchange(q, self)
		if err != nil {
			return nil
		}
		return [][]byte{dnstest.Pack(m)}
	}})
	p := startCache(t, setup{servers: []*dnstest.TLSServer{s}, ca: ca.PEM(), args: []string{"--dns-loop-detect"}})
	self = p.addr
	close(ready)
	p.WaitFor(t, patience, "the loop to be found", func(context.Context) bool { return strings.Contains(p.Log(), "query loop detected") })
	before := s.Questions.Load()
	for i := range 20 {
		if m := p.ask(t, fmt.Sprintf("n%d.example.", i)); m.Rcode == dns.RcodeSuccess {
			t.Errorf("got %v", m)
		}
	}
	if n := s.Questions.Load() - before; n > 2 {
		t.Errorf("%d questions to the server that asks us", n)
	}
}

// TestStaleOverTLS is B38: stale answers with a TTL of 30 come within 1.8 s if the server
// over TLS is silent, has an unexpected certificate, or is gone.
func TestStaleOverTLS(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"silent", "wrong certificate", "gone"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			var silent atomic.Bool
			s := server(t, ca, dnstest.TLSScript{Answer: func(q *dns.Msg, _ bool) [][]byte {
				if silent.Load() {
					return nil
				}
				return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeSuccess, q.Question[0].Name+" 1 IN A "+address))}
			}, Raw: func(number int, _ net.Conn) bool { return number > 0 && fault == "gone" }})
			p := startCache(t, setup{servers: []*dnstest.TLSServer{s}, ca: ca.PEM(), args: []string{"--serve-stale=1h"}})
			p.want(t, "www.example.", address)
			switch fault {
			case "silent":
				silent.Store(true)
			case "wrong certificate":
				s.Config.Store(dnstest.ServerConfig(ca.Leaf(t, dnstest.Leaf{Names: []string{"other.example"}})))
				s.Drop()
			case "gone":
				s.Drop()
			}
			time.Sleep(1200 * time.Millisecond)
			began := time.Now()
			m := p.ask(t, "www.example.")
			if took := time.Since(began); took > 2100*time.Millisecond || len(m.Answer) != 1 || m.Answer[0].Header().Ttl != 30 {
				t.Errorf("after %v: %v", took, m)
			}
		})
	}
}

// relay passes connections on to a server, and splits what the client sends first into
// pieces. It returns the length of the first message, the ClientHello with its record header.
func relay(t *testing.T, to *dnstest.TLSServer, piece int) (via *dnstest.TLSServer, hello *atomic.Int64) {
	t.Helper()
	hello = new(atomic.Int64)
	via = dnstest.NewTLSServer(t, &tls.Config{MinVersion: tls.VersionTLS12}, dnstest.TLSScript{Raw: func(_ int, nc net.Conn) bool {
		up, err := net.Dial("tcp", to.Addr.String())
		if err != nil {
			return true
		}
		defer up.Close()
		go func() { _, _ = io.Copy(nc, up); nc.Close() }()
		header := make([]byte, 5)
		if _, err := io.ReadFull(nc, header); err != nil {
			return true
		}
		rest := make([]byte, int(header[3])<<8|int(header[4]))
		if _, err := io.ReadFull(nc, rest); err != nil {
			return true
		}
		hello.Store(int64(len(header) + len(rest)))
		for out := slices.Concat(header, rest); len(out) > 0; {
			n, err := up.Write(out[:min(piece, len(out))])
			if err != nil {
				return true
			}
			out = out[n:]
			time.Sleep(5 * time.Millisecond)
		}
		_, _ = io.Copy(up, nc)
		return true
	}})
	return via, hello
}

// TestSplitHello is B44: it does no harm if the first message arrives in pieces. With
// GODEBUG=tlsmlkem=0 it fits into one packet.
func TestSplitHello(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for env, most := range map[string]int64{"GODEBUG=": 2000, "GODEBUG=tlsmlkem=0": 600} {
				ca := dnstest.NewCA(t, "CA")
				via, hello := relay(t, server(t, ca, dnstest.TLSScript{Answer: answer}), 100)
				start(t, setup{servers: []*dnstest.TLSServer{via}, ca: ca.PEM(), env: []string{env}}).want(t, "www.example.", address)
				if n := hello.Load(); n > most || n == 0 {
					t.Errorf("%s: a first message of %d octets", env, n)
				}
			}
			silent := server(t, dnstest.NewCA(t, "CA"), dnstest.TLSScript{Raw: func(_ int, nc net.Conn) bool { _, _ = io.Copy(io.Discard, nc); return true }})
			start(t, setup{servers: []*dnstest.TLSServer{silent}}).want(t, "www.example.", "GODEBUG=tlsmlkem=0")
		})
	}
}
