package skydns

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
)

// TestCrashOverSockets: over UDP and TCP, the client whose query causes a panic gets
// SERVFAIL. Other queries, also on the same TCP connection, are answered as before.
func TestCrashOverSockets(t *testing.T) {
	server, err := New(Config{
		Domain: dnsname.MustParse(zone), Backend: crashBackend{newFixture(t)}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := listener.Listen(listener.Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: server})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network, Timeout: 10 * time.Second}
		conn, err := client.Dial(l.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, want := range []struct {
			query string
			rcode int
		}{{"web.default A", dns.RcodeSuccess}, {"a!b.default A", dns.RcodeServerFailure}, {"web.default A", dns.RcodeSuccess}} {
			reply, _, err := client.ExchangeWithConn(question(t, want.query), conn)
			if err != nil || reply.Rcode != want.rcode {
				t.Errorf("%s over %s: %v %v, want %s", want.query, network, reply, err, dns.RcodeToString[want.rcode])
			}
		}
	}
}
