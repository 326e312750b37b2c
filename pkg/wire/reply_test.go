package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// reply packs a response to question with the given records; a line that
// starts with "ns " or "ar " goes to that section.
func reply(tb testing.TB, question string, typ uint16, records ...string) *dns.Msg {
	tb.Helper()
	m := new(dns.Msg)
	m.SetQuestion(question, typ)
	m.Id = 0x1234
	m.Response = true
	m.Compress = true
	for _, text := range records {
		switch {
		case strings.HasPrefix(text, "ns "):
			m.Ns = append(m.Ns, mustRR(tb, text[3:]))
		case strings.HasPrefix(text, "ar "):
			m.Extra = append(m.Extra, mustRR(tb, text[3:]))
		default:
			m.Answer = append(m.Answer, mustRR(tb, text))
		}
	}
	return m
}

func pack(tb testing.TB, m *dns.Msg) []byte {
	tb.Helper()
	out, err := m.Pack()
	if err != nil {
		tb.Fatalf("packing: %v\n%v", err, m)
	}
	return out
}

// everyType holds a record of each type whose RDATA we look into.
func everyType() []string {
	return []string{
		"x. 1 IN A 1.2.3.4", "x. 1 IN AAAA ::1", "x. 1 IN NS ns.x.", "x. 1 IN CNAME c.x.", "x. 1 IN PTR p.x.",
		"x. 1 IN MB m.x.", "x. 1 IN MG m.x.", "x. 1 IN MR m.x.", "x. 1 IN MD m.x.", "x. 1 IN MF m.x.",
		"x. 1 IN SOA m.x. r.x. 1 2 3 4 5", "x. 1 IN MINFO r.x. e.x.", "x. 1 IN MX 5 m.x.", "x. 1 IN DNAME d.x.",
		"x. 1 IN RP m.x. t.x.", "x. 1 IN AFSDB 1 a.x.", "x. 1 IN RT 1 r.x.", "x. 1 IN KX 1 k.x.", "x. 1 IN PX 1 a.x. b.x.",
		"x. 1 IN SRV 1 2 3 s.x.", `x. 1 IN NAPTR 1 2 "s" "a" "b" n.x.`, `x. 1 IN TXT "a" "b"`, `x. 1 IN SPF "v"`,
		`x. 1 IN HINFO "c" "o"`, "x. 1 IN DS 1 8 2 ABCD", "x. 1 IN DNSKEY 256 3 8 AQPS", "x. 1 IN NSEC b.x. A AAAA",
		"x. 1 IN RRSIG A 8 1 1 20300101000000 20200101000000 1 x. AQPS", `x. 1 IN HTTPS 1 svc.x. alpn="h2"`,
		"x. 1 IN SVCB 0 svc.x.", "x. 1 IN TYPE65280 \\# 3 abcdef",
	}
}

func TestParseReply(t *testing.T) {
	m := reply(t, "WWW.example.com.", dns.TypeA,
		"www.example.com. 60 IN CNAME web.example.net.", "web.example.net. 30 IN A 1.2.3.4",
		"ns example.com. 300 IN SOA ns.example.com. host.example.com. 1 2 3 4 15", "ar ns.example.com. 7 IN A 1.2.3.5")
	m.SetEdns0(4096, true)
	m.Rcode = dns.RcodeBadCookie
	m.Authoritative = true
	msg := append(pack(t, m), "garbage"...)
	var r Reply
	if !ParseReply(msg, &r) {
		t.Fatal("refused")
	}
	if r.ID != 0x1234 || r.Rcode != RcodeBadCookie || r.Flags&FlagAA == 0 || r.Truncated() || len(r.Msg) != len(msg)-len("garbage") {
		t.Errorf("got %+v", r)
	}
	if !r.EDNS.Present || !r.EDNS.DO || r.EDNS.Size != 4096 {
		t.Errorf("EDNS = %+v", r.EDNS)
	}
	q := askQuery(t, "www.EXAMPLE.com.", TypeA, false)
	if !r.Answers(q) {
		t.Error("question compare: case")
	}
	if r.Answers(askQuery(t, "www.example.com.", TypeAAAA, false)) || r.Answers(askQuery(t, "www.example.org.", TypeA, false)) {
		t.Error("question compare: another question answers")
	}
	if soa, ok := r.SOA(q.Name); !ok || soa.TTL != 15 {
		t.Errorf("SOA = %+v, %v", soa, ok)
	}
	if _, ok := r.SOA(wireName(t, "example.net.")); ok {
		t.Error("an SOA of another zone was found")
	}
	var ttls []uint32
	for _, off := range r.AppendTTLOffsets(nil) {
		ttls = append(ttls, binary.BigEndian.Uint32(r.Msg[off:]))
	}
	if diff := cmp.Diff([]uint32{60, 30, 300, 7}, ttls); diff != "" {
		t.Errorf("TTLs (-want +got):\n%s", diff)
	}
}

