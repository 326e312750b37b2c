package wire

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func askQuery(tb testing.TB, name string, typ uint16, edns bool) *Query {
	tb.Helper()
	q := &Query{ID: 0x1234, Flags: FlagRD, Name: wireName(tb, name), Type: typ, Class: ClassIN}
	if edns {
		q.EDNS = EDNS{Present: true, Size: 1232}
	}
	return q
}

// TestTargetsKeepTheirSpelling: the question lends its capitals to owners,
// never to a name in RDATA.
func TestTargetsKeepTheirSpelling(t *testing.T) {
	q := askQuery(t, "wWw.ExAmple.", TypeA, false)
	var b Builder
	b.Start(nil, q, MaxMessage)
	if !b.NameRecord(wireName(t, "www.example."), TypeCNAME, 1, wireName(t, "a.example.")) ||
		!b.NameRecord(wireName(t, "A.example."), TypeCNAME, 2, wireName(t, "b.a.example.")) ||
		!b.Addr(wireName(t, "b.A.EXAMPLE."), 3, netip.MustParseAddr("10.0.0.1")) {
		t.Fatal("a record did not fit")
	}
	out := b.Finish(OPT{})
	m := new(dns.Msg)
	if err := m.Unpack(out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, rr := range m.Answer {
		got = append(got, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	want := []string{"wWw.ExAmple. 1 IN CNAME a.example.", "a.example. 2 IN CNAME b.a.example.", "b.a.example. 3 IN A 10.0.0.1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if plain := len("\x03www\x07example\x00"); len(out) > HeaderLen+plain+4+3*12+11+4+4 {
		t.Errorf("%d octets: owners are not compressed", len(out))
	}
}

func TestBuilderRecords(t *testing.T) {
	q := askQuery(t, "WEB.default.svc.cluster.local.", TypeANY, true)
	name := func(s string) []byte { return wireName(t, s) }
	var b Builder
	b.Start([]byte("kept"), q, MaxMessage)
	b.SetAA(true)
	ok := b.Addr(nil, 30, netip.MustParseAddr("10.0.0.1")) &&
		b.Addr(name("a.svc.cluster.local."), 31, netip.MustParseAddr("fd00::1")) &&
		b.Addr(nil, 31, netip.MustParseAddr("::ffff:10.0.0.1")) &&
		b.NameRecord(nil, TypeCNAME, 32, name("b.web.default.svc.cluster.local.")) &&
		b.NameRecord(name("1.0.0.10.in-addr.arpa."), TypePTR, 33, name("web.default.svc.cluster.local.")) &&
		b.SRV(nil, 34, SRV{Priority: 10, Weight: 100, Port: 53, Target: name("c.web.default.svc.cluster.local.")}) &&
		b.TXT(nil, 35, "1.1.0", strings.Repeat("x", 300)) &&
		b.TXT(nil, 36) &&
		b.HINFO(nil, 37, "RFC8482", "")
	b.Open(Authority)
	ok = ok && b.SOA(name("cluster.local."), 38, &SOA{MName: name("ns.dns.cluster.local."), RName: name("hostmaster.cluster.local."), Serial: 1, Refresh: 2, Retry: 3, Expire: 4, Minimum: 5})
	b.Open(Additional)
	ok = ok && b.Addr(name("c.web.default.svc.cluster.local."), 39, netip.MustParseAddr("10.0.0.2")) &&
		b.Record(name("."), 65280, 40, []byte("raw"))
	if !ok {
		t.Fatal("a record did not fit")
	}
	out := b.Finish(OPT{Size: 1232, EDE: Extended(EDEOther, "text")})
	m := unpack(t, out[len("kept"):])
	want := []string{
		"1 web.default.svc.cluster.local.\t30\tin\ta\t10.0.0.1",
		"1 a.svc.cluster.local.\t31\tin\taaaa\tfd00::1",
		"1 web.default.svc.cluster.local.\t31\tin\taaaa\t::ffff:10.0.0.1",
		"1 web.default.svc.cluster.local.\t32\tin\tcname\tb.web.default.svc.cluster.local.",
		"1 1.0.0.10.in-addr.arpa.\t33\tin\tptr\tweb.default.svc.cluster.local.",
		"1 web.default.svc.cluster.local.\t34\tin\tsrv\t10 100 53 c.web.default.svc.cluster.local.",
		"1 web.default.svc.cluster.local.\t35\tin\ttxt\t\"1.1.0\" \"" + strings.Repeat("x", 255) + "\" \"" + strings.Repeat("x", 45) + "\"",
		"1 web.default.svc.cluster.local.\t36\tin\ttxt\t\"\"",
		"1 web.default.svc.cluster.local.\t37\tin\thinfo\t\"rfc8482\" \"\"",
		"2 cluster.local.\t38\tin\tsoa\tns.dns.cluster.local. hostmaster.cluster.local. 1 2 3 4 5",
		"3 c.web.default.svc.cluster.local.\t39\tin\ta\t10.0.0.2",
		"3 .\t40\tclass1\ttype65280\t\\# 3 726177",
	}
	if diff := cmp.Diff(want, lines(m)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if !m.Authoritative || !m.RecursionAvailable || !m.RecursionDesired || m.Id != q.ID || m.Question[0].Name != "WEB.default.svc.cluster.local." {
		t.Errorf("header and question: %v %v", m.MsgHdr, m.Question)
	}
	if o := m.IsEdns0(); o == nil || len(o.Option) != 1 {
		t.Errorf("OPT = %v, want one with an extended error", o)
	}
	m.Compress = true
	if packed, err := m.Pack(); err != nil || len(out)-4 > len(packed) {
		t.Errorf("%d octets, miekg/dns needs %d, %v", len(out)-4, len(packed), err)
	}
}

// TestBuilderNegative: a negative answer is as small as compression makes it,
// wherever in the question's name the zone is, if it is there.
func TestBuilderNegative(t *testing.T) {
	zone := wireName(t, "cluster.local.")
	soa := SOA{MName: wireName(t, "ns.dns.cluster.local."), RName: wireName(t, "hostmaster.cluster.local."), Minimum: 5}
	for _, question := range []string{
		"web.default.svc.cluster.local.", "cluster.local.", "a.cluster.local.", "ns.dns.cluster.local.",
		"xcluster.local.", "x\\007cluster.local.", "local.", ".", "web.Cluster.local.", "WEB.cluster.local.",
	} {
		t.Run(question, func(t *testing.T) {
			q := askQuery(t, question, TypeA, true)
			var b Builder
			b.Start(nil, q, MaxMessage)
			b.Open(Authority)
			if !b.SOA(zone, 5, &soa) {
				t.Fatal("it did not fit")
			}
			out := b.Finish(OPT{})
			m := unpack(t, out)
			want := []string{"2 cluster.local.\t5\tin\tsoa\tns.dns.cluster.local. hostmaster.cluster.local. 0 0 0 0 5"}
			if diff := cmp.Diff(want, lines(m)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			m.Compress = true
			if packed, err := m.Pack(); err != nil || len(out) > len(packed)+len("cluster") { // but for a zone in another spelling
				t.Errorf("%d octets, miekg/dns needs %d, %v", len(out), len(packed), err)
			}
		})
	}
}

// RFC 2782: the target of an SRV record is never a pointer, yet later names may
// point into it.
func TestBuilderSRVTarget(t *testing.T) {
	q := askQuery(t, "_dns._udp.web.", TypeSRV, false)
	target := wireName(t, "hash.web.")
	var b Builder
	b.Start(nil, q, MaxMessage)
	b.SRV(nil, 1, SRV{Priority: 2, Weight: 3, Port: 4, Target: target})
	b.Open(Additional)
	b.Addr(target, 1, netip.MustParseAddr("10.0.0.1"))
	out := b.Finish(OPT{})
	if n := strings.Count(string(out), string(target)); n != 1 {
		t.Errorf("target stands %d times in full, want once:\n%x", n, out)
	}
}

func TestBuilderRoot(t *testing.T) {
	var b Builder
	b.Start(nil, askQuery(t, ".", TypeNS, false), MinPayload)
	b.NameRecord(nil, TypeNS, 5, wireName(t, "."))
	b.NameRecord(wireName(t, "."), TypeNS, 5, wireName(t, "a.root."))
	want := []string{"1 .\t5\tin\tns\t.", "1 .\t5\tin\tns\ta.root."}
	if diff := cmp.Diff(want, lines(unpack(t, b.Finish(OPT{})))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A refused record leaves no trace, and 60 addresses show where the limit is:
// 12 header, 21 question, 16 per address.
func TestBuilderKeepsItsLimit(t *testing.T) {
	for _, tt := range []struct {
		edns  bool
		limit int
		want  int
	}{{false, 512, 29}, {true, 512, 29}, {true, 1232, 60}, {false, 100, 29}, {false, 12 + 21 + 16*40, 40}, {false, 12 + 21 + 16*40 - 1, 39}} {
		q := askQuery(t, "www.example.com.", TypeA, tt.edns)
		var b Builder
		b.Start(make([]byte, 0, 2048), q, tt.limit)
		n := 0
		for n < 60 && b.Addr(nil, 1, netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})) {
			n++
		}
		out := b.Finish(OPT{})
		if m := unpack(t, out); n != tt.want || len(m.Answer) != n || len(out) > max(tt.limit, MinPayload) {
			t.Errorf("limit %d, EDNS %v: %d fit, %d in the message of %d octets, want %d", tt.limit, tt.edns, n, len(m.Answer), len(out), tt.want)
		}
	}
}

func TestBuilderRollback(t *testing.T) {
	q := askQuery(t, "www.example.com.", TypeA, false)
	var b Builder
	b.Start(nil, q, MaxMessage)
	b.NameRecord(nil, TypeNS, 1, wireName(t, "ns1.example.net."))
	mark := b.Mark()
	b.Open(Additional)
	b.NameRecord(nil, TypePTR, 1, wireName(t, "gone.example.org."))
	b.Rollback(mark)
	// The names written after the mark must not be pointed to.
	b.NameRecord(nil, TypeNS, 2, wireName(t, "x.gone.example.org."))
	b.NameRecord(nil, TypeNS, 3, wireName(t, "y.example.net."))
	want := []string{
		"1 www.example.com.\t1\tin\tns\tns1.example.net.",
		"1 www.example.com.\t2\tin\tns\tx.gone.example.org.",
		"1 www.example.com.\t3\tin\tns\ty.example.net.",
	}
	if diff := cmp.Diff(want, lines(unpack(t, b.Finish(OPT{})))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A pointer has 14 bits: names behind them are written, but not pointed to.
func TestBuilderFarNames(t *testing.T) {
	var b Builder
	b.Start(nil, askQuery(t, "www.example.com.", TypeTXT, false), MaxMessage)
	for b.Count(Answer) < 80 {
		b.TXT(nil, 1, strings.Repeat("x", 255))
	}
	b.Open(Additional)
	want := []string{}
	for i := range 3 {
		b.NameRecord(wireName(t, "far.example.net."), TypePTR, uint32(i), wireName(t, "far.example.com."))
		want = append(want, fmt.Sprintf("3 far.example.net.\t%d\tin\tptr\tfar.example.com.", i))
	}
	out := b.Finish(OPT{})
	if len(out) < maxPointer {
		t.Fatalf("%d octets are not far enough", len(out))
	}
	if diff := cmp.Diff(want, lines(unpack(t, out))[80:]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBuilderOPT(t *testing.T) {
	long := strings.Repeat("e", 400)
	tests := []struct {
		name     string
		q        EDNS
		opt      OPT
		rcode    int
		fill     int // octets of a TXT record's text
		wantRC   int
		wantOPT  bool
		wantOpts string
	}{
		{name: "no edns, no opt", opt: OPT{EDE: Extended(1, "x")}},
		{name: "no edns, high rcode", rcode: RcodeBadVers, wantRC: RcodeServFail},
		{name: "high rcode", q: EDNS{Present: true}, rcode: RcodeBadVers, wantRC: RcodeBadVers, wantOPT: true},
		{name: "error with text", q: EDNS{Present: true}, opt: OPT{EDE: Extended(22, long)}, wantOPT: true, wantOpts: "15:402 "},
		{name: "text does not fit", q: EDNS{Present: true}, opt: OPT{EDE: Extended(22, long)}, fill: 200, wantOPT: true, wantOpts: "15:2 "},
		{name: "error does not fit", q: EDNS{Present: true}, opt: OPT{EDE: Extended(22, "")}, fill: 512 - 12 - 21 - 12 - 1 - 11, wantOPT: true},
		{
			name: "cookie has its room", q: EDNS{Present: true, ClientCookie: make([]byte, 8)},
			opt: OPT{Cookie: make([]byte, 40)}, fill: 512 - 12 - 21 - 12 - 1 - 11 - 44, wantOPT: true, wantOpts: "10:40 ",
		},
		{name: "raw", q: EDNS{Present: true}, opt: OPT{Raw: []byte("\x00\x03\x00\x02id")}, wantOPT: true, wantOpts: "3:2 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := askQuery(t, "www.example.com.", TypeTXT, false)
			q.EDNS = tt.q
			var b Builder
			b.Start(nil, q, 512)
			b.SetRcode(tt.rcode)
			for left := tt.fill; left > 0; left = 0 {
				text := append([]byte{byte(min(left-1, 255))}, make([]byte, min(left-1, 255))...)
				if rest := left + 1 - len(text); rest > 0 {
					text = append(text, byte(rest-1))
					text = append(text, make([]byte, rest-1)...)
				}
				if !b.Record(nil, TypeTXT, 1, text) {
					t.Fatalf("%d octets of text do not fit, %d octets of room", len(text), b.Room())
				}
			}
			out := b.Finish(tt.opt)
			m := unpack(t, out)
			o := m.IsEdns0()
			if len(out) > 512 || m.Rcode != tt.wantRC || (o != nil) != tt.wantOPT {
				t.Fatalf("%d octets, rcode %d, OPT %v", len(out), m.Rcode, o)
			}
			var got string
			var r Reply
			if !ParseReply(out, &r) {
				t.Fatal("ParseReply refuses our reply")
			}
			for rest := r.EDNS.Options; len(rest) > 0; {
				code, data, next, _ := NextOption(rest)
				got += fmt.Sprintf("%d:%d ", code, len(data))
				rest = next
			}
			if got != tt.wantOpts {
				t.Errorf("options %q, want %q", got, tt.wantOpts)
			}
		})
	}
}

// FuzzBuilder lets the input choose names, records, limits and rollbacks, and
// expects miekg/dns to read exactly the records that were reported as fitting.
func FuzzBuilder(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"), uint16(512), true)
	f.Add([]byte(strings.Repeat("\x12\x34\x56\x78", 40)), uint16(600), false)
	f.Add([]byte(strings.Repeat("\xf1\x02\x93\x54\x05", 60)), uint16(65535), true)
	f.Fuzz(func(t *testing.T, in []byte, limit uint16, edns bool) {
		pick := func(n int) int {
			if len(in) == 0 {
				return 0
			}
			c := int(in[0])
			in = in[1:]
			return c % n
		}
		labels := []string{"a", "B", "svc", "SVC", "cluster", "local", "a-much-longer-label-than-the-others-so-that-limits-are-reached", "x"}
		name := func() string {
			var s strings.Builder
			for range pick(5) {
				s.WriteString(labels[pick(len(labels))] + ".")
			}
			if s.Len() == 0 {
				return "."
			}
			return s.String()
		}
		q := askQuery(t, name(), TypeA, edns)
		qname, _, _ := dns.UnpackDomainName(q.Name, 0)
		var b Builder
		b.Start(nil, q, int(limit))
		want := []string{}
		var mark Mark
		marked := -1
		for len(in) > 0 && len(want) < 2000 {
			owner, text := q.Name, qname
			var arg []byte
			if pick(2) == 1 {
				text = name()
				owner = wireName(t, text)
				arg = owner
			}
			ttl := uint32(pick(256))
			target := name()
			wire := wireName(t, target)
			var ok bool
			var line string
			switch pick(8) {
			case 0:
				ok, line = b.Addr(arg, ttl, netip.AddrFrom4([4]byte{1, 2, 3, 4})), "A\t1.2.3.4"
			case 1:
				ok, line = b.NameRecord(arg, TypeCNAME, ttl, wire), "CNAME\t"+target
			case 2:
				ok, line = b.SRV(arg, ttl, SRV{Priority: 1, Weight: 2, Port: 3, Target: wire}), "SRV\t1 2 3 "+target
			case 3:
				ok, line = b.TXT(arg, ttl, "text"), "TXT\t\"text\""
			case 4:
				soa := SOA{MName: wire, RName: owner, Minimum: 5}
				ok, line = b.SOA(arg, ttl, &soa), "SOA\t"+target+" "+text+" 0 0 0 0 5"
			case 5:
				b.Open(Section(1 + pick(3)))
				continue
			case 6:
				mark, marked = b.Mark(), len(want)
				continue
			case 7:
				if marked >= 0 {
					b.Rollback(mark)
					want = want[:marked]
				}
				continue
			}
			if ok {
				want = append(want, strings.ToLower(fmt.Sprintf("%d %s\t%d\tIN\t%s", b.section, text, ttl, line)))
			}
		}
		out := b.Finish(OPT{EDE: Extended(1, "some text")})
		if len(out) > max(int(limit), MinPayload) {
			t.Fatalf("%d octets, limit %d", len(out), limit)
		}
		m := unpack(t, out)
		if diff := cmp.Diff(want, lines(m)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		var r Reply
		if !ParseReply(out, &r) || len(r.Msg) != len(out) {
			t.Fatalf("ParseReply refuses our reply %x", out)
		}
	})
}
