package main

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/listener"
)

func TestSoakCheck(t *testing.T) {
	pack := func(m *dns.Msg) []byte {
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	q := new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA)
	query := pack(q)
	good := upstream{ttl: 5}.Handle(query, listener.ReplyTo{}, nil)
	changed := func(at int, to byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = to
		return b
	}
	for _, tt := range []struct {
		name     string
		answer   []byte
		want     bool
		failures int64
	}{
		{"right", good, true, 0},
		{"another TTL", changed(len(good)-7, 1), true, 0},
		{"another address", changed(len(good)-1, good[len(good)-1]^1), false, 0},
		{"another name", changed(13, 'x'), false, 0},
		{"a query", query, false, 0},
		{"no records", pack(new(dns.Msg).SetReply(q)), false, 0},
		{"no such name", pack(new(dns.Msg).SetRcode(q, dns.RcodeNameError)), false, 0},
		{"failure", pack(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)), true, 1},
		{"refused", pack(new(dns.Msg).SetRcode(q, dns.RcodeRefused)), true, 1},
		{"truncated", pack(&dns.Msg{MsgHdr: dns.MsgHdr{Id: q.Id, Response: true, Truncated: true}, Question: q.Question}), true, 1},
		{"failure with records", changed(3, good[3]|2), false, 1},
		{"short", good[:12], false, 0},
	} {
		c := soakCheck{want: upstream{ttl: 5}}
		if got := c.right(0, query, tt.answer); got != tt.want || c.failures.Load() != tt.failures || (c.wrong.Load() == nil) != tt.want {
			t.Errorf("%s: right is %v, want %v; %d failures, want %d", tt.name, got, tt.want, c.failures.Load(), tt.failures)
		}
	}
}

func TestGrowth(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name string
		rss  []int64
		ok   bool
	}{
		{"flat", []int64{10 * mib, 20 * mib, 20 * mib, 20 * mib, 20 * mib, 21 * mib, 20 * mib, 20 * mib}, true},
		{"fills at first", []int64{1 * mib, 5 * mib, 30 * mib, 30 * mib, 30 * mib, 30 * mib, 30 * mib, 30 * mib}, true},
		{"grows", []int64{10 * mib, 20 * mib, 20 * mib, 22 * mib, 25 * mib, 30 * mib, 35 * mib, 40 * mib}, false},
		{"too few", []int64{10 * mib, 10 * mib}, false},
	} {
		if err := growth(tt.rss); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestFaults: every fault makes packets that can be parsed, or none.
func TestFaults(t *testing.T) {
	q := new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA)
	q.SetEdns0(1232, false)
	query, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[fault]string{
		well: "NOERROR", servfail: "SERVFAIL", refused: "REFUSED", truncated: "NOERROR tc", silent: "",
	} {
		f := &faulty{upstream: upstream{ttl: 5}}
		f.now.Store(uint32(kind))
		got := ""
		if b := f.Handle(query, listener.ReplyTo{}, nil); b != nil {
			m := new(dns.Msg)
			if err := m.Unpack(b); err != nil {
				t.Fatalf("fault %d: %v", kind, err)
			}
			got = dns.RcodeToString[m.Rcode]
			if m.Truncated {
				got += " tc"
			}
			if (len(m.Answer) == 1) != (kind == well) {
				t.Errorf("fault %d: %v", kind, m)
			}
		}
		if got != want {
			t.Errorf("fault %d: %q, want %q", kind, got, want)
		}
	}
}

func TestOverBudget(t *testing.T) {
	if err := overBudget([]int64{soakBudget - 1, soakBudget, 5}); err != nil {
		t.Error(err)
	}
	if overBudget([]int64{5, soakBudget + 1, 5}) == nil {
		t.Error("one look above the budget passes")
	}
}
