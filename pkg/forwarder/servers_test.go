package forwarder

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/upstream"
)

const (
	good = "NOERROR; rd; www.example. 30 IN A 127.1.0.1"
	rec  = "www.example. 30 A 127.1.0.1"
)

// garbled answers with a question and half a record.
func garbled(q *dns.Msg, _ bool) [][]byte {
	q.Extra = nil
	b := pack(reply(q, 0, rec))
	return [][]byte{b[:len(b)-3]}
}

// TestClosedPort: a server whose port is closed is recognised at once, without waiting.
func TestClosedPort(t *testing.T) {
	closed := newFakeServer(t, silence)
	closed.Refuse(t)
	well := newFakeServer(t, zone(0, rec))
	cfg := to(closed, well)
	cfg.Upstream.Strategy = upstream.InOrder
	cfg.Upstream.FirstRetry = time.Hour // only the closed port can lead to the next server
	c := newClient(t, run(t, cfg), 2, false)
	if got := summary(c.Ask(question("www.example.", dns.TypeA))); got != good {
		t.Errorf("got %q", got)
	}
	cfg = to(closed)
	c = newClient(t, run(t, cfg), 2, false)
	if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != "SERVFAIL; rd; opt ede23" {
		t.Errorf("alone: %q", got)
	}
}

// TestNewIDAndPort: each attempt has its own id and, nearly always, its own port.
func TestNewIDAndPort(t *testing.T) {
	s := newFakeServer(t, silence)
	cfg := to(s)
	cfg.Upstream.Sockets = 64
	cfg.Upstream.FirstRetry = 10 * time.Millisecond
	cfg.Upstream.Timeout = time.Second
	c := newClient(t, run(t, cfg), 2, false)
	c.Ask(question("www.example.", dns.TypeA))
	queries := s.All()
	ids := map[uint16]bool{}
	for _, q := range queries {
		ids[q.Id] = true
	}
	if len(queries) < 4 || len(ids) < len(queries)-1 || s.Ports() < 2 { // two ids may be equal by chance
		t.Errorf("%d packets, %d ids, %d ports", len(queries), len(ids), s.Ports())
	}
}

func TestWhatUpstreamSees(t *testing.T) {
	s := newFakeServer(t, zone(0, rec))
	f := run(t, to(s))
	q := question("www.example.", dns.TypeA, "do", "cd", "ad")
	q.Zero, q.Authoritative = true, true
	opt := q.IsEdns0()
	opt.SetUDPSize(4096)
	opt.Option = []dns.EDNS0{
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"},
		&dns.EDNS0_LOCAL{Code: 65001, Data: []byte{1}},
	}
	newClient(t, f, 2, false).Ask(q)
	got := s.Last()
	got.Id = 0
	want := question("www.example.", dns.TypeA, "do", "cd", "ad")
	want.Id = 0
	if got.String() != want.String() {
		t.Errorf("upstream saw\n%v\nwant\n%v", got, want)
	}
}

// TestPayloadAvoidsFragments: the forwarder offers neither clients nor servers a size that
// would need fragments, and sends no such message (lesson of CVE-2023-28450).
func TestPayloadAvoidsFragments(t *testing.T) {
	var many []string
	for i := range 120 {
		many = append(many, fmt.Sprintf("www.example. 30 A 127.1.0.%d", i))
	}
	s := newFakeServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		m := reply(q, 0, many...)
		m.Compress = true
		if !tcp {
			m.Truncated, m.Answer = true, nil
		}
		return [][]byte{pack(m)}
	})
	c := newClient(t, run(t, to(s)), 2, false)
	q := question("www.example.", dns.TypeA)
	q.SetEdns0(4096, false)
	m := c.Ask(q)
	m.Compress = true
	if opt := m.IsEdns0(); opt == nil || opt.UDPSize() != 1232 || m.Len() > 1232 || !m.Truncated {
		t.Errorf("%d octets, TC %v, OPT %v", m.Len(), m.Truncated, opt)
	}
	for _, q := range s.All() {
		if opt := q.IsEdns0(); opt != nil && opt.UDPSize() > 1232 {
			t.Errorf("upstream was told %d octets", opt.UDPSize())
		}
	}
}

