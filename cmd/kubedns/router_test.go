package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

func TestRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		outside := "10.9.9.1"
		service := "10.96.0.7"
		r := &router{
			log: discard(), domain: dnsname.MustParse("cluster.local"), wake: make(chan struct{}, 1),
			local: func(name []byte) treecache.Answer {
				if service == "" || dnsname.Name(name).String() != "ns.default.svc.cluster.local." {
					return treecache.Answer{}
				}
				return treecache.ListAnswer([]treecache.Record{treecache.AddressRecord(netip.MustParseAddr(service), 30)})
			},
			lookup: func(_ context.Context, servers []netip.AddrPort, name dnsname.Name) ([]netip.Addr, error) {
				if outside == "" || len(servers) != 1 || name.String() != "ns.example.com." {
					return nil, errors.New("not found")
				}
				a := netip.MustParseAddr(outside)
				return []netip.Addr{a, a}, nil
			},
			reload: func(routes []upstream.Route) error {
				got = nil
				for _, route := range routes {
					text := route.Domain.Name.String() + ":"
					for _, s := range route.Servers {
						text += " " + s.Addr.String()
					}
					got = append(got, text)
				}
				return nil
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.run(ctx) }()
		check := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", when, diff)
			}
		}
		config, err := dnsconfig.Parse(map[string]string{"stubDomains": `{
			"b.test": ["1.2.3.4:54", "ns.example.com", "1.2.3.4:0"], "a.test": ["ns.default.svc.cluster.local"], "c.test": []}`})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.set([]netip.AddrPort{netip.MustParseAddrPort("9.9.9.9:53")}, config.StubDomains)
		check("at first", "a.test.: 10.96.0.7:53", "b.test.: 1.2.3.4:54 10.9.9.1:53", ": 9.9.9.9:53")
		r.mu.Lock()
		outside, service = "10.9.9.2", ""
		r.mu.Unlock()
		time.Sleep(relookup + time.Second)
		check("one moved, one gone", "a.test.: 10.96.0.7:53", "b.test.: 1.2.3.4:54 10.9.9.2:53", ": 9.9.9.9:53")
		r.set(nil, nil)
		check("none")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAskServers(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Name == "ns.example.com." && q.Question[0].Qtype == dns.TypeA {
			rr, _ := dns.NewRR("ns.example.com. 5 IN A 192.0.2.1")
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	defer server.Shutdown()
	servers := []netip.AddrPort{conn.LocalAddr().(*net.UDPAddr).AddrPort()}
	got, err := askServers(t.Context(), servers, dnsname.MustParse("ns.example.com"))
	if err != nil || len(got) != 1 || got[0] != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("askServers = %v, %v", got, err)
	}
	if got, err := askServers(t.Context(), servers, dnsname.MustParse("other.example.com")); err == nil {
		t.Errorf("a name without address: %v", got)
	}
	if _, err := askServers(t.Context(), nil, dnsname.MustParse("ns.example.com")); err == nil {
		t.Error("no servers, no error")
	}
}
