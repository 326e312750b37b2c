package forwarder

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// TestSipHash uses the vectors of SipHash's authors: key 00 to 0f, text 00, 01,
// and so on.
func TestSipHash(t *testing.T) {
	var key cookieSecret
	for i := range key {
		key[i] = byte(i)
	}
	text := make([]byte, 64)
	for i := range text {
		text[i] = byte(i)
	}
	for n, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 15: 0xa129ca6149be45e5} {
		if got := sipHash(&key, text[:n]); got != want {
			t.Errorf("%d octets: %x, want %x", n, got, want)
		}
	}
}

// TestCookieVector is RFC 9018 Appendix A.1.
func TestCookieVector(t *testing.T) {
	var key cookieSecret
	if _, err := hex.Decode(key[:], []byte("e5e973e5a6b2a43f48e7dc849e37bfcf")); err != nil {
		t.Fatal(err)
	}
	client, _ := hex.DecodeString("2464c4abcf10c957")
	var b cookieBuffer
	got := hex.EncodeToString(key.make(&b, client, netip.MustParseAddr("198.51.100.100"), 1559731985))
	if want := "2464c4abcf10c957010000005cf79f111f8130c3eee29480"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestCookies: an asker with a cookie gets one, its own in front, wherever the
// answer comes from.
func TestCookies(t *testing.T) {
	f := run(t, to(newFakeServer(t, zone(0, rec))))
	c := newClient(t, f, 2, false)
	ask := func(q *dns.Msg) string {
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
		m := c.ask(q)
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
		if got := ask(q); len(got) != 2*cookieLen || got[:16] != "0011223344556677" {
			t.Errorf("%s: %q", what, got)
		}
	}
}
