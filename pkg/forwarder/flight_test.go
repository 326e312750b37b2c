package forwarder

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// gate is a server that does not answer until it is opened.
type gate struct {
	open chan struct{}
	once sync.Once
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{open: make(chan struct{})}
	t.Cleanup(g.lift)
	return g
}

func (g *gate) lift() { g.once.Do(func() { close(g.open) }) }

func (g *gate) script(next script) script {
	return func(q *dns.Msg, tcp bool) [][]byte {
		<-g.open
		return next(q, tcp)
	}
}

func TestIdenticalQuestionsAreAskedOnce(t *testing.T) {
	g := newGate(t)
	s := newFakeServer(t, g.script(zone(0, "www.example. 30 A 127.1.0.1")))
	f := run(t, to(s))
	spellings := []string{"www.example.", "WWW.example.", "wWw.eXample."}
	c := newClient(t, f, 2, false)
	for i := range 30 {
		q := question(spellings[i%3], dns.TypeA)
		if i%2 == 1 {
			q.SetEdns0(uint16(600+i), false)
		}
		q.Id = uint16(100 + i)
		c.Start(q)
		c.Start(q) // the same client repeats its query, and still gets one answer
	}
	waitFor(t, func() bool { return s.Seen() > 0 })
	g.lift()
	for i := range 30 {
		m := c.Wait(uint16(100 + i))
		if got := m.Question[0].Name; got != spellings[i%3] {
			t.Errorf("answer %d is spelled %s", i, got)
		}
		if len(m.Answer) != 1 || (m.IsEdns0() != nil) != (i%2 == 1) {
			t.Errorf("answer %d: %v", i, m)
		}
	}
	st := f.Stats()
	if st.Forwarded != 1 || st.Coalesced != 59 || st.InFlight != 0 || st.Waiting != 0 {
		t.Errorf("stats %+v", st)
	}
	for _, q := range s.All() {
		if q.Question[0].Name != spellings[0] {
			t.Errorf("upstream was asked for %s, the spelling of nobody who asked first", q.Question[0].Name)
		}
	}
}

// TestDifferentQuestionsAreNotMixed: queries that lead to different questions to servers share
// nothing.
func TestDifferentQuestionsAreNotMixed(t *testing.T) {
	g := newGate(t)
	s := newFakeServer(t, g.script(zone(0, "www.example. 30 A 127.1.0.1")))
	f := run(t, to(s))
	c := newClient(t, f, 2, false)
	for i, options := range [][]string{nil, {"cd"}, {"do"}, {"ad"}, {"nord"}} {
		q := question("www.example.", dns.TypeA, options...)
		q.Id = uint16(i)
		c.Start(q)
	}
	other := question("www.example.", dns.TypeTXT)
	other.Id = 5
	c.Start(other)
	other.Question[0].Qclass, other.Id = dns.ClassHESIOD, 6
	c.Start(other)
	if st := f.Stats(); st.Forwarded != 7 {
		t.Errorf("forwarded %d, want 7", st.Forwarded)
	}
	g.lift()
	for i := range 7 {
		c.Wait(uint16(i))
	}
}

// TestClientOptionsDoNotSplitQuestions: the question to servers is the same, whatever the OPT
// record of a client contains. One question is therefore in flight, and an attacker can guess
// only one answer (lesson of the Rebirthday attack with client subnets).
func TestClientOptionsDoNotSplitQuestions(t *testing.T) {
	g := newGate(t)
	s := newFakeServer(t, g.script(zone(0, rec)))
	f := run(t, to(s))
	c := newClient(t, f, 2, false)
	const clients = 20
	for i := range clients {
		q := question("www.example.", dns.TypeA)
		q.Id = uint16(i)
		q.SetEdns0(uint16(512+i), false)
		q.IsEdns0().Option = []dns.EDNS0{
			&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{127, 0, byte(i), 0}},
			&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: fmt.Sprintf("%016x", i)},
			&dns.EDNS0_LOCAL{Code: 65001, Data: []byte{byte(i)}},
		}
		c.Start(q)
	}
	g.lift()
	for i := range clients {
		c.Wait(uint16(i))
	}
	if s.Seen() != 1 {
		t.Errorf("upstream was asked %d times", s.Seen())
	}
}

