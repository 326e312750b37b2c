package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/upstream/route"
	"github.com/kube-dns/kube-dns/pkg/wire"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

// virtual is a transport with one server in virtual time, over pipes instead of
// sockets. The first argument of serve is the number of the connection, from 0.
type virtual struct {
	t     *testing.T
	began time.Time
	link  Link
	got   outcomes
	trust func() *Trust
	ca    *dnstest.CA

	wrap func(net.Conn) net.Conn // changes what the client has of the next connections

	mu      sync.Mutex // guards what follows
	crashes []any
	dials   []time.Duration
	ends    []time.Duration // when the client closed a connection, or the server if it was first
	news    []Handshake
}

// noting reads from replies how long connections may stay open, as pkg/upstream does.
type noting struct{ outcomes }

func (n noting) Replied(c *Call, msg []byte, cut bool, now int64) {
	var r wire.Reply
	if wire.ParseReply(msg, &r) {
		c.Note(&r)
	}
	n.outcomes.Replied(c, msg, cut, now)
}

// serverConfig is the configuration of the server: in TLS 1.2 only, if below is set.
func (v *virtual) serverConfig(below bool) *tls.Config {
	config := dnstest.ServerConfig(v.ca.Leaf(v.t, dnstest.Leaf{Names: []string{tlsName}, Expiry: 20 * time.Hour}))
	if below {
		config.MaxVersion = tls.VersionTLS12
	}
	return config
}

// now returns the transport's time. It begins with 1, as in a program that has just started,
// because 0 often stands for "never".
func (v *virtual) now() int64 { return 1 + int64(time.Since(v.began)) }

// inVirtualTime runs test in a bubble. secure is whether the server is asked over TLS.
func inVirtualTime(t *testing.T, secure bool, serve func(number int, nc net.Conn), test func(v *virtual)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &virtual{t: t, began: time.Now(), got: make(outcomes, 1000)}
		env := envOf(noting{v.got})
		env.Now = v.now
		env.Crashed = func(_ netip.AddrPort, _ []byte, cause any) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.crashes = append(v.crashes, cause)
		}
		ep := route.Server{Addr: netip.MustParseAddrPort("192.0.2.1:853")}
		tcp := NewTCP(env, 16, 4*time.Second)
		config := new(tls.Config)
		if secure {
			v.ca = dnstest.NewCA(t, "CA")
			config = v.serverConfig(false)
			trust := &Trust{Roots: v.ca.Pool()}
			v.trust = func() *Trust { return trust }
			tcp = NewTLS(env, func() *Trust { return v.trust() }, 16, 4*time.Second)
			ep.TLS = route.TLS{On: true, Name: tlsName}
		}
		var servers sync.WaitGroup
		tcp.connect = func(context.Context, *route.Server) (net.Conn, error) {
			client, server := net.Pipe()
			v.mu.Lock()
			number := len(v.dials)
			v.dials = append(v.dials, time.Since(v.began))
			v.mu.Unlock()
			servers.Go(func() {
				nc := server
				if secure {
					nc = tls.Server(server, config)
				}
				serve(number, nc)
				v.mu.Lock()
				v.ends = append(v.ends, time.Since(v.began))
				v.mu.Unlock()
				server.Close()
			})
			if v.wrap != nil {
				client = v.wrap(client)
			}
			return client, nil
		}
		v.link = tcp.Link(ep, func(h Handshake, _ int64) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.news = append(v.news, h)
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { tcp.Run(ctx) })
		defer func() {
			cancel()
			running.Wait()
			servers.Wait()
		}()
		test(v)
	})
}

// ask asks a question, and returns when there is an outcome, which must be want.
func (v *virtual) ask(want string) {
	v.t.Helper()
	if err := v.link.Send(&Call{Question: fuzzQuestion(), EDNS: true}, v.now()); err != nil {
		v.t.Fatal(err)
	}
	if outcome := <-v.got; outcome != want {
		v.t.Fatalf("after %v: %s, want %s", time.Since(v.began), outcome, want)
	}
}

