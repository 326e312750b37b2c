package skydns

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// bigBackend has the headless Service default/big with n endpoints.
func bigBackend(tb testing.TB, n int) *fakeBackend {
	tb.Helper()
	f := &fakeBackend{tree: treecache.New(dnsname.MustParse(zone))}
	s := &records.Slice{Ports: []records.Port{tcp("http", 80)}}
	for i := range n {
		s.Add(records.Endpoint{Addr: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), Ready: true})
	}
	f.add(tb, headless("default", "big"), s)
	return f
}

// TestSizes is row 103 and 104 of kube-dns's table, with OPT in the replies and
// our own limit on UDP.
func TestSizes(t *testing.T) {
	tests := []struct {
		name, query       string
		endpoints         int
		stream            bool
		edns              uint16
		truncated         bool
		answers, addition int
	}{
		// 12 header, 35 question, 11 OPT, 16 an A record, 66 an SRV record.
		{"UDP", "big.default A", 300, false, 0, true, 29, 0},
		{"UDP, 512 asked for", "big.default A", 300, false, 512, true, 28, 1},
		{"UDP, less than 512 asked for", "big.default A", 300, false, 100, true, 28, 1},
		{"UDP, 4096 asked for, 1232 given", "big.default A", 300, false, 4096, true, 73, 1},
		{"UDP, just fits", "big.default A", 29, false, 0, false, 29, 0},
		{"UDP, one too many", "big.default A", 30, false, 0, true, 29, 0},
		{"UDP, SRV, additional as far as it fits, without TC", "_http._tcp.big.default SRV", 6, false, 0, false, 6, 3},
		{"UDP, SRV", "_http._tcp.big.default SRV", 300, false, 0, true, 6, 0}, // or 7, of shorter labels
		{"TCP", "big.default A", 300, true, 0, false, 300, 0},
		{"TCP, SRV", "_http._tcp.big.default SRV", 300, true, 0, false, 300, 300},
		{"TCP, all that a message holds", "big.default A", 5000, true, 0, true, 4093, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, Config{Backend: bigBackend(t, tt.endpoints)})
			c.stream = tt.stream
			m := question(t, tt.query)
			if tt.edns > 0 {
				m.SetEdns0(tt.edns, false)
			}
			reply := c.ask(m)
			if tt.name == "UDP, SRV" && len(reply.Answer) == tt.answers+1 {
				tt.answers++
			}
			if reply.Truncated != tt.truncated || len(reply.Answer) != tt.answers || len(reply.Extra) != tt.addition {
				t.Errorf("TC %v, %d answers, %d additional; want %v, %d, %d",
					reply.Truncated, len(reply.Answer), len(reply.Extra), tt.truncated, tt.answers, tt.addition)
			}
			seen := map[string]bool{}
			for _, rr := range reply.Answer {
				if seen[rr.String()] {
					t.Errorf("twice: %v", rr)
				}
				seen[rr.String()] = true
			}
		})
	}
}

// TestRotation checks that each address comes first about as often, also when
// A and AAAA are asked in turn.
func TestRotation(t *testing.T) {
	f := newFixture(t)
	f.add(t, headless("default", "four"), slice(nil, "10.0.9.1", "10.0.9.2", "10.0.9.3", "10.0.9.4", "2001:db8::91", "2001:db8::92"))
	c := newClient(t, Config{Backend: f})
	first := map[string]int{}
	const rounds = 4000
	for range rounds {
		first[c.ask(question(t, "four.default A")).Answer[0].(*dns.A).A.String()]++
		first[c.ask(question(t, "four.default AAAA")).Answer[0].(*dns.AAAA).AAAA.String()]++
	}
	if len(first) != 6 {
		t.Fatalf("first addresses: %v", first)
	}
	for addr, n := range first {
		share := rounds / 4
		if strings.Contains(addr, ":") {
			share = rounds / 2
		}
		if n < share*8/10 || n > share*12/10 { // 5 standard deviations and more
			t.Errorf("%s was first %d times of %d", addr, n, rounds)
		}
	}
}

