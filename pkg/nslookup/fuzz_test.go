package nslookup

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzRecords feeds replies of any content: what counts as an answer must hang
// together from the name asked for to records of the type asked for.
func FuzzRecords(f *testing.F) {
	const name = "a.test."
	for _, texts := range [][]string{
		{"a.test. 1 IN A 10.0.0.1"},
		{"A.TEST. 1 IN CNAME b.test.", "b.test. 1 IN A 10.0.0.1", "b.test. 1 IN A 10.0.0.2"},
		{"a.test. 1 IN CNAME b.test.", "b.test. 1 IN CNAME a.test."},
		{"a.test. 1 IN CNAME a.test."},
		{"b.test. 1 IN A 10.0.0.1"},
		{"a.test. 1 IN CNAME b.test.", "a.test. 1 IN CNAME c.test.", "c.test. 1 IN A 10.0.0.1"},
		{"a.test. 1 IN CNAME b.test.", "a.test. 1 IN A 10.0.0.1"}, // an alias beside the address is not followed
	} {
		m := new(dns.Msg).SetQuestion(name, dns.TypeA)
		for _, text := range texts {
			rr, err := dns.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		m := new(dns.Msg)
		if m.Unpack(packet) != nil {
			return
		}
		got := records(m, name, dns.TypeA)
		owner := name
		for i, rr := range got {
			if !strings.EqualFold(rr.Header().Name, owner) {
				t.Fatalf("record %d, %v, does not belong to %s", i, rr, owner)
			}
			if alias, ok := rr.(*dns.CNAME); ok {
				owner = alias.Target
			}
			_ = line(rr)
		}
		if len(got) > 0 && got[len(got)-1].Header().Rrtype != dns.TypeA {
			t.Fatalf("ends with %v, which is no address", got[len(got)-1])
		}
	})
}
