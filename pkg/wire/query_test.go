package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// longName returns a name of exactly n octets.
func longName(n int) string {
	var b strings.Builder
	for n > 65 {
		b.WriteString("\x3f" + strings.Repeat("a", 63))
		n -= 64
	}
	b.WriteByte(byte(n - 2))
	b.WriteString(strings.Repeat("b", n-2))
	b.WriteByte(0)
	return b.String()
}

type queryCase struct {
	name   string
	packet []byte
	want   Verdict
}

func queryCases() []queryCase {
	const rd = FlagRD
	opt := func(owner, size, ext, options string) string {
		return owner + "\x00\x29" + size + ext + string(packet(uint16(len(options)))) + options
	}
	cookie := func(n int) string { return "\x00\x0a" + string(packet(uint16(n))) + strings.Repeat("c", n) }
	with := func(opts ...string) []byte {
		return packet(header(rd, 1, 0, 0, uint16(len(opts))), askA, strings.Join(opts, ""))
	}
	return []queryCase{
		{"plain", packet(header(rd, 1, 0, 0, 0), askA), Accept},
		{"root", packet(header(rd, 1, 0, 0, 0), 0, TypeNS, ClassIN), Accept},
		{"any class any type", packet(header(rd, 1, 0, 0, 0), nameWWW, TypeANY, ClassANY), Accept},
		{"axfr is a value", packet(header(0, 1, 0, 0, 0), nameWWW, TypeAXFR, ClassIN), Accept},
		{"type 0 class 0", packet(header(0, 1, 0, 0, 0), nameWWW, uint16(0), uint16(0)), Accept},
		{"aa tc z rcode set", packet(header(rd|FlagAA|FlagTC|FlagZ|5, 1, 0, 0, 0), askA), Accept},
		{"octets of any value in labels", packet(header(rd, 1, 0, 0, 0), "\x05a\x00.\xff \x00", TypeA, ClassIN), Accept},
		{"label of 63", packet(header(rd, 1, 0, 0, 0), 63, strings.Repeat("x", 63), 0, TypeA, ClassIN), Accept},
		{"name of 255", packet(header(rd, 1, 0, 0, 0), longName(255), TypeA, ClassIN), Accept},
		{"name of 256", packet(header(rd, 1, 0, 0, 0), longName(256), TypeA, ClassIN), FormErr},
		{"name of 580", packet(header(rd, 1, 0, 0, 0), longName(580), TypeA, ClassIN), FormErr},

		{"empty", nil, Drop},
		{"11 octets", header(rd, 1, 0, 0, 0)[:11], Drop},
		{"response", packet(header(FlagQR|rd, 1, 0, 0, 0), askA), Drop},
		{"response of another opcode", packet(header(FlagQR|5<<11, 1, 0, 0, 0), askA), Drop},
		{"short response", header(FlagQR, 0, 0, 0, 0), Drop},

		{"status", packet(header(2<<11, 1, 0, 0, 0), askA), NotImp},
		{"notify with a record", packet(header(4<<11, 1, 1, 0, 0), askA, nameWWW, TypeA, ClassIN, "\x00\x00\x00\x00", uint16(0)), NotImp},
		{"update without a zone", header(5<<11, 0, 0, 0, 0), NotImp},
		{"dso", header(6<<11, 0, 0, 0, 0), NotImp},
		{"opcode 15, cut", packet(header(15<<11, 1, 0, 0, 0), "\x09cut"), NotImp},

		{"no question", header(rd, 0, 0, 0, 0), FormErr},
		{"no question, plain opt", packet(header(rd, 0, 0, 0, 1), optNone), FormErr},
		{"no question, cookie", packet(header(rd, 0, 0, 0, 1), opt("\x00", "\x04\xd0", "\x00\x00\x00\x00", cookie(8))), CookieOnly},
		{"two questions", packet(header(rd, 2, 0, 0, 0), askA, askA), FormErr},
		{"two questions, one present", packet(header(rd, 2, 0, 0, 0), askA), FormErr},
		{"65535 questions", packet(header(rd, 65535, 0, 0, 0), askA), FormErr},

		{"label passes the end", packet(header(rd, 1, 0, 0, 0), "\x20www"), FormErr},
		{"name without its end", packet(header(rd, 1, 0, 0, 0), "\x03www"), FormErr},
		{"no type", packet(header(rd, 1, 0, 0, 0), nameWWW), FormErr},
		{"no class", packet(header(rd, 1, 0, 0, 0), nameWWW, TypeA), FormErr},
		{"half a class", packet(header(rd, 1, 0, 0, 0), nameWWW, TypeA, 0), FormErr},
		{"pointer to itself", packet(header(rd, 1, 0, 0, 0), "\xc0\x0c", TypeA, ClassIN), FormErr},
		{"pointer into the header", packet(header(rd, 1, 0, 0, 0), "\xc0\x04", TypeA, ClassIN), FormErr},
		{"pointer forward", packet(header(rd, 1, 0, 0, 0), "\x01a\xc0\x12", TypeA, ClassIN, nameWWW), FormErr},
		{"label type 01", packet(header(rd, 1, 0, 0, 0), "\x41", strings.Repeat("a", 65), 0, TypeA, ClassIN), FormErr},
		{"label type 10", packet(header(rd, 1, 0, 0, 0), "\x81", strings.Repeat("a", 200), 0, TypeA, ClassIN), FormErr},

		{"trailing garbage", packet(header(rd, 1, 0, 0, 0), askA, "garbage"), Accept},
		{"one answer", packet(header(rd, 1, 1, 0, 0), askA, "\xc0\x0c", TypeA, ClassIN, "\x00\x00\x00\x01\x00\x041234"), Accept},
		{"two answers", packet(header(rd, 1, 2, 0, 0), askA,
			strings.Repeat("\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x041234", 2)), FormErr},
		{"ixfr", packet(header(0, 1, 0, 1, 0), nameWWW, TypeIXFR, ClassIN, "\xc0\x0c", TypeSOA, ClassIN, "\x00\x00\x00\x01\x00\x02??"), Accept},
		{"answer counted, not there", packet(header(rd, 1, 1, 0, 0), askA), FormErr},
		{"additional counted, not there", packet(header(rd, 1, 0, 0, 1), askA), FormErr},
		{"additional not opt", packet(header(rd, 1, 0, 0, 1), askA, "\xc0\x0c", TypeA, ClassIN, "\x00\x00\x00\x01\x00\x041234"), Accept},
		{"opt and tsig", packet(header(rd, 1, 0, 0, 2), askA, optNone, "\x03key\x00", TypeTSIG, ClassANY, "\x00\x00\x00\x00\x00\x02??"), Accept},
		{"three additionals", with(optNone, "\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00", "\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00"), FormErr},
		{"record passes the end", packet(header(rd, 1, 0, 0, 1), askA, "\xc0\x0c", TypeA, ClassIN, "\x00\x00\x00\x01\x00\x05", "1234"), FormErr},
		{"record name loops", packet(header(rd, 1, 0, 0, 1), askA, "\xc0\x1d", TypeA, ClassIN, "\x00\x00\x00\x01\x00\x04", "1234"), FormErr},

		{"opt", with(optNone), Accept},
		{"opt do", with(opt("\x00", "\x10\x00", "\x00\x00\x80\x00", "")), Accept},
		{"opt size 0", with(opt("\x00", "\x00\x00", "\x00\x00\x00\x00", "")), Accept},
		{"opt with extended rcode", with(opt("\x00", "\x10\x00", "\x07\x00\x00\x00", "")), Accept},
		{"two opts", with(optNone, optNone), FormErr},
		{"opt with an owner", with(opt("\x01a\x00", "\x10\x00", "\x00\x00\x00\x00", "")), FormErr},
		{"opt whose owner is a pointer to a root", with(opt("\xc0\x18", "\x10\x00", "\x00\x00\x00\x00", "")), FormErr},
		{"opt cut", with(optNone[:9]), FormErr},
		{"opt as answer", packet(header(rd, 1, 1, 0, 0), askA, optNone), FormErr},
		{"opt version 1", with(opt("\x00", "\x10\x00", "\x00\x01\x00\x00", "")), BadVers},
		{"opt version 255, options unreadable", with(opt("\x00", "\x10\x00", "\x00\xff\x00\x00", "\x00")), BadVers},
		{"opt version 1, no question", packet(header(rd, 0, 0, 0, 1), opt("\x00", "\x10\x00", "\x00\x01\x00\x00", "")), BadVers},
		{"option", with(opt("\x00", "\x10\x00", "\x00\x00\x00\x00", "\x00\x08\x00\x03abc")), Accept},
		{"option header cut", with(opt("\x00", "\x10\x00", "\x00\x00\x00\x00", "\x00\x08\x00")), FormErr},
		{"option passes the end", with(opt("\x00", "\x10\x00", "\x00\x00\x00\x00", "\x00\x08\x00\x04abc")), FormErr},
		{"cookie 7", with(opt("\x00", "\x10\x00", "\x00\x00\x00\x00", cookie(7))), FormErr},
		{"cookie 8", with(opt("\x00", "\x10\x00", "\x00\x00\x00\x00", cookie(8))), Accept},
		{"cookie 9", with(opt("\x00", "\x10\x00", "\x00\x00\x00\x00", cookie(9))), FormErr},
		{"cookie 15", with(opt("\x00", "\x10\x00", "\x00\x00\x00\x00", cookie(15))), FormErr},
		{"cookie 16", with(opt("\x00", "\x10\x00", "\x00\x00\x00\x00", cookie(16))), Accept},
		{"cookie 40", with(opt("\x00", "\x10\x00", "\x00\x00\x00\x00", cookie(40))), Accept},
		{"cookie 41", with(opt("\x00", "\x10\x00", "\x00\x00\x00\x00", cookie(41))), FormErr},
		{"second cookie not looked at", with(opt("\x00", "\x10\x00", "\x00\x00\x00\x00", cookie(8)+cookie(3))), Accept},
	}
}

