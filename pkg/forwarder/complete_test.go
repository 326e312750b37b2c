package forwarder

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

const (
	clusterSuffix = ".ns1.svc.cluster.local."
	clusterSOA    = "ns cluster.local. 5 SOA ns.dns.cluster.local. h. 1 2 3 4 5"
	testSOA       = "ns example.test. 60 SOA ns.example.test. h. 1 2 3 4 60"
)

// hinting answers names below ns1.svc.cluster.local as kubedns does with --autopath=all: they
// do not exist, and x.corp.internal and x are to be tried. outside answers all other questions.
func hinting(outside script) script {
	return func(q *dns.Msg, tcp bool) [][]byte {
		name := q.Question[0].Name
		x, below := strings.CutSuffix(strings.ToLower(name), clusterSuffix)
		if !below {
			return outside(q, tcp)
		}
		m := reply(q, dns.RcodeNameError, clusterSOA)
		hint := autopath.AppendHint(nil, len(x)+1, [][]byte{[]byte(dnsnameOf("corp.internal.")), {0}})
		m.Extra = []dns.RR{&dns.OPT{
			Hdr:    dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1232},
			Option: []dns.EDNS0{&dns.EDNS0_LOCAL{Code: autopath.HintCode, Data: hint[4:]}},
		}}
		return [][]byte{pack(m)}
	}
}

func dnsnameOf(text string) string { return string(name(text)) }

// outsideWorld answers for the names outside the cluster that the rows of the reference use,
// including those that fail in some way.
func outsideWorld(q *dns.Msg, _ bool) [][]byte {
	owner, typ := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	records := map[string][]string{
		"api.example.test.":       {"api.example.test. 300 A 192.0.2.1", "api.example.test. 300 AAAA 2001:db8::1"},
		"v4.example.test.":        {"v4.example.test. 300 A 192.0.2.4"},
		"onlya.example.test.":     {"onlya.example.test. 300 A 192.0.2.5"},
		"mx.example.test.":        {"mx.example.test. 300 MX 10 mail.example.test."},
		"alias.example.test.":     {"alias.example.test. 100 CNAME api.example.test."},
		"short.example.test.":     {"short.example.test. 1 A 192.0.2.6"},
		"git.team.corp.internal.": {"git.team.corp.internal. 300 A 192.0.2.8"},
		"moody.example.test.":     {"moody.example.test. 300 A 192.0.2.9"},
		"half4.example.test.":     {"half4.example.test. 300 AAAA 2001:db8::9"},
		"half6.example.test.":     {"half6.example.test. 300 A 192.0.2.9"},
	}[owner]
	switch {
	case owner == "servfail.example.test.":
		return zone(dns.RcodeServerFailure)(q, false)
	case owner == "refused.example.test.", owner == "nope.corptest.corp.internal.":
		return zone(dns.RcodeRefused)(q, false)
	case owner == "silent.example.test.", owner == "half4.example.test." && typ == dns.TypeA, owner == "half6.example.test." && typ == dns.TypeAAAA:
		return nil
	case owner == "onlya.example.test." && typ != dns.TypeA:
		return [][]byte{pack(reply(q, dns.RcodeNameError, testSOA))}
	case len(records) == 0:
		soa := testSOA
		if strings.HasSuffix(owner, "corp.internal.") {
			soa = "ns corp.internal. 60 SOA ns.corp.internal. h. 1 2 3 4 60"
		}
		return [][]byte{pack(reply(q, dns.RcodeNameError, soa))}
	}
	var answer []string
	for _, r := range records {
		fields := strings.Fields(r)
		if fields[2] == dns.TypeToString[typ] || fields[2] == "CNAME" {
			answer = append(answer, r)
		}
	}
	if owner == "alias.example.test." && (typ == dns.TypeA || typ == dns.TypeAAAA) {
		answer = append(answer, map[uint16]string{dns.TypeA: "api.example.test. 300 A 192.0.2.1", dns.TypeAAAA: "api.example.test. 300 AAAA 2001:db8::1"}[typ])
	}
	if len(answer) == 0 {
		answer = []string{testSOA}
	}
	return [][]byte{pack(reply(q, 0, answer...))}
}

