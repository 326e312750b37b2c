package conformance

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// query8906 is one query of RFC 8906 §8, and what its answer must contain.
type query8906 struct {
	section, title string
	typ            uint16
	// change turns a query for typ without RD, AD, CD and OPT into this one.
	change func(*dns.Msg)
	// raw changes what miekg/dns cannot express in the packed query.
	raw func([]byte)
	// rcode is the extended one.
	rcode int
	// answer says whether the answer section holds a record of typ.
	answer bool
	// check returns what else is wrong with the answer, or "" if nothing is.
	check func(q, m *dns.Msg, packed []byte) string
}

// edns adds an OPT record of a version, with flags beside DO and options.
func edns(version uint8, flags uint16, do bool, options ...dns.EDNS0) func(*dns.Msg) {
	return func(q *dns.Msg) {
		q.SetEdns0(1232, do)
		opt := q.IsEdns0()
		opt.SetVersion(version)
		opt.Hdr.Ttl |= uint32(flags)
		opt.Option = options
	}
}

// plainOPT checks that the OPT record has version 0, and no unknown flags and options.
func plainOPT(q, m *dns.Msg, _ []byte) string {
	opt := m.IsEdns0()
	switch {
	case opt == nil:
		return "no OPT record"
	case opt.Version() != 0:
		return fmt.Sprintf("OPT version %d", opt.Version())
	case opt.Hdr.Ttl&0x7fff != 0:
		return fmt.Sprintf("unknown EDNS flags %#x come back", opt.Hdr.Ttl&0x7fff)
	case opt.Do() != q.IsEdns0().Do():
		return fmt.Sprintf("DO is %v", opt.Do())
	}
	for _, o := range opt.Option {
		if o.Option() == 100 {
			return "the unknown option comes back"
		}
	}
	return ""
}

func noOPT(_, m *dns.Msg, _ []byte) string {
	if m.IsEdns0() != nil {
		return "an OPT record for a query without one"
	}
	return ""
}

var queries8906 = []query8906{
	{section: "8.1.1", title: "a zone's SOA, plain DNS", typ: dns.TypeSOA, answer: true, check: noOPT},
	{section: "8.1.2", title: "unknown type", typ: 1000, check: func(_, m *dns.Msg, _ []byte) string {
		if len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA {
			return "no SOA with the empty answer"
		}
		return noOPT(nil, m, nil)
	}},
	{
		section: "8.1.3.1", title: "CD bit", typ: dns.TypeSOA, answer: true, check: noOPT,
		change: func(q *dns.Msg) { q.CheckingDisabled = true },
	},
	{
		section: "8.1.3.2", title: "AD bit", typ: dns.TypeSOA, answer: true, check: noOPT,
		change: func(q *dns.Msg) { q.AuthenticatedData = true },
	},
	{
		section: "8.1.3.3", title: "reserved bit", typ: dns.TypeSOA, answer: true,
		raw: func(packed []byte) { packed[3] |= 0x40 },
		check: func(_, m *dns.Msg, packed []byte) string {
			if packed[3]&0x40 != 0 {
				return "the reserved bit comes back"
			}
			return noOPT(nil, m, nil)
		},
	},
	{
		section: "8.1.3.4", title: "RD bit", typ: dns.TypeSOA, answer: true,
		change: func(q *dns.Msg) { q.RecursionDesired = true },
		check: func(_, m *dns.Msg, _ []byte) string {
			if !m.RecursionDesired {
				return "RD does not come back"
			}
			return noOPT(nil, m, nil)
		},
	},
	{
		section: "8.1.4", title: "unknown opcode, header only", typ: dns.TypeSOA, rcode: dns.RcodeNotImplemented,
		change: func(q *dns.Msg) { q.Opcode, q.Question = 15, nil },
		check: func(_, m *dns.Msg, _ []byte) string {
			if m.Opcode != 15 {
				return fmt.Sprintf("opcode %d", m.Opcode)
			}
			return noOPT(nil, m, nil)
		},
	},
	{section: "8.2.1", title: "minimal EDNS", typ: dns.TypeSOA, answer: true, change: edns(0, 0, false), check: plainOPT},
	{section: "8.2.2", title: "EDNS version 1", typ: dns.TypeSOA, rcode: dns.RcodeBadVers, change: edns(1, 0, false), check: plainOPT},
	{
		section: "8.2.3", title: "unknown EDNS option", typ: dns.TypeSOA, answer: true, check: plainOPT,
		change: edns(0, 0, false, &dns.EDNS0_LOCAL{Code: 100}),
	},
	{section: "8.2.4", title: "unknown EDNS flag", typ: dns.TypeSOA, answer: true, change: edns(0, 0x40, false), check: plainOPT},
	{
		section: "8.2.5", title: "EDNS version 1 with an unknown flag", typ: dns.TypeSOA, rcode: dns.RcodeBadVers,
		change: edns(1, 0x40, false), check: plainOPT,
	},
	{
		section: "8.2.6", title: "EDNS version 1 with an unknown option", typ: dns.TypeSOA, rcode: dns.RcodeBadVers,
		change: edns(1, 0, false, &dns.EDNS0_LOCAL{Code: 100}), check: plainOPT,
	},
	{
		section: "8.2.7", title: "DO bit and a small buffer", typ: dns.TypeDNSKEY, check: plainOPT,
		change: func(q *dns.Msg) {
			edns(0, 0, true)(q)
			q.IsEdns0().SetUDPSize(512)
		},
	},
	{section: "8.2.8", title: "DO bit", typ: dns.TypeSOA, answer: true, change: edns(0, 0, true), check: plainOPT},
	{
		section: "8.2.9", title: "EDNS version 1 with DO", typ: dns.TypeSOA, rcode: dns.RcodeBadVers,
		change: edns(1, 0, true), check: plainOPT,
	},
	{
		section: "8.2.10", title: "several known EDNS options", typ: dns.TypeSOA, answer: true, check: plainOPT,
		change: edns(0, 0, false, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"},
			&dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_EXPIRE{Code: dns.EDNS0EXPIRE, Empty: true},
			&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, Address: []byte{0, 0, 0, 0}}),
	},
}