// RFC 2181 §8: a TTL with its top bit set is zero.
func TestHugeTTL(t *testing.T) {
	for _, tt := range []struct{ sent, want uint32 }{{1<<31 - 1, 1<<31 - 1}, {1 << 31, 0}, {1<<32 - 1, 0}} {
		m := reply(t, "x.", dns.TypeA, "x. 1 IN A 1.2.3.4")
		m.Answer[0].Header().Ttl = tt.sent
		var r Reply
		if !ParseReply(pack(t, m), &r) {
			t.Fatal("refused")
		}
		var rec Record
		if it := r.Records(); !it.Next(&rec) || rec.TTL != tt.want {
			t.Errorf("TTL %d reads as %d, want %d", tt.sent, rec.TTL, tt.want)
		}
	}
}

// Every record whose RDLENGTH is one more or one less than its content must
// spoil the reply (lesson of CVE-2026-5172 and CVE-2026-4891: RDLENGTH and
// content are both claims).
func TestRDLengthIsNotTrusted(t *testing.T) {
	for _, text := range everyType() {
		m := reply(t, "x.", dns.TypeANY, text)
		m.Compress = false
		whole := pack(t, m)
		kind := layoutOf(m.Answer[0].Header().Rrtype, ClassIN).kind
		var r Reply
		if !ParseReply(whole, &r) {
			t.Errorf("%s: refused", text)
			continue
		}
		var rec Record
		it := r.Records()
		it.Next(&rec)
		at := rec.Data - 2
		size := binary.BigEndian.Uint16(whole[at:])
		for n := range size {
			cut := bytes.Clone(whole[:rec.Data+int(n)])
			binary.BigEndian.PutUint16(cut[at:], n)
			// miekg/dns takes some cut records, such as an SOA without its numbers.
			fixed := kind == exact || kind == naptr || kind == twoTexts
			if ParseReply(cut, &r) && kind != opaque && (fixed || new(dns.Msg).Unpack(cut) != nil) {
				t.Errorf("%s cut to %d of %d octets: accepted", text, n, size)
			}
		}
		grown := append(bytes.Clone(whole), 0)
		binary.BigEndian.PutUint16(grown[at:], size+1)
		if ParseReply(grown, &r) && kind != open && kind != opaque && kind != texts {
			t.Errorf("%s with one octet more: accepted", text)
		}
	}
}

type replyCase struct {
	name string
	msg  []byte
	want bool
}