// names returns the names outside the cluster domain that a server was asked about.
func names(s *fakeServer) (list []string) {
	for _, q := range s.All() {
		if n := q.Question[0].Name; !strings.HasSuffix(n, "cluster.local.") {
			list = append(list, n+" "+dns.TypeToString[q.Question[0].Qtype])
		}
	}
	slices.Sort(list)
	return list
}

// completing returns a configuration that completes names by hints.
func completing(s *fakeServer) Config {
	cfg := to(s)
	cfg.Complete = true
	return cfg
}

const missesCluster = "NXDOMAIN; rd; cluster.local. 5 IN SOA ns.dns.cluster.local. h. 1 2 3 4 5; opt"

// TestComplete has the rows of the reference, which say what happens for each state of the
// names outside. Each question is asked twice, to be answered by servers and then from the
// cache, and once more without a cache.
func TestComplete(t *testing.T) {
	const forNow = "NXDOMAIN; rd; cluster.local. 0 IN SOA ns.dns.cluster.local. h. 1 2 3 4 0; opt"
	const noData = "; example.test. 60 IN SOA ns.example.test. h. 1 2 3 4 60; opt"
	alias := func(x string) string {
		return fmt.Sprintf("NOERROR; rd; %s.ns1.svc.cluster.local. 5 IN CNAME %s.", x, x)
	}
	for _, tt := range []struct {
		row, x string
		typ    uint16
		want   string
	}{
		{"b14", "api.example.test", dns.TypeA, alias("api.example.test") + "; api.example.test. 300 IN A 192.0.2.1; opt"},
		{"b14", "api.example.test", dns.TypeAAAA, alias("api.example.test") + "; api.example.test. 300 IN AAAA 2001:db8::1; opt"},
		{"b16", "API.Example.test", dns.TypeA, "NOERROR; rd; API.Example.test.ns1.svc.cluster.local. 5 IN CNAME api.example.test.; api.example.test. 300 IN A 192.0.2.1; opt"},
		{"b17", "alias.example.test", dns.TypeA, alias("alias.example.test") + "; alias.example.test. 100 IN CNAME api.example.test.; api.example.test. 300 IN A 192.0.2.1; opt"},
		{"CNAME asked", "alias.example.test", dns.TypeCNAME, alias("alias.example.test") + "; opt"},
		{"b18", "v4.example.test", dns.TypeAAAA, alias("v4.example.test") + noData},
		{"b19", "mx.example.test", dns.TypeA, alias("mx.example.test") + noData},
		{"b19", "mx.example.test", dns.TypeMX, alias("mx.example.test") + "; mx.example.test. 300 IN MX 10 mail.example.test.; opt"},
		{"b20", "nope.example.test", dns.TypeA, missesCluster},
		{"b20", "nope.example.test", dns.TypeMX, missesCluster},
		{"b21", "git.team", dns.TypeA, "NOERROR; rd; git.team.ns1.svc.cluster.local. 5 IN CNAME git.team.corp.internal.; git.team.corp.internal. 300 IN A 192.0.2.8; opt"},
		{"b22", "servfail.example.test", dns.TypeA, forNow},
		{"b23", "refused.example.test", dns.TypeA, forNow},
		{"b25", "nope.corptest", dns.TypeA, forNow},
		{"b27", "onlya.example.test", dns.TypeA, alias("onlya.example.test") + "; onlya.example.test. 300 IN A 192.0.2.5; opt"},
		{"b27", "onlya.example.test", dns.TypeAAAA, alias("onlya.example.test") + noData},
		{"b29", "api.example.test", dns.TypeANY, missesCluster},
		{"b30", "api.example.test", dns.TypeHTTPS, alias("api.example.test") + noData},
		{"TTL of what follows", "short.example.test", dns.TypeA, "NOERROR; rd; short.example.test.ns1.svc.cluster.local. 1 IN CNAME short.example.test.; short.example.test. 1 IN A 192.0.2.6; opt"},
	} {
		for _, entries := range []int{1000, 0} {
			t.Run(fmt.Sprintf("%s/%s/%s/cache=%d", tt.row, tt.x, dns.TypeToString[tt.typ], entries), func(t *testing.T) {
				cfg := completing(newFakeServer(t, hinting(outsideWorld)))
				cfg.Cache.Entries = entries
				f := run(t, cfg)
				for _, stream := range []bool{false, true} {
					c := newClient(t, f, 2, stream)
					for range 2 {
						if got := summary(c.Ask(question(tt.x+clusterSuffix, tt.typ, "edns"))); got != tt.want {
							t.Errorf("stream %v:\n%s\nwant\n%s", stream, got, tt.want)
						}
					}
				}
			})
		}
	}
}

