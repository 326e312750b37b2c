package forwarder

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/routelist"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// TestInFlightAcrossReload: the reply of a server that must no longer be asked is neither given
// to clients nor stored, even if the question was sent before the change.
func TestInFlightAcrossReload(t *testing.T) {
	release := make(chan struct{})
	old := newFakeServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		<-release
		return zone(0, "www.example. 300 A 127.1.0.1")(q, tcp)
	})
	now := newFakeServer(t, zone(0, "www.example. 300 A 127.1.0.2"))
	f := run(t, to(old))
	c := newClient(t, f, 2, false)
	q := question("www.example.", dns.TypeA)
	c.Start(q)
	waitFor(t, func() bool { return old.Seen() == 1 })
	if err := f.Reload(to(now)); err != nil {
		t.Fatal(err)
	}
	close(release)
	const want = "NOERROR; rd; www.example. 300 IN A 127.1.0.2"
	if got := summary(c.Wait(q.Id)); got != want {
		t.Errorf("in flight: %q", got)
	}
	if got := summary(c.Ask(question("www.example.", dns.TypeA))); got != want || now.Seen() != 1 {
		t.Errorf("afterwards: %q, the server saw %d", got, now.Seen())
	}
	waitFor(t, func() bool { return f.Stats().InFlight == 0 })
}

// TestInFlightToNobody: when no server may be asked any more, the question ends.
func TestInFlightToNobody(t *testing.T) {
	release := make(chan struct{})
	old := newFakeServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		<-release
		return zone(0, rec)(q, tcp)
	})
	f := run(t, to(old))
	c := newClient(t, f, 2, false)
	q := question("www.example.", dns.TypeA, "edns")
	c.Start(q)
	waitFor(t, func() bool { return old.Seen() == 1 })
	none := to(old)
	none.Upstream.Routes = nil
	if err := f.Reload(none); err != nil {
		t.Fatal(err)
	}
	close(release)
	if got := summary(c.Wait(q.Id)); got != "SERVFAIL; rd; opt ede14" {
		t.Errorf("got %q", got)
	}
}

// teller is a server like kubedns: it publishes its routes and their generation, and its
// answers show which routes were in effect.
type teller struct {
	mu   sync.Mutex
	list *routelist.List
	tags map[string]string // address by domain; "" means all other names
	shy  bool              // does not answer the question for its routes
}

func (s *teller) set(tags map[string]string) {
	domains := map[dnsname.Name]uint64{name("own."): routelist.Own}
	for domain, addr := range tags {
		domains[name(domain+".")] = routelist.Hash([]string{addr})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags, s.list = tags, routelist.New(domains)
}

func (s *teller) script(q *dns.Msg, tcp bool) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Question[0].Qclass == dns.ClassCHAOS {
		if s.shy {
			return nil
		}
		m := reply(q, 0)
		m.Answer = []dns.RR{&dns.TXT{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassCHAOS}, Txt: s.list.Texts(),
		}}
		if packed := pack(m); len(packed) <= 512 || tcp {
			return [][]byte{packed}
		}
		m.Answer, m.Truncated = nil, true
		return [][]byte{pack(m)}
	}
	text, addr, longest := q.Question[0].Name, s.tags[""], ""
	for domain, a := range s.tags {
		if dns.IsSubDomain(domain+".", text) && len(domain) > len(longest) {
			addr, longest = a, domain
		}
	}
	if dns.IsSubDomain("own.", text) {
		addr = "127.0.0.1"
	}
	m := reply(q, 0, text+" 86400 A "+addr)
	if opt := m.IsEdns0(); opt != nil {
		data := s.list.Option()
		opt.Option = append(opt.Option, &dns.EDNS0_LOCAL{Code: routelist.OptionCode, Data: data[4:]})
	}
	return [][]byte{pack(m)}
}

// TestFollowedRoutes uses a model of a server whose routes change at random. After each change,
// every name has the answer of its current route, and names whose routes did not change are not
// asked for again.
func TestFollowedRoutes(t *testing.T) {
	tell := new(teller)
	tags := map[string]string{"": "127.2.0.1"}
	tell.set(tags)
	s := newFakeServer(t, tell.script)
	cfg := to(s)
	cfg.FollowRoutes = true
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	var names []string
	for _, domain := range []string{"x", "y", "a.x", "own", "z"} {
		names = append(names, "one."+domain+".", "two."+domain+".")
	}
	for i := range 40 { // more than fit into one datagram
		tags[fmt.Sprintf("domain-number-%d.example", i)] = "127.2.0.9"
	}
	tell.set(tags)
	rng := rand.New(rand.NewPCG(1, 2))
	domains := []string{"", "x", "y", "a.x"}
	for step := range 12 {
		next := maps.Clone(tags)
		domain := domains[rng.IntN(len(domains))]
		if _, ok := next[domain]; ok && domain != "" && rng.IntN(3) == 0 {
			delete(next, domain)
		} else {
			next[domain] = fmt.Sprintf("127.2.%d.%d", 1+step, 1+rng.IntN(200))
		}
		tags = next
		tell.set(tags)
		expect := func(text string) string {
			addr, longest := tags[""], ""
			for d, a := range tags {
				if dns.IsSubDomain(d+".", text) && len(d) > len(longest) {
					addr, longest = a, d
				}
			}
			if strings.HasSuffix(text, ".own.") {
				addr = "127.0.0.1"
			}
			return addr
		}
		c.Ask(question(fmt.Sprintf("fresh%d.z.", step), dns.TypeA)) // the reply shows the change
		waitFor(t, func() bool {
			list := (*f.remote.Load())[s.Addr]
			if list == nil || list.Generation != tell.list.Generation { // only this goroutine changes it
				return false
			}
			for _, text := range names {
				m := c.Ask(question(text, dns.TypeA))
				if len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != expect(text) {
					return false
				}
			}
			return true
		})
		asked := func() (n int) {
			for _, q := range s.All() {
				if q.Question[0].Qclass == dns.ClassINET {
					n++
				}
			}
			return n
		}
		before := asked()
		for _, text := range names {
			c.Ask(question(text, dns.TypeA))
		}
		if n := asked() - before; n > 0 {
			t.Errorf("step %d: %d questions although nothing changed", step, n)
		}
	}
	own := 0
	for _, q := range s.All() {
		if q.Question[0].Name == "one.own." {
			own++
		}
	}
	if own != 1 {
		t.Errorf("a name of the server's own was asked %d times", own)
	}
}