func TestTruncatedReplies(t *testing.T) {
	var many []string
	for i := range 90 {
		many = append(many, fmt.Sprintf("www.example. 30 A 127.1.0.%d", i+1))
	}
	cut := func(q *dns.Msg) []byte {
		m := reply(q, 0, many[0])
		m.Truncated = true
		return pack(m)
	}
	tests := []struct {
		name    string
		server  script
		answers int
		tc      bool
	}{
		{"whole over TCP", func(q *dns.Msg, tcp bool) [][]byte {
			if tcp {
				return [][]byte{pack(reply(q, 0, many...))}
			}
			return [][]byte{cut(q)}
		}, 90, false},
		{"TCP fails", func(q *dns.Msg, tcp bool) [][]byte {
			if tcp {
				return nil
			}
			return [][]byte{cut(q)}
		}, 1, true},
		{"cut in the middle of a record, TCP fails", func(q *dns.Msg, tcp bool) [][]byte {
			if tcp {
				return nil
			}
			b := cut(q)
			return [][]byte{b[:len(b)-14]}
		}, -1, false},
		{"nothing over UDP, TCP is silent", func(q *dns.Msg, tcp bool) [][]byte {
			m := reply(q, 0)
			m.Truncated = true
			if tcp {
				time.Sleep(4 * time.Second)
			}
			return [][]byte{pack(m)}
		}, -1, false},
		{"longer than anybody takes", func(q *dns.Msg, tcp bool) [][]byte {
			if tcp {
				return [][]byte{pack(reply(q, 0, many...))}
			}
			return [][]byte{append(pack(reply(q, 0, many...)), make([]byte, 5000)...)}
		}, 90, false},
		{"wrong answers over TCP first", func(q *dns.Msg, tcp bool) [][]byte {
			if !tcp {
				return [][]byte{cut(q)}
			}
			other := reply(q, 0)
			other.Id++
			return [][]byte{{}, {1}, pack(other), pack(reply(q, 0, many...))}
		}, 90, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := to(newFakeServer(t, test.server))
			cfg.Upstream.Timeout = 3 * time.Second
			f := run(t, cfg)
			m := newClient(t, f, 2, true).Ask(question("www.example.", dns.TypeA, "edns"))
			if test.answers < 0 { // without records, TC would not help a client over TCP
				if got := summary(m); got != "SERVFAIL; rd; opt ede23" {
					t.Errorf("over TCP: %q", got)
				}
				f.Clear()
				if m = newClient(t, f, 2, false).Ask(question("www.example.", dns.TypeA)); m.Rcode != 0 || !m.Truncated {
					t.Errorf("over UDP: %v", m)
				}
				return
			}
			if len(m.Answer) != test.answers || m.Truncated != test.tc || m.Rcode != 0 {
				t.Errorf("%d answers, TC %v, want %d, %v: %v", len(m.Answer), m.Truncated, test.answers, test.tc, m)
			}
		})
	}
}