// TestHashIsNotTheQuestion: questions in flight with the same hash are kept apart (lesson of
// CVE-2020-25685).
func TestHashIsNotTheQuestion(t *testing.T) {
	sh := &flightShard{flights: map[uint64]*flight{}}
	var queries []wire.Query
	for _, name := range []string{"\x01a\x00", "\x01b\x00"} {
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
			for _, flags := range []uint16{wire.FlagRD, wire.FlagRD | wire.FlagCD} {
				queries = append(queries, wire.Query{Name: []byte(name), Type: typ, Class: wire.ClassIN, Flags: flags})
			}
		}
	}
	// Each question once with an EDNS option about the client, and once without.
	tags := []string{"", "\xfe\x32\x00\x01x"}
	var twice []wire.Query
	for _, q := range queries {
		twice = append(twice, q, q)
	}
	queries = twice
	const hash = 5
	st := new(snapshot)
	all := make([]*flight, len(queries))
	for i := range queries {
		q := &queries[i]
		all[i] = &flight{hash: hash, nlen: len(q.Name), typ: q.Type, class: q.Class, flags: q.Flags, tags: tags[i%2]}
		copy(all[i].name[:], q.Name)
		if sh.find(hash, &Query{st: st, Msg: q, Options: tags[i%2]}) != nil {
			t.Errorf("question %d is another one's", i)
		}
		sh.insert(all[i])
	}
	for i := range queries {
		if sh.find(hash, &Query{st: st, Msg: &queries[i], Options: tags[i%2]}) != all[i] {
			t.Errorf("question %d is lost among those of its hash", i)
		}
	}
}

func TestFloodsAreBounded(t *testing.T) {
	g := newGate(t)
	s := newFakeServer(t, g.script(zone(0)))
	cfg := to(s)
	cfg.InFlight = 10
	f := run(t, cfg)
	greedy, modest := newClient(t, f, 2, false), newClient(t, f, 3, false)
	refused := 0
	for i := range 20 {
		q := question(fmt.Sprintf("n%d.example.", i), dns.TypeA, "edns")
		if out := f.Handle(pack(q), greedy.To, make([]byte, 0, 65535)); len(out) > 0 {
			m := new(dns.Msg)
			if err := m.Unpack(out); err != nil || m.Rcode != dns.RcodeRefused {
				t.Fatalf("%v, %v", m, err)
			}
			refused++
		}
	}
	if refused != 10 {
		t.Errorf("refused %d of 20, want 10", refused)
	}
	// The reserve of a quarter is for clients that have less than their share.
	taken := 0
	for i := range 10 {
		q := question(fmt.Sprintf("m%d.example.", i), dns.TypeA)
		if out := f.Handle(pack(q), modest.To, make([]byte, 0, 65535)); len(out) == 0 {
			taken++
		}
	}
	if taken != 3 {
		t.Errorf("%d questions of the modest client were taken, want 3", taken)
	}
	// The number of waiters is limited too.
	for i := range 60 {
		q := question("n0.example.", dns.TypeA)
		q.Id = uint16(i)
		greedy.Start(q)
	}
	if st := f.Stats(); st.Waiting != 4*10 {
		t.Errorf("%d wait, want 40", st.Waiting)
	}
	g.lift()
	waitFor(t, func() bool { st := f.Stats(); return st.InFlight == 0 && st.Waiting == 0 && st.Upstream.InFlight == 0 })
	if m := greedy.Ask(question("later.example.", dns.TypeA)); m.Rcode != 0 {
		t.Errorf("after the flood: %v", m)
	}
}

// TestManyInFlight: a question in flight needs no goroutine of its own, and all questions are
// answered when the forwarder ends.
func TestManyInFlight(t *testing.T) {
	count := 10000
	if raceEnabled {
		count = 2000
	}
	f, err := New(Config{InFlight: count, Upstream: upstream.Config{
		Routes: []upstream.Route{{Servers: []upstream.Server{{Addr: newSinkhole(t)}}}}, Timeout: hang,
	}})
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	stop := start(f)
	c := newClient(t, f, 2, false)
	for i := range count {
		q := question(fmt.Sprintf("n%d.example.", i), dns.TypeA, "edns")
		q.Id = uint16(i)
		c.Start(q)
	}
	if n := runtime.NumGoroutine(); n > before+15 {
		t.Errorf("%d goroutines with %d questions in flight, %d before", n, count, before)
	}
	if st := f.Stats(); st.InFlight != count || st.Upstream.InFlight != count {
		t.Errorf("%d and %d in flight, want %d", st.InFlight, st.Upstream.InFlight, count)
	}
	stop()
	for i := range count {
		m := c.Wait(uint16(i))
		if got := summary(m); got != "SERVFAIL; rd; opt ede14" {
			t.Fatalf("answer %d: %s", i, got)
		}
	}
	st := f.Stats()
	if st.InFlight != 0 || st.Upstream.InFlight != 0 || st.Failed != uint64(count) {
		t.Errorf("stats %+v", st)
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before })
}

