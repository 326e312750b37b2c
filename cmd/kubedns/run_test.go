package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/kubedns/options"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/test/testkit"
)

const objects = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10]
  ports: [{name: http, port: 80, protocol: TCP}]
---
apiVersion: v1
kind: Node
metadata:
  name: node-1
  labels: {topology.kubernetes.io/zone: z1, topology.kubernetes.io/region: r1}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-dns, namespace: kube-system}
data: {federations: "other=example.org"}
`

func noEnv(string) string { return "" }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// program is kubedns running inside the test.
type program struct {
	t                         *testing.T
	dns, readiness, prom, dbg string // addresses
	signals                   chan os.Signal
	log                       *testkit.Buffer
	exit                      chan int
	env                       map[string]string
	resolvConf                string
	args                      []string
}

func newProgram(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{t: t, signals: make(chan os.Signal, 4), log: &testkit.Buffer{}, exit: make(chan int, 1)}
	first := testkit.FreePortRow(t, 11000, 1000, 4)
	address := func(i int) string { return "127.0.0.1:" + strconv.Itoa(first+i) }
	p.dns, p.readiness, p.prom, p.dbg = address(0), address(1), address(2), address(3)
	p.env = map[string]string{"PROMETHEUS_PORT": strconv.Itoa(first + 2)}
	p.resolvConf = filepath.Join(t.TempDir(), "none")
	p.args = append([]string{
		"--dns-bind-address=127.0.0.1", "--dns-port=" + strconv.Itoa(first),
		"--healthz-port=" + strconv.Itoa(first+1), "--debug-address=" + p.dbg,
	}, args...)
	return p
}

// start runs the program; it is ended with the test.
func (p *program) start() *program {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.exit <- run(ctx, p.args, environment{
			getenv: func(name string) string { return p.env[name] },
			stdout: p.log, stderr: p.log, signals: p.signals, resolvConf: p.resolvConf,
		})
	}()
	p.t.Cleanup(func() {
		cancel()
		<-ended
		if p.t.Failed() {
			p.t.Log(p.log.String())
		}
	})
	return p
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// get returns the status and body of a page, 0 while nobody listens.
func (p *program) get(address, path string) (int, string) {
	p.t.Helper()
	response, err := http.Get("http://" + address + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// await waits for a condition.
func (p *program) await(what string, condition func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
	}
	p.t.Fatalf("never happened: %s", what)
}

func (p *program) awaitReady() {
	p.t.Helper()
	p.await("ready", func() bool { code, _ := p.get(p.readiness, "/readiness"); return code == http.StatusOK })
}

func (p *program) awaitExit(want int) {
	p.t.Helper()
	select {
	case code := <-p.exit:
		if code != want {
			p.t.Errorf("exit code %d, want %d", code, want)
		}
	case <-time.After(20 * time.Second):
		p.t.Fatal("did not end")
	}
}

// ask sends one question and returns the reply as "RCODE data data...".
func (p *program) ask(network, name string, qtype uint16) (string, error) {
	client := dns.Client{Net: network, Timeout: 20 * time.Second}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, qtype), p.dns)
	if err != nil {
		return "", err
	}
	text := dns.RcodeToString[reply.Rcode]
	for _, rr := range reply.Answer {
		text += " " + strings.TrimPrefix(rr.String(), rr.Header().String())
	}
	return text, nil
}

func (p *program) wantAnswer(name string, qtype uint16, want string) {
	p.t.Helper()
	for _, network := range []string{"udp", "tcp"} {
		if got, err := p.ask(network, name, qtype); err != nil || got != want {
			p.t.Errorf("%s %s over %s: %q, %v; want %q", name, dns.TypeToString[qtype], network, got, err, want)
		}
	}
}

const web = "web.default.svc.cluster.local."

func TestServesObjects(t *testing.T) {
	path := writeFile(t, "objects.yaml", objects)
	p := newProgram(t, "--objects="+path, "--nameservers=none").start()
	p.awaitReady()
	p.wantAnswer(web, dns.TypeA, "NOERROR 10.96.0.10")
	p.wantAnswer("*.default.svc.cluster.local.", dns.TypeA, "NXDOMAIN")
	p.wantAnswer("example.com.", dns.TypeA, "REFUSED")
	p.wantAnswer("new.default.svc.cluster.local.", dns.TypeA, "NXDOMAIN")

	if code, body := p.get(p.readiness, "/readiness"); code != 200 || body != "ok\n" {
		t.Errorf("/readiness: %d %q", code, body)
	}
	p.await("all is told", func() bool { // the watch may begin after the list was served
		_, body := p.get(p.readiness, "/readiness?verbose")
		return strings.Contains(body, "data age: ") && strings.Contains(body, "1 services") && strings.Contains(body, "\nservices: connected")
	})
	code, body := p.get(p.prom, "/metrics")
	for _, want := range []string{"skydns_skydns_dns_request_count_total{system=\"auth\"} ", "go_goroutines ", "process_", "kubedns_socket_queries_total{protocol=\"udp\"} ", "kubedns_socket_tcp_connections ", "kubedns_forward_in_flight 0"} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("/metrics: %d, no %s", code, want)
		}
	}
	code, body = p.get(p.dbg, "/cache")
	if code != 200 || !json.Valid([]byte(body)) || !strings.Contains(body, "10.96.0.10") {
		t.Errorf("/cache: %d %s", code, body)
	}
	if code, _ := p.get(p.dbg, "/debug/pprof/"); code != 200 {
		t.Errorf("/debug/pprof/: %d", code)
	}
	// Each port has its own pages only.
	for _, elsewhere := range []string{p.readiness + "/cache", p.readiness + "/metrics", p.readiness + "/debug/pprof/", p.prom + "/readiness", p.prom + "/debug/pprof/", p.dbg + "/metrics"} {
		address, path, _ := strings.Cut(elsewhere, "/")
		if code, _ := p.get(address, "/"+path); code != 404 {
			t.Errorf("%s: %d, want 404", elsewhere, code)
		}
	}

	changed := strings.Replace(objects, "name: web", "name: new", 1)
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	// The two Services change one after the other.
	for name, want := range map[string]string{"new.default.svc.cluster.local.": "NOERROR 10.96.0.10", web: "NXDOMAIN"} {
		p.await("the changed file is served", func() bool {
			text, err := p.ask("udp", name, dns.TypeA)
			return err == nil && text == want
		})
	}
	p.signals <- os.Interrupt
	p.awaitExit(exitOK)
}

// TestTTL: --ttl is the TTL of every record that the cluster has, of those that
// are made for a question too.
func TestTTL(t *testing.T) {
	path := writeFile(t, "objects.yaml", objects)
	for _, tt := range []struct {
		flag string
		want uint32
	}{{"--ttl=30s", 30}, {"--ttl=5s", 5}, {"--ttl=0s", 0}} {
		p := newProgram(t, "--objects="+path, "--nameservers=none", tt.flag).start()
		p.awaitReady()
		for name, qtype := range map[string]uint16{
			web: dns.TypeA, "_http._tcp." + web: dns.TypeSRV, "10.0.96.10.in-addr.arpa.": dns.TypePTR,
			"1-2-3-4.default.pod.cluster.local.": dns.TypeA, "ns.dns.cluster.local.": dns.TypeA, "*." + web: dns.TypeA,
		} {
			client := dns.Client{Timeout: 20 * time.Second}
			reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, qtype), p.dns)
			if err != nil || len(reply.Answer) != 1 || reply.Answer[0].Header().Ttl != tt.want {
				t.Errorf("%s: %s: %v, %v; want one record of TTL %d", tt.flag, name, reply, err, tt.want)
				continue
			}
			for _, rr := range reply.Extra {
				if rr.Header().Ttl != tt.want {
					t.Errorf("%s: %s: additional %v", tt.flag, name, rr)
				}
			}
		}
		p.signals <- os.Interrupt
		p.awaitExit(0)
	}
}

func TestTwoOnOneMachine(t *testing.T) {
	path := writeFile(t, "objects.yaml", objects)
	first := newProgram(t, "--objects="+path, "--nameservers=none").start()
	first.awaitReady()
	second := newProgram(t, "--objects="+path, "--nameservers=none", "--debug-address="+first.dbg).start()
	second.awaitReady()
	if !strings.Contains(second.log.String(), "cannot serve the debug pages") {
		t.Error("the debug port that is taken is not told")
	}
	third := newProgram(t, "--objects="+path, "--dns-port="+first.dns[strings.LastIndex(first.dns, ":")+1:]).start()
	third.awaitExit(exitError)
	if log := third.log.String(); !strings.Contains(log, "--dns-port") || !strings.Contains(log, first.dns) {
		t.Errorf("the DNS port that is taken is not told: %s", log)
	}
}

func TestSignals(t *testing.T) {
	path := writeFile(t, "objects.yaml", objects)
	tests := []struct {
		name     string
		lameduck string
		signals  []os.Signal
		waits    bool // keeps serving after the signals but the last
	}{
		{"SIGTERM without lame duck", "0s", []os.Signal{syscall.SIGTERM}, false},
		{"SIGINT", "1h", []os.Signal{os.Interrupt}, false},
		{"SIGTERM twice", "1h", []os.Signal{syscall.SIGTERM, syscall.SIGTERM}, true},
		{"SIGTERM, SIGINT", "1h", []os.Signal{syscall.SIGTERM, os.Interrupt}, true},
		{"SIGTERM and time", "500ms", []os.Signal{syscall.SIGTERM}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProgram(t, "--objects="+path, "--nameservers=none", "--lameduck="+tt.lameduck).start()
			p.awaitReady()
			for i, s := range tt.signals {
				if i > 0 {
					p.await("unready", func() bool { code, _ := p.get(p.readiness, "/readiness"); return code == 503 })
					p.wantAnswer(web, dns.TypeA, "NOERROR 10.96.0.10")
				}
				p.signals <- s
			}
			p.awaitExit(exitOK)
			if _, err := p.ask("udp", web, dns.TypeA); err == nil {
				t.Error("still answers after its end")
			}
		})
	}
}

// TestUnsynced runs against an API server that is not there.
func TestUnsynced(t *testing.T) {
	nobody := testkit.FreePortRow(t, 11000, 1000, 1)
	p := newProgram(t, fmt.Sprintf("--kube-master-url=http://127.0.0.1:%d", nobody), "--nameservers=none",
		"--initial-sync-timeout=100ms", "--lameduck=0s")
	p.env["KUBERNETES_SERVICE_HOST"], p.env["KUBERNETES_SERVICE_PORT"] = "10.96.0.1", "443"
	p.start()
	p.await("503", func() bool { code, _ := p.get(p.readiness, "/readiness"); return code == 503 })
	p.await("a reason", func() bool {
		_, body := p.get(p.readiness, "/readiness?verbose")
		return strings.Contains(body, "not ready: waiting for ") && strings.Contains(body, "no data yet")
	})
	p.wantAnswer(web, dns.TypeA, "SERVFAIL")
	p.wantAnswer("kubernetes.default.svc.cluster.local.", dns.TypeA, "NOERROR 10.96.0.1")
	p.wantAnswer("_https._tcp.kubernetes.default.svc.cluster.local.", dns.TypeSRV, "NOERROR 10 100 443 kubernetes.default.svc.cluster.local.")
	p.await("an error in the log", func() bool { return strings.Contains(p.log.String(), "not all objects are listed yet") })
	p.signals <- syscall.SIGTERM
	p.awaitExit(exitOK)
}

func TestConfigSources(t *testing.T) {
	path := writeFile(t, "objects.yaml", objects)
	remote := "nope.default.other.svc.z1.r1.example."
	const query = "nope.default.other.svc.cluster.local."
	dir := filepath.Dir(writeFile(t, "federations", "other=example.com"))
	tests := []struct{ name, args, want string }{
		{"flag", "--federations=other=example.net", "NOERROR " + remote + "net."},
		{"config map", "--config-map=kube-dns", "NOERROR " + remote + "org."},
		{"config dir", "--config-period=50ms --config-dir=" + dir, "NOERROR " + remote + "com."},
		{"missing config dir", "--config-dir=/no/such/dir", "NXDOMAIN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProgram(t, append([]string{"--objects=" + path, "--nameservers=none"}, strings.Fields(tt.args)...)...).start()
			p.awaitReady()
			p.await(tt.want, func() bool {
				got, err := p.ask("udp", query, dns.TypeCNAME)
				return err == nil && got == tt.want
			})
		})
	}
}

// startUpstream plays a server outside the cluster.
func startUpstream(t *testing.T, addr string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA && strings.HasSuffix(strings.ToLower(q.Question[0].Name), ".test.") {
			rr, _ := dns.NewRR(q.Question[0].Name + " 300 IN A " + addr)
			m.Answer = append(m.Answer, rr)
		} else {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	return conn.LocalAddr().String()
}

func TestForwards(t *testing.T) {
	plain, stub := startUpstream(t, "192.0.2.1"), startUpstream(t, "192.0.2.2")
	_, stubPort, _ := net.SplitHostPort(stub)
	path := writeFile(t, "objects.yaml", objects+`---