func TestEDNS(t *testing.T) {
	c := newClient(t, Config{})
	m := question(t, "web.default A").SetEdns0(4096, true)
	opt := c.ask(m).IsEdns0()
	if opt.UDPSize() != 1232 || !opt.Do() || opt.Version() != 0 {
		t.Errorf("OPT %v, want size 1232, DO and version 0", opt)
	}
	m.IsEdns0().SetVersion(1)
	reply := c.ask(m)
	if reply.Rcode != dns.RcodeBadVers || reply.IsEdns0().Version() != 0 || len(reply.Answer) != 0 {
		t.Errorf("version 1: %v", reply)
	}
	if reply := c.ask(question(t, "web.default A")); reply.IsEdns0() != nil {
		t.Errorf("OPT in the reply to a query without: %v", reply)
	}
}

// extendedError returns the info code of a reply, -1 if it has none.
func extendedError(m *dns.Msg) int {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				return int(ede.InfoCode)
			}
		}
	}
	return -1
}

func TestNotSynced(t *testing.T) {
	f := newFixture(t)
	f.unsynced = true
	f.tree = treecache.New(dnsname.MustParse(zone))
	f.extra[dnsname.MustParse("kubernetes.default.svc.cluster.local.")] = treecache.ListAnswer([]treecache.Record{
		treecache.AddressRecord(netip.MustParseAddr("10.96.0.1"), 30),
	})
	c := newClient(t, Config{Backend: f})
	for _, query := range []string{
		"web.default A", "web.default ANY", "cluster.local. SOA", "ns.dns.cluster.local. A", "dns-version.cluster.local. TXT",
		"10.0.96.10.in-addr.arpa. PTR",
	} {
		reply := c.ask(question(t, query).SetEdns0(1232, false))
		if reply.Rcode != dns.RcodeServerFailure || reply.Authoritative || len(reply.Answer)+len(reply.Ns) > 0 || extendedError(reply) != 14 {
			t.Errorf("%s: %v, want SERVFAIL with extended error 14", query, reply)
		}
	}
	if got, want := render(c.ask(question(t, "kubernetes.default A"))), "NOERROR aa\nkubernetes.default.S 30 A 10.96.0.1"; got != want {
		t.Errorf("fallback: %s, want %s", got, want)
	}
}

func TestClasses(t *testing.T) {
	c := newClient(t, Config{Version: "kubedns-v1", Hostname: "pod-7"})
	tests := []struct {
		name  string
		class uint16
		qtype uint16
		want  string
	}{
		{"version.bind.", dns.ClassCHAOS, dns.TypeTXT, `NOERROR aa "kubedns-v1"`},
		{"VERSION.server.", dns.ClassCHAOS, dns.TypeTXT, `NOERROR aa "kubedns-v1"`},
		{"hostname.bind.", dns.ClassCHAOS, dns.TypeTXT, `NOERROR aa "pod-7"`},
		{"id.server.", dns.ClassCHAOS, dns.TypeTXT, `NOERROR aa "pod-7"`},
		{"authors.bind.", dns.ClassCHAOS, dns.TypeTXT, "REFUSED"},
		{"version.bind.", dns.ClassCHAOS, dns.TypeA, "REFUSED"},
		{"web.default.svc.cluster.local.", dns.ClassCHAOS, dns.TypeA, "REFUSED"},
		{"web.default.svc.cluster.local.", dns.ClassHESIOD, dns.TypeA, "REFUSED"},
		{"web.default.svc.cluster.local.", dns.ClassANY, dns.TypeA, "REFUSED"},
		{"web.default.svc.cluster.local.", dns.ClassNONE, dns.TypeA, "REFUSED"},
	}
	for _, tt := range tests {
		m := new(dns.Msg).SetQuestion(tt.name, tt.qtype)
		m.Question[0].Qclass = tt.class
		reply := c.ask(m)
		got := dns.RcodeToString[reply.Rcode]
		if reply.Authoritative {
			got += " aa"
		}
		for _, rr := range reply.Answer {
			if rr.Header().Class != tt.class {
				t.Errorf("%s: record of class %d in a reply of class %d", tt.name, rr.Header().Class, tt.class)
			}
			got += " " + strings.TrimPrefix(rr.String(), rr.Header().String())
		}
		if got != tt.want {
			t.Errorf("%s class %d type %d: %s, want %s", tt.name, tt.class, tt.qtype, got, tt.want)
		}
	}
}