// TestReload: new servers are used at once, and the cache keeps exactly the answers for names
// whose servers have not changed.
func TestReload(t *testing.T) {
	a, b := newFakeServer(t, zone(0, rec)), newFakeServer(t, zone(0, "new.example. 30 A 127.1.0.2"))
	stub := newFakeServer(t, zone(0, "x.stub. 30 A 127.1.0.3"))
	with := func(def *fakeServer) Config {
		cfg := to(def)
		cfg.Upstream.Routes = append(cfg.Upstream.Routes, upstream.Route{Domain: suffix("stub."), Servers: []upstream.Server{{Addr: stub.Addr}}})
		return cfg
	}
	f := run(t, with(a))
	c := newClient(t, f, 2, false)
	c.Ask(question("www.example.", dns.TypeA))
	c.Ask(question("x.stub.", dns.TypeA))
	if err := f.Reload(with(b)); err != nil {
		t.Fatal(err)
	}
	c.Ask(question("x.stub.", dns.TypeA))
	if got := summary(c.Ask(question("new.example.", dns.TypeA))); got != "NOERROR; rd; new.example. 30 IN A 127.1.0.2" {
		t.Errorf("new server: %q", got)
	}
	c.Ask(question("www.example.", dns.TypeA))
	if a.Seen() != 1 || b.Seen() != 2 || stub.Seen() != 1 || f.Stats().Purged != 1 {
		t.Errorf("servers saw %d, %d and %d, want 1, 2 and 1; %d purged", a.Seen(), b.Seen(), stub.Seen(), f.Stats().Purged)
	}
	f.Clear()
	if c.Ask(question("x.stub.", dns.TypeA)); stub.Seen() != 2 {
		t.Errorf("after Clear the server saw %d", stub.Seen())
	}
	if err := f.Reload(Config{Upstream: upstream.Config{Routes: []upstream.Route{{Servers: []upstream.Server{{}}}}}}); err == nil {
		t.Error("a configuration with an impossible server was taken")
	}
	if got := summary(c.Ask(question("new.example.", dns.TypeA))); got != "NOERROR; rd; new.example. 30 IN A 127.1.0.2" {
		t.Errorf("after a refused configuration: %q", got)
	}
}

// TestRoutes: each domain has its servers.
func TestRoutes(t *testing.T) {
	def, cluster := newFakeServer(t, zone(0, "d. 30 A 127.1.0.1")), newFakeServer(t, zone(0, "c. 30 A 127.1.0.2"))
	cfg := to(def)
	cfg.Upstream.Routes = append(cfg.Upstream.Routes,
		upstream.Route{Domain: suffix("cluster.local."), Servers: []upstream.Server{{Addr: cluster.Addr, Source: netip.MustParseAddrPort("127.0.0.1:0")}}},
		upstream.Route{Domain: suffix("out.cluster.local."), Standard: true},
	)
	c := newClient(t, run(t, cfg), 2, false)
	for _, text := range []string{"a.svc.cluster.local.", "CLUSTER.local."} {
		c.Ask(question(text, dns.TypeA))
	}
	for _, text := range []string{"xcluster.local.", "a.out.cluster.local.", "local.", "."} {
		c.Ask(question(text, dns.TypeA))
	}
	if cluster.Seen() != 2 || def.Seen() != 4 {
		t.Errorf("cluster saw %d, default %d, want 2 and 4", cluster.Seen(), def.Seen())
	}
}

// TestLoop: a server that is this program itself is detected, and not asked any more.
func TestLoop(t *testing.T) {
	well := newFakeServer(t, zone(0, rec))
	// The looping server passes every question to the forwarder, as a listener
	// would, and returns its answers.
	var f atomic.Pointer[Forwarder]
	loop := newFakeServer(t, func(q *dns.Msg, _ bool) [][]byte {
		for f.Load() == nil {
			time.Sleep(time.Millisecond)
		}
		c := newClient(t, f.Load(), 8, false)
		out := f.Load().Handle(pack(q), c.To, make([]byte, 0, 65535))
		f.Load().Flush()
		if len(out) == 0 {
			return nil
		}
		return [][]byte{out}
	})
	cfg := to(loop, well)
	cfg.Upstream.DetectLoops = true
	fw := run(t, cfg)
	f.Store(fw)
	waitFor(t, func() bool { return fw.Stats().Looped > 0 })
	c := newClient(t, fw, 2, false)
	for range 3 {
		if got := summary(c.Ask(question("www.example.", dns.TypeA))); got != good {
			t.Errorf("got %q", got)
		}
	}
	if n := loop.Seen(); n != 1 {
		t.Errorf("the looping server was asked %d times, want once", n)
	}
	if err := fw.Reload(to(loop)); err != nil {
		t.Fatal(err)
	}
}