// The cache stores the names outside, and one negative answer for each name in a query. The
// memory therefore grows with the number of names, not with that of names times namespaces.
func TestCompleteStoresNames(t *testing.T) {
	s := newFakeServer(t, hinting(outsideWorld))
	f := run(t, completing(s))
	c := newClient(t, f, 2, false)
	for range 3 {
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
			if m := c.Ask(question("api.example.test"+clusterSuffix, typ)); len(m.Answer) != 2 {
				t.Fatalf("%v", m)
			}
		}
	}
	want := []string{
		"api.example.test. A", "api.example.test. AAAA", "api.example.test.corp.internal. A",
	}
	got := names(s)
	// The reply that the name with the search entry does not exist may arrive before the
	// question for the other type is sent.
	got = slices.DeleteFunc(got, func(n string) bool { return n == "api.example.test.corp.internal. AAAA" })
	if !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	if st := f.Stats(); st.Cache.Entries != 4 || st.Completions[CompletedName] != 6 {
		t.Errorf("%d entries, want the negative answer, that of the search entry, A and AAAA; completed %d", st.Cache.Entries, st.Completions[CompletedName])
	}
}

// If a server does not answer, a client waits until the deadline at most, and no address family
// is given without the other. A late reply is used for the next query.
func TestCompleteDeadline(t *testing.T) {
	var late atomic.Bool
	f := run(t, completing(newFakeServer(t, hinting(func(q *dns.Msg, tcp bool) [][]byte {
		if late.Load() {
			q = q.Copy()
		} else if strings.HasPrefix(q.Question[0].Name, "moody.") {
			return nil
		}
		return outsideWorld(q, tcp)
	}))))
	var wg sync.WaitGroup
	for host, x := range []string{"silent.example.test", "half4.example.test", "half6.example.test", "moody.example.test"} {
		for i, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
			c := newClient(t, f, byte(10+2*host+i), false)
			wg.Go(func() {
				start := time.Now()
				got := summary(c.Ask(question(x+clusterSuffix, typ)))
				if want := "NXDOMAIN; rd; cluster.local. 0 IN SOA ns.dns.cluster.local. h. 1 2 3 4 0"; got != want {
					t.Errorf("%s: %s", x, got)
				}
				if took := time.Since(start); took < completeWithin*9/10 {
					t.Errorf("%s: answered after %v", x, took)
				}
			})
		}
	}
	wg.Wait()
	late.Store(true)
	c := newClient(t, f, 9, false)
	waitFor(t, func() bool { return len(c.Ask(question("moody.example.test"+clusterSuffix, dns.TypeA)).Answer) == 2 })
	if n := f.Stats().Completions[CompleteLate]; n < 8 {
		t.Errorf("%d completions were late, want 8 or more", n)
	}
}

