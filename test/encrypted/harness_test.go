package encrypted

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
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

// built is the folder with the programs, which TestMain removes.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "encrypted")
	if err != nil {
		return "", err
	}
	return dir, addon.Build(dir, nil, "kubedns", "dnscache")
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// setup says how a program under test is started.
type setup struct {
	servers []*dnstest.TLSServer
	stubs   map[string]*dnstest.TLSServer // by domain
	name    string                        // that the certificates must be for, serverName by default
	ca      []byte                        // for --tls-ca-file, "" for none
	env     []string                      // more environment
	args    []string                      // more flags
}

// program is dnscache or kubedns with servers over TLS.
type program struct {
	*addon.Process
	addr, pages string
}

// starter starts one of the programs.
type starter func(t *testing.T, s setup) *program

// starters start each of the programs.
var starters = map[string]starter{"dnscache": startCache, "kubedns": startCluster}

func (s *setup) complete(t *testing.T) (dir string, ports []int) {
	t.Helper()
	if s.name == "" {
		s.name = serverName
	}
	if s.ca != nil {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, s.ca, 0o600); err != nil {
			t.Fatal(err)
		}
		s.args = append(s.args, "--tls-ca-file="+file)
	}
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir, []int{takePort(t), takePort(t)}
}

// taken are the ports that tests of this package use or have used.
var taken sync.Map

// takePort returns a free port that no other test uses: two programs that share a UDP port
// would not get an error.
func takePort(t *testing.T) int {
	t.Helper()
	for {
		port := testkit.FreePorts(t, 25000, 2000, 1)[0]
		if _, dup := taken.LoadOrStore(port, true); !dup {
			return port
		}
	}
}

func (p *program) await(t *testing.T) *program {
	t.Helper()
	p.WaitFor(t, patience, "the program to listen", func(ctx context.Context) bool {
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", p.addr)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	return p
}

func startCache(t *testing.T, s setup) *program {
	t.Helper()
	dir, ports := s.complete(t)
	args := []string{
		"-k", "--user=root", "--conf-file=", "--no-resolv", "--no-hosts", "--pid-file=", "--log-facility=-",
		"--listen-address=127.0.0.1", "--port=" + strconv.Itoa(ports[0]), "--metrics-address=127.0.0.1:" + strconv.Itoa(ports[1]),
	}
	for _, server := range s.servers {
		args = append(args, fmt.Sprintf("--server=tls:127.0.0.1#%d,name=%s", server.Addr.Port(), s.name))
	}
	for domain, server := range s.stubs {
		args = append(args, fmt.Sprintf("--server=/%s/tls:127.0.0.1#%d,name=%s", domain, server.Addr.Port(), s.name))
	}
	return (&program{
		Process: addon.StartEnv(t, s.env, filepath.Join(dir, "dnscache"), append(args, s.args...)...),
		addr:    fmt.Sprintf("127.0.0.1:%d", ports[0]), pages: fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[1]),
	}).await(t)
}

func startCluster(t *testing.T, s setup) *program {
	t.Helper()
	dir, ports := s.complete(t)
	objects := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(objects, []byte("apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var servers []string
	for _, server := range s.servers {
		servers = append(servers, fmt.Sprintf("tls://127.0.0.1%%%s:%d", s.name, server.Addr.Port()))
	}
	stubs := map[string][]string{}
	for domain, server := range s.stubs {
		stubs[domain] = []string{fmt.Sprintf("tls://127.0.0.1%%%s:%d", s.name, server.Addr.Port())}
	}
	config := t.TempDir()
	if text, err := json.Marshal(stubs); err != nil || os.WriteFile(filepath.Join(config, "stubDomains"), text, 0o600) != nil {
		t.Fatal("cannot write the configuration")
	}
	args := []string{
		"--objects=" + objects, "--config-dir=" + config, "--nameservers=" + strings.Join(servers, ","), "--dns-bind-address=127.0.0.1",
		"--dns-port=" + strconv.Itoa(ports[0]), "--healthz-port=" + strconv.Itoa(testkit.FreePorts(t, 20000, 1000, 1)[0]), "--debug-address=",
	}
	p := &program{
		Process: addon.StartEnv(t, append([]string{"PROMETHEUS_PORT=" + strconv.Itoa(ports[1])}, s.env...), filepath.Join(dir, "kubedns"), append(args, s.args...)...),
		addr:    fmt.Sprintf("127.0.0.1:%d", ports[0]), pages: fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[1]),
	}
	p.await(t)
	p.WaitFor(t, patience, "kubedns to have its objects", func(context.Context) bool {
		m, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion("a.b.svc.cluster.local.", dns.TypeA), p.addr)
		return err == nil && m.Rcode == dns.RcodeSuccess
	})
	return p
}

// ask returns the reply to a question about the name's address.
func (p *program) ask(t *testing.T, name string) *dns.Msg {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, dns.TypeA)
	q.SetEdns0(1232, false)
	m, _, err := (&dns.Client{Timeout: 10 * time.Second}).Exchange(q, p.addr)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// want asks for a name and checks that the reply contains a text.
func (p *program) want(t *testing.T, name, text string) {
	t.Helper()
	if m := p.ask(t, name); !strings.Contains(m.String(), text) {
		t.Errorf("%s: want %q in %v", name, text, m)
	}
}

// metric returns the sum of the samples that a regular expression matches.
func (p *program) metric(t *testing.T, pattern string) float64 {
	t.Helper()
	reply, err := http.Get(p.pages) //nolint:noctx // a test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	page, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, found := range regexp.MustCompile("(?m)^[a-z_]*"+pattern+" (.*)$").FindAllStringSubmatch(string(page), -1) {
		n, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// failures returns how many handshakes failed, or were followed by no answer.
func (p *program) failures(t *testing.T) float64 {
	t.Helper()
	return p.metric(t, `tls_failures_total\{.*\}`)
}

func server(t *testing.T, ca *dnstest.CA, script dnstest.TLSScript) *dnstest.TLSServer {
	t.Helper()
	return dnstest.NewTLSServer(t, dnstest.ServerConfig(ca.Leaf(t, named)), script)
}

const address = "192.0.2.1"

// right returns the right answer to a question.
func right(q *dns.Msg) *dns.Msg {
	return dnstest.Reply(q, dns.RcodeSuccess, q.Question[0].Name+" 60 IN A "+address)
}

func answer(q *dns.Msg, _ bool) [][]byte { return [][]byte{dnstest.Pack(right(q))} }

// question reads the next question. It returns nil at the end of the connection.
func question(p *dnstest.TLSPeer) *dns.Msg {
	q := new(dns.Msg)
	if msg := p.Read1(); msg == nil || q.Unpack(msg) != nil {
		return nil
	}
	return q
}
