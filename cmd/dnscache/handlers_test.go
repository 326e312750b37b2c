package main

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsmasqopt"
	"github.com/kube-dns/kube-dns/pkg/listener"
)

// echo answers with the query.
type echo struct{}

func (echo) Flush() {}

func (echo) Handle(packet []byte, _ listener.ReplyTo, reply []byte) []byte {
	return append(reply, packet...)
}

// nowhere takes no answers.
type nowhere struct{}

func (nowhere) Send(listener.ReplyTo, []byte) {}

func from(addr string) listener.ReplyTo {
	return listener.NewReplyTo(nowhere{}, netip.AddrPortFrom(netip.MustParseAddr(addr), 5353), netip.MustParseAddr("127.0.0.1"), false)
}

func TestLocalService(t *testing.T) {
	log, text := testLog(t)
	interfaces := func() ([]iface, error) {
		return []iface{{networks: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/16"), netip.MustParsePrefix("fd00::1/64")}}}, nil
	}
	for _, tt := range []struct {
		client    string
		net, host bool
	}{
		{"127.0.0.9", true, true},
		{"::1", true, true},
		{"10.1.2.3", true, true},
		{"10.1.9.9", true, false},
		{"::ffff:10.1.9.9", true, false},
		{"10.2.0.1", false, false},
		{"fd00::99", true, false},
		{"fd01::1", false, false},
	} {
		for _, hostOnly := range []bool{false, true} {
			s := &localService{next: echo{}, logger: slog.New(&logHandler{log: log}), hostOnly: hostOnly}
			s.refresh(interfaces)
			want := tt.net
			if hostOnly {
				want = tt.host
			}
			answered := len(s.Handle([]byte("query"), from(tt.client), nil)) > 0
			if answered != want || (s.dropped.Load() == 0) != want {
				t.Errorf("%s with host only %v: answered %v, dropped %d; want %v", tt.client, hostOnly, answered, s.dropped.Load(), want)
			}
		}
	}
	if !strings.Contains(text(), "warning: ignoring query from non-local network client=10.2.0.1\n") {
		t.Errorf("no warning in the log:\n%s", text())
	}
}

func TestLoopDetectorSwallowsOnlyItsProbes(t *testing.T) {
	log, _ := testLog(t)
	server := upstreamServer(t, "", func(*dns.Msg) bool { return false })
	d := newLoopDetector(echo{}, slog.New(&logHandler{log: log}))
	pack := func(name string, qtype uint16) []byte {
		m := new(dns.Msg)
		m.SetQuestion(name, qtype)
		m.SetEdns0(1232, false)
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return packet
	}
	if d.Handle(pack("00000001.test.", dns.TypeTXT), from("127.0.0.1"), nil) == nil {
		t.Error("before any probe a query is swallowed")
	}
	d.probe(optionServers(t, server.option()+" /only.this/127.0.0.1#1 /local/"))
	if n := len(*d.probes.Load()); n != 1 {
		t.Fatalf("%d servers are probed, want 1", n)
	}
	var name string
	eventually(t, "the server is asked", func() bool {
		server.mu.Lock()
		defer server.mu.Unlock()
		for question := range server.seen {
			name, _, _ = strings.Cut(question, " ")
			if !strings.HasSuffix(question, ".test. TXT") {
				t.Fatalf("the server was asked %q", question)
			}
		}
		return name != ""
	})
	for _, other := range [][]byte{pack(name, dns.TypeA), pack("x"+name, dns.TypeTXT), pack("test.", dns.TypeTXT), []byte("short")} {
		if d.Handle(other, from("127.0.0.1"), nil) == nil {
			t.Errorf("a query that is no probe is swallowed: %q", other)
		}
	}
	if got := d.Handle(pack(name, dns.TypeTXT), from("127.0.0.1"), nil); got != nil {
		t.Errorf("the probe is answered with %q", got)
	}
	select {
	case found := <-d.found:
		if found != server.addr {
			t.Errorf("found %s, want %s", found, server.addr)
		}
	default:
		t.Error("the loop is not reported")
	}
	var none []dnsmasqopt.Server
	d.probe(none)
	if d.Handle(pack(name, dns.TypeTXT), from("127.0.0.1"), nil) == nil {
		t.Error("an old probe is swallowed after new ones")
	}
}