// A flood of names for which no server answers is limited: each query gets an answer in time,
// the number of questions about names outside is limited, and names in the cluster are answered
// meanwhile.
func TestCompleteFlood(t *testing.T) {
	s := newFakeServer(t, hinting(func(q *dns.Msg, _ bool) [][]byte {
		if strings.HasSuffix(q.Question[0].Name, "svc.cluster.local.") {
			return zone(0, q.Question[0].Name+" 30 A 10.0.0.1")(q, false)
		}
		return nil
	}))
	cfg := completing(s)
	cfg.InFlight = 40
	cfg.Upstream.FirstRetry = hang // so that each question is sent once
	f := run(t, cfg)
	const misses = 500
	c := newClient(t, f, 2, false)
	start := time.Now()
	for i := range misses {
		q := question(fmt.Sprintf("a%d.example.test%s", i, clusterSuffix), dns.TypeA)
		q.Id = uint16(i)
		c.Start(q)
		// The questions about the names in queries have a separate limit.
		waitFor(t, func() bool { return f.Stats().InFlight < cfg.InFlight*3/4 })
		if i%50 == 0 {
			if m := newClient(t, f, byte(3+i/50), false).Ask(question(fmt.Sprintf("web%d.svc.cluster.local.", i), dns.TypeA)); len(m.Answer) != 1 {
				t.Errorf("%v", m)
			}
		}
	}
	for i := range misses {
		if m := c.Wait(uint16(i)); m.Rcode != dns.RcodeNameError {
			t.Fatalf("%v", m)
		}
	}
	if took := time.Since(start); took > hang/2 {
		t.Errorf("the last answer took %v", took)
	}
	st := f.Stats()
	if n := len(names(s)); n > 2*cfg.InFlight/completeShare {
		t.Errorf("%d questions were sent outside", n)
	}
	if st.Completions[CompleteBound] < misses/2 || st.Completions[CompleteLate] == 0 {
		t.Errorf("completions %v", st.Completions)
	}
}

// Clients that send the same query at the same time share the questions about names outside.
func TestCompleteTogether(t *testing.T) {
	release := make(chan struct{})
	s := newFakeServer(t, hinting(func(q *dns.Msg, tcp bool) [][]byte {
		<-release
		return outsideWorld(q, tcp)
	}))
	f := run(t, completing(s))
	const clients = 100
	c := newClient(t, f, 2, false)
	ids := 0
	startAll := func() {
		for range clients {
			for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
				q := question("api.example.test"+clusterSuffix, typ)
				q.Id = uint16(ids)
				ids++
				c.Start(q)
			}
		}
	}
	startAll()
	waitFor(t, func() bool { return len(names(s)) > 0 })
	startAll()
	close(release)
	for id := range ids {
		if m := c.Wait(uint16(id)); len(m.Answer) != 2 {
			t.Fatalf("%v", m)
		}
	}
	if got := names(s); len(got) > 4 {
		t.Errorf("asked %q", got)
	}
	if n := f.completions.busy.Load(); n != 0 {
		t.Errorf("%d places are not given back", n)
	}
}

// While servers fail, a completed answer is composed of expired answers.
func TestCompleteStale(t *testing.T) {
	sw := new(switched)
	sw.set(hinting(outsideWorld))
	s := newFakeServer(t, sw.script)
	cfg := completing(s)
	cfg.Cache.StaleFor, cfg.Cache.MaxCacheTTL, cfg.Cache.MinTTL = answercache.Forever, 1, 0
	rfc8767(&cfg)
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
		if m := c.Ask(question("api.example.test"+clusterSuffix, typ)); len(m.Answer) != 2 {
			t.Fatalf("%v", m)
		}
	}
	if m := c.Ask(question("nope.example.test"+clusterSuffix, dns.TypeA)); m.Rcode != dns.RcodeNameError {
		t.Fatalf("%v", m)
	}
	sw.set(zone(dns.RcodeServerFailure))
	time.Sleep(1100 * time.Millisecond) // until the entries expire
	for range 2 {
		const want = "NOERROR; rd; api.example.test.ns1.svc.cluster.local. 30 IN CNAME api.example.test.; api.example.test. 30 IN A 192.0.2.1; opt ede3"
		if got := summary(c.Ask(question("api.example.test"+clusterSuffix, dns.TypeA, "edns"))); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
		if m := c.Ask(question("nope.example.test"+clusterSuffix, dns.TypeA)); m.Rcode != dns.RcodeNameError {
			t.Errorf("%v", m)
		}
	}
}

