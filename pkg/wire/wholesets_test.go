package wire

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

// TestWholeRRsets: an answer that is cut, at whatever limit, holds RRsets as a
// whole or not at all, except for the first one that is no alias, and has TC if it
// lacks any (RFC 2181 §9). That holds for what is relayed and for what is cut
// in place.
func TestWholeRRsets(t *testing.T) {
	m := new(dns.Msg).SetQuestion("www.example.", dns.TypeANY)
	m.Response = true
	counts := map[string]int{}
	add := func(section *[]dns.RR, n int, text string) {
		for i := range n {
			rr, err := dns.NewRR(fmt.Sprintf(text, i))
			if err != nil {
				t.Fatal(err)
			}
			*section = append(*section, rr)
			counts[rr.Header().Name+dns.TypeToString[rr.Header().Rrtype]]++
		}
	}
	add(&m.Answer, 1, "www.example. 30 CNAME host%d.example.")
	add(&m.Answer, 20, "host0.example. 30 A 192.0.2.%d")
	add(&m.Answer, 20, "host0.example. 30 AAAA 2001:db8::%d")
	add(&m.Answer, 9, "host1.example. 30 AAAA 2001:db8::%d")
	add(&m.Ns, 5, "example. 30 NS ns%d.example.")
	add(&m.Extra, 4, "ns1.example. 30 A 192.0.2.%d")
	const first, required = "host0.example.A", 50
	for _, compress := range []bool{true, false} {
		m.Compress = compress
		packed, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		asked := new(dns.Msg).SetQuestion("www.example.", dns.TypeANY)
		question, err := asked.Pack()
		if err != nil {
			t.Fatal(err)
		}
		var q Query
		var r Reply
		if ParseQuery(question, &q) != Accept || !ParseReply(packed, &r) {
			t.Fatal("not parsed")
		}
		for limit := MinPayload; limit < len(packed)+100; limit++ {
			for how, out := range map[string][]byte{
				"relayed": AppendReply(nil, &q, &r, &Relay{Limit: limit}),
				"cut":     FinishReply(append([]byte(nil), packed...), 0, &q, limit, nil),
			} {
				var got dns.Msg
				if err := got.Unpack(out); err != nil || len(out) > limit {
					t.Fatalf("%s at %d: %d octets, %v", how, limit, len(out), err)
				}
				have := map[string]int{}
				for _, section := range [][]dns.RR{got.Answer, got.Ns, got.Extra} {
					for _, rr := range section {
						have[rr.Header().Name+dns.TypeToString[rr.Header().Rrtype]]++
					}
				}
				for set, n := range have {
					if n != counts[set] && (set != first || len(got.Answer) != 1+n || len(got.Ns)+len(got.Extra) != 0) {
						t.Fatalf("%s at %d: %d of %d records of %s", how, limit, n, counts[set], set)
					}
				}
				if want := len(got.Answer) < required; got.Truncated != want {
					t.Fatalf("%s at %d: TC %v with %d answers", how, limit, got.Truncated, len(got.Answer))
				}
			}
		}
	}
}