// connections returns how many connections were made and how many have ended.
func (v *virtual) connections() (dials, ends int) {
	synctest.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.dials), len(v.ends)
}

// answering answers each question on a connection, with options of EDNS.
func answering(options ...dns.EDNS0) func(number int, nc net.Conn) {
	return func(_ int, nc net.Conn) {
		for msg := dnstest.ReadMessage(nc); msg != nil; msg = dnstest.ReadMessage(nc) {
			q := new(dns.Msg)
			if q.Unpack(msg) != nil {
				return
			}
			m := new(dns.Msg).SetReply(q)
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = options
			if _, err := nc.Write(frame(packed(m))); err != nil {
				return
			}
		}
	}
}

// keepAlive is the option that says how long a connection may be idle (RFC 7828).
func keepAlive(data ...byte) dns.EDNS0 {
	return &dns.EDNS0_LOCAL{Code: wire.OptionKeepalive, Data: data}
}

// TestIdleTimes is B17: how long a connection without traffic stays open. A question
// shortly before that finds it open.
func TestIdleTimes(t *testing.T) {
	for _, c := range []struct {
		name    string
		secure  bool
		options []dns.EDNS0
		want    time.Duration
	}{
		{"TLS, no option", true, nil, 10 * time.Second},
		{"TCP, no option", false, nil, 5 * time.Second},
		{"TCP, 30 s", false, []dns.EDNS0{keepAlive(1, 44)}, 5 * time.Second},
		{"TLS, 0", true, []dns.EDNS0{keepAlive(0, 0)}, 0},
		{"TLS, 0.1 s", true, []dns.EDNS0{keepAlive(0, 1)}, 100 * time.Millisecond},
		{"TLS, 2 s", true, []dns.EDNS0{keepAlive(0, 20)}, 2 * time.Second},
		{"TLS, 30 s", true, []dns.EDNS0{keepAlive(1, 44)}, 30 * time.Second},
		{"TLS, 60 s", true, []dns.EDNS0{keepAlive(2, 88)}, 60 * time.Second},
		{"TLS, 60.1 s", true, []dns.EDNS0{keepAlive(2, 89)}, 60 * time.Second},
		{"TLS, 6553.5 s", true, []dns.EDNS0{keepAlive(255, 255)}, 60 * time.Second},
		{"TLS, empty", true, []dns.EDNS0{keepAlive()}, 10 * time.Second},
		{"TLS, one octet", true, []dns.EDNS0{keepAlive(0)}, 10 * time.Second},
		{"TLS, three octets", true, []dns.EDNS0{keepAlive(0, 0, 1)}, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, c.secure, answering(c.options...), func(v *virtual) {
				const short = time.Millisecond
				v.ask("NOERROR")
				if c.want > short {
					time.Sleep(c.want - short)
					if n, ended := v.connections(); n != 1 || ended != 0 {
						t.Fatalf("%d connections, %d ended shortly before %v", n, ended, c.want)
					}
					v.ask("NOERROR") // begins anew
					time.Sleep(c.want - short)
					if n, ended := v.connections(); n != 1 || ended != 0 {
						t.Fatalf("%d connections, %d ended shortly before %v after a second question", n, ended, c.want)
					}
				}
				time.Sleep(2 * short)
				if n, ended := v.connections(); n != 1 || ended != 1 {
					t.Errorf("%d connections, %d ended after %v", n, ended, c.want)
				}
			})
		})
	}
}