apiVersion: v1
kind: Service
metadata: {name: ext, namespace: default}
spec: {type: ExternalName, externalName: www.stub.test}
---
apiVersion: v1
kind: Service
metadata: {name: gone, namespace: default}
spec: {type: ExternalName, externalName: gone.example.com}
`)
	config := writeFile(t, "stubDomains", fmt.Sprintf(`{"stub.test":["127.0.0.1:%s"]}`, stubPort))
	p := newProgram(t, "--objects="+path, "--nameservers="+plain, "--config-dir="+filepath.Dir(config), "--config-period=50ms").start()
	p.awaitReady()
	p.wantAnswer("www.test.", dns.TypeA, "NOERROR 192.0.2.1")
	p.wantAnswer("www.stub.test.", dns.TypeA, "NOERROR 192.0.2.2")
	p.wantAnswer("nosuch.example.com.", dns.TypeA, "NXDOMAIN")
	p.wantAnswer("ext.default.svc.cluster.local.", dns.TypeA, "NOERROR www.stub.test. 192.0.2.2")
	p.wantAnswer("gone.default.svc.cluster.local.", dns.TypeA, "NXDOMAIN gone.example.com.")
	p.wantAnswer("9.9.9.10.in-addr.arpa.", dns.TypePTR, "NXDOMAIN")
	p.wantAnswer("com.", dns.TypeA, "NXDOMAIN")

	// Live: the stub domain goes, the default servers change.
	if err := os.WriteFile(filepath.Join(filepath.Dir(config), "upstreamNameservers"), []byte(fmt.Sprintf(`["127.0.0.1:%s"]`, stubPort)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.await("the new servers are asked", func() bool {
		got, err := p.ask("udp", "www.test.", dns.TypeA)
		return err == nil && got == "NOERROR 192.0.2.2"
	})
}

// TestNobodyToAsk runs without any server: names outside are refused, also as
// the targets of external names.
func TestNobodyToAsk(t *testing.T) {
	path := writeFile(t, "objects.yaml", objects+`---
