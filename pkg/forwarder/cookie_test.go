package forwarder

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// TestCookies: a client that sends a cookie gets one that begins with its own, whatever the
// source of the answer is.
func TestCookies(t *testing.T) {
	f := run(t, to(newFakeServer(t, zone(0, rec))))
	c := newClient(t, f, 2, false)
	ask := func(q *dns.Msg) string {
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
		m := c.Ask(q)
		if o := m.IsEdns0(); o != nil && len(o.Option) > 0 {
			if cookie, ok := o.Option[0].(*dns.EDNS0_COOKIE); ok {
				return cookie.Cookie
			}
		}
		return summary(m)
	}
	chaos := question("version.bind.", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	none := new(dns.Msg)
	none.Id = 9
	for what, q := range map[string]*dns.Msg{
		"forwarded": question("www.example.", dns.TypeA), "cached": question("www.example.", dns.TypeA),
		"chaos": chaos, "refused": question("www.example.", dns.TypeAXFR), "no question": none,
	} {
		if got := ask(q); len(got) != 2*wire.CookieLen || got[:16] != "0011223344556677" {
			t.Errorf("%s: %q", what, got)
		}
	}
}
