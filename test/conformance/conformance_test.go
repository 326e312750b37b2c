package conformance

import (
	"fmt"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
)

// bin is the folder with the binaries under test.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "kube-dns-conformance")
		if err != nil {
			log.Print(err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := addon.Build(dir, nil, "kubedns", "dnscache"); err != nil {
			log.Print(err)
			return 1
		}
		bin = dir
		return m.Run()
	}())
}

// chain is kubedns over some objects, dnscache before it and a scripted
// upstream behind it.
type chain struct {
	kubedns, dnscache         *addon.Process
	kubednsAddr, dnscacheAddr string
	kubednsArgs, dnscacheArgs []string
	readiness                 string
}

func startChain(t *testing.T, objects string, kubednsArgs ...string) *chain {
	t.Helper()
	upstream := startUpstream(t)
	ports := addon.FreePorts(t, 3)
	c := &chain{
		kubednsAddr:  "127.0.0.1:" + strconv.Itoa(ports[0]),
		dnscacheAddr: "127.0.0.1:" + strconv.Itoa(ports[1]),
		readiness:    fmt.Sprintf("http://127.0.0.1:%d/readiness", ports[2]),
	}
	c.kubednsArgs = append([]string{
		"--objects=" + objects, "--domain=cluster.local.", "--nameservers=" + upstream,
		"--dns-bind-address=127.0.0.1", "--dns-port=" + strconv.Itoa(ports[0]),
		"--healthz-port=" + strconv.Itoa(ports[2]), "--debug-address=",
	}, kubednsArgs...)
	c.dnscacheArgs = []string{
		"-k", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--cache-size=1000", "--user=root", "--pid-file=",
		"--listen-address=127.0.0.1", "--port=" + strconv.Itoa(ports[1]),
		"--server=127.0.0.1#" + strconv.Itoa(ports[0]), "--serve-stale=1h", "--log-facility=-",
	}
	c.startKubedns(t)
	c.startDnscache(t)
	return c
}

func (c *chain) startDnscache(t *testing.T) {
	t.Helper()
	c.dnscache = addon.Start(t, filepath.Join(bin, "dnscache"), c.dnscacheArgs...)
	c.dnscache.WaitFor(t, 10*time.Second, "dnscache", answers(c.dnscacheAddr))
}

func (c *chain) startKubedns(t *testing.T) {
	t.Helper()
	c.kubedns = addon.Start(t, filepath.Join(bin, "kubedns"), c.kubednsArgs...)
	c.kubedns.WaitURL(t, c.readiness, 20*time.Second)
}

// The reader of the tables computes their hash labels; these are the published values that it
// must produce.
func TestHashLabel(t *testing.T) {
	for addr, want := range map[string]string{
		"1.2.3.4":     "6263626163303737",
		"10.96.0.10":  "6464633335393634",
		"2001:db8::1": "3537393061303264",
	} {
		if got := hashLabel(netip.MustParseAddr(addr)); got != want {
			t.Errorf("hashLabel(%s) = %s, want %s", addr, got, want)
		}
	}
}

func TestSpecification(t *testing.T) {
	testTable(t, "testdata/spec")
}

func TestKubeDNS(t *testing.T) {
	testTable(t, "testdata/kubedns", "--federations=myfed=example.com")
}

func TestCoreDNS(t *testing.T) {
	testTable(t, "testdata/coredns")
}

// Multi-cluster Services have their own zone.
func TestClusterSet(t *testing.T) {
	testTable(t, "testdata/clusterset", "--clusterset-domain=clusterset.local.")
}

// Without --clusterset-domain the zone is not answered here, and its objects change
// nothing in the cluster domain.
func TestClusterSetOff(t *testing.T) {
	c := startChain(t, "testdata/clusterset/objects.yaml", "--nameservers=none")
	for _, name := range []string{"shop.ns1.svc.clusterset.local.", "dns-version.clusterset.local.", "clusterset.local."} {
		if m := ask(t, "udp", c.kubednsAddr, name, dns.TypeA); m.Rcode != dns.RcodeRefused || m.Authoritative {
			t.Errorf("%s: %v", name, m)
		}
	}
	for name, want := range map[string]string{
		"shop.ns1.svc.cluster.local.": "10.0.0.9", "pod-0.d1.ns1.svc.cluster.local.": "10.9.6.1",
	} {
		m := ask(t, "udp", c.kubednsAddr, name, dns.TypeA)
		if len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), want) {
			t.Errorf("%s: %v", name, m)
		}
	}
}

// Without wildcards the label "*" is one like any other, as in CoreDNS.
func TestLiteralAsterisk(t *testing.T) {
	testTable(t, "testdata/literal", "--wildcards=false")
}

// testTable asks every row of folder/rows.md, over UDP and TCP, of a kubedns that serves
// folder/objects.yaml, and through dnscache. dnscache is asked twice, so that it answers once
// by forwarding and once from its cache.
func testTable(t *testing.T, folder string, kubednsArgs ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "rows.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := ParseRows(string(text))
	if err != nil {
		t.Fatal(err)
	}
	c := startChain(t, filepath.Join(folder, "objects.yaml"), kubednsArgs...)
	for _, row := range rows {
		t.Run(row.ID+"/"+row.Name+"/"+dns.TypeToString[row.Type], func(t *testing.T) {
			for _, network := range []string{"udp", "tcp"} {
				m := ask(t, network, c.kubednsAddr, row.Name, row.Type)
				if diff := row.Diff(m, false); diff != "" {
					t.Errorf("kubedns over %s: %s\n%v", network, diff, m)
				}
				if row.Rcode != dns.RcodeRefused && row.Rcode != dns.RcodeServerFailure && inDomain(row.Name) && !m.Authoritative {
					t.Errorf("kubedns over %s: AA is clear", network)
				}
				for _, round := range []string{"first", "second"} {
					m := ask(t, network, c.dnscacheAddr, row.Name, row.Type)
					if diff := row.Diff(m, true); diff != "" {
						t.Errorf("dnscache over %s, %s time: %s\n%v", network, round, diff, m)
					}
				}
			}
		})
	}
}

func inDomain(name string) bool {
	return dns.IsSubDomain("cluster.local.", name) || dns.IsSubDomain("clusterset.local.", name)
}

// ask sends one question with EDNS and returns the reply.
func ask(tb testing.TB, network, server, name string, typ uint16) *dns.Msg {
	tb.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name, typ)
	q.SetEdns0(1232, false)
	return exchange(tb, network, server, q)
}

func exchange(tb testing.TB, network, server string, q *dns.Msg) *dns.Msg {
	tb.Helper()
	client := dns.Client{Net: network, Timeout: 20 * time.Second}
	m, _, err := client.Exchange(q, server)
	if err != nil {
		tb.Fatalf("asking %s over %s for %v: %v", server, network, q.Question, err)
	}
	if len(q.Question) == 1 && (len(m.Question) != 1 || m.Question[0] != q.Question[0]) {
		tb.Fatalf("%s over %s: question %v came back as %v", server, network, q.Question, m.Question)
	}
	return m
}
