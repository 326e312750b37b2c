package wire

import (
	"testing"

	"github.com/miekg/dns"
)

// Every beginning of a good message is a bad one, and none makes a reader fall
// (lesson of CVE-2015-3294).
func TestEveryCutMessageIsRefused(t *testing.T) {
	q := askQuery(t, "www.example.com.", TypeA, true)
	query := AppendQuery(nil, 1, FlagRD, Subject{Name: q.Name, Type: TypeA, Class: ClassIN}, &OPT{Cookie: make([]byte, 24), Raw: make([]byte, 4)})
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

// Queries of every size up to the largest, by padding (RFC 7830; lesson of
// CVE-2017-13704).
func TestQueriesOfEverySize(t *testing.T) {
	name := []byte(nameWWW)
	for n := 0; n < 65000; n += 1 + n/16 {
		raw := appendOptionHeader(nil, OptionPadding, n)
		raw = append(raw, make([]byte, n)...)
		msg := AppendQuery(nil, 1, FlagRD, Subject{Name: name, Type: TypeA, Class: ClassIN}, nil)
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
func TestPointerChainsAreBounded(t *testing.T) {
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

// A name whose pointers lead back to itself, or forwards, is refused wherever
// it stands: every loop over labels must advance.
func TestPointerLoopIsBounded(t *testing.T) {
	fixed := "\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x01\x02\x03\x04"
	records := len(packet(header(0, 1, 1, 0, 0), askA))
	pointer := func(to int) string { return string([]byte{pointerMark | byte(to>>8), byte(to)}) }
	for name, owner := range map[string]string{
		"to itself":               pointer(records),
		"over a label":            "\x01a" + pointer(records),
		"there and back":          "\x01a" + pointer(records+4) + pointer(records),
		"forwards":                pointer(records + 6),
		"behind the end":          pointer(0x3fff),
		"into the header":         pointer(4),
		"cut":                     "\xc0",
		"through what it follows": "\x01a\x01b" + pointer(records+2),
	} {
		var r Reply
		if ParseReply(packet(header(FlagQR, 1, 1, 0, 0), askA, owner, fixed), &r) {
			t.Errorf("an owner that points %s was accepted", name)
		}
		data := packet(header(FlagQR, 1, 1, 0, 0), askA, "\xc0\x0c", TypeCNAME, ClassIN, "\x00\x00\x00\x3c", uint16(2), pointer(records+12))
		if ParseReply(data, &r) {
			t.Error("an alias that points to itself was accepted")
		}
		var q Query
		if v := ParseQuery(packet(header(0, 1, 0, 0, 0), pointer(HeaderLen), TypeA, ClassIN), &q); v != FormErr {
			t.Errorf("a question that points to itself: %v", v)
		}
	}
}

// A header may claim 65535 records of each kind. What is not there costs
// neither memory nor time (lesson of CVE-2023-49441).
func TestClaimedCountsCostNothing(t *testing.T) {
	for _, counts := range [][4]uint16{{65535, 0, 0, 0}, {1, 65535, 65535, 65535}, {1, 0, 0, 65535}, {0, 65535, 0, 0}} {
		msg := packet(header(FlagQR, counts[0], counts[1], counts[2], counts[3]), askA)
		query := append([]byte(nil), msg...)
		SetFlags(query, 0)
		var r Reply
		var q Query
		if n := testing.AllocsPerRun(10, func() {
			if ParseReply(msg, &r) || ParseQuery(query, &q) != FormErr {
				t.Errorf("counts %v were believed", counts)
			}
		}); n != 0 {
			t.Errorf("counts %v: %v allocations", counts, n)
		}
	}
}

// The blocks of an NSEC bitmap are walked to their end, whatever their lengths
// say (lesson of CVE-2026-4890).
func TestTypeBitmapsEnd(t *testing.T) {
	for bitmap, want := range map[string]bool{
		"\x00\x01\x40": true, "\x00\x01\x40\x01\x01\x80": true,
		"\x00": false, "\x00\x00": false, "\x00\x00\x00\x00": false, "\x00\x21" + string(make([]byte, 33)): false,
		"\x00\x02\x40": false, "\x00\x01\x40\x01": false,
	} {
		msg := packet(header(FlagQR, 1, 0, 1, 0), askA, "\xc0\x0c", TypeNSEC, ClassIN, "\x00\x00\x00\x3c", uint16(1+len(bitmap)), "\x00", bitmap)
		var r Reply
		if got := ParseReply(msg, &r); got != want {
			t.Errorf("bitmap %x: accepted %v", bitmap, got)
		}
	}
}
