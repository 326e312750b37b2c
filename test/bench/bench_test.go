package main

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/listener"
)

func TestUpstream(t *testing.T) {
	ask := func(qtype uint16, edns bool) *dns.Msg {
		q := new(dns.Msg).SetQuestion("www.example.com.", qtype)
		if edns {
			q.SetEdns0(1232, true)
		}
		b, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		m := new(dns.Msg)
		if err := m.Unpack(upstream{ttl: 77}.Handle(b, listener.ReplyTo{}, nil)); err != nil {
			t.Fatal(err)
		}
		if m.Id != q.Id || !m.Response || !m.RecursionAvailable || !m.RecursionDesired || m.Rcode != 0 {
			t.Errorf("header %v", m.MsgHdr)
		}
		if diff := cmp.Diff(q.Question, m.Question); diff != "" {
			t.Errorf("question (-want +got)\n%s", diff)
		}
		return m
	}
	plain, edns := ask(dns.TypeA, false), ask(dns.TypeA, true)
	if len(plain.Answer) != 1 || plain.Answer[0].Header().Ttl != 77 || plain.Answer[0].Header().Name != "www.example.com." {
		t.Errorf("answer %v", plain.Answer)
	}
	if diff := cmp.Diff(plain.Answer[0].String(), edns.Answer[0].String()); diff != "" {
		t.Errorf("one name has two addresses:\n%s", diff)
	}
	if plain.IsEdns0() != nil || edns.IsEdns0() == nil {
		t.Error("OPT is not as asked")
	}
	if m := ask(dns.TypeAAAA, false); len(m.Answer) != 1 || m.Answer[0].Header().Rrtype != dns.TypeAAAA {
		t.Errorf("AAAA answered by %v", m.Answer)
	}
	if m := ask(dns.TypeMX, false); len(m.Answer) != 0 {
		t.Errorf("MX answered by %v", m.Answer)
	}
	for _, bad := range [][]byte{make([]byte, 12), append(make([]byte, 12), 200), {0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5, 'a'}} {
		if got := (upstream{}).Handle(bad, listener.ReplyTo{}, nil); got != nil {
			t.Errorf("%x answered by %x", bad, got)
		}
	}
}

// TestMain makes the test binary the echo server that TestMeasure starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "echo" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestMeasure(t *testing.T) {
	p := programs{self: os.Args[0]}
	s := &session{settings: settings{rounds: 3, scale: 0.5, sockets: 2, window: 4}, stdout: io.Discard, stderr: io.Discard}
	sc := scenario{name: "x", peers: []peer{p.echoPeer(), p.unboundPeer(netip.AddrPort{})}, pattern: "n%d.x", warm: 10, count: 400}
	for _, tcp := range []bool{false, true} {
		sc.tcp = tcp
		rows, err := s.measure(t.Context(), sc)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 1 || rows[0].name != "echo" || len(rows[0].perOne) != 3 || rows[0].failed != 0 || rows[0].rss < 1<<20 {
			t.Fatalf("got %+v", rows)
		}
		for _, d := range rows[0].perOne {
			if d <= 0 || d > time.Second {
				t.Errorf("%v per query", d)
			}
		}
	}
	p.self = t.TempDir() + "/missing"
	sc.peers = []peer{p.echoPeer()}
	if _, err := s.measure(t.Context(), sc); err == nil {
		t.Error("a server that is not there was measured")
	}
}

func TestTable(t *testing.T) {
	ms := time.Millisecond
	sc := scenario{title: "t", budgets: []budget{{"b", "a", 0.5}, {"a", "b", 1}, {"a", "missing", 1}}}
	rows := []row{
		{name: "a", perOne: []time.Duration{3 * ms, 1 * ms, 2 * ms}, rss: 3 << 20},
		{name: "b", perOne: []time.Duration{1 * ms, 5 * ms}, failed: 4},
	}
	var out bytes.Buffer
	s := &session{stdout: &out}
	s.printTable(sc, rows)
	for _, want := range []string{"2000.00  1000.00  3000.00  1.00", "3000.00  1000.00  5000.00  1.50", "b / a = 1.50, budget 0.50: OVER", "a / b = 0.67, budget 1.00: ok"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), "  "), strings.Join(strings.Fields(want), "  ")) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
	if s.judged != 2 || len(s.over) != 1 {
		t.Errorf("%d budgets, of which %q are missed", s.judged, s.over)
	}
	if strings.Contains(out.String(), "missing") {
		t.Error("a budget without its server was judged")
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		nil,
		{"nothing"},
		{"echo"},
		{"echo", "nowhere"},
		{"upstream", "127.0.0.1:0", "x"},
		{"load"},
		{"load", "-names", "no-number", "127.0.0.1:1"},
		{"compare", "-rounds", "0"},
		{"compare", "-only", "nothing"},
		{"soak", "-duration", "0s"},
	} {
		var stdout, stderr bytes.Buffer
		if got := run(context.Background(), args, &stdout, &stderr); got != 2 || stderr.Len() == 0 {
			t.Errorf("%q: exit code %d, %q; want 2 and a reason", args, got, stderr.String())
		}
	}
}
