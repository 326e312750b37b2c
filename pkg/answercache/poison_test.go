package answercache

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Whatever a reply says about other names, storing it affects only the answer to its own
// question and, if the name does not exist, those for other types of the name.
func TestReplySpeaksForItsQuestionOnly(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	names := []string{"a.z.", "b.z.", "c.y.", "d.z.", "z.", "n.", "h."}
	types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeSOA, dns.TypeNS, dns.TypeANY}
	stored := 0
	for range 3000 {
		c := New(Config{Entries: 100, StaleFor: 100, NegativeTTL: 5})
		asked := ask(t, names[rng.IntN(4)], dns.TypeA)
		m := randomReply(t, rng, asked)
		if !c.Store(asked, parsed(t, m), nil, c.Epoch(), at(0)) {
			continue
		}
		stored++
		got, _ := lookup(t, c, at(0), asked, true)
		absent := got.Rcode == dns.RcodeNameError && len(got.Answer) == 0
		for _, name := range names {
			for _, typ := range types {
				q := ask(t, name, typ)
				_, result := lookup(t, c, at(0), q, true)
				if own := bytes.Equal(q.Name, asked.Name) && (typ == asked.Type || absent); (result != Miss) != own {
					t.Fatalf("the reply to %q: result %d for %s %s", asked.Name, result, name, dns.TypeToString[typ])
				}
			}
		}
	}
	if stored < 500 {
		t.Errorf("only %d of 3000 replies were stored", stored)
	}
}

// Labels are octets: a dot or a zero octet in a label does not make two names equal, and
// escapes do not make a name longer (lesson of CVE-2026-2291).
func TestEscapingDoesNotLengthenNames(t *testing.T) {
	long := strings.Repeat(strings.Repeat(`\000`, 63)+".", 3) + strings.Repeat(`\255`, 61) + "."
	names := []string{`a\.b.example.`, `a.b.example.`, `a\000.b.example.`, `a.`, `a\000.`, `\@.`, "`.", `\065.`, long, `\255` + long[4:]}
	c := New(Config{Entries: 100})
	for i, name := range names {
		q := ask(t, name, a)
		if _, result := lookup(t, c, at(0), q, true); result != Miss && name != `\065.` {
			t.Errorf("%.20q was found before it was stored", name)
		}
		m := message(t, q)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: a, Class: 1, Ttl: 10}, A: []byte{10, 0, 0, byte(i)}}}
		if !c.Store(q, parsed(t, m), nil, c.Epoch(), at(0)) {
			t.Errorf("%.20q was not stored", name)
		}
		if m, _ := lookup(t, c, at(0), q, false); m == nil || m.Answer[0].(*dns.A).A[3] != byte(i) {
			t.Errorf("%.20q: %v", name, m)
		}
	}
	if n := c.Stats().Entries; n != len(names)-1 {
		t.Errorf("%d entries for %d names, of which two are a and A", n, len(names))
	}
}

// Answers of every size, from one record to the largest message, to queries with every limit
// (lessons of CVE-2017-13704 and CVE-2017-14491).
func TestAnswersOfEverySize(t *testing.T) {
	c := New(Config{Entries: 10, Bytes: 1 << 20, RoundRobin: true})
	for n := 1; n < 4090; n += 1 + n/4 {
		q := ask(t, "x.", a)
		q.EDNS = wire.EDNS{Present: true, Size: 1232}
		m := message(t, q)
		for i := range n {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: "x.", Rrtype: a, Class: 1, Ttl: 10}, A: []byte{10, 0, byte(i >> 8), byte(i)}})
		}
		if !c.Store(q, parsed(t, m), nil, c.Epoch(), at(0)) {
			t.Fatalf("%d addresses were not stored", n)
		}
		for _, limit := range []int{0, 512, 513, 1231, 1232, 4096, 65535} {
			out, result := c.Lookup(nil, q, at(1), false)
			if result != Hit {
				t.Fatalf("%d addresses: result %d", n, result)
			}
			out = wire.FinishReply(out, 0, q, limit, &wire.OPT{EDE: wire.Extended(3, "")})
			got := new(dns.Msg)
			if err := got.Unpack(out); err != nil || len(out) > max(limit, 512) {
				t.Fatalf("%d addresses in %d octets: %d octets, %v", n, limit, len(out), err)
			}
			fits := min(n, (max(limit, 512)-12-7-11)/16)
			if len(got.Answer) != fits || got.Truncated != (fits < n) || got.IsEdns0() == nil {
				t.Fatalf("%d addresses in %d octets: %d, want %d; TC %v", n, limit, len(got.Answer), fits, got.Truncated)
			}
		}
	}
}

// A chain of aliases may have 16 links, but not 17.
func TestAliasChainsAreBounded(t *testing.T) {
	for _, links := range []int{15, 16, 17, 40} {
		c := New(Config{Entries: 10, NegativeTTL: 5})
		q := ask(t, "n0.", a)
		var lines []string
		for i := range links {
			lines = append(lines, fmt.Sprintf("n%d. 10 IN CNAME n%d.", i, i+1))
		}
		for _, end := range []string{fmt.Sprintf("n%d. 10 IN A 1.2.3.4", links), "aa"} {
			if got := store(t, c, at(0), q, append(lines[:links:links], end)...); got != (links <= 16) {
				t.Errorf("%d links, then %q: stored %v", links, end, got)
			}
		}
	}
}

// Two questions with the same hash keep their own answers, because whole keys are compared
// (lesson of CVE-2020-25685).
func TestCollidingHashesAreNotMixed(t *testing.T) {
	s := &New(Config{Entries: 10}).shards[0]
	make := func(name string, typ uint16) *entry { return emptyEntry(ask(t, name, typ), 0, 60, at(0)) }
	where := probeOf(7, a) // the same for all questions
	entries := []*entry{make("a.example.", a), make("b.example.", a), make("a.example.", aaaa), make("longer.a.example.", a)}
	for _, e := range entries {
		s.putEntry(e, where, at(0))
	}
	for i, e := range entries {
		if own, nx := s.table.Load().find(e.key(), where, at(1)); own != e || nx != nil {
			t.Errorf("%d: found %q", i, own.key())
		}
	}
	if own, _ := s.table.Load().find(make("c.example.", a).key(), where, at(1)); own != nil {
		t.Errorf("found %q for a name that is not stored", own.key())
	}
}