func TestParseQueryVerdict(t *testing.T) {
	for _, tt := range queryCases() {
		t.Run(tt.name, func(t *testing.T) {
			var q Query
			if got := ParseQuery(tt.packet, &q); got != tt.want {
				t.Errorf("ParseQuery(%x) = %v, want %v", tt.packet, got, tt.want)
			}
		})
	}
}

func TestParseQueryFields(t *testing.T) {
	msg := packet(header(FlagRD|FlagCD, 1, 0, 0, 1), "\x03WwW\x07example\x00", TypeAAAA, ClassCH,
		0, TypeOPT, uint16(100), "\x00\x00\x80\x00", uint16(4+16+4+2),
		OptionCookie, uint16(16), "clientckserverck", OptionNSID, uint16(2), "id", "trailing")
	var q Query
	if v := ParseQuery(msg, &q); v != Accept {
		t.Fatalf("ParseQuery = %v", v)
	}
	if q.ID != 0x1234 || q.Flags != FlagRD|FlagCD || q.Type != TypeAAAA || q.Class != ClassCH {
		t.Errorf("got %+v", q)
	}
	if string(q.Name) != "\x03WwW\x07example\x00" {
		t.Errorf("Name = %q: the spelling must stay", q.Name)
	}
	if q.QuestionEnd != HeaderLen+17 || q.End != len(msg)-len("trailing") {
		t.Errorf("QuestionEnd = %d, End = %d", q.QuestionEnd, q.End)
	}
	e := q.EDNS
	if !e.Present || !e.DO || e.Size != 512 || string(e.ClientCookie) != "clientck" {
		t.Errorf("EDNS = %+v: want DO, size 100 read as 512, the client cookie", e)
	}
	if id, ok := Option(e.Options, OptionNSID); !ok || string(id) != "id" {
		t.Errorf("Option(NSID) = %q, %v", id, ok)
	}
	if _, ok := Option(e.Options, OptionECS); ok {
		t.Error("Option(ECS) found one")
	}
}