apiVersion: v1
kind: Service
metadata: {name: ext, namespace: default}
spec: {type: ExternalName, externalName: www.example.com}
`)
	p := newProgram(t, "--objects="+path, "--nameservers=none").start()
	p.awaitReady()
	p.wantAnswer("www.example.com.", dns.TypeA, "REFUSED")
	p.wantAnswer("ext.default.svc.cluster.local.", dns.TypeCNAME, "NOERROR www.example.com.")
	p.wantAnswer("ext.default.svc.cluster.local.", dns.TypeA, "NOERROR www.example.com.")
}

func TestUsage(t *testing.T) {
	tests := []struct {
		args       string
		want       int
		out, inErr string
	}{
		{"--help", exitOK, "--domain", ""},
		{"--version", exitOK, "kubedns ", ""},
		{"--version=raw", exitOK, "devel\n", ""},
		{"--dns-port=0 --domain=X", exitUsage, "", "--dns-port=0"},
		{"--objects=/no/such/file", exitError, "", "/no/such/file"},
		{"", exitError, "", "not running in a Pod"},
	}
	for _, tt := range tests {
		var out, errOut bytes.Buffer
		t.Setenv("KUBERNETES_SERVICE_HOST", "")
		code := run(t.Context(), strings.Fields(tt.args), environment{getenv: noEnv, stdout: &out, stderr: &errOut, resolvConf: "/no/such/file"})
		if code != tt.want || !strings.Contains(out.String(), tt.out) || !strings.Contains(errOut.String(), tt.inErr) {
			t.Errorf("%s: exit code %d, want %d\nstdout: %s\nstderr: %s", tt.args, code, tt.want, out.String(), errOut.String())
		}
	}
}

// TestPartFails checks that an error of one part ends the program with that
// error.
func TestPartFails(t *testing.T) {
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", objects), "--nameservers=none")
	opts, err := options.Parse(p.args, noEnv, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(opts, environment{getenv: noEnv, resolvConf: p.resolvConf}, discard(), logging.NewControl(slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	want := errors.New("broken")
	a.parts = append(a.parts, func(context.Context) error { return want })
	if err := a.run(t.Context(), nil); !errors.Is(err, want) {
		t.Errorf("run: %v, want %v", err, want)
	}
}
