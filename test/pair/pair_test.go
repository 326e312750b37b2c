// Package pair tests the real kubedns and dnscache together, as the addon's Pod runs them.
// The tests act as the servers outside the cluster.
package pair

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// bin is where the binaries are.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "pair")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := addon.Build(dir, nil, "kubedns", "dnscache"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		bin = dir
		return m.Run()
	}())
}

const objects = `
apiVersion: v1
kind: Service
metadata: {name: kubernetes, namespace: default}
spec: {clusterIP: 10.3.0.1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  clusterIP: 10.3.0.10
  ports: [{name: http, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: ext, namespace: default}
spec:
  type: ExternalName
  externalName: target.corp.example
---
apiVersion: v1
kind: Service
metadata: {name: gone, namespace: default}
spec:
  type: ExternalName
  externalName: neg.corp.example
`

// outside is a server outside the cluster. Its answers identify the server. Names that begin
// with "neg" do not exist.
type outside struct {
	*dnstest.Server
	mark string // an address

	mu    sync.Mutex
	asked map[string]int // by name and type
}

func newOutside(t *testing.T, number int) *outside {
	t.Helper()
	o := &outside{mark: fmt.Sprintf("192.0.2.%d", number), asked: map[string]int{}}
	o.Server = dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte {
		name, qtype := q.Question[0].Name, q.Question[0].Qtype
		o.mu.Lock()
		o.asked[strings.ToLower(name)+dns.TypeToString[qtype]]++
		o.mu.Unlock()
		const soa = "ns example. 86400 SOA ns.example. root.example. %d 1 1 1 86400"
		switch {
		case strings.HasPrefix(name, "neg."):
			return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeNameError, fmt.Sprintf(soa, number)))}
		case qtype == dns.TypePTR:
			return [][]byte{dnstest.Pack(dnstest.Reply(q, 0, fmt.Sprintf("%s 86400 PTR server%d.example.", name, number)))}
		case qtype == dns.TypeA:
			return [][]byte{dnstest.Pack(dnstest.Reply(q, 0, fmt.Sprintf("%s 86400 A %s", name, o.mark)))}
		}
		return [][]byte{dnstest.Pack(dnstest.Reply(q, 0, fmt.Sprintf(soa, number)))}
	})
	return o
}

// times returns how often a question was asked.
func (o *outside) times(name string, qtype uint16) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[name+dns.TypeToString[qtype]]
}

// pair is a running kubedns with a dnscache in front of it.
type pair struct {
	t           *testing.T
	dir         string // of the configuration
	kubednsArgs []string
	readiness   string
	kubedns     *addon.Process
	dnscache    *addon.Process
	addr        string // of dnscache
	kubednsAddr string
}

// start runs a pair. extra returns further arguments for dnscache, given kubedns's address
// and the configuration's folder.
func start(t *testing.T, nameserver netip.AddrPort, extra func(kubedns, dir string) []string) *pair {
	t.Helper()
	ports := testkit.FreePorts(t, 21000, 3000, 3)
	p := &pair{t: t, dir: t.TempDir(), addr: "127.0.0.1:" + strconv.Itoa(ports[1]), kubednsAddr: "127.0.0.1:" + strconv.Itoa(ports[0])}
	file := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(file, []byte(objects), 0o600); err != nil {
		t.Fatal(err)
	}
	p.readiness = fmt.Sprintf("http://127.0.0.1:%d/readiness", ports[2])
	p.kubednsArgs = []string{
		"--objects=" + file, "--dns-bind-address=127.0.0.1", "--dns-port=" + strconv.Itoa(ports[0]),
		"--healthz-port=" + strconv.Itoa(ports[2]), "--debug-address=", "--config-dir=" + p.dir, "--config-period=1s",
		"--nameservers=" + nameserver.String(), "--lameduck=0s",
	}
	p.startKubedns()
	args := append(extra(strings.Replace(p.kubednsAddr, ":", "#", 1), p.dir),
		"--listen-address=127.0.0.1", "--port="+strconv.Itoa(ports[1]), "--bind-interfaces", "--no-resolv", "--keep-in-foreground", "--log-facility=-", "--user=", "--pid-file=", "--cache-size=1000")
	p.dnscache = addon.Start(t, filepath.Join(bin, "dnscache"), args...)
	p.dnscache.WaitFor(t, 10*time.Second, "dnscache", func(ctx context.Context) bool {
		m, err := p.exchange(ctx, "web.default.svc.cluster.local.", dns.TypeA)
		return err == nil && len(m.Answer) == 1
	})
	return p
}

func (p *pair) startKubedns() {
	p.t.Helper()
	p.kubedns = addon.Start(p.t, filepath.Join(bin, "kubedns"), p.kubednsArgs...)
	p.kubedns.WaitURL(p.t, p.readiness, 20*time.Second)
}

func (p *pair) exchange(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(name, qtype)
	q.SetEdns0(1232, false)
	m, _, err := (&dns.Client{Timeout: 6 * time.Second}).ExchangeContext(ctx, q, p.addr)
	return m, err
}

// answer returns a short text for the reply to a question: the last record's data, or the
// rcode with the SOA's serial.
func (p *pair) answer(name string, qtype uint16) string {
	p.t.Helper()
	m, err := p.exchange(p.t.Context(), name, qtype)
	if err != nil {
		return err.Error()
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if o.Option() >= 65001 {
				p.t.Errorf("%s: a client got the option %v", name, o)
			}
		}
	}
	if len(m.Answer) > 0 {
		switch rr := m.Answer[len(m.Answer)-1].(type) {
		case *dns.A:
			return rr.A.String()
		case *dns.PTR:
			return rr.Ptr
		}
	}
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return fmt.Sprintf("%s %d", dns.RcodeToString[m.Rcode], soa.Serial)
		}
	}
	return dns.RcodeToString[m.Rcode]
}

// configure replaces the configuration: keys and values.
func (p *pair) configure(keys map[string]string) {
	p.t.Helper()
	for _, key := range []string{"stubDomains", "upstreamNameservers"} {
		path := filepath.Join(p.dir, key)
		value, ok := keys[key]
		if !ok {
			_ = os.Remove(path) // it may not be there
			continue
		}
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
}
