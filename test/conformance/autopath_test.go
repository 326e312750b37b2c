package conformance

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// autopathArgs returns the flags that the rows need.
func autopathArgs() []string {
	return []string{"--autopath=cluster", "--clusterset-domain=clusterset.local.", "--federations=myfed=example.com"}
}

// The search path in one trip.
func TestAutopath(t *testing.T) {
	testTable(t, "testdata/autopath", autopathArgs()...)
}

const searched = "web.prod.ns1.svc.cluster.local."

// The appearance or removal of a Service is seen as soon as without completion: at once in
// kubedns, and behind dnscache after the negative TTL.
func TestAutopathFollowsServices(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "objects.yaml")
	write := func(namespaces ...string) {
		text := ""
		for _, ns := range namespaces {
			text += fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: %s}\nspec: {clusterIP: 10.0.0.2, clusterIPs: [10.0.0.2]}\n---\n", ns)
		}
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("ns1")
	c := startChain(t, file, "--autopath=cluster", "--negative-ttl=1s")
	await := func(addr string, rcode, answers int) (took time.Duration) {
		start := time.Now()
		for {
			m := ask(t, "udp", addr, searched, dns.TypeA)
			if m.Rcode == rcode && len(m.Answer) == answers {
				return time.Since(start)
			}
			if time.Since(start) > 20*time.Second {
				t.Fatalf("%v", m)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	const ttl, slack = time.Second, 1500 * time.Millisecond // TTLs count whole seconds
	for _, step := range []struct {
		namespaces     []string
		rcode, answers int
	}{
		{[]string{"ns1"}, dns.RcodeNameError, 0},
		{[]string{"ns1", "prod"}, dns.RcodeSuccess, 2},
		{[]string{"ns1"}, dns.RcodeNameError, 0},
		{[]string{"prod"}, dns.RcodeNameError, 0}, // the client's namespace has no Service
		{[]string{"prod", "ns1"}, dns.RcodeSuccess, 2},
	} {
		write(step.namespaces...)
		await(c.kubednsAddr, step.rcode, step.answers)
		if took := await(c.dnscacheAddr, step.rcode, step.answers); took > ttl+slack {
			t.Errorf("%v: dnscache knew it after %v", step.namespaces, took)
		}
	}
}

// Without servers for other names the result is the same: NXDOMAIN, not REFUSED.
func TestAutopathWithoutServers(t *testing.T) {
	for _, mode := range []string{"cluster", "all"} {
		c := startChain(t, "testdata/autopath/objects.yaml", append(autopathArgs(), "--autopath="+mode, "--nameservers=none")...)
		for name, rcode := range map[string]int{
			"www.example.com.ns1.svc.cluster.local.": dns.RcodeNameError, searched: dns.RcodeSuccess, "www.example.com.": dns.RcodeRefused,
		} {
			for _, addr := range []string{c.kubednsAddr, c.dnscacheAddr} {
				if m := ask(t, "udp", addr, name, dns.TypeA); m.Rcode != rcode {
					t.Errorf("mode %s: %s: %v", mode, name, m)
				}
			}
		}
	}
}

// For names of the search list, no question is sent outside, whatever clients ask. Names in
// the cluster are answered meanwhile.
func TestAutopathSendsNothingOutside(t *testing.T) {
	var asked atomic.Int64
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(dns.ResponseWriter, *dns.Msg) { asked.Add(1) })}
	go server.ActivateAndServe()
	t.Cleanup(func() { _ = server.Shutdown() })
	c := startChain(t, "testdata/autopath/objects.yaml", append(autopathArgs(), "--nameservers="+conn.LocalAddr().String())...)
	before := asked.Load()
	const misses = 5000
	start := time.Now()
	for i := range misses {
		name := fmt.Sprintf("a%d.b%d.example.ns1.svc.cluster.local.", i, i%7)
		if m := ask(t, "udp", c.kubednsAddr, name, dns.TypeA); m.Rcode != dns.RcodeNameError {
			t.Fatalf("%s: %v", name, m)
		}
	}
	if m := ask(t, "udp", c.kubednsAddr, searched, dns.TypeA); len(m.Answer) != 2 {
		t.Errorf("%v", m)
	}
	if n := asked.Load() - before; n != 0 {
		t.Errorf("%d questions were sent outside", n)
	}
	t.Logf("%d misses took %v", misses, time.Since(start))
}

// While kubedns is away, dnscache gives the completed answer as a stale one.
func TestAutopathStale(t *testing.T) {
	c := startChain(t, "testdata/autopath/objects.yaml", append(autopathArgs(), "--negative-ttl=1s")...)
	if m := ask(t, "udp", c.dnscacheAddr, searched, dns.TypeA); len(m.Answer) != 2 {
		t.Fatalf("%v", m)
	}
	c.kubedns.Kill()
	time.Sleep(2100 * time.Millisecond) // until the entry's end
	m := ask(t, "udp", c.dnscacheAddr, searched, dns.TypeA)
	if len(m.Answer) != 2 || m.Answer[0].Header().Rrtype != dns.TypeCNAME || m.Answer[1].Header().Ttl != 30 {
		t.Errorf("%v", m)
	}
}
