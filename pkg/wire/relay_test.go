package wire

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

func parse(tb testing.TB, msg []byte) *Reply {
	tb.Helper()
	r := new(Reply)
	if !ParseReply(msg, r) {
		tb.Fatalf("ParseReply refuses %x", msg)
	}
	return r
}

func manyAddresses(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("www.example.com. 60 IN A 10.0.%d.%d", i/256, i%256))
	}
	return out
}

func TestAppendReply(t *testing.T) {
	answer := reply(t, "www.EXAMPLE.com.", dns.TypeA, "www.EXAMPLE.com. 60 IN A 1.2.3.4", "ar ns.example.com. 7 IN A 1.2.3.5")
	answer.Authoritative, answer.AuthenticatedData, answer.Zero = true, true, true
	answer.SetEdns0(4096, true)
	q := askQuery(t, "WWW.example.com.", TypeA, false)
	q.ID, q.Flags = 7, FlagRD|FlagCD|FlagZ|FlagAD
	r := parse(t, pack(t, answer))

	m := unpack(t, AppendReply(nil, q, r, &Relay{Limit: 512}))
	if m.Id != 7 || m.Question[0].Name != "WWW.example.com." {
		t.Errorf("id %d, question %v: want the client's", m.Id, m.Question)
	}
	if !m.Authoritative || m.AuthenticatedData || m.Zero || !m.CheckingDisabled || !m.RecursionAvailable || m.Truncated {
		t.Errorf("flags %v", m.MsgHdr)
	}
	if m.IsEdns0() != nil {
		t.Error("an OPT leaks to a client without EDNS")
	}
	if diff := cmp.Diff(lines(answer), lines(m)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	q.EDNS = EDNS{Present: true, Size: 1232}
	m = unpack(t, AppendReply(nil, q, r, &Relay{Limit: 1232, MaxTTL: 20, KeepAD: true, OPT: OPT{Size: 1232, EDE: Extended(3, "")}}))
	o := m.IsEdns0()
	if o == nil || o.UDPSize() != 1232 || o.Do() || len(o.Option) != 1 {
		t.Errorf("OPT %v: want our own size, the client's DO", o)
	}
	if !m.AuthenticatedData || m.Answer[0].Header().Ttl != 20 || m.Extra[0].Header().Ttl != 7 {
		t.Errorf("AD kept, answer TTL capped, others not:\n%v", m)
	}
}

// RFC 2181 §8: a TTL with its top bit set is given out as 0, in every section.
func TestAppendReplyHugeTTL(t *testing.T) {
	m := reply(t, "x.", dns.TypeA, "x. 60 IN A 1.2.3.4", "ns x. 60 IN NS y.", "ar y. 60 IN A 1.2.3.4")
	sections := [][]dns.RR{m.Answer, m.Ns, m.Extra}
	for i := range sections {
		sections[i][0].Header().Ttl = 1 << 31
		got := unpack(t, AppendReply(nil, askQuery(t, "x.", TypeA, false), parse(t, pack(t, m)), &Relay{Limit: 512}))
		sections[i][0].Header().Ttl = 60
		for j, rrs := range [][]dns.RR{got.Answer, got.Ns, got.Extra} {
			if ttl, want := rrs[0].Header().Ttl, map[bool]uint32{true: 0, false: 60}[i == j]; ttl != want {
				t.Errorf("section %d huge: TTL of section %d is %d, want %d", i+1, j+1, ttl, want)
			}
		}
	}
}

func TestAppendReplyRcode(t *testing.T) {
	m := reply(t, "x.", dns.TypeA, "x. 60 IN A 192.0.2.1")
	m.SetEdns0(1232, false)
	m.Rcode = dns.RcodeBadVers
	r := parse(t, pack(t, m))
	for _, edns := range []bool{false, true} {
		for _, maxTTL := range []uint32{0, 1} { // copied, and written anew
			got := unpack(t, AppendReply(nil, askQuery(t, "x.", TypeA, edns), r, &Relay{Limit: 512, MaxTTL: maxTTL}))
			if got.Rcode != RcodeServFail {
				t.Errorf("EDNS %v: rcode %d, want SERVFAIL", edns, got.Rcode)
			}
		}
	}
}

// The OPT may stand anywhere in the additional section; names behind it are
// moved, so pointers to them must be too.
func TestAppendReplyOPTInFront(t *testing.T) {
	m := reply(t, "x.", dns.TypeA, "x. 1 IN A 1.2.3.4")
	m.SetEdns0(1232, false)
	m.Extra = append(m.Extra, mustRR(t, "a.b.c. 2 IN MX 1 long.name.d."), mustRR(t, "y.a.b.c. 3 IN A 1.2.3.4"), mustRR(t, "name.d. 4 IN A 1.2.3.4"))
	r := parse(t, pack(t, m))
	for _, edns := range []bool{false, true} {
		got := unpack(t, AppendReply(nil, askQuery(t, "x.", TypeA, edns), r, &Relay{Limit: 512}))
		if diff := cmp.Diff(lines(m), lines(got)); diff != "" {
			t.Errorf("EDNS %v (-want +got):\n%s", edns, diff)
		}
		if (got.IsEdns0() != nil) != edns {
			t.Errorf("EDNS %v: OPT %v", edns, got.IsEdns0())
		}
	}
}

// RFC 2181 §9: TC says that something required is missing, not that something
// was left out.
func TestTruncation(t *testing.T) {
	const soa = "ns example.com. 60 IN SOA ns.example.com. host.example.com. 1 2 3 4 5"
	glue := []string{"ar ns.example.com. 1 IN A 1.1.1.1", "ar ns.example.com. 1 IN A 1.1.1.2", "ar ns.example.com. 1 IN A 1.1.1.3"}
	tests := []struct {
		name                string
		records             []string
		edns                bool
		limit               int
		an, ns, ar          int
		wantTC              bool
		roomForOneMoreGlued bool
	}{
		{name: "all fits", records: manyAddresses(29), limit: 512, an: 29},
		{name: "answers cut", records: manyAddresses(30), limit: 512, an: 29, wantTC: true},
		{name: "answers cut, opt kept", records: manyAddresses(30), edns: true, limit: 512, an: 29, wantTC: true},
		{name: "larger limit", records: manyAddresses(90), edns: true, limit: 1232, an: 74, wantTC: true},
		{name: "glue left out", records: append(manyAddresses(29), glue...), limit: 512, an: 29},
		{name: "half an RRset of glue is not given", records: append(manyAddresses(27), glue...), limit: 512, an: 27},
		{name: "NS beside an answer left out", records: append(manyAddresses(29), "ns example.com. 1 IN NS ns.example.com."), limit: 512, an: 29},
		{name: "SOA beside an answer is required", records: append(manyAddresses(29), soa), limit: 512, an: 29, wantTC: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := askQuery(t, "www.example.com.", TypeA, tt.edns)
			msg := pack(t, reply(t, "www.example.com.", dns.TypeA, tt.records...))
			finished := bytes.Clone(msg)
			for how, out := range map[string][]byte{
				"relay":  AppendReply(nil, q, parse(t, msg), &Relay{Limit: tt.limit}),
				"finish": FinishReply(append([]byte("kept"), finished...), 4, q, tt.limit, &OPT{})[4:],
			} {
				m := unpack(t, out)
				opts, _ := opts(m)
				if len(out) > tt.limit || m.Truncated != tt.wantTC || len(m.Answer) != tt.an || len(m.Ns) != tt.ns || len(m.Extra)-len(opts) != tt.ar || (len(opts) == 1) != tt.edns {
					t.Errorf("%s: %d octets, TC %v, %d+%d+%d records, %d OPT", how, len(out), m.Truncated, len(m.Answer), len(m.Ns), len(m.Extra), len(opts))
				}
			}
		})
	}
}