// TestRoutesThatCannotBeRead: the last list stays in effect.
func TestRoutesThatCannotBeRead(t *testing.T) {
	tell := new(teller)
	tell.set(map[string]string{"": "127.2.0.1"})
	s := newFakeServer(t, tell.script)
	cfg := to(s)
	cfg.FollowRoutes = true
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	c.Ask(question("www.z.", dns.TypeA))
	waitFor(t, func() bool { return len(*f.remote.Load()) == 1 })
	list := (*f.remote.Load())[s.Addr]
	tell.mu.Lock()
	tell.shy = true
	tell.mu.Unlock()
	before := s.Seen()
	waitFor(t, func() bool { return s.Seen() >= before+1 })
	time.Sleep(50 * time.Millisecond)
	if got := (*f.remote.Load())[s.Addr]; got != list {
		t.Errorf("the list is %v, was %v", got, list)
	}
	other := to(newFakeServer(t, zone(0, rec)))
	other.FollowRoutes = true
	if err := f.Reload(other); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return len(*f.remote.Load()) == 0 })
}

// TestReloadModel: after any sequence of changes of routes, the cache holds no answer of a
// server that must not be asked.
func TestReloadModel(t *testing.T) {
	servers := make([]*fakeServer, 3)
	for i := range servers {
		servers[i] = newFakeServer(t, func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{pack(reply(q, 0, fmt.Sprintf("%s 86400 A 127.3.0.%d", q.Question[0].Name, i)))}
		})
	}
	rng := rand.New(rand.NewPCG(3, 4))
	domains := []string{"x.", "a.x.", "y."}
	names := []string{"x.", "q.x.", "a.x.", "q.a.x.", "y.", "q.y.", "z.", "xx."}
	routes := func() (cfg Config, want func(string) int) {
		choice := map[string]int{"": rng.IntN(3)}
		cfg = to(servers[choice[""]])
		for _, d := range domains {
			if i := rng.IntN(4); i < 3 {
				choice[d] = i
				cfg.Upstream.Routes = append(cfg.Upstream.Routes, upstream.Route{Domain: suffix(d), Servers: []upstream.Server{{Addr: servers[i].Addr}}})
			}
		}
		return cfg, func(text string) int {
			best, longest := choice[""], ""
			for d, i := range choice {
				if d != "" && dns.IsSubDomain(d, text) && len(d) > len(longest) {
					best, longest = i, d
				}
			}
			return best
		}
	}
	cfg, want := routes()
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	for step := range 60 {
		for _, text := range names {
			for range 2 {
				if m := c.Ask(question(text, dns.TypeA)); len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != fmt.Sprintf("127.3.0.%d", want(text)) {
					t.Fatalf("step %d: %s: %v, want server %d", step, text, m.Answer, want(text))
				}
			}
		}
		cfg, want = routes()
		if err := f.Reload(cfg); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNXDomainCutEndsAtRoutes: an answer that a name does not exist does not hide names below
// it for which other servers are asked, neither before nor after a change of routes.
func TestNXDomainCutEndsAtRoutes(t *testing.T) {
	def := newFakeServer(t, zone(3, "ns example. 600 SOA a. b. 1 2 3 4 600"))
	stub := newFakeServer(t, zone(0, "x.stub.example. 300 A 127.1.0.9"))
	plain, with := to(def), to(def)
	plain.Cache.NXDomainCut, with.Cache.NXDomainCut = true, true
	with.Upstream.Routes = append(with.Upstream.Routes, upstream.Route{Domain: suffix("stub.example."), Servers: []upstream.Server{{Addr: stub.Addr}}})
	f := run(t, plain)
	c := newClient(t, f, 2, false)
	for range 2 {
		if m := c.Ask(question("example.", dns.TypeA)); m.Rcode != dns.RcodeNameError {
			t.Errorf("%v", m)
		}
		if m := c.Ask(question("x.stub.example.", dns.TypeA)); m.Rcode != dns.RcodeNameError || def.Seen() != 1 {
			t.Errorf("without a route: %v, the server saw %d", m, def.Seen())
		}
	}
	if err := f.Reload(with); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if m := c.Ask(question("x.stub.example.", dns.TypeA)); len(m.Answer) != 1 {
			t.Errorf("with a route: %v", m)
		}
		if m := c.Ask(question("example.", dns.TypeA)); m.Rcode != dns.RcodeNameError {
			t.Errorf("%v", m)
		}
	}
}