// TestBadMessages is row 105.
func TestBadMessages(t *testing.T) {
	c := newClient(t, Config{})
	edit := func(change func(m *dns.Msg)) []byte {
		m := question(t, "web.default A")
		change(m)
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return packet
	}
	tests := []struct {
		name   string
		packet []byte
		rcode  int
	}{
		{"no question", edit(func(m *dns.Msg) { m.Question = nil }), dns.RcodeFormatError},
		{"two questions", edit(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), dns.RcodeFormatError},
		{"UPDATE", edit(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), dns.RcodeNotImplemented},
		{"STATUS", edit(func(m *dns.Msg) { m.Opcode = dns.OpcodeStatus }), dns.RcodeNotImplemented},
		{"NOTIFY", edit(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), dns.RcodeNotImplemented},
		{"cut", edit(func(*dns.Msg) {})[:20], dns.RcodeFormatError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := c.raw(tt.packet)
			if len(out) < 12 || out[0] != tt.packet[0] || out[1] != tt.packet[1] || out[2]&0x80 == 0 || int(out[3]&15) != tt.rcode {
				t.Errorf("reply %x, want rcode %d", out, tt.rcode)
			}
		})
	}
	response := edit(func(m *dns.Msg) { m.Response = true })
	if out := c.server.Handle(response, c.replyTo(), c.buffer[:0]); len(out) > 0 {
		t.Errorf("a response was answered: %x", out)
	}
}

func TestNameServerWithoutService(t *testing.T) {
	c := newClient(t, Config{})
	for local, want := range map[string]string{
		"127.0.0.9":   "NOERROR aa\nns.dns.cluster.local. 30 A 127.0.0.9",
		"2001:db8::9": "NOERROR aa\nns cluster.local. 0 SOA min=0",
		"0.0.0.0":     "NOERROR aa\nns cluster.local. 0 SOA min=0",
	} {
		c.local = netip.MustParseAddr(local)
		if got := render(c.ask(question(t, "ns.dns.cluster.local. A"))); got != want {
			t.Errorf("asked at %s: %s, want %s", local, got, want)
		}
	}
}

// outside is a handler that marks what it answers.
type outside struct {
	asked   []string
	flushed int
}

func (o *outside) Flush() { o.flushed++ }

func (o *outside) Handle(packet []byte, _ listener.ReplyTo, reply []byte) []byte {
	var m dns.Msg
	if m.Unpack(packet) != nil {
		return nil
	}
	o.asked = append(o.asked, m.Question[0].Name)
	answer := new(dns.Msg).SetRcode(&m, dns.RcodeYXDomain)
	if m.IsEdns0() != nil {
		answer.SetEdns0(1232, false)
	}
	out, _ := answer.Pack()
	return append(reply, out...)
}

