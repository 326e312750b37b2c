package skydns

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

const setDomain = "clusterset.local."

// worstImports is a clusterset zone that is filled with as much of everything as a
// tenant can make.
func worstImports() *fakeBackend {
	f := &fakeBackend{tree: treecache.New(dnsname.MustParse(setDomain))}
	put := func(imp *records.Service, slices ...*records.Slice) {
		imp.Namespace = "big"
		if set, _ := records.BuildImport(imp, slices, len(f.tree.Snapshot().Zone()), records.DefaultTTL); set != nil {
			f.tree.Replace(set)
		}
	}
	fill := func(name string, cluster func(i int) string, endpoint func(i int) records.Endpoint) {
		var list []*records.Slice
		for i := range worstSize {
			if i%1000 == 0 {
				s := &records.Slice{Ports: []records.Port{tcp("http", uint16(1+i/1000)), {Protocol: records.UDP, Number: 53}}}
				if id := cluster(i); id != "" {
					s.SetCluster(&id)
				}
				list = append(list, s)
			}
			e := endpoint(i)
			e.Ready = true
			list[len(list)-1].Add(e)
		}
		put(&records.Service{Name: name, Kind: records.ClusterSetHeadless}, list...)
	}
	nth := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	one := func(int) string { return "ca" }
	fill("plain", one, func(i int) records.Endpoint { return records.Endpoint{Addr: nth(i)} })
	fill("many", func(i int) string { return fmt.Sprintf("c%d.reg", i/1000) }, func(i int) records.Endpoint {
		return records.Endpoint{Addr: nth(i), Hostname: fmt.Sprintf("h%d", i)}
	})
	fill("oneaddr", one, func(i int) records.Endpoint { return records.Endpoint{Addr: nth(1), Hostname: fmt.Sprintf("h%d", i)} })
	fill("onename", one, func(i int) records.Endpoint { return records.Endpoint{Addr: nth(i), Hostname: "h"} })
	fill("nameless", func(int) string { return "" }, func(i int) records.Endpoint { return records.Endpoint{Addr: nth(i)} })
	fill("half", func(i int) string { return []string{"ca", ""}[i/1000%2] }, func(i int) records.Endpoint {
		return records.Endpoint{Addr: nth(i % 1000), Hostname: fmt.Sprintf("h%d", i)}
	})
	ports := &records.Service{Name: "ports", Kind: records.ClusterSetIP, ClusterIPs: []netip.Addr{nth(1), netip.MustParseAddr("fd00::1")}}
	for i := range worstSize / 2 {
		ports.Ports = append(ports.Ports, tcp(fmt.Sprintf("p%d", i), uint16(i+1)))
	}
	put(ports)
	return f
}

// TestWorstPacketOfZone: whatever tenants have imported, no question takes long, and an
// answer that is cut has each record once.
func TestWorstPacketOfZone(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("times mean nothing under the race detector")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := newClient(t, Config{
		NegativeTTL: time.Second, Others: []Zone{{Domain: dnsname.MustParse(setDomain), Backend: worstImports(), SchemaVersion: "1.0.0"}},
	})
	var queries []string
	for _, name := range []string{"plain", "many", "oneaddr", "onename", "nameless", "half", "ports"} {
		for _, below := range []string{"", "_http._tcp.", "_tcp.", "_p77._tcp.", "ca.", "reg.", "c7.reg.", "h.ca.", "h7007.c7.reg.", "h7.ca.", strings.Repeat("a.", 90)} {
			for _, qtype := range []string{"A", "AAAA", "SRV", "TXT", "ANY"} {
				queries = append(queries, below+name+".big.svc."+setDomain+" "+qtype)
			}
		}
	}
	answered := 0
	for _, query := range queries {
		for _, transport := range []string{"udp", "edns", "tcp"} {
			c.stream = transport == "tcp"
			packet, to := hotPacket(t, c, query, transport == "edns")
			least := time.Hour
			for range 7 {
				start := threadTime(t)
				c.server.Handle(packet, to, c.buffer[:0])
				least = min(least, threadTime(t)-start)
			}
			if least > worstSlack*worstBudget {
				t.Errorf("%s over %s takes %v", query, transport, least)
			}
			if least > worstBudget/4 {
				t.Logf("%8.1f µs %s %s", float64(least)/1e3, query, transport)
			}
		}
		reply := c.ask(question(t, query))
		answered += len(reply.Answer)
		seen := map[string]bool{}
		for _, rr := range reply.Answer {
			if seen[rr.String()] {
				t.Errorf("%s: twice: %v", query, rr)
			}
			seen[rr.String()] = true
		}
	}
	if answered < 10_000 {
		t.Errorf("%d records in all", answered)
	}
}

// A zone beside the domain that is not loaded yet is SERVFAIL alone, and an alias into
// it is too.
func TestZoneUnsynced(t *testing.T) {
	other := &fakeBackend{tree: treecache.New(dnsname.MustParse(setDomain)), unsynced: true}
	c := newClient(t, Config{Others: []Zone{{Domain: dnsname.MustParse(setDomain), Backend: other, SchemaVersion: "1.0.0"}}})
	for query, want := range map[string]string{
		"a.b.svc.clusterset.local. A": "SERVFAIL", "clusterset.local. SOA": "SERVFAIL", "dns-version.clusterset.local. TXT": "SERVFAIL",
		"cluster.local. SOA": "NOERROR", "dns-version.cluster.local. TXT": "NOERROR", "nosuch.default.svc.cluster.local. A": "NXDOMAIN",
	} {
		if got := dns.RcodeToString[c.ask(question(t, query)).Rcode]; got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestZonesMustNotOverlap(t *testing.T) {
	for _, domain := range []string{"cluster.local.", "local.", "x.cluster.local.", "."} {
		_, err := New(Config{
			Domain: dnsname.MustParse("cluster.local."), Backend: newFixture(t),
			Others: []Zone{{Domain: dnsname.MustParse(domain), Backend: newFixture(t)}},
		})
		if err == nil {
			t.Errorf("%s beside cluster.local. is taken", domain)
		}
	}
}
