package answercache

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// FuzzStore stores any reply that parses. The cached answer must be a whole message for the
// client; miekg/dns must be able to unpack it if it can unpack the reply; it must hold only
// records of the reply, with TTLs that never rise, and no records of names outside the chain of
// the question.
func FuzzStore(f *testing.F) {
	seeds := [][]string{
		{"www.example. 10 IN A 1.2.3.4", "www.example. 5 IN A 1.2.3.5"},
		{"www.example. 10 IN CNAME b.", "b. 10 IN A 1.2.3.4", "victim. 10 IN A 6.6.6.6"},
		{"nxdomain", "ns example. 60 IN SOA n. h. 1 2 3 4 15", "ns a.example. 9 IN NSEC z.example. A"},
		{"www.example. 10 IN RRSIG A 8 1 10 20300101000000 20200101000000 1 example. AQPS", "www.example. 10 IN A 1.2.3.4"},
		{"www.example. 10 IN MX 1 m.example.", "www.example. 10 IN SRV 1 2 3 s.example.", "ar s.example. 1 IN A 1.2.3.4"},
	}
	for i, lines := range seeds {
		packed, err := message(f, ask(f, "www.example.", a), lines...).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed, byte(i), uint16(i))
	}
	cache := New(Config{Entries: 100, RoundRobin: true, NegativeTTL: 5, StaleFor: 10, MinTTL: 1})
	f.Fuzz(func(t *testing.T, msg []byte, how byte, age uint16) {
		var r wire.Reply
		if !wire.ParseReply(msg, &r) || r.Name == nil {
			return
		}
		before := bytes.Clone(msg)
		q := &wire.Query{ID: 7, Flags: wire.FlagRD, Name: bytes.ToUpper(r.Name), Type: r.Type, Class: r.Class}
		if !wire.EqualNames(q.Name, r.Name) {
			q.Name = r.Name // ToUpper has changed an octet that is not a letter
		}
		q.EDNS.DO = how&1 != 0
		cache.Clear()
		stored := cache.Store(q, &r, nil, cache.Epoch(), at(0))
		if !bytes.Equal(before, msg) {
			t.Fatal("Store changed the reply")
		}
		var last []uint32
		for _, now := range []int64{at(0), at(0), at(1), at(float64(1 + age%100)), at(1e6)} {
			out, result := cache.Lookup(nil, q, now, false)
			if !stored && result != Miss || (result == Hit) != (out != nil) {
				t.Fatalf("stored %v, result %d, %x", stored, result, out)
			}
			if result == Hit {
				last = checkAnswer(t, &r, q, out, last)
			}
		}
	})
}

// checkAnswer checks the rules for one answer and returns its TTLs.
func checkAnswer(t *testing.T, r *wire.Reply, q *wire.Query, out []byte, last []uint32) []uint32 {
	t.Helper()
	var got wire.Reply
	if !wire.ParseReply(out, &got) || len(got.Msg) != len(out) {
		t.Fatalf("a stored answer is malformed: %x", out)
	}
	if got.ID != q.ID || !got.Answers(q) || string(got.Name) != string(q.Name) || got.EDNS.Present || got.Truncated() || got.Rcode != r.Rcode {
		t.Fatalf("a stored answer is not the client's: %x", out)
	}
	if new(dns.Msg).Unpack(r.Msg) == nil {
		if err := new(dns.Msg).Unpack(out); err != nil {
			t.Fatalf("miekg/dns reads %x but not %x: %v", r.Msg, out, err)
		}
	}
	var ttls []uint32
	var rec wire.Record
	allowed := map[string]bool{string(dnsname.AppendLower(nil, q.Name)): true}
	for it := got.Records(); it.Next(&rec); {
		owner, _, _ := wire.AppendCanonicalName(nil, got.Msg, rec.Owner)
		switch {
		case rec.Section == wire.Answer && rec.Type == wire.TypeDNAME && !allowed[string(owner)]:
		case rec.Section == wire.Answer && !allowed[string(owner)]:
			t.Fatalf("a record of %q in the answer to %q", owner, q.Name)
		case rec.Section == wire.Authority && rec.Type != wire.TypeSOA && !q.EDNS.DO, rec.Section == wire.Additional:
			t.Fatalf("section %d holds type %d", rec.Section, rec.Type)
		}
		if rec.Type == wire.TypeCNAME && rec.Section == wire.Answer {
			target, _, _ := wire.AppendCanonicalName(nil, got.Msg, rec.Data)
			allowed[string(target)] = true
		}
		ttls = append(ttls, binary.BigEndian.Uint32(out[rec.TTLAt:]))
	}
	sent := wire.Count(r.Msg, wire.Answer) + wire.Count(r.Msg, wire.Authority)
	if len(ttls) > sent || last != nil && len(last) != len(ttls) {
		t.Fatalf("%d records became %d, then %d", sent, len(last), len(ttls))
	}
	for i := range last {
		if ttls[i] > last[i] {
			t.Fatalf("TTLs rise from %v to %v", last, ttls)
		}
	}
	return ttls
}