func TestReplyLimit(t *testing.T) {
	tests := []struct {
		name string
		edns EDNS
		ours int
		want int
	}{
		{"no edns", EDNS{}, 1232, 512},
		{"client smaller", EDNS{Present: true, Size: 600}, 1232, 600},
		{"client larger", EDNS{Present: true, Size: 4096}, 1232, 1232},
		{"ours below the minimum", EDNS{Present: true, Size: 4096}, 100, 512},
		{"more than UDP can carry", EDNS{Present: true, Size: 65535}, 65535, 65507},
	}
	for _, tt := range tests {
		q := Query{EDNS: tt.edns}
		if got := q.ReplyLimit(tt.ours); got != tt.want {
			t.Errorf("%s: ReplyLimit(%d) = %d, want %d", tt.name, tt.ours, got, tt.want)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, c := range queryCases() {
		f.Add(c.packet)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		before := bytes.Clone(msg)
		var q Query
		v := ParseQuery(msg, &q)
		if !bytes.Equal(before, msg) {
			t.Fatal("ParseQuery changed the packet")
		}
		if v == Drop {
			return
		}
		checkErrorReply(t, &q, v)
		m := new(dns.Msg)
		err := m.Unpack(msg)
		if v == Accept {
			if err != nil {
				// miekg/dns looks into every record, we only at their bounds.
				if Count(msg, Answer)+Count(msg, Authority)+Count(msg, Additional) == 0 {
					t.Fatalf("accepted %x, miekg/dns: %v", msg, err)
				}
				return
			}
			checkQuestion(t, &q, m)
			checkEDNS(t, &q.EDNS, m)
			return
		}
		if err != nil {
			return
		}
		// What miekg/dns reads and our rules allow must be accepted once its
		// counts and pointers are honest.
		if len(m.Question) != 1 || m.Opcode != dns.OpcodeQuery || len(m.Answer) > 1 || len(m.Ns) > 1 || len(m.Extra) > 2 || !goodOPT(m) {
			return
		}
		canonical, err := m.Pack()
		if err != nil {
			return
		}
		if got := ParseQuery(canonical, &q); got != Accept {
			t.Fatalf("%v for %x, which miekg/dns packed from\n%v", got, canonical, m)
		}
		checkQuestion(t, &q, m)
	})
}

func checkQuestion(t *testing.T, q *Query, m *dns.Msg) {
	t.Helper()
	mq := m.Question[0]
	if name := wireName(t, mq.Name); !bytes.Equal(name, q.Name) || mq.Qtype != q.Type || mq.Qclass != q.Class {
		t.Fatalf("question %q %d %d, miekg/dns says %v", q.Name, q.Type, q.Class, mq)
	}
	if q.ID != m.Id || q.Flags&FlagRD != 0 != m.RecursionDesired || q.Flags&FlagCD != 0 != m.CheckingDisabled {
		t.Fatalf("header %+v, miekg/dns says %v", q, m.MsgHdr)
	}
}

// checkErrorReply holds every error reply to what a client may expect.
func checkErrorReply(t *testing.T, q *Query, v Verdict) {
	t.Helper()
	out := AppendError([]byte("prefix"), q, v.Rcode(), OPT{EDE: Extended(EDEOther, "why")})
	m := unpack(t, out[len("prefix"):])
	wantQuestions := 0
	if q.Name != nil {
		wantQuestions = 1
		checkQuestion(t, q, m)
	}
	if !m.Response || m.Id != q.ID || m.Opcode != q.Opcode() || m.Rcode != v.Rcode() || len(m.Question) != wantQuestions {
		t.Fatalf("error reply for %+v:\n%v", q, m)
	}
	if o := m.IsEdns0(); (o != nil) != q.EDNS.Present || o != nil && (o.Version() != 0 || o.Do() != q.EDNS.DO) {
		t.Fatalf("error reply for %+v has OPT %v", q, o)
	}
}

func TestAppendErrorVerdicts(t *testing.T) {
	for _, c := range queryCases() {
		t.Run(c.name, func(t *testing.T) {
			var q Query
			if v := ParseQuery(c.packet, &q); v != Drop {
				checkErrorReply(t, &q, v)
			}
		})
	}
}

func TestAppendErrorFlags(t *testing.T) {
	q := Query{ID: 7, Flags: FlagRD | FlagCD | FlagZ | FlagAD | FlagAA | FlagTC | 9, Name: []byte(nameWWW), Type: TypeA, Class: ClassIN}
	if got, want := Flags(AppendError(nil, &q, RcodeRefused, OPT{})), FlagQR|FlagRD|FlagRA|FlagCD|RcodeRefused; got != want {
		t.Errorf("flags %#x, want %#x: only opcode, RD and CD come from the query", got, want)
	}
	if got, want := Flags(AppendTruncated(nil, &q, OPT{})), FlagQR|FlagRD|FlagRA|FlagCD|FlagTC; got != want {
		t.Errorf("truncated flags %#x, want %#x", got, want)
	}
	if got := Rcode(Flags(AppendError(nil, &q, RcodeBadCookie, OPT{}))); got != RcodeServFail {
		t.Errorf("rcode 23 without an OPT became %d, want SERVFAIL", got)
	}
}

func TestAppendQuery(t *testing.T) {
	opt := &OPT{Size: 1232, DO: true, Cookie: []byte("clientck")}
	out := AppendQuery(nil, 99, FlagRD|FlagCD|FlagZ|FlagTC, Subject{Name: []byte(nameWWW), Type: TypeA, Class: ClassIN}, opt)
	var q Query
	if v := ParseQuery(out, &q); v != Accept {
		t.Fatalf("own query: %v", v)
	}
	if q.ID != 99 || q.Flags != FlagRD|FlagCD || q.End != len(out) || !q.EDNS.DO || string(q.EDNS.ClientCookie) != "clientck" {
		t.Errorf("own query: %+v", q)
	}
	checkEDNS(t, &q.EDNS, unpack(t, out))
	out = AppendQuery(nil, 99, 0, Subject{Name: []byte(nameWWW), Type: TypeA, Class: ClassIN}, nil)
	if ParseQuery(out, &q) != Accept || q.EDNS.Present {
		t.Errorf("query without OPT: %+v", q)
	}
}
