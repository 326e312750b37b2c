// Package encrypted tests DNS over TLS with the real programs, and compares their answers
// with those of kdig, the reference client. The servers are unbound, Knot Resolver, and
// scripted ones.
package encrypted

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

const (
	serverName = "dns.example.net"
	patience   = 30 * time.Second
)

// named describes the server's certificate. kdig requires a subject.
var named = dnstest.Leaf{Names: []string{serverName}, CommonName: serverName}

// run starts a program, which ends with the test.
func run(t *testing.T, program string, args ...string) *testkit.Buffer {
	t.Helper()
	out := new(testkit.Buffer)
	cmd := exec.CommandContext(context.Background(), program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", filepath.Base(program), out)
		}
	})
	return out
}

// unbound starts unbound as a server over TLS with its own data.
func unbound(t *testing.T, cert, key string) (port int) {
	t.Helper()
	port = testkit.FreePorts(t, 20000, 1000, 1)[0]
	dir := t.TempDir()
	config := fmt.Sprintf(`server:
  interface: 127.0.0.1@%d
  tls-port: %d
  tls-service-key: %q
  tls-service-pem: %q
  do-daemonize: no
  username: ""
  chroot: ""
  directory: %q
  pidfile: ""
  use-syslog: no
  num-threads: 1
  access-control: 127.0.0.0/8 allow
  pad-responses: yes
  edns-tcp-keepalive: yes
  local-zone: "example." static
  local-data: "example. 300 IN SOA ns.example. admin.example. 1 2 3 4 5"
  local-data: "www.example. 300 IN A 192.0.2.1"
  local-data: "www.example. 300 IN AAAA 2001:db8::1"
  local-data: "mail.example. 300 IN MX 10 www.example."
  local-data: 'text.example. 300 IN TXT "%s"'
remote-control:
  control-enable: no
`, port, port, key, cert, dir, strings.Repeat("x", 200))
	path := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "/usr/sbin/unbound", "-d", "-p", "-c", path)
	testkit.Eventually(t, "unbound", func() bool {
		nc, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	return port
}

// kdig asks with kdig and returns the records' data.
func kdig(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "kdig", append([]string{"+short", "+timeout=5"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("kdig %q: %v: %s", args, err, out)
	}
	lines := strings.Fields(string(out))
	slices.Sort(lines)
	return lines
}

func need(t *testing.T) {
	t.Helper()
	for _, program := range []string{"/usr/sbin/unbound", "kdig"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is missing: ./hack/apt.sh unbound=unbound kdig=knot-dnsutils", program)
		}
	}
}

// TestUnbound is B48: both programs give the same answers as kdig gets from unbound over TLS,
// and SERVFAIL with the reason if the certificate is for another name.
func TestUnbound(t *testing.T) {
	need(t)
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	ca := dnstest.NewCA(t, "CA")
	dir := t.TempDir()
	cert, key := dnstest.WritePair(t, dir, ca.Leaf(t, named))
	caFile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	port := unbound(t, cert, key)

	cache := testkit.FreePorts(t, 20000, 1000, 1)[0]
	run(t, filepath.Join(bin, "dnscache"), "-k", "--user=root", "--conf-file=", "--no-resolv", "--no-hosts", "--pid-file=",
		"--listen-address=127.0.0.1", "--port="+strconv.Itoa(cache), "--tls-ca-file="+caFile, "--log-facility=-",
		fmt.Sprintf("--server=tls:127.0.0.1#%d,name=%s", port, serverName),
		fmt.Sprintf("--server=/wrong.example/tls:127.0.0.1#%d,name=other.example", port))
	config := t.TempDir()
	for name, text := range map[string]string{
		"upstreamNameservers": fmt.Sprintf(`["tls://127.0.0.1%%%s:%d"]`, serverName, port),
		"stubDomains":         fmt.Sprintf(`{"wrong.example": ["tls://127.0.0.1%%other.example:%d"]}`, port),
	} {
		if err := os.WriteFile(filepath.Join(config, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	objects := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(objects, []byte("apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {type: ExternalName, externalName: www.example}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster := testkit.FreePorts(t, 20000, 1000, 1)[0]
	run(t, filepath.Join(bin, "kubedns"), "--objects="+objects, "--config-dir="+config, "--tls-ca-file="+caFile,
		"--dns-bind-address=127.0.0.1", "--dns-port="+strconv.Itoa(cluster), "--healthz-port="+strconv.Itoa(testkit.FreePorts(t, 20000, 1000, 1)[0]), "--debug-address=")

	for program, at := range map[string]int{"dnscache": cache, "kubedns": cluster} {
		client := &dns.Client{Timeout: 5 * time.Second}
		addr := "127.0.0.1:" + strconv.Itoa(at)
		testkit.Eventually(t, program, func() bool {
			m, _, err := client.Exchange(new(dns.Msg).SetQuestion("www.example.", dns.TypeA), addr)
			return err == nil && m.Rcode == dns.RcodeSuccess && len(m.Answer) == 1
		})
		for _, q := range [][2]string{{"www.example", "A"}, {"www.example", "AAAA"}, {"mail.example", "MX"}, {"text.example", "TXT"}, {"none.example", "A"}} {
			want := kdig(t, "+tls-ca="+caFile, "+tls-hostname="+serverName, "@127.0.0.1", "-p", strconv.Itoa(port), q[0], q[1])
			if got := kdig(t, "@127.0.0.1", "-p", strconv.Itoa(at), q[0], q[1]); !slices.Equal(got, want) {
				t.Errorf("%s, %s %s: %q, kdig +tls got %q", program, q[0], q[1], got, want)
			}
		}
		q := new(dns.Msg).SetQuestion("www.wrong.example.", dns.TypeA)
		q.SetEdns0(1232, false)
		m, _, err := client.Exchange(q, addr)
		if err != nil || m.Rcode != dns.RcodeServerFailure || !strings.Contains(m.String(), "expected name other.example but for "+serverName) {
			t.Errorf("%s: %v, %v", program, m, err)
		}
	}
	got := kdig(t, "@127.0.0.1", "-p", strconv.Itoa(cluster), "a.b.svc.cluster.local", "A")
	if !slices.Equal(got, []string{"192.0.2.1", "www.example."}) {
		t.Errorf("ExternalName: %q", got)
	}
}

// TestKnotResolver is B48: both programs give the same answers as kdig gets from Knot
// Resolver over TLS.
func TestKnotResolver(t *testing.T) {
	need(t)
	if _, err := exec.LookPath("/usr/sbin/kresd"); err != nil {
		t.Skip("kresd is missing: ./hack/apt.sh kresd=knot-resolver")
	}
	ca := dnstest.NewCA(t, "CA")
	dir := t.TempDir()
	cert, key := dnstest.WritePair(t, dir, ca.Leaf(t, named))
	caFile := filepath.Join(dir, "ca.pem")
	port := testkit.FreePorts(t, 20000, 1000, 1)[0]
	config := fmt.Sprintf(`net.ipv6 = false
net.listen('127.0.0.1', %d, { kind = 'tls' })
net.tls('%s', '%s')
trust_anchors.remove('.')
modules.load('hints')
hints['www.example'] = '192.0.2.1'
hints['www.example'] = '2001:db8::1'
policy.add(policy.suffix(policy.DENY, policy.todnames({'none.example'})))
cache.size = 10 * MB
`, port, cert, key)
	for path, data := range map[string][]byte{caFile: ca.PEM(), filepath.Join(dir, "kresd.conf"): []byte(config)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "/usr/sbin/kresd", "-n", "-q", "-c", filepath.Join(dir, "kresd.conf"), dir)
	testkit.Eventually(t, "kresd", func() bool {
		nc, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	set := setup{ca: ca.PEM()}
	set.args = []string{fmt.Sprintf("--server=tls:127.0.0.1#%d,name=%s", port, serverName)}
	cache := startCache(t, set)
	set.args = []string{fmt.Sprintf("--nameservers=tls://127.0.0.1%%%s:%d", serverName, port)}
	cluster := startCluster(t, set)
	for _, q := range [][2]string{{"www.example", "A"}, {"www.example", "AAAA"}, {"none.example", "A"}} {
		want := kdig(t, "+tls-ca="+caFile, "+tls-hostname="+serverName, "@127.0.0.1", "-p", strconv.Itoa(port), q[0], q[1])
		if len(want) == 0 && q[0] == "www.example" {
			t.Fatalf("kdig gets nothing for %s %s", q[0], q[1])
		}
		for name, p := range map[string]*program{"dnscache": cache, "kubedns": cluster} {
			_, at, _ := net.SplitHostPort(p.addr)
			if got := kdig(t, "@127.0.0.1", "-p", at, q[0], q[1]); !slices.Equal(got, want) {
				t.Errorf("%s, %s %s: %q, kdig +tls got %q", name, q[0], q[1], got, want)
			}
		}
	}
}

// TestKdig: kdig understands our scripted server. This shows that tests with that server test
// DNS over TLS.
func TestKdig(t *testing.T) {
	need(t)
	ca := dnstest.NewCA(t, "CA")
	leaf := ca.Leaf(t, named)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	server := dnstest.NewTLSServer(t, dnstest.ServerConfig(leaf), dnstest.TLSScript{Answer: func(q *dns.Msg, _ bool) [][]byte {
		return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeSuccess, q.Question[0].Name+" 60 IN A 192.0.2.9"))}
	}})
	port := strconv.Itoa(int(server.Addr.Port()))
	if got := kdig(t, "+tls-ca="+caFile, "+tls-hostname="+serverName, "@127.0.0.1", "-p", port, "www.example", "A"); !slices.Equal(got, []string{"192.0.2.9"}) {
		t.Errorf("got %q", got)
	}
}
