package forwarder

import (
	"testing"

	"github.com/miekg/dns"
)

// TestMixedCase: names are sent to the server in random case, but clients get their own
// spelling, whether the answer comes from the server, together with others or from the cache.
// Cache entries and questions in flight are found as usual.
func TestMixedCase(t *testing.T) {
	gate := newGate(t)
	server := newFakeServer(t, gate.script(func(q *dns.Msg, _ bool) [][]byte {
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 30},
			A:   []byte{127, 1, 0, 1},
		}}
		m.Compress = true
		return [][]byte{pack(m)}
	}))
	cfg := to(server)
	cfg.Upstream.MixCase = true
	f := run(t, cfg)
	spellings := []string{"www.mixed-names.example.", "WWW.Mixed-Names.example.", "www.mixed-names.EXAMPLE."}
	c := newClient(t, f, 2, false)
	var queries []*dns.Msg
	for _, name := range spellings {
		q := question(name, dns.TypeA)
		queries = append(queries, q)
		c.Start(q)
	}
	check := func(m *dns.Msg, name string) {
		t.Helper()
		if len(m.Answer) != 1 || m.Question[0].Name != name || m.Answer[0].Header().Name != name {
			t.Errorf("%s: got %v", name, m)
		}
	}
	gate.lift()
	for i, q := range queries {
		check(c.Wait(q.Id), spellings[i])
	}
	for _, name := range spellings {
		check(c.Ask(question(name, dns.TypeA)), name)
	}
	if n := server.Seen(); n != 1 {
		t.Errorf("the server was asked %d times, want once", n)
	}
	asked := server.Last().Question[0].Name
	for _, name := range spellings {
		if asked == name {
			t.Errorf("the server was asked for %s as it is", name)
		}
	}
}