func TestOutside(t *testing.T) {
	o := &outside{}
	c := newClient(t, Config{Outside: o})
	for query, wantRcode := range map[string]int{
		"example.com. A":                       dns.RcodeYXDomain,
		"notcluster.local. A":                  dns.RcodeYXDomain,
		"xcluster.local. A":                    dns.RcodeYXDomain,
		"web.default.svc.*.local. A":           dns.RcodeYXDomain, // row 28
		"0.96.10.in-addr.arpa. PTR":            dns.RcodeYXDomain, // row 84
		"9.9.9.10.in-addr.arpa. PTR":           dns.RcodeYXDomain,
		"9.9.9.10.in-addr.arpa. A":             dns.RcodeYXDomain,
		"322.2.0.192.in-addr.arpa. PTR":        dns.RcodeYXDomain,
		"010.0.96.10.in-addr.arpa. PTR":        dns.RcodeYXDomain,
		"x.10.0.96.10.in-addr.arpa. PTR":       dns.RcodeYXDomain,
		"localhost. A":                         dns.RcodeNameError, // row 98
		"com. AAAA":                            dns.RcodeNameError,
		"local. ANY":                           dns.RcodeNameError,
		"com. SOA":                             dns.RcodeYXDomain,
		"com. DS":                              dns.RcodeYXDomain,
		"com. NS":                              dns.RcodeYXDomain,
		". NS":                                 dns.RcodeYXDomain,
		". A":                                  dns.RcodeYXDomain,
		"web.default.svc.cluster.local. A":     dns.RcodeSuccess,
		"nosuch.default.svc.cluster.local. A":  dns.RcodeNameError,
		"10.0.96.10.in-addr.arpa. PTR":         dns.RcodeSuccess,
		"web.default.svc.CLUSTER.LOCAL. HTTPS": dns.RcodeSuccess,
	} {
		o.asked = nil
		reply := c.ask(question(t, query))
		if reply.Rcode != wantRcode || (len(o.asked) == 1) != (wantRcode == dns.RcodeYXDomain) {
			t.Errorf("%s: %s, handed on %v; want %s", query, dns.RcodeToString[reply.Rcode], o.asked, dns.RcodeToString[wantRcode])
		}
	}
}

// TestCookies: a client with a cookie gets one, its own in front, in every
// answer that is made here (RFC 7873 §5.2).
func TestCookies(t *testing.T) {
	secret := wire.CookieSecret{1, 2, 3}
	c := newClient(t, Config{Resolve: (&upstream{}).resolve, CookieSecret: secret, Version: "v"})
	chaos := question(t, "version.bind. TXT")
	chaos.Question[0].Qclass = dns.ClassCHAOS
	none := new(dns.Msg)
	none.Id = 9
	for what, m := range map[string]*dns.Msg{
		"address": question(t, "web.default A"), "missing": question(t, "nosuch A"), "external": question(t, "e1.ext A"),
		"reverse": question(t, "10.0.96.10.in-addr.arpa. PTR"), "refused": question(t, "example.com. A"), "chaos": chaos, "no question": none,
	} {
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		var reply dns.Msg
		if err := reply.Unpack(c.raw(packet)); err != nil {
			t.Fatal(err)
		}
		var got string
		for _, option := range reply.IsEdns0().Option {
			if cookie, ok := option.(*dns.EDNS0_COOKIE); ok {
				got = cookie.Cookie
			}
		}
		if len(got) != 2*wire.CookieLen || got[:16] != "0011223344556677" {
			t.Errorf("%s: cookie %q", what, got)
		}
		if what == "no question" && reply.Rcode != dns.RcodeSuccess {
			t.Errorf("cookie alone: %s", dns.RcodeToString[reply.Rcode])
		}
	}
	if a, b := newClient(t, Config{}), newClient(t, Config{}); a.server.cfg.CookieSecret == b.server.cfg.CookieSecret {
		t.Error("two servers have one secret")
	}
}

func TestFlushReachesOutside(t *testing.T) {
	o := &outside{}
	newClient(t, Config{Outside: o}).server.Flush()
	if o.flushed != 1 {
		t.Errorf("flushed %d times, want once", o.flushed)
	}
	newClient(t, Config{}).server.Flush() // nobody outside: nothing to do
}