func TestTruncationToEachClient(t *testing.T) {
	var records []string
	for i := range 60 {
		records = append(records, fmt.Sprintf("www.example. 30 A 127.1.0.%d", i+1))
	}
	records = append(records, `ns example. 30 TXT "`+strings.Repeat("x", 200)+`"`, `ns example. 30 TXT "`+strings.Repeat("y", 200)+`"`)
	s := newFakeServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		m := reply(q, 0, records...)
		if !tcp {
			m.Truncate(1232)
		}
		return [][]byte{pack(m)}
	})
	for _, cached := range []bool{false, true} {
		f := run(t, to(s))
		if cached {
			newClient(t, f, 9, true).Ask(question("www.example.", dns.TypeA))
		}
		udp, tcp := newClient(t, f, 2, false), newClient(t, f, 3, true)
		plain := question("www.example.", dns.TypeA)
		if m := udp.Ask(plain); !m.Truncated || len(pack(m)) > 512 || len(m.Answer) < 20 {
			t.Errorf("cached %v, UDP without EDNS: %d records, TC %v, %d octets", cached, len(m.Answer), m.Truncated, len(pack(m)))
		}
		if m := tcp.Ask(plain); m.Truncated || len(m.Answer) != 60 {
			t.Errorf("cached %v, TCP: %d records, TC %v", cached, len(m.Answer), m.Truncated)
		}
		big := question("www.example.", dns.TypeA)
		big.SetEdns0(4096, false)
		if m := udp.Ask(big); len(m.Answer) != 60 || len(pack(m)) > 1232 {
			t.Errorf("cached %v, UDP with EDNS: %d records, %d octets", cached, len(m.Answer), len(pack(m)))
		}
	}
}

// asking is a question of this program itself.
func asking(text string) *wire.Query {
	return &wire.Query{Name: []byte(name(text)), Type: wire.TypeA, Class: wire.ClassIN, Flags: wire.FlagRD}
}

func TestResolve(t *testing.T) {
	s := newFakeServer(t, zone(0, "www.example. 30 A 127.1.0.1"))
	f := run(t, to(s))
	for i := range 3 {
		done := make(chan string, 2)
		f.Resolve(asking("www.example."), func(r *wire.Reply, err error) {
			m := new(dns.Msg)
			if err != nil || m.Unpack(r.Msg) != nil {
				done <- "unreadable"
			}
			m.Extra = nil // the message of the server has its own OPT record
			done <- summary(m)
		})
		select {
		case got := <-done:
			if want := "NOERROR; rd; www.example. 30 IN A 127.1.0.1"; got != want {
				t.Errorf("%d: got %q, want %q", i, got, want)
			}
		case <-time.After(hang):
			t.Fatal("done was not called")
		}
	}
	if s.Seen() != 1 {
		t.Errorf("upstream saw %d queries", s.Seen())
	}
}

func TestResolveFails(t *testing.T) {
	s := newFakeServer(t, silence)
	cfg := to(s)
	cfg.Upstream.Timeout = 100 * time.Millisecond
	f := run(t, cfg)
	done := make(chan error, 1)
	f.Resolve(asking("www.example."), func(_ *wire.Reply, err error) { done <- err })
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(hang):
		t.Fatal("done was not called")
	}
}

// TestPanic: a panic affects only one query.
func TestPanic(t *testing.T) {
	s := newFakeServer(t, zone(0, "www.example. 30 A 127.1.0.1"))
	cfg := to(s)
	cfg.Log = panicking{}
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	if m := c.Ask(question("crash.example.", dns.TypeA)); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("crash on the way in: %v", m)
	}
	if m := c.Ask(question("late.example.", dns.TypeA)); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("crash on the way out: %v", m)
	}
	if m := c.Ask(question("www.example.", dns.TypeA)); m.Rcode != 0 {
		t.Errorf("afterwards: %v", m)
	}
	crash := make(chan struct{}, 1)
	f.Resolve(asking("new.example."), func(*wire.Reply, error) {
		defer func() { crash <- struct{}{} }()
		panic("as asked")
	})
	select {
	case <-crash:
	case <-time.After(hang):
		t.Fatal("Resolve does not call back")
	}
	waitFor(t, func() bool { st := f.Stats(); return st.Panics == 3 && st.InFlight == 0 })
	if m := c.Ask(question("last.example.", dns.TypeA)); m.Rcode != 0 {
		t.Errorf("at last: %v", m)
	}
}

// panicking is a query log that panics for some names.
type panicking struct{}

func (panicking) Log(e *Event) {
	switch text := wireText(e.Name); {
	case text == "crash.example" && e.Kind == EventQuery, text == "late.example" && e.Kind == EventReply:
		panic("as asked")
	}
}

