package forwarder

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// deafTo does not answer questions about names with a prefix.
func deafTo(prefix string, other script) script {
	return func(q *dns.Msg, tcp bool) [][]byte {
		if name := q.Question[0].Name; len(name) >= len(prefix) && name[:len(prefix)] == prefix {
			return nil
		}
		return other(q, tcp)
	}
}

// TestLimitPerDomain: questions of one domain do not use up the limit of another one.
func TestLimitPerDomain(t *testing.T) {
	s := newFakeServer(t, deafTo("x", zone(0, rec)))
	cfg := to(s)
	cfg.InFlight = 5
	cfg.Upstream.Routes = append(cfg.Upstream.Routes, upstream.Route{Domain: suffix("dead."), Servers: []upstream.Server{{Addr: s.Addr}}})
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	refused := 0
	for i := range 20 {
		q := question(fmt.Sprintf("x%d.dead.", i), dns.TypeA)
		if c.Start(q); f.Stats().OverLimit > uint64(refused) {
			refused++
			c.Wait(q.Id)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	if got := summary(c.Ask(question("www.example.", dns.TypeA))); got != good {
		t.Errorf("another domain: %q", got)
	}
}

// TestOldestMakesRoom: at the limit, the question that has waited longest is answered early,
// after its retries, so that new questions are asked. A late reply to it is still cached.
func TestOldestMakesRoom(t *testing.T) {
	answer := make(chan struct{})
	s := newFakeServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		if q.Question[0].Name == "www.example." {
			return zone(0, rec)(q, tcp)
		}
		<-answer
		return [][]byte{pack(reply(q, 0, q.Question[0].Name+" 300 A 127.1.0.7"))}
	})
	cfg := to(s)
	cfg.InFlight = 4
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	var waiting []*dns.Msg
	for i := range 4 {
		q := question(fmt.Sprintf("x%d.example.", i), dns.TypeA, "edns")
		c.Start(q)
		waiting = append(waiting, q)
	}
	if got := summary(c.Ask(question("www.example.", dns.TypeA, "edns"))); got != "REFUSED; rd; opt ede0" {
		t.Errorf("before the others had their time: %q", got)
	}
	time.Sleep(patience + 50*time.Millisecond)
	if got := summary(c.Ask(question("www.example.", dns.TypeA))); got != good {
		t.Errorf("at the limit: %q", got)
	}
	if got := summary(c.Wait(waiting[0].Id)); got != "SERVFAIL; rd; opt ede22" {
		t.Errorf("the oldest: %q", got)
	}
	close(answer)
	for i, q := range waiting[1:] {
		if got := summary(c.Wait(q.Id)); got != fmt.Sprintf("NOERROR; rd; x%d.example. 300 IN A 127.1.0.7; opt", i+1) {
			t.Errorf("question %d: %q", i+1, got)
		}
	}
	waitFor(t, func() bool { st := f.Stats(); return st.InFlight == 0 && st.Waiting == 0 && st.Upstream.InFlight == 0 })
	if got := summary(c.Ask(question("x0.example.", dns.TypeA))); got != "NOERROR; rd; x0.example. 300 IN A 127.1.0.7" || f.Stats().MadeRoom != 1 {
		t.Errorf("the oldest, later: %q, %+v", got, f.Stats())
	}
}

// TestSteadyFloodRefusesNobody: a server does not answer for many names. As long as these are
// asked so slowly that each can wait for a second, other names are answered.
func TestSteadyFloodRefusesNobody(t *testing.T) {
	s := newFakeServer(t, deafTo("x", func(q *dns.Msg, _ bool) [][]byte {
		return [][]byte{pack(reply(q, 0, q.Question[0].Name+" 300 A 127.1.0.7"))}
	}))
	cfg := to(s)
	cfg.InFlight = 20
	f := run(t, cfg)
	greedy, modest := newClient(t, f, 2, false), newClient(t, f, 2, false)
	for i := range 60 {
		greedy.Start(question(fmt.Sprintf("x%d.example.", i), dns.TypeA))
		if m := modest.Ask(question(fmt.Sprintf("y%d.example.", i), dns.TypeA)); m.Rcode != 0 {
			t.Fatalf("question %d: %v, %+v", i, dns.RcodeToString[m.Rcode], f.Stats())
		}
		time.Sleep(60 * time.Millisecond)
	}
	if st := f.Stats(); st.MadeRoom == 0 || st.OverLimit != 0 {
		t.Errorf("%+v", st)
	}
}