// TestIdleAdapts is B15: when the server closes idle connections first, ours stay open
// for half as long after each second time, down to a second.
func TestIdleAdapts(t *testing.T) {
	closing := func(_ int, nc net.Conn) {
		for {
			_ = nc.SetReadDeadline(time.Now().Add(1500 * time.Millisecond))
			q := new(dns.Msg)
			msg := dnstest.ReadMessage(nc)
			if msg == nil || q.Unpack(msg) != nil {
				break
			}
			_, _ = nc.Write(frame(packed(new(dns.Msg).SetReply(q))))
		}
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		nc.Close()
	}
	inVirtualTime(t, true, closing, func(v *virtual) {
		for range 20 {
			v.ask("NOERROR")
			time.Sleep(time.Minute)
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		for i, end := range v.ends {
			open := end - v.dials[i]
			// 10 s, 5 s, 2.5 s, 1.25 s.
			if want := 1500 * time.Millisecond; i < 6 && open != want {
				t.Errorf("connection %d: open for %v, want %v", i, open, want)
			} else if want := 1250 * time.Millisecond; i >= 6 && open != want {
				t.Errorf("connection %d: open for %v, want %v", i, open, want)
			}
		}
		for _, h := range v.news {
			if h.Kind == Refused {
				t.Errorf("the server is blamed: %v", h.Fault)
			}
		}
	})
}

// TestAge is B23: a connection that is in use all the time ends after ten minutes, give
// or take one, and another takes its place without a question lost.
func TestAge(t *testing.T) {
	for range 10 { // the age is drawn at random
		inVirtualTime(t, true, answering(), func(v *virtual) {
			for time.Since(v.began) < 25*time.Minute {
				v.ask("NOERROR")
				time.Sleep(time.Second)
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			if len(v.dials) != 3 {
				t.Fatalf("connections at %v", v.dials)
			}
			for i, end := range v.ends[:2] {
				if age := end - v.dials[i]; age < 9*time.Minute || age > 11*time.Minute+2*time.Second {
					t.Errorf("a connection lasts %v", age)
				}
			}
		})
	}
}

// TestHandshakeTimes is B18: a handshake in which nothing comes, or an octet now and
// then, ends after 2 s; so does the connection.
func TestHandshakeTimes(t *testing.T) {
	for name, serve := range map[string]func(int, net.Conn){
		"silent": func(_ int, nc net.Conn) { _, _ = under(nc).Read(make([]byte, 1)); waitForEnd(under(nc)) },
		"reads":  func(_ int, nc net.Conn) { waitForEnd(under(nc)) },
		"drips a handshake record": func(_ int, nc net.Conn) {
			go waitForEnd(under(nc))
			for out := []byte{22, 3, 3, 0x3f, 0xff, 2}; ; out = []byte{0} {
				if _, err := under(nc).Write(out); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, true, serve, func(v *virtual) {
				v.ask("not connected")
				if took := time.Since(v.began); took != 2*time.Second {
					t.Errorf("the question ends after %v", took)
				}
				time.Sleep(200 * time.Millisecond)
				if n, ended := v.connections(); n != 1 || ended != 1 {
					t.Errorf("%d connections, %d ended", n, ended)
				}
				if len(v.news) != 1 || v.news[0].Kind != Refused || v.news[0].Fault.Reason != FaultTimeout {
					t.Errorf("news %+v", v.news)
				}
			})
		})
	}
}

// under is the connection below TLS.
func under(nc net.Conn) net.Conn { return nc.(*tls.Conn).NetConn() }

// waitForEnd reads until the other side closes the connection.
func waitForEnd(nc net.Conn) {
	for buf := make([]byte, 4096); ; {
		if _, err := nc.Read(buf); err != nil {
			return
		}
	}
}

// TestSilentConnection: a server that answers nothing on a good connection is given
// up after 2 s for new questions, and after 4 s for those that wait.
func TestSilentConnection(t *testing.T) {
	inVirtualTime(t, true, func(number int, nc net.Conn) {
		if number > 0 {
			answering()(number, nc)
		}
		for dnstest.ReadMessage(nc) != nil {
		}
	}, func(v *virtual) {
		send := func() {
			if err := v.link.Send(&Call{Question: fuzzQuestion(), EDNS: true}, v.now()); err != nil {
				t.Fatal(err)
			}
		}
		send()
		time.Sleep(1999 * time.Millisecond)
		send()
		if n, _ := v.connections(); n != 1 || len(v.got) != 0 {
			t.Fatalf("%d connections, %d outcomes before 2 s", n, len(v.got))
		}
		time.Sleep(2 * time.Millisecond)
		v.ask("NOERROR")
		if n, ended := v.connections(); n != 2 || ended != 0 {
			t.Fatalf("%d connections, %d ended after 2 s", n, ended)
		}
		for range 2 {
			if outcome := <-v.got; outcome != "lost" {
				t.Errorf("%s", outcome)
			}
		}
		if took := time.Since(v.began); took != 4*time.Second {
			t.Errorf("the questions end after %v", took)
		}
	})
}

// TestOtherTrust is B31: once other certificates are trusted, an open connection takes
// no more questions, answers those that it has, and ends when it is idle. The next
// question has the server authenticated anew, by a full handshake.
func TestOtherTrust(t *testing.T) {
	for _, known := range []bool{true, false} {
		t.Run(fmt.Sprint("known ", known), func(t *testing.T) {
			slow := func(_ int, nc net.Conn) {
				var wg sync.WaitGroup
				defer wg.Wait()
				for msg := dnstest.ReadMessage(nc); msg != nil; msg = dnstest.ReadMessage(nc) {
					wg.Go(func() {
						time.Sleep(time.Second)
						q := new(dns.Msg)
						if q.Unpack(msg) == nil {
							_, _ = nc.Write(frame(packed(new(dns.Msg).SetReply(q))))
						}
					})
				}
			}
			inVirtualTime(t, true, slow, func(v *virtual) {
				v.ask("NOERROR")
				if err := v.link.Send(&Call{Question: fuzzQuestion(), EDNS: true}, v.now()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				next, want := &Trust{Roots: dnstest.NewCA(t, "another CA").Pool()}, "not connected"
				if known {
					next.Roots.AddCert(v.ca.Cert)
					want = "NOERROR"
				}
				v.trust = func() *Trust { return next }
				v.link.Retire(v.now())
				if n, ended := v.connections(); n != 1 || ended != 0 {
					t.Fatalf("%d connections, %d ended with a question open", n, ended)
				}
				if outcome := <-v.got; outcome != "NOERROR" {
					t.Errorf("the open question: %s", outcome)
				}
				if n, ended := v.connections(); n != 1 || ended != 1 {
					t.Errorf("%d connections, %d ended when idle", n, ended)
				}
				v.ask(want)
				if n, _ := v.connections(); n != 2 {
					t.Errorf("%d connections", n)
				}
				for _, h := range v.news {
					if h.Resumed {
						t.Error("a session was resumed")
					}
				}
			})
		})
	}
}

// TestRepeatedOnFreshConnection: a server that restarts ends its connections one after
// another. A question that was lost with the first is not repeated on the second, and
// all that are repeated share one connection.
func TestRepeatedOnFreshConnection(t *testing.T) {
	inVirtualTime(t, true, func(number int, nc net.Conn) {
		if number >= 2 {
			answering()(number, nc)
			return
		}
		go waitForEnd(nc)
		time.Sleep(time.Duration(1+number) * 50 * time.Millisecond) // within the first second, as right after a start
		_ = nc.Close()
	}, func(v *virtual) {
		send := func(alone bool) {
			t.Helper()
			if err := v.link.Send(&Call{Question: fuzzQuestion(), EDNS: true, Alone: alone}, v.now()); err != nil {
				t.Fatal(err)
			}
		}
		for range busyStream + 1 {
			send(false)
			synctest.Wait()
		}
		if n, _ := v.connections(); n != 2 {
			t.Fatalf("%d connections", n)
		}
		lost, answered := 0, 0
		for lost+answered < 2*(busyStream+1) {
			switch outcome := <-v.got; outcome {
			case "lost":
				lost++
				send(true)
			case "NOERROR":
				answered++
			default:
				t.Fatal(outcome)
			}
		}
		if n, _ := v.connections(); n != 3 || lost != busyStream+1 {
			t.Errorf("%d connections, %d questions lost", n, lost)
		}
	})
}
