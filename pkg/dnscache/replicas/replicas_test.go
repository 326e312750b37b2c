package replicas

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

const service = "kube-dns-upstream.kube-system.svc.cluster.local."

// parse reads --server options.
func parse(t *testing.T, args ...string) *options.Options {
	t.Helper()
	o, err := options.Parse(append(args, "--conf-file="), options.Files{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func follower(t *testing.T, args ...string) (*Follower, error) {
	t.Helper()
	o := parse(t, args...)
	return New(Config{
		Replicas: o.Own.Replicas, Servers: o.Upstream.Servers, Logger: slog.New(slog.DiscardHandler),
		Listening: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.10:53")},
	})
}

func TestRefused(t *testing.T) {
	for _, row := range []struct {
		servers []string
		want    string
	}{
		{nil, "no --server for kube-dns-upstream"},
		{[]string{"--server=/example.org/10.96.0.11"}, "no --server for"},
		{[]string{"--server=/cluster.local/"}, "no --server for"},
		{[]string{"--server=/cluster.local/10.96.0.10"}, "itself listens on 10.96.0.10"},
		{[]string{"--server=/cluster.local/tls:10.96.0.11"}, "over TLS"},
	} {
		_, err := follower(t, append(row.servers, "--server-replicas="+service, "--no-resolv")...)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%v: %v, want %q", row.servers, err, row.want)
		}
	}
	if f, err := follower(t, "--server=/cluster.local/10.96.0.10"); f != nil || err != nil {
		t.Errorf("without the option: %v, %v", f, err)
	}
}

// TestExpand: each server that leads to the replicas becomes their reserve, in every domain,
// and other servers do not change.
func TestExpand(t *testing.T) {
	o := parse(
		t, "--server-replicas="+service+"#1053", "--server=/cluster.local/in-addr.arpa/10.96.0.11", "--server=/cluster.local/fd00::11",
		"--server=/example.org/192.0.2.1", "--server=192.0.2.2", "--server=/local/10.96.0.12",
	)
	f, err := New(Config{Replicas: o.Own.Replicas, Servers: o.Upstream.Servers})
	if err != nil {
		t.Fatal(err)
	}
	show := func() (list []string) {
		for _, s := range f.Expand(o.Upstream.Servers) {
			list = append(list, s.String()+[...]string{"", " replica", " reserve"}[s.Role])
		}
		return list
	}
	want := []string{
		"/cluster.local/10.96.0.11#53 reserve", "/in-addr.arpa/10.96.0.11#53 reserve", "/cluster.local/fd00::11#53 reserve",
		"/example.org/192.0.2.1#53", "192.0.2.2#53", "/local/10.96.0.12#53",
	}
	if got := show(); !slices.Equal(got, want) {
		t.Errorf("without replicas: %q", got)
	}
	f.current = []netip.Addr{netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("fd00:1::1"), netip.MustParseAddr("10.1.0.2")}
	want = []string{
		"/cluster.local/10.96.0.11#53 reserve", "/cluster.local/10.1.0.1#1053 replica", "/cluster.local/10.1.0.2#1053 replica",
		"/in-addr.arpa/10.96.0.11#53 reserve", "/in-addr.arpa/10.1.0.1#1053 replica", "/in-addr.arpa/10.1.0.2#1053 replica",
		"/cluster.local/fd00::11#53 reserve", "/cluster.local/fd00:1::1#1053 replica",
		"/example.org/192.0.2.1#53", "192.0.2.2#53", "/local/10.96.0.12#53",
	}
	if got := show(); !slices.Equal(got, want) {
		t.Errorf("with replicas: %q", got)
	}
}

// TestFollows looks up replicas from a real server, with a lost packet, an error, a truncated
// answer, records of other names and types, and a change.
func TestFollows(t *testing.T) {
	var round atomic.Int32
	server := dnstest.NewServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		other := "other.cluster.local. 1 IN A 127.9.9.9"
		switch round.Load() {
		case 0: // the packet is lost
			round.Store(1)
			return nil
		case 1: // forged packets, then an answer that is truncated
			forged := dnstest.Reply(q, dns.RcodeSuccess, service+" 1 IN A 127.6.6.6")
			forged.Id++
			wrong := dnstest.Reply(q, dns.RcodeSuccess, service+" 1 IN A 127.6.6.6")
			wrong.Question[0].Name = "x."
			m := dnstest.Reply(q, dns.RcodeSuccess, service+" 1 IN A 127.1.0.1", service+" 1 IN A 127.1.0.2", other)
			if !tcp {
				m.Truncated, m.Answer = true, m.Answer[:1]
			}
			return [][]byte{dnstest.Pack(forged), dnstest.Pack(wrong), dnstest.Pack(m)}
		case 2:
			return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeServerFailure))}
		}
		return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeSuccess, service+" 1 IN A 127.1.0.3", other))}
	})
	o := parse(t, "--server-replicas="+service, fmt.Sprintf("--server=/cluster.local/%v#%d", server.Addr.Addr(), server.Addr.Port()))
	f, err := New(Config{Replicas: o.Own.Replicas, Servers: o.Upstream.Servers, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	changes := make(chan []netip.Addr)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx, func(change func()) {
			change()
			select {
			case changes <- slices.Clone(f.current):
			case <-ctx.Done():
			}
		})
	}()
	defer func() {
		cancel()
		<-done
	}()
	next := func() string {
		select {
		case list := <-changes:
			slices.SortFunc(list, netip.Addr.Compare)
			return fmt.Sprint(list)
		case <-time.After(30 * time.Second):
			return "nothing"
		}
	}
	if got := next(); got != "[127.1.0.1 127.1.0.2]" {
		t.Fatalf("first %s", got)
	}
	round.Store(2)
	time.AfterFunc(100*time.Millisecond, func() { round.Store(3) })
	if got := next(); got != "[127.1.0.3]" {
		t.Fatalf("then %s", got)
	}
}