// TestTypesOfOneName: the number of questions in flight about one name is limited. At the limit,
// ordinary questions about its addresses are still asked, and other clients' too.
func TestTypesOfOneName(t *testing.T) {
	release := make(chan struct{})
	s := newFakeServer(t, func(q *dns.Msg, _ bool) [][]byte {
		<-release
		return [][]byte{pack(reply(q, 0))}
	})
	f := run(t, to(s))
	c := newClient(t, f, 2, false)
	var asked []*dns.Msg
	for qtype := range uint16(20) {
		q := question("www.example.", 1000+qtype, "edns")
		asked = append(asked, q)
		c.Start(q)
	}
	for _, q := range asked[questionsPerName:] {
		if got := summary(c.Wait(q.Id)); got != "REFUSED; rd; opt ede0" {
			t.Errorf("got %q", got)
		}
	}
	asked = append(asked[:questionsPerName:questionsPerName], question("other.example.", dns.TypeA))
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		asked = append(asked, question("www.example.", qtype), question("www.example.", qtype, "do"), question("www.example.", qtype, "ad"))
	}
	for _, q := range asked[questionsPerName:] {
		c.Start(q)
	}
	odd := question("www.example.", dns.TypeA, "edns", "cd")
	if got := summary(c.Ask(odd)); got != "REFUSED; rd; cd; opt ede0" {
		t.Errorf("with CD: %q", got)
	}
	close(release)
	for _, q := range asked {
		if m := c.Wait(q.Id); m.Rcode != 0 {
			t.Errorf("%v", m)
		}
	}
	waitFor(t, func() bool { return f.Stats().InFlight == 0 })
	if m := c.Ask(question("www.example.", 2000)); m.Rcode != 0 || f.Stats().OverLimit != 20-questionsPerName+1 {
		t.Errorf("afterwards: %v, %+v", m, f.Stats())
	}
}

// TestLimitsUnderChange: when questions make room, servers change and replies are late, all at
// the same time, every query gets an answer and all counts return to zero.
func TestLimitsUnderChange(t *testing.T) {
	t.Parallel()
	slow := func(q *dns.Msg, _ bool) [][]byte {
		switch q.Id % 4 {
		case 0:
			return nil
		case 1:
			time.Sleep(time.Duration(q.Id%1500) * time.Millisecond)
		}
		return [][]byte{pack(reply(q, 0, q.Question[0].Name+" 1 A 127.1.0.7"))}
	}
	a, b := newFakeServer(t, slow), newFakeServer(t, slow)
	with := func(s *fakeServer) Config {
		cfg := to(s)
		cfg.InFlight, cfg.Cache.StaleFor, cfg.StaleAfter = 3, 60, 300*time.Millisecond
		cfg.Upstream.Timeout, cfg.Upstream.FirstRetry = 1500*time.Millisecond, 700*time.Millisecond
		return cfg
	}
	f := run(t, with(a))
	var clients sync.WaitGroup
	for i := range 6 {
		c := newClient(t, f, byte(2+i), false)
		clients.Go(func() {
			for n := range 5 {
				var asked []uint16
				for j := range 3 {
					q := question(fmt.Sprintf("n%d.%s.", (n*7+j*3+i)%40, []string{"example", "EXAMPLE", "eXample"}[i%3]), dns.TypeA)
					c.Start(q)
					asked = append(asked, q.Id)
				}
				time.Sleep(time.Duration(n%5) * 30 * time.Millisecond)
				for _, id := range asked {
					c.WaitRaw(id)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		clients.Wait()
		close(done)
	}()
	for i := 0; ; i++ {
		select {
		case <-done:
			waitFor(t, func() bool { st := f.Stats(); return st.InFlight == 0 && st.Waiting == 0 && st.Upstream.InFlight == 0 })
			if st := f.Stats(); st.Panics != 0 {
				t.Errorf("%+v", st)
			}
			return
		case <-time.After(50 * time.Millisecond):
			if err := f.Reload(with([]*fakeServer{a, b}[i%2])); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestManyDomains: there may be very many domains with servers of their own. Only those with
// questions in flight take memory, and their limits hold whatever is asked about the others.
func TestManyDomains(t *testing.T) {
	const held, others = 100, 1000
	release := make(chan struct{})
	s := newFakeServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		if q.Question[0].Name[0] == 'x' {
			<-release
		}
		return zone(0, rec)(q, tcp)
	})
	cfg := to(s)
	cfg.InFlight = 1
	servers := []upstream.Server{{Addr: s.Addr}}
	for i := range held + others {
		cfg.Upstream.Routes = append(cfg.Upstream.Routes, upstream.Route{Domain: suffix(fmt.Sprintf("d%d.", i)), Servers: servers})
	}
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	var waiting []uint16
	for i := range held {
		q := question(fmt.Sprintf("x.d%d.", i), dns.TypeA)
		c.Start(q)
		waiting = append(waiting, q.Id)
	}
	for i := range others {
		if m := c.Ask(question(fmt.Sprintf("www.d%d.", held+i), dns.TypeA)); m.Rcode != dns.RcodeSuccess {
			t.Fatalf("domain %d: %q", held+i, summary(m))
		}
	}
	if st := f.Stats(); st.InFlight != held {
		t.Errorf("%d questions in flight, want %d", st.InFlight, held)
	}
	for i := range held {
		if m := c.Ask(question(fmt.Sprintf("www.d%d.", i), dns.TypeA)); m.Rcode != dns.RcodeRefused {
			t.Fatalf("domain %d has forgotten its limit: %q", i, summary(m))
		}
	}
	close(release)
	for _, id := range waiting {
		c.Wait(id)
	}
	waitFor(t, func() bool { return f.Stats().InFlight == 0 })
	if n := len(f.limits.domains); n > 3*held+idleDomains {
		t.Errorf("%d domains are remembered", n)
	}
}