func replyCases() []replyCase {
	const qr = FlagQR
	a := "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x01\x02\x03\x04"
	return []replyCase{
		{"empty answer", packet(header(qr, 1, 0, 0, 0), askA), true},
		{"address", packet(header(qr, 1, 1, 0, 0), askA, a), true},
		{"no question", header(qr|1, 0, 0, 0, 0), true},
		{"no question, a record", packet(header(qr, 0, 1, 0, 0), nameWWW, TypeA, ClassIN, "\x00\x00\x00\x01\x00\x041234"), true},
		{"garbage behind", packet(header(qr, 1, 1, 0, 0), askA, a, "garbage"), true},
		{"opt first, then a record", packet(header(qr, 1, 0, 0, 2), askA, optNone, a), true},
		{"owner points to the root", packet(header(qr, 1, 1, 0, 0), askA, "\xc0\x18\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x01\x02\x03\x04"), true},
		{"unknown type, empty", packet(header(qr, 1, 1, 0, 0), askA, "\xc0\x0c\xff\x00\x00\x01\x00\x00\x00\x3c\x00\x00"), true},
		{"chaos address", packet(header(qr, 1, 1, 0, 0), nameWWW, TypeA, ClassCH, "\xc0\x0c", TypeA, ClassCH, "\x00\x00\x00\x3c\x00\x04\xc0\x0c\x01\x02"), true},

		{"a query", packet(header(0, 1, 0, 0, 0), askA), false},
		{"short", header(qr, 0, 0, 0, 0)[:11], false},
		{"two questions", packet(header(qr, 2, 0, 0, 0), askA, askA), false},
		{"question cut", packet(header(qr, 1, 0, 0, 0), askA[:10]), false},
		{"answer cut", packet(header(qr, 1, 1, 0, 0), askA, a[:14]), false},
		{"answer missing", packet(header(qr, 1, 2, 0, 0), askA, a), false},
		{"65535 answers", packet(header(qr, 1, 65535, 0, 0), askA, a), false},
		{"address of 3", packet(header(qr, 1, 1, 0, 0), askA, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x03\x01\x02\x03"), false},
		{"address of 0", packet(header(qr, 1, 1, 0, 0), askA, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x00"), false},
		{"cname leaves its rdata", packet(header(qr, 1, 1, 0, 0), askA, "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\x03web\x00"), false},
		{"cname points at itself", packet(header(qr, 1, 1, 0, 0), askA, "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x29"), false},
		{"owner points forward", packet(header(qr, 1, 1, 0, 0), askA, "\xc0\x24\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x00\x02\x03\x04"), false},
		{"owner in the header", packet(header(qr, 1, 1, 0, 0), askA, "\xc0\x02\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x01\x02\x03\x04"), false},
		{"empty txt", packet(header(qr, 1, 1, 0, 0), askA, "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x00"), false},
		{"txt string too long", packet(header(qr, 1, 1, 0, 0), askA, "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x03\x03ab"), false},
		{"two opts", packet(header(qr, 1, 0, 0, 2), askA, optNone, optNone), false},
		{"opt as answer", packet(header(qr, 1, 1, 0, 0), askA, optNone), false},
		{"opt with an owner", packet(header(qr, 1, 0, 0, 1), askA, "\x01a", optNone), false},
	}
}

func TestParseReplyCases(t *testing.T) {
	for _, tt := range replyCases() {
		t.Run(tt.name, func(t *testing.T) {
			var r Reply
			if got := ParseReply(tt.msg, &r); got != tt.want {
				t.Errorf("ParseReply(%x) = %v, want %v", tt.msg, got, tt.want)
			}
		})
	}
}

// records describes what Iter finds, for comparison with headers.
func records(r *Reply) []string {
	out := []string{}
	var rec Record
	for it := r.Records(); it.Next(&rec); {
		owner, _, _ := AppendName(nil, r.Msg, rec.Owner)
		ttl := binary.BigEndian.Uint32(r.Msg[rec.TTLAt:])
		out = append(out, fmt.Sprintf("%d %q %d %d %d", rec.Section, owner, rec.Type, rec.Class, ttl))
	}
	return out
}

// headers describes the same of a message that miekg/dns read.
func headers(tb testing.TB, m *dns.Msg) []string {
	tb.Helper()
	out := []string{}
	for i, rrs := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range rrs {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT {
				out = append(out, fmt.Sprintf("%d %q %d %d %d", i+1, wireName(tb, h.Name), h.Rrtype, h.Class, h.Ttl))
			}
		}
	}
	return out
}

// plainTypes are those that we and miekg/dns check alike.
func plainType(typ uint16) bool {
	switch typ {
	case TypeA, TypeAAAA, TypeNS, TypeCNAME, TypePTR, TypeSOA, TypeMX, TypeSRV, TypeTXT:
		return true
	}
	return false
}

// sameRules reports whether miekg/dns's message m holds nothing that we refuse
// on purpose or that its packing changes.
func sameRules(m *dns.Msg) bool {
	if !m.Response || len(m.Question) > 1 || !goodOPT(m) {
		return false
	}
	for _, rrs := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range rrs {
			h := rr.Header()
			l := layoutOf(h.Rrtype, h.Class)
			if _, unknown := rr.(*dns.RFC3597); l.kind == opaque && !unknown {
				return false // RFC 3597 §4: no pointers there, but miekg/dns follows them
			}
			if cutName(rr) || h.Rdlength == 0 && l.kind != opaque || h.Rrtype == TypeA && h.Class == ClassCH || l.kind == open || l.kind == parameter || l.kind == bitmap {
				return false
			}
		}
	}
	return true
}

// cutName reports whether a name is missing from rr. miekg/dns takes RDATA that
// ends between two fields.
func cutName(rr dns.RR) bool {
	switch rr := rr.(type) {
	case *dns.SOA:
		return rr.Ns == "" || rr.Mbox == ""
	case *dns.MINFO:
		return rr.Rmail == "" || rr.Email == ""
	case *dns.RP:
		return rr.Mbox == "" || rr.Txt == ""
	case *dns.MX:
		return rr.Mx == ""
	case *dns.AFSDB:
		return rr.Hostname == ""
	case *dns.RT:
		return rr.Host == ""
	case *dns.KX:
		return rr.Exchanger == ""
	case *dns.PX:
		return rr.Map822 == "" || rr.Mapx400 == ""
	case *dns.SRV:
		return rr.Target == ""
	case *dns.NAPTR:
		return rr.Replacement == ""
	}
	return false
}

func seedReplies(f *testing.F) {
	f.Helper()
	for _, c := range replyCases() {
		f.Add(c.msg, uint16(512), byte(0))
	}
	var all []string
	for i, text := range everyType() {
		m := reply(f, "x.", dns.TypeANY, text)
		f.Add(pack(f, m), uint16(512), byte(i))
		all = append(all, text, "ns "+text, "ar "+text)
	}
	m := reply(f, "x.", dns.TypeANY, all...)
	m.SetEdns0(1232, true)
	f.Add(pack(f, m), uint16(1232), byte(1))
	f.Add(pack(f, m), uint16(65535), byte(2))
}

func FuzzParseReply(f *testing.F) {
	seedReplies(f)
	f.Fuzz(func(t *testing.T, msg []byte, _ uint16, _ byte) {
		var r Reply
		ok := ParseReply(msg, &r)
		m := new(dns.Msg)
		err := m.Unpack(msg)
		if ok && err == nil {
			if diff := cmp.Diff(headers(t, m), records(&r)); diff != "" {
				t.Fatalf("records of %x (-miekg +ours):\n%s", msg, diff)
			}
			checkEDNS(t, &r.EDNS, m)
			if r.Rcode != m.Rcode && r.EDNS.Version == 0 {
				t.Fatalf("rcode %d, miekg/dns says %d", r.Rcode, m.Rcode)
			}
			if len(m.Question) == 1 && string(r.Name) != string(wireName(t, m.Question[0].Name)) {
				t.Fatalf("question %q, miekg/dns says %v", r.Name, m.Question)
			}
		}
		if ok && err != nil {
			var rec Record
			plain := len(r.EDNS.Options) == 0
			for it := r.Records(); it.Next(&rec); {
				plain = plain && plainType(rec.Type) && rec.Class == ClassIN
			}
			if plain {
				t.Fatalf("accepted %x, miekg/dns: %v", msg, err)
			}
		}
		if err != nil || !sameRules(m) {
			return
		}
		m.Compress = true
		canonical, err := m.Pack()
		if err != nil {
			return
		}
		if !ParseReply(canonical, &r) {
			t.Fatalf("refused %x, which miekg/dns packed from\n%v", canonical, m)
		}
		if diff := cmp.Diff(headers(t, m), records(&r)); diff != "" {
			t.Fatalf("records of %x (-miekg +ours):\n%s", canonical, diff)
		}
	})
}

// TestNegativeTTL: a negative answer is valid for the smaller of the SOA record's TTL and MINIMUM,
// neither of which counts if its top bit is set.
func TestNegativeTTL(t *testing.T) {
	for _, tt := range []struct{ ttl, minimum, want uint32 }{
		{60, 15, 15},
		{5, 600, 5},
		{0, 600, 0},
		{60, 0, 0},
		{60, 1<<31 - 1, 60},
		{86400, 86400, 86400},
		{60, 1 << 31, 0},
		{60, 1<<32 - 1, 0},
		{1 << 31, 60, 0},
		{1<<32 - 1, 1<<32 - 1, 0},
	} {
		m := reply(t, "www.example.com.", dns.TypeA, fmt.Sprintf("ns example.com. %d IN SOA ns.example.com. host.example.com. 1 2 3 4 %d", tt.ttl, tt.minimum))
		var r Reply
		if !ParseReply(pack(t, m), &r) {
			t.Fatal("refused")
		}
		if soa, ok := r.SOA(r.Name); !ok || soa.TTL != tt.want {
			t.Errorf("TTL %d, MINIMUM %d: %d, want %d", tt.ttl, tt.minimum, soa.TTL, tt.want)
		}
	}
}