// A query of a type that is not completed does not prevent the completion of other types,
// although the negative answer is for all types.
func TestCompleteAfterANY(t *testing.T) {
	f := run(t, completing(newFakeServer(t, hinting(outsideWorld))))
	c := newClient(t, f, 2, false)
	for range 2 {
		if m := c.Ask(question("api.example.test"+clusterSuffix, dns.TypeANY)); m.Rcode != dns.RcodeNameError {
			t.Errorf("%v", m)
		}
		if m := c.Ask(question("api.example.test"+clusterSuffix, dns.TypeA)); len(m.Answer) != 2 {
			t.Errorf("%v", m)
		}
	}
}

// Nothing is completed without Config.Complete, for queries without RD, or for this program
// itself. Hints that are not valid have no effect.
func TestNotCompleted(t *testing.T) {
	s := newFakeServer(t, hinting(outsideWorld))
	f := run(t, to(s))
	if got := summary(newClient(t, f, 2, false).Ask(question("api.example.test"+clusterSuffix, dns.TypeA, "edns"))); got != missesCluster {
		t.Error(got)
	}
	f = run(t, completing(s))
	c := newClient(t, f, 2, false)
	for range 2 {
		if m := c.Ask(question("api.example.test"+clusterSuffix, dns.TypeA, "nord")); m.Rcode != dns.RcodeNameError {
			t.Errorf("%v", m)
		}
	}
	got := make(chan int, 2)
	for range 2 {
		q := wire.Query{Name: []byte(name("api.example.test" + clusterSuffix)), Type: dns.TypeA, Class: wire.ClassIN, Flags: wire.FlagRD}
		f.Resolve(&q, func(r *wire.Reply, _ error) { got <- r.Rcode })
		if rcode := <-got; rcode != wire.RcodeNXDomain {
			t.Errorf("rcode %d", rcode)
		}
	}
	if asked := names(s); len(asked) != 0 {
		t.Errorf("asked %q", asked)
	}
	for _, data := range []string{"", "\x01", "\x02\x04\x00", "\x01\x03\x00", "\x01\xff\x00", "\x01\x04\x05", "\x01\x04\xc0\x0c", "\x01\x04" + strings.Repeat("\x01a\x00", 20)} {
		f := run(t, completing(newFakeServer(t, func(q *dns.Msg, _ bool) [][]byte {
			m := reply(q, dns.RcodeNameError, clusterSOA)
			m.Extra = []dns.RR{&dns.OPT{
				Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1232}, Option: []dns.EDNS0{&dns.EDNS0_LOCAL{Code: autopath.HintCode, Data: []byte(data)}},
			}}
			return [][]byte{pack(m)}
		})))
		if got := summary(newClient(t, f, 2, false).Ask(question("api.example.test"+clusterSuffix, dns.TypeA, "edns"))); got != missesCluster {
			t.Errorf("hint %x: %s", data, got)
		}
	}
}

// If the hints of names lead to each other, no client waits longer than the deadline.
func TestCompleteNoRecursion(t *testing.T) {
	s := newFakeServer(t, func(q *dns.Msg, _ bool) [][]byte {
		m := reply(q, dns.RcodeNameError, "ns example. 5 SOA n. h. 1 2 3 4 5")
		x, rest, _ := strings.Cut(q.Question[0].Name, ".")
		zone, _, _ := strings.Cut(rest, ".")
		to := map[string]string{"aa": "bb", "bb": "aa"}[zone]
		m.Extra = []dns.RR{&dns.OPT{
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1232},
			Option: []dns.EDNS0{&dns.EDNS0_LOCAL{Code: autopath.HintCode, Data: autopath.AppendHint(nil, len(x)+1,
				[][]byte{[]byte(name(to + ".example."))})[4:]}},
		}}
		return [][]byte{pack(m)}
	})
	for _, entries := range []int{100, 0} {
		cfg := completing(s)
		cfg.Cache.Entries = entries
		f := run(t, cfg)
		c := newClient(t, f, 2, false)
		before := s.Seen()
		for i := range 20 {
			for _, n := range []string{"x.aa.example.", "x.bb.example."} {
				q := question(n, dns.TypeA)
				q.Id = uint16(2*i + len(n)%2)
				if m := c.Ask(q); m.Rcode != dns.RcodeNameError {
					t.Errorf("%v", m)
				}
			}
		}
		if n := s.Seen() - before; n > 40*3 {
			t.Errorf("%d questions were sent", n)
		}
	}
}