// TestStopping: all questions in flight are answered when Run ends.
func TestStopping(t *testing.T) {
	f, err := New(Config{Upstream: upstream.Config{Routes: []upstream.Route{{Servers: []upstream.Server{{Addr: newSinkhole(t)}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(f)
	c := newClient(t, f, 2, false)
	q := question("www.example.", dns.TypeA, "edns")
	c.Start(q)
	stop()
	if got := summary(c.Wait(q.Id)); got != "SERVFAIL; rd; opt ede14" {
		t.Errorf("in flight: %s", got)
	}
	if m := c.Ask(question("later.example.", dns.TypeA)); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("after the end: %v", m)
	}
}

func TestHitAllocations(t *testing.T) {
	s := newFakeServer(t, zone(0, "www.example. 300 A 127.1.0.1"))
	f := run(t, to(s))
	c := newClient(t, f, 2, false)
	c.Ask(question("www.example.", dns.TypeA, "edns"))
	packet, out := pack(question("WWW.example.", dns.TypeA, "edns")), make([]byte, 0, wire.MaxMessage)
	if raceEnabled {
		return // the race detector allocates
	}
	if n := testing.AllocsPerRun(1000, func() {
		if len(f.Handle(packet, c.To, out)) == 0 {
			t.Fatal("no hit")
		}
	}); n != 0 {
		t.Errorf("%v allocations per hit, want 0", n)
	}
}

// TestAnswered: Config.Answered is called for each answer that is sent later, with the time
// that its client waited, and not for an answer from the cache.
func TestAnswered(t *testing.T) {
	cfg := to(newFakeServer(t, zone(0, rec)))
	told := make(chan int, 4)
	cfg.Answered = func(took time.Duration, reply []byte) {
		if took <= 0 || took > time.Minute {
			t.Errorf("took %v", took)
		}
		told <- len(reply)
	}
	c := newClient(t, run(t, cfg), 2, false)
	for range 2 {
		c.Ask(question("www.example.", dns.TypeA))
	}
	if n := <-told; n < wire.HeaderLen {
		t.Errorf("a reply of %d octets", n)
	}
	select {
	case <-told:
		t.Error("told of a cached answer")
	default:
	}
}

// TestADForWhoAsks: with --proxy-dnssec, AD depends on the server and the client, not on which
// client asked first. Without it, no client gets AD.
func TestADForWhoAsks(t *testing.T) {
	for _, keep := range []bool{true, false} {
		for _, first := range []string{"", "ad", "do"} {
			for _, together := range []bool{false, true} {
				s := newFakeServer(t, func(q *dns.Msg, _ bool) [][]byte {
					m := reply(q, 0, rec)
					m.AuthenticatedData = q.AuthenticatedData || q.IsEdns0() != nil && q.IsEdns0().Do()
					if together {
						time.Sleep(20 * time.Millisecond)
					}
					return [][]byte{pack(m)}
				})
				cfg := to(s)
				cfg.Cache.KeepAD = keep
				f := run(t, cfg)
				c := newClient(t, f, 2, false)
				ask := func(option string) *dns.Msg {
					if option == "" {
						return question("www.example.", dns.TypeA)
					}
					return question("www.example.", dns.TypeA, option)
				}
				order := []string{first, "", "ad", "do"}
				var queries []*dns.Msg
				for _, option := range order {
					q := ask(option)
					queries = append(queries, q)
					if c.Start(q); !together {
						waitFor(t, func() bool { return f.Stats().InFlight == 0 })
					}
				}
				for i, q := range queries {
					if got, want := c.Wait(q.Id).AuthenticatedData, keep && order[i] != ""; got != want {
						t.Errorf("keep %v, first %q, together %v: query %d (%q) has AD %v, want %v", keep, first, together, i, order[i], got, want)
					}
				}
			}
		}
	}
}

// TestSentAgainIsTheSame: when a question is asked again because its route has changed, the
// upstream set gets the same question as before, with the same client, by which the set
// distributes its TCP connections.
func TestSentAgainIsTheSame(t *testing.T) {
	f := run(t, to(newFakeServer(t, silence)))
	var q Query
	var msg wire.Query
	if wire.ParseQuery(pack(question("Www.example.", dns.TypeMX, "do")), &msg) != wire.Accept {
		t.Fatal("no query")
	}
	q.f, q.st, q.Msg, q.Options = f, f.state.Load(), &msg, "\xff\x01\x00\x01x"
	q.to = newClient(t, f, 9, true).To
	fl := f.newFlight(&q, 7)
	defer fl.recycle()
	got := fl.toSend(msg.Name)
	want := upstream.Question{
		Name: msg.Name, Type: dns.TypeMX, Class: wire.ClassIN, Flags: q.sentFlags(), DO: true, Options: q.Options,
		Client: netip.MustParseAddr("127.0.0.9"),
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
