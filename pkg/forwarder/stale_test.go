package forwarder

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// switched is a server whose script can be changed.
type switched struct{ now atomic.Pointer[script] }

func (s *switched) set(fn script) { s.now.Store(&fn) }

func (s *switched) script(q *dns.Msg, tcp bool) [][]byte { return (*s.now.Load())(q, tcp) }

// stale returns a configuration with a server whose answers have TTL 0, so that they expire at
// once. Then the server changes to next.
func stale(t *testing.T, change func(*Config), next script) (*Forwarder, *client, *fakeServer) {
	t.Helper()
	sw := new(switched)
	sw.set(zone(0, "www.example. 0 A 127.1.0.1"))
	s := newFakeServer(t, sw.script)
	cfg := to(s)
	cfg.Cache.StaleFor = answercache.Forever
	change(&cfg)
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	c.Ask(question("www.example.", dns.TypeA))
	sw.set(next)
	return f, c, s
}

// rfc8767 turns on expired answers for the time that servers fail.
func rfc8767(c *Config) {
	c.Cache.StaleTTL, c.StaleAfter = 30, 50*time.Millisecond
}

const staleAnswer = "NOERROR; rd; www.example. 30 IN A 127.1.0.1; opt ede3"

// TestStaleWhileSlow tests slow servers.
func TestServeStale(t *testing.T) {
	tests := []struct {
		name string
		next script
		want string
	}{
		{"upstream is well", zone(0, "www.example. 0 A 127.1.0.2"), "NOERROR; rd; www.example. 0 IN A 127.1.0.2; opt"},
		{"upstream is silent", silence, staleAnswer},
		{"upstream fails", zone(2), staleAnswer},
		{"upstream refuses", zone(5), staleAnswer},
		{"upstream is garbled", garbled, staleAnswer},
		{"the name is gone", zone(3), "NXDOMAIN; rd; opt"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, c, _ := stale(t, func(c *Config) {
				rfc8767(c)
				if test.want != staleAnswer { // an expired answer must not be given because the server is slow
					c.StaleAfter = hang
				}
			}, test.next)
			before := f.Stats()
			if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if st := f.Stats(); st.Hits != before.Hits || st.Forwarded != before.Forwarded+1 || st.Stale > before.Stale+1 {
				t.Errorf("not counted once, as forwarded: %+v", st)
			}
		})
	}
}

