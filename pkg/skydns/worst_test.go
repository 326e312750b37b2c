package skydns

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// worstSize is how many Services, and endpoints of one Service, a cluster has
// that tenants fill on purpose.
const worstSize = 100_000

// worstCluster is filled with as much of everything as a tenant can make.
var worstCluster = sync.OnceValue(func() *fakeBackend {
	f := &fakeBackend{tree: treecache.New(dnsname.MustParse(zone))}
	nth := func(network byte, n int) netip.Addr {
		return netip.AddrFrom4([4]byte{network, byte(n >> 16), byte(n >> 8), byte(n)})
	}
	nth6 := func(n int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)})
	}
	var changes []treecache.Change
	put := func(svc *records.Service, slices ...*records.Slice) {
		if set, _ := records.Build(svc, slices, 15, records.DefaultTTL); set != nil {
			changes = append(changes, treecache.Change{Path: set.Path(), Set: set})
		}
	}
	http := []records.Port{tcp("http", 80)}
	for i := range worstSize {
		name := fmt.Sprintf("s%d", i)
		put(clusterIP("wide", name, []netip.Addr{nth(10, i)}, http...))
		put(external("outside", name, "a.example.com"))
	}
	for i := range worstSize / 10 {
		put(clusterIP(fmt.Sprintf("ns%d", i), "web", []netip.Addr{nth(11, i)}, http...))
		shared := &records.Slice{Ports: http}
		shared.Add(records.Endpoint{Addr: netip.MustParseAddr("12.0.0.1"), Ready: true})
		put(headless("shared", fmt.Sprintf("s%d", i)), shared)
	}
	fill := func(name string, endpoint func(i int) records.Endpoint, ports ...[]records.Port) {
		var list []*records.Slice
		for k := range len(ports) {
			s := &records.Slice{Ports: ports[k]}
			for i := range worstSize / len(ports) {
				e := endpoint(i*len(ports) + k)
				e.Ready = true
				s.Add(e)
			}
			list = append(list, s)
		}
		put(headless("big", name), list...)
	}
	fill("plain", func(i int) records.Endpoint { return records.Endpoint{Addr: nth(13, i)} }, http)
	fill("six", func(i int) records.Endpoint { return records.Endpoint{Addr: nth6(i)} }, http)
	fill("mixed", func(i int) records.Endpoint {
		if i == worstSize/2 {
			return records.Endpoint{Addr: nth(14, i)}
		}
		return records.Endpoint{Addr: nth6(i)}
	}, http)
	fill("named", func(i int) records.Endpoint {
		return records.Endpoint{Addr: nth(15, i), Hostname: fmt.Sprintf("h%d", i)}
	}, http)
	fill("twice", func(i int) records.Endpoint {
		if i%2 == 0 {
			return records.Endpoint{Addr: nth(16, i/2), Hostname: fmt.Sprintf("h%d", i)}
		}
		return records.Endpoint{Addr: nth(16, i/2)}
	}, http)
	fill("oneaddr", func(i int) records.Endpoint {
		return records.Endpoint{Addr: nth(17, 1), Hostname: fmt.Sprintf("h%d", i)}
	}, http)
	fill("onename", func(i int) records.Endpoint { return records.Endpoint{Addr: nth(18, i), Hostname: "h"} }, http)
	fill("odd", func(i int) records.Endpoint {
		return records.Endpoint{Addr: nth(19, i), Hostname: fmt.Sprintf("h%d", i/4)}
	}, http, []records.Port{tcp("http", 8080)})
	var ports []records.Port
	for i := range worstSize / 10 {
		ports = append(ports, tcp(fmt.Sprintf("p%d", i), uint16(i+1)))
	}
	put(clusterIP("big", "ports", []netip.Addr{nth(20, 1)}, ports...))
	put(external("ext", "big", "plain.big.svc.cluster.local"))
	put(external("ext", "wide", strings.Repeat("a.", 100)+"example.com"))
	f.tree.Apply(changes...)
	return f
})