// TestCompleteRouted: each name that is tried goes through the stages and routes, as if the
// client had asked for it.
func TestCompleteRouted(t *testing.T) {
	stub := newFakeServer(t, zone(0, "api.example.test. 300 A 198.51.100.1"))
	s := newFakeServer(t, hinting(outsideWorld))
	cfg := completing(s)
	cfg.Upstream.Routes = append(cfg.Upstream.Routes, upstream.Route{Domain: suffix("example.test."), Servers: []upstream.Server{{Addr: stub.Addr}}})
	var seen atomic.Pointer[string]
	cfg.Stages = []Stage{{Query: func(q *Query) bool {
		if text := name("blocked.test."); string(q.Name) == string(text) {
			client := q.Client().String()
			seen.Store(&client)
			return q.AnswerEmpty(wire.RcodeNXDomain, wire.ExtendedError{})
		}
		return false
	}}}
	f := run(t, cfg)
	c := newClient(t, f, 7, false)
	if m := c.Ask(question("api.example.test"+clusterSuffix, dns.TypeA)); len(m.Answer) != 2 || !strings.HasSuffix(m.Answer[1].String(), "198.51.100.1") {
		t.Errorf("%v", m)
	}
	if m := c.Ask(question("blocked.test"+clusterSuffix, dns.TypeA)); m.Rcode != dns.RcodeNameError {
		t.Errorf("%v", m)
	}
	if client := seen.Load(); client == nil || *client != "127.0.0.7" {
		t.Errorf("the stage saw the client %v", client)
	}
	if slices.Contains(names(s), "blocked.test. A") {
		t.Error("a name that a stage answers was asked of a server")
	}
}

// completedPacket returns a query that is completed from the cache alone, and a Part that
// answers it.
func completedPacket(tb testing.TB, x string) (p *Part, packet []byte, to listener.ReplyTo, out []byte) {
	tb.Helper()
	f := run(tb, completing(newFakeServer(tb, hinting(outsideWorld))))
	q := question(x, dns.TypeA, "edns")
	for range 2 {
		if m := newClient(tb, f, 2, false).Ask(q); len(m.Answer) == 0 {
			tb.Fatalf("%v", m)
		}
	}
	to = listener.NewReplyTo(&counter{}, netip.MustParseAddrPort("127.0.0.9:4000"), netip.MustParseAddr("127.0.0.1"), false)
	return f.Split().(*Part), pack(q), to, make([]byte, 0, wire.MaxMessage)
}

// Completing a name allocates nothing if all answers are in the cache.
func TestCompletedAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p, packet, to, out := completedPacket(t, "api.example.test"+clusterSuffix)
	allocs := testing.AllocsPerRun(1000, func() {
		if len(p.Handle(packet, to, out)) == 0 {
			t.Fatal("no answer at once")
		}
		p.end()
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

// BenchmarkCompleted compares a completed answer with the answer about the name itself.
func BenchmarkCompleted(b *testing.B) {
	for name, x := range map[string]string{"completed": "api.example.test" + clusterSuffix, "itself": "api.example.test."} {
		b.Run(name, func(b *testing.B) {
			p, packet, to, out := completedPacket(b, x)
			b.ReportAllocs()
			for b.Loop() {
				p.Handle(packet, to, out)
				p.end()
			}
		})
	}
}