// TestServeStaleClosedPort: clients do not notice that a server restarts.
func TestServeStaleClosedPort(t *testing.T) {
	f, c, s := stale(t, rfc8767, silence)
	s.Refuse(t)
	for range 3 {
		if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != staleAnswer {
			t.Errorf("got %q", got)
		}
	}
	if got := summary(c.Ask(question("other.example.", dns.TypeA, "edns"))); got != "SERVFAIL; rd; opt ede23" {
		t.Errorf("a name that is not cached: %q", got)
	}
	if st := f.Stats(); st.Stale == 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestStaleWhileSlow: clients that ask while the server is slow get the expired answer too, and
// the late reply is stored.
func TestStaleWhileSlow(t *testing.T) {
	g := newGate(t)
	f, c, _ := stale(t, func(c *Config) {
		rfc8767(c)
		c.Upstream.Timeout, c.Upstream.FirstRetry = hang, hang
	}, g.script(zone(0, "www.example. 60 A 127.1.0.2")))
	for i := range 3 {
		if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != staleAnswer {
			t.Errorf("answer %d: %q", i, got)
		}
	}
	if st := f.Stats(); st.InFlight != 1 || st.Waiting != 0 {
		t.Errorf("stats %+v", st)
	}
	g.lift()
	waitFor(t, func() bool { return f.Stats().InFlight == 0 })
	if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != "NOERROR; rd; www.example. 60 IN A 127.1.0.2; opt" {
		t.Errorf("after the refresh: %q", got)
	}
}

// TestStaleAtOnce tests dnsmasq's --use-stale-cache.
func TestStaleAtOnce(t *testing.T) {
	f, c, s := stale(t, func(c *Config) { c.StaleAtOnce = true }, zone(0, "www.example. 60 A 127.1.0.2"))
	if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != "NOERROR; rd; www.example. 0 IN A 127.1.0.1; opt ede3" {
		t.Errorf("expired: %q", got)
	}
	waitFor(t, func() bool { return s.Seen() == 2 && f.Stats().InFlight == 0 })
	if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != "NOERROR; rd; www.example. 60 IN A 127.1.0.2; opt" {
		t.Errorf("refreshed: %q", got)
	}
	if st := f.Stats(); st.Stale != 1 || st.Refreshed != 1 {
		t.Errorf("stats %+v", st)
	}
}

// TestFailureIsRemembered tests RFC 9520.
func TestFailureIsRemembered(t *testing.T) {
	s := newFakeServer(t, silence)
	cfg := to(s)
	cfg.Cache.FailureTTL = 60
	cfg.Upstream = upstream.Config{Routes: cfg.Upstream.Routes, Timeout: 100 * time.Millisecond}
	c := newClient(t, run(t, cfg), 2, false)
	if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != "SERVFAIL; rd; opt ede22" {
		t.Errorf("first: %q", got)
	}
	waitFor(t, func() bool { return s.Seen() > 0 })
	seen := s.Seen()
	for range 5 {
		if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != "SERVFAIL; rd; opt ede13" {
			t.Errorf("then: %q", got)
		}
	}
	if s.Seen() != seen {
		t.Error("upstream was asked although the failure is known")
	}
}

// TestSlowNameMakesNothingStale: a server that does not answer for one name is still asked
// about others, and its replies are used at once.
func TestSlowNameMakesNothingStale(t *testing.T) {
	f, c, _ := stale(t, func(c *Config) {
		rfc8767(c)
		c.StaleAfter, c.Upstream.Timeout, c.Upstream.FirstRetry = hang, hang/2, 10*time.Millisecond
	}, func(q *dns.Msg, _ bool) [][]byte {
		if q.Question[0].Name == "slow.example." {
			return nil
		}
		return [][]byte{pack(reply(q, 0, "www.example. 0 A 127.1.0.9"))}
	})
	slow := question("slow.example.", dns.TypeA)
	c.Start(slow)
	waitFor(t, func() bool { return f.Stats().Upstream.Servers[0].Retried > 3 })
	if got := summary(c.Ask(question("www.example.", dns.TypeA))); got != "NOERROR; rd; www.example. 0 IN A 127.1.0.9" {
		t.Errorf("got %q", got)
	}
}

// TestStaleAtTheLimit: at the limit, clients get an expired answer rather than REFUSED.
func TestStaleAtTheLimit(t *testing.T) {
	f, c, _ := stale(t, func(c *Config) {
		rfc8767(c)
		c.InFlight, c.StaleAfter, c.Upstream.Timeout = 1, 2*hang, 2*hang
	}, silence)
	c.Start(question("other.example.", dns.TypeA))
	if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != staleAnswer {
		t.Errorf("got %q", got)
	}
	if st := f.Stats(); st.OverLimit != 0 || st.InFlight != 1 {
		t.Errorf("stats %+v", st)
	}
}

// TestStaleRecheck: for some time after a failed refresh, clients do not wait and the server is
// not asked, however long failures of other names are remembered.
func TestStaleRecheck(t *testing.T) {
	f, c, s := stale(t, func(c *Config) {
		rfc8767(c)
		c.Cache.FailureTTL, c.Cache.StaleRecheck = 1, 300
	}, zone(2))
	if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != staleAnswer {
		t.Fatalf("got %q", got)
	}
	waitFor(t, func() bool { return f.Stats().InFlight == 0 })
	seen, forwarded := s.Seen(), f.Stats().Forwarded
	for range 5 {
		if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != staleAnswer {
			t.Errorf("got %q", got)
		}
	}
	if st := f.Stats(); s.Seen() != seen || st.Forwarded != forwarded || st.Stale != 6 {
		t.Errorf("upstream was asked %d times more, stats %+v", s.Seen()-seen, st)
	}
}

// TestStaleAtOnceAfterFailure: while a failure to refresh an expired answer is remembered, hits do
// not ask the server again.
func TestStaleAtOnceAfterFailure(t *testing.T) {
	f, c, s := stale(t, func(c *Config) { c.StaleAtOnce = true }, zone(2))
	waitFor(t, func() bool { return f.Stats().InFlight == 0 })
	before := s.Seen()
	for range 50 {
		if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != "NOERROR; rd; www.example. 0 IN A 127.1.0.1; opt ede3" {
			t.Fatalf("got %q", got)
		}
		waitFor(t, func() bool { return f.Stats().InFlight == 0 })
	}
	if n := s.Seen() - before; n < 1 || n > 3 {
		t.Errorf("the server was asked %d times within about a second", n)
	}
}

// TestFailuresOfEveryKind: each rcode that is no answer is a failure: it is remembered, and it does not
// replace an expired answer. An extended rcode is about the server's message to us, so clients get
// SERVFAIL.
func TestFailuresOfEveryKind(t *testing.T) {
	for rcode := range 40 {
		if rcode == dns.RcodeSuccess || rcode == dns.RcodeNameError || rcode == dns.RcodeYXDomain {
			continue
		}
		t.Run(fmt.Sprint(rcode), func(t *testing.T) {
			t.Parallel()
			fails := func(q *dns.Msg, _ bool) [][]byte {
				m := reply(q, rcode)
				if rcode > 15 {
					m.SetEdns0(1232, false)
				}
				return [][]byte{pack(m)}
			}
			f, c, s := stale(t, func(c *Config) {
				rfc8767(c)
				c.StaleAfter = hang
			}, fails)
			if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != staleAnswer {
				t.Errorf("with an expired answer: %q", got)
			}
			want := rcode
			if rcode > 15 {
				want = dns.RcodeServerFailure
			}
			for _, options := range [][]string{nil, {"edns"}} {
				for i := range 2 {
					if m := c.Ask(question("new.example.", dns.TypeA, options...)); m.Rcode != want || len(m.Answer) > 0 {
						t.Errorf("question %d %v: %v", i, options, m)
					}
				}
			}
			if n := s.Seen(); n > 5 { // two names with and without EDNS, and the answer that has expired
				t.Errorf("the server was asked %d times", n)
			}
			if st := f.Stats(); st.FailedHits != 3 {
				t.Errorf("%d answers from the remembered failure, want 3", st.FailedHits)
			}
		})
	}
}