// worstQuestions returns the questions that seemed most expensive, by kind.
func worstQuestions() []string {
	list := []string{
		"1.0.0.12.in-addr.arpa. PTR", "1.0.0.17.in-addr.arpa. PTR", "1.0.0.12.in-addr.arpa. ANY", "1.0.0.12.in-addr.arpa. A",
		"big.ext A", "big.ext SRV", "big.ext AAAA", "big.ext ANY",
		"_p5000._tcp.ports.big SRV", "_p5000._tcp.ports.big A", "_tcp.ports.big SRV", "_udp.ports.big SRV", "*._p77._tcp.ports.big SRV",
		"h.onename.big A", "h.onename.big SRV", "h._http._tcp.onename.big SRV", "h1.odd.big SRV", "h1._http._tcp.odd.big SRV", "h1._http._tcp.odd.big A",
		"*.outside A", "*.outside TXT", "*.*.svc.cluster.local. A",
		"web.* A", "web.* AAAA", "web.* SRV", "web.* ANY", "web.* TXT", "*.web.* A", "_http._tcp.web.* A", "_http._tcp.web.* SRV", "nosuch.* A", "x.web.* A",
		"*.wide A", "*.*.wide A", "*.*.wide SRV", "*.*.wide AAAA", "x.*.wide A", "_http._tcp.*.wide A", "_http._tcp.*.wide SRV", "_nosuch._tcp.*.wide SRV",
		"*.*.* A", "*.*.* SRV", "*.*.big A", "*.*.big AAAA", "*.*.big SRV", "h1.*.big A", "_http._tcp.*.big SRV", "_http._tcp.*.big A",
		"*.*.*.*.cluster.local. A", "*.*.*.*.*.*.cluster.local. SRV", "*.cluster.local. A", "_http._tcp.*.*.svc.cluster.local. SRV",
		"x._http._tcp.*.*.*.cluster.local. A",
		strings.Repeat("*.", 100) + "svc.cluster.local. A", strings.Repeat("a.", 100) + "svc.cluster.local. A",
	}
	for _, name := range []string{"plain", "six", "mixed", "named", "twice", "oneaddr", "onename", "odd"} {
		for _, pattern := range []string{"%s.big", "_http._tcp.%s.big", "*.%s.big", "*._http._tcp.%s.big", "h7.%s.big"} {
			for _, qtype := range []string{"A", "AAAA", "SRV", "TXT", "ANY"} {
				list = append(list, fmt.Sprintf(pattern, name)+" "+qtype)
			}
		}
	}
	return list
}

// worstBudget is the processor time that one packet may cost, and worstSlack the factor
// allowed for a busy machine. At this size, unbounded work takes far more.
const (
	worstBudget = 200 * time.Microsecond
	worstSlack  = 5
)

// threadTime returns the processor time of this thread, which does not grow because the
// machine is busy.
func threadTime(tb testing.TB) time.Duration {
	tb.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// TestWorstPacket: whatever tenants have made, no question takes long.
func TestWorstPacket(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("times mean nothing under the race detector")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := newClient(t, Config{Backend: worstCluster(), NegativeTTL: time.Second})
	dearest := map[string]time.Duration{}
	for _, query := range worstQuestions() {
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
				dearest[query+" "+transport] = least
			}
		}
	}
	for query, took := range dearest {
		t.Logf("%8.1f µs %s", float64(took)/1e3, query)
	}
}

// BenchmarkWorst is each of the dear questions.
func BenchmarkWorst(b *testing.B) {
	c := newClient(b, Config{Backend: worstCluster(), NegativeTTL: time.Second})
	for _, query := range worstQuestions() {
		for _, stream := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/tcp=%v", query, stream), func(b *testing.B) {
				c.stream = stream
				packet, to := hotPacket(b, c, query, false)
				for b.Loop() {
					c.server.Handle(packet, to, c.buffer[:0])
				}
			})
		}
	}
}

// TestWorstAnswersAreRight: a cut answer is a part of the whole one, each record
// once, and the whole one is not cut.
func TestWorstAnswersAreRight(t *testing.T) {
	c := newClient(t, Config{Backend: worstCluster(), NegativeTTL: time.Second})
	c.stream = true
	for _, tt := range []struct {
		query   string
		answers int // 0: as many as a message of 64 KiB holds
		tc      bool
	}{
		{"plain.big A", 0, true},
		{"plain.big AAAA", -1, false},
		{"mixed.big A", 1, false},
		{"_http._tcp.mixed.big A", 1, false},
		{"twice.big A", 0, true},
		{"oneaddr.big A", 1, false},
		{"h.onename.big A", 0, true},
		{"h.onename.big SRV", 1, false},
		{"onename.big SRV", 1, false},
		{"_http._tcp.odd.big A", 0, true},
		{"_http._tcp.plain.big SRV", 0, true},
		{"1.0.0.12.in-addr.arpa. PTR", treecache.MaxNames, false},
		{"1.0.0.17.in-addr.arpa. PTR", treecache.MaxNames, false},
	} {
		reply := c.ask(question(t, tt.query))
		seen := map[string]bool{}
		for _, rr := range reply.Answer {
			if seen[rr.String()] {
				t.Errorf("%s: twice: %v", tt.query, rr)
			}
			seen[rr.String()] = true
		}
		packed, err := reply.Pack()
		whole := err == nil && (tt.answers == -1 && len(seen) == 0 || tt.answers > 0 && len(seen) == tt.answers ||
			tt.answers == 0 && len(seen) > 900)
		if !whole || reply.Truncated != tt.tc {
			t.Errorf("%s: %d answers in %d octets, TC %v, error %v", tt.query, len(reply.Answer), len(packed), reply.Truncated, err)
		}
	}
	for _, query := range []string{"*.*.wide AAAA", "nosuch.* A", "x.*.wide A"} {
		if reply := c.ask(question(t, query)); reply.Rcode != dns.RcodeServerFailure || reply.Authoritative {
			t.Errorf("%s: rcode %d, AA %v; want SERVFAIL without AA, for not everything was looked at", query, reply.Rcode, reply.Authoritative)
		}
	}
}
