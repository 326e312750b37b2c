package forwarder

import (
	"testing"

	"github.com/miekg/dns"
)

func TestForwardThenCache(t *testing.T) {
	s := newFakeServer(t, zone(dns.RcodeSuccess, "www.example. 30 A 192.0.2.1"))
	f := run(t, to(s))
	c := newClient(t, f, 2, false)
	for i := range 3 {
		m := c.ask(question("wWw.example.", dns.TypeA))
		if len(m.Answer) != 1 || m.Question[0].Name != "wWw.example." {
			t.Fatalf("answer %d: %v", i, m)
		}
	}
	if n := s.seen(); n != 1 {
		t.Errorf("upstream saw %d queries, want 1", n)
	}
}