// TestRFC8906 sends each query of RFC 8906 §8 to both servers, over UDP and TCP (§8.1.5), and
// to dnscache both with an empty cache and with the answer in its cache.
func TestRFC8906(t *testing.T) {
	c := startChain(t, "testdata/spec/objects.yaml")
	for _, server := range []struct{ name, addr string }{
		{"kubedns", c.kubednsAddr}, {"dnscache", c.dnscacheAddr}, {"dnscache-again", c.dnscacheAddr},
	} {
		for _, network := range []string{"udp", "tcp"} {
			for _, tt := range queries8906 {
				t.Run(strings.Join([]string{server.name, network, tt.section}, "/"), func(t *testing.T) {
					testRFC8906(t, network, server.addr, &tt)
				})
			}
		}
	}
}

func testRFC8906(t *testing.T, network, addr string, tt *query8906) {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion("cluster.local.", tt.typ)
	q.RecursionDesired = false
	if tt.change != nil {
		tt.change(q)
	}
	packed, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if tt.raw != nil {
		tt.raw(packed)
	}
	conn, err := dns.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(packed); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, dns.MaxMsgSize)
	n, err := conn.Read(reply)
	if err != nil {
		t.Fatalf("%s: no answer: %v", tt.title, err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(reply[:n]); err != nil {
		t.Fatalf("%s: %v", tt.title, err)
	}
	if !m.Response || m.Id != binary.BigEndian.Uint16(packed) || m.Rcode != tt.rcode || m.AuthenticatedData {
		t.Errorf("%s: got %s, id %d, QR %v, AD %v; want %s", tt.title, dns.RcodeToString[m.Rcode], m.Id, m.Response,
			m.AuthenticatedData, dns.RcodeToString[tt.rcode])
	}
	if tt.answer != (len(m.Answer) == 1 && m.Answer[0].Header().Rrtype == tt.typ) {
		t.Errorf("%s: answer section %v", tt.title, m.Answer)
	}
	if fault := tt.check(q, m, reply); fault != "" {
		t.Errorf("%s: %s\n%v", tt.title, fault, m)
	}
}

// TestRFC8906Table: the table in the documents lists exactly these queries.
func TestRFC8906Table(t *testing.T) {
	text, err := os.ReadFile("../../docs/proof.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Count(string(text), "| correct | correct |")
	if rows != len(queries8906) {
		t.Errorf("docs/proof.md has %d rows, want %d", rows, len(queries8906))
	}
	for _, q := range queries8906 {
		if row := fmt.Sprintf("| %s | %s | correct | correct |", q.section, q.title); !strings.Contains(string(text), row) {
			t.Errorf("docs/proof.md lacks the row %s", row)
		}
	}
}
