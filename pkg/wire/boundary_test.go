package wire

import (
	"testing"

	"github.com/miekg/dns"
)

// Every beginning of a good message is a bad one, and none makes a reader fall
// (lessons of CVE-2015-3294 and CVE-2017-13704).
func TestEveryPrefix(t *testing.T) {
	q := askQuery(t, "www.example.com.", TypeA, true)
	query := AppendQuery(nil, 1, FlagRD, q.Name, TypeA, ClassIN, &OPT{Cookie: make([]byte, 24), Raw: make([]byte, 4)})
	for n := range query {
		var got Query
		want := FormErr
		if n < HeaderLen {
			want = Drop
		}
		if v := ParseQuery(query[:n], &got); v != want {
			t.Errorf("query cut to %d of %d octets: %v, want %v", n, len(query), v, want)
		}
	}
	m := reply(t, "x.", dns.TypeANY, everyType()...)
	m.SetEdns0(1232, true)
	msg := pack(t, m)
	var r Reply
	for n := range msg {
		if ParseReply(msg[:n], &r) {
			t.Errorf("reply cut to %d of %d octets was accepted", n, len(msg))
		}
	}
	if !ParseReply(msg, &r) || len(records(&r)) != len(everyType()) {
		t.Error("the whole reply was refused")
	}
}

// Queries of every size up to the largest, by padding (RFC 7830).
func TestEveryQuerySize(t *testing.T) {
	name := []byte(nameWWW)
	for n := 0; n < 65000; n += 1 + n/16 {
		raw := appendOptionHeader(nil, OptionPadding, n)
		raw = append(raw, make([]byte, n)...)
		msg := AppendQuery(nil, 1, FlagRD, name, TypeA, ClassIN, nil)
		SetCount(msg, Additional, 1)
		msg = appendOPT(msg, &OPT{Raw: raw}, 0, false, MaxMessage)
		var q Query
		if v := ParseQuery(msg, &q); v != Accept || q.End != len(msg) || len(q.EDNS.Options) != len(raw) {
			t.Fatalf("query with %d octets of padding: %v, end %d of %d", n, v, q.End, len(msg))
		}
	}
}

// Options that are too large for what is left are left out, not cut, and the
// message keeps its limit (lesson of CVE-2017-14495 and CVE-2017-14496).
func TestOPTNeverExceedsLimit(t *testing.T) {
	q := askQuery(t, "www.example.com.", TypeA, true)
	q.EDNS.ClientCookie = make([]byte, 8)
	msg := pack(t, reply(t, "www.example.com.", dns.TypeA, manyAddresses(60)...))
	for _, cookie := range []int{8, 16, 17, 24, 39, 40} {
		for text := 0; text < 1000; text += 37 {
			opt := OPT{Cookie: make([]byte, cookie), EDE: Extended(0, string(make([]byte, text))), Raw: appendOptionHeader(nil, OptionKeepalive, 0)}
			for _, limit := range []int{512, 555, 990, 1020, 1232} {
				for how, out := range map[string][]byte{
					"relay":  AppendReply(nil, q, parse(t, msg), &Relay{Limit: limit, OPT: opt}),
					"finish": FinishReply(append([]byte(nil), msg...), 0, q, limit, &opt),
				} {
					if r := parse(t, out); len(out) > limit || !r.EDNS.Present {
						t.Fatalf("%s: %d octets, limit %d", how, len(out), limit)
					}
				}
			}
		}
	}
}

// Hostile names cost a bounded number of steps: a message full of records
// whose owners are the longest chains of pointers is read in one pass.
func TestPointerChains(t *testing.T) {
	msg := packet(header(FlagQR, 1, 0, 0, 0), askA)
	// A TXT record's strings hold the chain: each pointer means the one before.
	const links = 126
	chain := []byte{0}
	at := len(msg) + 2 + recordHead + 1
	for range links - 1 {
		prev := at + len(chain) - 2
		if len(chain) == 1 {
			prev = at
		}
		chain = append(chain, pointerMark|byte(prev>>8), byte(prev))
	}
	msg = packet(msg, "\xc0\x0c", TypeTXT, ClassIN, "\x00\x00\x00\x00", uint16(len(chain)+1), len(chain), chain)
	last := at + len(chain) - 2
	n := 1
	for len(msg) < 60000 {
		msg = packet(msg, uint16(0xc000|last), TypeA, ClassIN, "\x00\x00\x00\x00\x00\x041234")
		n++
	}
	SetCount(msg, Answer, n)
	var r Reply
	if !ParseReply(msg, &r) {
		t.Fatal("refused")
	}
	out := AppendReply(nil, &Query{Name: []byte(nameWWW), Type: TypeA, Class: ClassIN}, &r, &Relay{Limit: 512})
	if got := parse(t, out); !got.Truncated() {
		t.Error("not truncated")
	}
}