// An upstream that does not compress costs the client no records.
func TestAppendReplyCompresses(t *testing.T) {
	m := reply(t, "www.example.com.", dns.TypeA, manyAddresses(29)...)
	m.Compress = false
	out := AppendReply(nil, askQuery(t, "www.example.com.", TypeA, false), parse(t, pack(t, m)), &Relay{Limit: 512})
	if got := unpack(t, out); len(got.Answer) != 29 || got.Truncated {
		t.Errorf("%d records, TC %v, want all 29", len(got.Answer), got.Truncated)
	}
}

func TestAppendReplyAllocs(t *testing.T) {
	small := parse(t, pack(t, reply(t, "www.example.com.", dns.TypeA, manyAddresses(3)...)))
	large := parse(t, pack(t, reply(t, "www.example.com.", dns.TypeA, manyAddresses(90)...)))
	q := askQuery(t, "www.example.com.", TypeA, true)
	query := AppendQuery(nil, 1, FlagRD, Subject{Name: q.Name, Type: TypeA, Class: ClassIN}, &OPT{Cookie: []byte("clientck")})
	buf := make([]byte, 0, 4096)
	msg := bytes.Clone(large.Msg)
	tests := map[string]func(){
		"copied":  func() { AppendReply(buf, q, small, &Relay{Limit: 1232, MaxTTL: 5}) },
		"rebuilt": func() { AppendReply(buf, q, large, &Relay{Limit: 1232, MaxTTL: 5}) },
		"finish":  func() { FinishReply(append(buf, msg...), 0, q, 1232, &OPT{EDE: Extended(3, "x")}) },
		"error":   func() { AppendError(buf, q, RcodeServFail, OPT{EDE: Extended(23, "timeout")}) },
		"query": func() {
			AppendQuery(buf, 1, FlagRD, Subject{Name: q.Name, Type: TypeA, Class: ClassIN}, &OPT{DO: true})
		},
		"parse":      func() { var r Reply; ParseReply(msg, &r); r.SOA(q.Name) },
		"parseQuery": func() { var q Query; ParseQuery(query, &q) },
	}
	for name, f := range tests {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

// FuzzRelay passes any reply on and holds the result to the limit, to the
// client's question and, where all of it fits, to the upstream's records.
func FuzzRelay(f *testing.F) {
	seedReplies(f)
	f.Fuzz(func(t *testing.T, msg []byte, limit uint16, how byte) {
		var r Reply
		if !ParseReply(msg, &r) {
			return
		}
		q := &Query{ID: 9, Flags: FlagRD, Name: bytes.ToUpper([]byte(nameWWW)), Type: r.Type, Class: r.Class}
		if r.Name != nil {
			q.Name = dnsname.AppendLower(nil, r.Name)
		}
		if how&1 != 0 {
			q.EDNS = EDNS{Present: true, Size: limit, DO: how&2 != 0}
		}
		o := &Relay{Limit: int(limit), OPT: OPT{EDE: Extended(uint16(how), "text"), Cookie: make([]byte, how&16)}}
		out := AppendReply([]byte("kept"), q, &r, o)[4:]
		if len(out) > max(int(limit), MinPayload) {
			t.Fatalf("%d octets, limit %d", len(out), limit)
		}
		var got Reply
		if !ParseReply(out, &got) || len(got.Msg) != len(out) {
			t.Fatalf("the relayed reply %x is malformed", out)
		}
		if got.ID != 9 || !got.Answers(q) || string(got.Name) != string(q.Name) || got.EDNS.Present != q.EDNS.Present {
			t.Fatalf("the relayed reply is not the client's: %+v", got)
		}
		m, want := new(dns.Msg), new(dns.Msg)
		if want.Unpack(msg) != nil || !sameRules(want) {
			return
		}
		if err := m.Unpack(out); err != nil {
			t.Fatalf("miekg/dns reads %x but not %x: %v", msg, out, err)
		}
		kept, sent := lines(m), lines(want)
		if len(kept) > len(sent) {
			t.Fatalf("%d records became %d", len(sent), len(kept))
		}
		if diff := cmp.Diff(sent[:len(kept)], kept); diff != "" {
			t.Fatalf("records (-sent +kept):\n%s", diff)
		}
		if len(m.Answer) < len(want.Answer) && !m.Truncated {
			t.Fatalf("answers are missing without TC")
		}
		// The same message once more, through the shorter way of stored answers.
		done := FinishReply(bytes.Clone(r.Msg), 0, &Query{}, int(limit), nil)
		if r.optEnd == 0 && (len(done) > max(int(limit), MinPayload) || m.Unpack(done) != nil) {
			t.Fatalf("FinishReply made %x of %x", done, r.Msg)
		}
	})
}

// FuzzFinishReply is in FuzzRelay; this checks that what fits stays as it is.
func TestFinishReplyKeeps(t *testing.T) {
	msg := pack(t, reply(t, "www.example.com.", dns.TypeA, manyAddresses(3)...))
	if got := FinishReply(bytes.Clone(msg), 0, &Query{}, 512, nil); !bytes.Equal(got, msg) {
		t.Errorf("got %x, want %x", got, msg)
	}
}