func TestNobodyToResolve(t *testing.T) {
	c := newClient(t, Config{})
	if got, want := render(c.ask(question(t, "e1.ext A"))), "NOERROR aa\ne1.ext.S 30 CNAME ext.example.com."; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestExternalNameWithoutServers: if there should be upstream servers but are none, an external
// name fails as every name outside does. The alias alone would say that it has no address.
func TestExternalNameWithoutServers(t *testing.T) {
	for refuse, want := range map[bool]string{
		false: "SERVFAIL", true: "NOERROR aa\ne1.ext.S 30 CNAME ext.example.com.",
	} {
		c := newClient(t, Config{
			Resolve:         func(*wire.Query, func(*wire.Reply, error)) { t.Error("a server was asked") },
			Route:           func([]byte) Route { return Route{Kind: RouteNobody, Reason: "no servers"} },
			RefuseUncovered: refuse,
		})
		reply := c.ask(question(t, "e1.ext A").SetEdns0(1232, false))
		if got := render(reply); got != want {
			t.Errorf("refuse %v: %s, want %s", refuse, got, want)
		}
	}
}

// crashBackend panics on one name.
type crashBackend struct{ *fakeBackend }

func (b crashBackend) Records(name []byte) treecache.Answer {
	if slices.Contains(name, '!') {
		panic("a bug")
	}
	return b.fakeBackend.Records(name)
}

func TestCrashCostsOneQuery(t *testing.T) {
	var log bytes.Buffer
	c := newClient(t, Config{Backend: crashBackend{newFixture(t)}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		if reply := c.ask(question(t, "a!b.default A")); reply.Rcode != dns.RcodeServerFailure {
			t.Errorf("crash: %v, want SERVFAIL", reply)
		}
	}
	if reply := c.ask(question(t, "web.default A")); len(reply.Answer) != 1 {
		t.Errorf("after the crash: %v", reply)
	}
	if text := log.String(); strings.Count(text, "recovered from a panic") != 1 || !strings.Contains(text, "crashBackend") || !strings.Contains(text, "a!b.default.svc.cluster.local.") {
		t.Errorf("log does not tell once the query and the place:\n%s", text)
	}
	if n := testutil.ToFloat64(panicCounter{c.server.metrics}); n != 3 {
		t.Errorf("%v crashes counted, want 3", n)
	}
}

// panicCounter shows the one counter of a metrics.
type panicCounter struct{ m *metrics }

func (p panicCounter) Describe(chan<- *prometheus.Desc) {}

func (p panicCounter) Collect(ch chan<- prometheus.Metric) {
	all := make(chan prometheus.Metric, 100)
	p.m.Collect(all)
	close(all)
	for m := range all {
		if strings.Contains(m.Desc().String(), "panic_count_total") {
			ch <- m
		}
	}
}

func TestCrashWhileChasing(t *testing.T) {
	f := newFixture(t)
	up := &upstream{}
	c := newClient(t, Config{Backend: crashBackend{f}, Resolve: func(q *wire.Query, done func(*wire.Reply, error)) {
		reply, err := up.answer(packed(q))
		reply = bytes.Replace(reply, []byte("\x03web\x07default"), []byte("\x03w!b\x07default"), 1)
		go tell(done)(reply, err)
	}})
	if reply := c.ask(question(t, "back.ext A")); reply.Rcode != dns.RcodeServerFailure || len(reply.Answer) > 0 {
		t.Errorf("crash: %v, want SERVFAIL", reply)
	}
}

func TestConfigErrors(t *testing.T) {
	long := strings.Repeat("abcdefghij.", 23)
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing", Config{}, "backend"},
		{"root", Config{Domain: dnsname.Root, Backend: newFixture(t)}, "domain"},
		{"negative", Config{Domain: dnsname.MustParse(zone), Backend: newFixture(t), NegativeTTL: -time.Second}, "negative TTL"},
		{"too long", Config{Domain: dnsname.MustParse(long), Backend: newFixture(t)}, "too long"},
	}
	for _, tt := range tests {
		if _, err := New(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v does not mention %q", tt.name, err, tt.want)
		}
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := newClient(t, Config{Registerer: registry, MetricsNamespace: "skydns", MetricsSubsystem: "skydns", Outside: &outside{}})
	for _, query := range []string{"web.default A", "nosuch.default A", "nosuch.default A", "10.0.96.10.in-addr.arpa. PTR", "example.com. A", "cluster.local. AXFR"} {
		c.ask(question(t, query))
	}
	c.server.domain.backend = bigBackend(t, 300)
	c.ask(question(t, "big.default A"))
	var want strings.Builder
	fmt.Fprint(&want, "# HELP skydns_skydns_dns_request_count_total Queries, by what answered them.\n# TYPE skydns_skydns_dns_request_count_total counter\n")
	for system, n := range map[string]int{"auth": 5, "reverse": 1, "recursive": 1} {
		fmt.Fprintf(&want, "skydns_skydns_dns_request_count_total{system=%q} %d\n", system, n)
	}
	fmt.Fprint(&want, "# HELP skydns_skydns_dns_error_count_total Replies that report an error or are truncated, by cause.\n# TYPE skydns_skydns_dns_error_count_total counter\n")
	for _, system := range []string{"auth", "reverse", "recursive"} {
		for _, cause := range []string{"nxdomain", "truncated", "refused", "overflow", "servfail", "other"} {
			n := map[string]int{"auth nxdomain": 2, "auth refused": 1, "auth truncated": 1, "recursive other": 1}[system+" "+cause]
			fmt.Fprintf(&want, "skydns_skydns_dns_error_count_total{cause=%q,system=%q} %d\n", cause, system, n)
		}
	}
	fmt.Fprint(&want, "# HELP kubedns_answers_total Answers to clients, by where they came from and by rcode.\n# TYPE kubedns_answers_total counter\n")
	for _, source := range []string{"cluster", "reverse", "upstream"} {
		for _, rcode := range []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "OTHER"} {
			n := map[string]int{"cluster NOERROR": 2, "cluster NXDOMAIN": 2, "cluster REFUSED": 1, "reverse NOERROR": 1, "upstream OTHER": 1}[source+" "+rcode]
			fmt.Fprintf(&want, "kubedns_answers_total{rcode=%q,source=%q} %d\n", rcode, source, n)
		}
	}
	err := testutil.GatherAndCompare(registry, strings.NewReader(want.String()),
		"skydns_skydns_dns_request_count_total", "skydns_skydns_dns_error_count_total", "kubedns_answers_total")
	if err != nil {
		t.Error(err)
	}
	n, err := testutil.GatherAndCount(registry, "skydns_skydns_dns_request_duration_seconds", "skydns_skydns_dns_response_size_bytes",
		"skydns_skydns_dns_cachemiss_count_total", "skydns_skydns_dns_panic_count_total")
	if err != nil || n != 3+3+1+1 {
		t.Errorf("%d metrics of the other families (%v), want 8", n, err)
	}
}

// TestAnsweredLate: answers that Outside sends later are counted too.
func TestAnsweredLate(t *testing.T) {
	c := newClient(t, Config{Outside: &outside{}})
	m := new(dns.Msg).SetRcode(question(t, "example.com. A"), dns.RcodeNameError)
	m.Truncated = true
	reply, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	c.server.Answered(4*time.Millisecond, reply)
	for what, of := range map[string]func(*counters) uint64{
		"NXDOMAIN":  func(c *counters) uint64 { return c.answers[systemRecursive][wire.RcodeNXDomain].Load() },
		"truncated": func(c *counters) uint64 { return c.cut[systemRecursive][causeTruncated].Load() },
		"size":      func(c *counters) uint64 { return c.sizes[systemRecursive][1].Load() },
		"duration":  func(c *counters) uint64 { return c.durations[systemRecursive][2].Load() },
	} {
		if n := c.server.metrics.sum(of); n != 1 {
			t.Errorf("%s: %d counted, want 1", what, n)
		}
	}
}
