package wire

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// packet makes a message from parts: strings stand for themselves, ints for one
// octet, uint16s for two.
func packet(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			out = append(out, p...)
		case []byte:
			out = append(out, p...)
		case int:
			out = append(out, byte(p))
		case uint16:
			out = append(out, byte(p>>8), byte(p))
		default:
			panic(fmt.Sprintf("packet part %T", p))
		}
	}
	return out
}

// header makes a header with the id 0x1234.
func header(flags uint16, qd, an, ns, ar uint16) []byte {
	return packet(uint16(0x1234), flags, qd, an, ns, ar)
}

const (
	nameWWW = "\x03www\x07example\x00"
	askA    = nameWWW + "\x00\x01\x00\x01"
	optNone = "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00" // 1232, version 0, no options
)

// wireName is miekg/dns's presentation form in wire form.
func wireName(tb testing.TB, name string) []byte {
	tb.Helper()
	buf := make([]byte, 300)
	n, err := dns.PackDomainName(name, buf, 0, nil, false)
	if err != nil {
		tb.Fatalf("name %q: %v", name, err)
	}
	return buf[:n]
}

func mustRR(tb testing.TB, text string) dns.RR {
	tb.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		tb.Fatalf("record %q: %v", text, err)
	}
	return rr
}

// lines describes the records of a message for comparison: one per record, the
// section first, letters in lower case, no OPT.
func lines(m *dns.Msg) []string {
	out := []string{}
	for i, rrs := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range rrs {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT {
				if h.Ttl >= 1<<31 { // RFC 2181 §8
					h.Ttl = 0
				}
				out = append(out, fmt.Sprintf("%d %s", i+1, strings.ToLower(rr.String())))
			}
		}
	}
	return out
}

// opts returns the OPT records of a message wherever they stand.
func opts(m *dns.Msg) (extra, elsewhere []*dns.OPT) {
	for _, rr := range m.Extra {
		if o, ok := rr.(*dns.OPT); ok {
			extra = append(extra, o)
		}
	}
	for _, rrs := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range rrs {
			if o, ok := rr.(*dns.OPT); ok {
				elsewhere = append(elsewhere, o)
			}
		}
	}
	return extra, elsewhere
}

// goodOPT reports whether our rules for OPT records accept those of m.
func goodOPT(m *dns.Msg) bool {
	extra, elsewhere := opts(m)
	if len(elsewhere) > 0 || len(extra) > 1 {
		return false
	}
	for _, o := range extra {
		if o.Hdr.Name != "." || o.Version() != 0 {
			return false
		}
		for _, opt := range o.Option {
			if c, ok := opt.(*dns.EDNS0_COOKIE); ok {
				if n := len(c.Cookie) / 2; n != 8 && (n < 16 || n > 40) {
					return false
				}
				break
			}
		}
	}
	return true
}

// unpack reads a message with miekg/dns and fails the test if that cannot.
func unpack(tb testing.TB, msg []byte) *dns.Msg {
	tb.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil {
		tb.Fatalf("miekg/dns refuses our message: %v\n%x", err, msg)
	}
	return m
}

// checkEDNS compares what we read of an OPT with what miekg/dns did.
func checkEDNS(tb testing.TB, e *EDNS, m *dns.Msg) {
	tb.Helper()
	o := m.IsEdns0()
	if e.Present != (o != nil) {
		tb.Fatalf("EDNS present = %v, miekg/dns says %v", e.Present, o != nil)
	}
	if o == nil {
		return
	}
	if size := max(o.UDPSize(), MinPayload); e.Size != size || e.Version != o.Version() || e.DO != o.Do() {
		tb.Fatalf("EDNS = %+v, miekg/dns says size %d, version %d, do %v", e, size, o.Version(), o.Do())
	}
	if e.Version > 0 {
		return
	}
	n := 0
	for rest := e.Options; len(rest) > 0; n++ {
		code, data, next, ok := NextOption(rest)
		if !ok {
			tb.Fatalf("option %d of an accepted OPT passes its end", n)
		}
		if n >= len(o.Option) || o.Option[n].Option() != code {
			tb.Fatalf("option %d is %d, miekg/dns has %v", n, code, o.Option)
		}
		if c, ok := o.Option[n].(*dns.EDNS0_COOKIE); ok && fmt.Sprintf("%x", data) != c.Cookie {
			tb.Fatalf("cookie %x, miekg/dns has %s", data, c.Cookie)
		}
		rest = next
	}
	if n != len(o.Option) {
		tb.Fatalf("%d options, miekg/dns has %d", n, len(o.Option))
	}
}
