package addon_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
)

// pair is kubedns behind dnscache, as the manifests run them.
type pair struct {
	t               *testing.T
	kubedns, cache  string // addresses
	objects, config string // a file and a folder
}

const cluster = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.10}
`

// startPair starts both. args are more flags for kubedns.
func startPair(t *testing.T, config map[string]string, args ...string) *pair {
	t.Helper()
	bin := t.TempDir()
	if err := addon.Build(bin, nil, "kubedns", "dnscache"); err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t, objects: filepath.Join(t.TempDir(), "objects.yaml"), config: t.TempDir()}
	write(t, p.objects, cluster)
	for key, value := range config {
		write(t, filepath.Join(p.config, key), value)
	}
	ports := addon.FreePorts(t, 3)
	p.kubedns, p.cache = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	kubedns := addon.Start(t, filepath.Join(bin, "kubedns"), append([]string{
		"--objects=" + p.objects, "--dns-bind-address=127.0.0.1", fmt.Sprintf("--dns-port=%d", ports[0]), fmt.Sprintf("--healthz-port=%d", ports[2]),
		"--debug-address=", "--config-dir=" + p.config, "--config-period=100ms", "--negative-ttl=1s",
	}, args...)...)
	kubedns.WaitURL(t, fmt.Sprintf("http://127.0.0.1:%d/readiness", ports[2]), 20*time.Second)
	addon.Start(t, filepath.Join(bin, "dnscache"), "--cache-size=1000", "--no-resolv", fmt.Sprintf("--server=127.0.0.1#%d", ports[0]),
		"--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", fmt.Sprintf("--port=%d", ports[1]), "--log-facility=-", "--serve-stale=1h", "--pid-file=")
	p.eventually("web.default.svc.cluster.local.", dns.TypeA, "NOERROR 10.96.0.10")
	return p
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ask returns rcode, data and the text of the extended error.
func (p *pair) ask(server, name string, qtype uint16) string {
	client := dns.Client{Timeout: 10 * time.Second}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, qtype).SetEdns0(1232, false), server)
	if err != nil {
		return err.Error()
	}
	text := dns.RcodeToString[reply.Rcode]
	for _, rr := range reply.Answer {
		text += " " + strings.TrimPrefix(rr.String(), rr.Header().String())
	}
	if opt := reply.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok && reply.Rcode == dns.RcodeServerFailure {
				text += ": " + e.ExtraText
			}
		}
	}
	return text
}

// want checks the answer of both programs.
func (p *pair) want(name string, qtype uint16, want string) {
	p.t.Helper()
	for program, server := range map[string]string{"kubedns": p.kubedns, "dnscache": p.cache} {
		if got := p.ask(server, name, qtype); got != want {
			p.t.Errorf("%s: %s %s: %s, want %s", program, name, dns.TypeToString[qtype], got, want)
		}
	}
}

func (p *pair) eventually(name string, qtype uint16, want string) {
	p.t.Helper()
	got := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = p.ask(p.cache, name, qtype); got == want {
			return
		}
	}
	p.t.Fatalf("%s %s: %s, want %s", name, dns.TypeToString[qtype], got, want)
}

// upstream answers A questions with addr and counts all of them.
func upstream(t *testing.T, address, addr string, asked *atomic.Int64) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Skipf("cannot listen on %s: %v", address, err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		asked.Add(1)
		m := new(dns.Msg).SetReply(q)
		text := " 60 IN A " + addr
		if q.Question[0].Qtype == dns.TypeNS {
			text = " 60 IN NS a.root."
		}
		rr, _ := dns.NewRR(q.Question[0].Name + text)
		m.Answer = append(m.Answer, rr)
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	return conn.LocalAddr().String()
}

// TestSingleLabels: names of one label through both programs.
func TestSingleLabels(t *testing.T) {
	var plain, stub atomic.Int64
	outside, consul := upstream(t, "127.0.0.1:0", "192.0.2.1", &plain), upstream(t, "127.0.0.1:0", "192.0.2.2", &stub)
	p := startPair(t, map[string]string{"stubDomains": fmt.Sprintf(`{"consul": [%q]}`, consul)}, "--nameservers="+outside)
	before := plain.Load()
	p.want("nosuch.", dns.TypeA, "NXDOMAIN")
	p.want("nosuch.", dns.TypeAAAA, "NXDOMAIN")
	p.want("consul.", dns.TypeA, "NOERROR 192.0.2.2")
	p.want("x.consul.", dns.TypeA, "NOERROR 192.0.2.2")
	if n := plain.Load() - before; n != 0 || stub.Load() == 0 {
		t.Errorf("%d questions went outside, %d to the stub domain", n, stub.Load())
	}
	p.want("com.", dns.TypeNS, "NOERROR a.root.")
	p.want(".", dns.TypeNS, "NOERROR a.root.")
}

// TestStubServiceThroughCache: the answers that dnscache got while a stub domain's server had
// no address are not used any more once the server has one.
func TestStubServiceThroughCache(t *testing.T) {
	var plain, stub atomic.Int64
	outside := upstream(t, "127.0.0.1:0", "192.0.2.1", &plain)
	upstream(t, "127.0.0.73:53", "192.0.2.2", &stub)
	p := startPair(t, map[string]string{"stubDomains": `{"corp.example": ["stub.default.svc.cluster.local"]}`}, "--nameservers="+outside)
	before := plain.Load()
	p.eventually("www.corp.example.", dns.TypeA, "SERVFAIL: stub domain corp.example: no address for server stub.default.svc.cluster.local: no such Service or endpoint")
	write(t, p.objects, cluster+"---\napiVersion: v1\nkind: Service\nmetadata: {name: stub, namespace: default}\nspec: {clusterIP: 127.0.0.73}\n")
	p.eventually("www.corp.example.", dns.TypeA, "NOERROR 192.0.2.2")
	if n := plain.Load() - before; n != 0 {
		t.Errorf("%d questions went to the default servers", n)
	}
}

// TestGiveUp: kubedns gives up on a silent server before dnscache gives up on kubedns, so
// that the client gets the reason, and both give up before the client does.
func TestGiveUp(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := startPair(t, nil, "--nameservers="+silent.LocalAddr().String())
	// Ask many at once: while no reply comes, dnscache also asks without EDNS, and the
	// failure that gives no reason may arrive first.
	var done sync.WaitGroup
	for i := range 16 {
		program, server := "dnscache", p.cache
		if i%4 == 0 {
			program, server = "kubedns", p.kubedns
		}
		done.Go(func() {
			start := time.Now()
			got := p.ask(server, fmt.Sprintf("www.%s-%d.example.com.", program, i), dns.TypeA)
			took := time.Since(start)
			if !strings.HasPrefix(got, "SERVFAIL: ") || took < 2*time.Second || took > 3900*time.Millisecond {
				t.Errorf("%s: %q after %v, want SERVFAIL with a reason before dnscache's own 4 s", program, got, took)
			}
		})
	}
	done.Wait()
}
