package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// recorder is a server outside that answers each name with one address and
// remembers what it was asked.
type recorder struct {
	address string
	mu      sync.Mutex
	asked   map[string]bool // "name TYPE"
}

// record starts a recorder that listens on address and answers with data.
func record(t *testing.T, address, data string) *recorder {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Skipf("this machine cannot listen on %s: %v", address, err)
	}
	r := &recorder{address: conn.LocalAddr().String(), asked: map[string]bool{}}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		question := q.Question[0]
		r.mu.Lock()
		r.asked[strings.ToLower(question.Name)+" "+dns.TypeToString[question.Qtype]] = true
		r.mu.Unlock()
		m := new(dns.Msg).SetReply(q)
		text := " 300 IN A " + data
		switch question.Qtype {
		case dns.TypeA:
		case dns.TypePTR:
			text = " 300 IN PTR ptr-" + strings.ReplaceAll(data, ".", "-") + "."
		case dns.TypeNS, dns.TypeSOA:
			text = " 300 IN NS ns." + data + "."
		default:
			text = ""
		}
		if text != "" {
			rr, _ := dns.NewRR(question.Name + text)
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	return r
}

func (r *recorder) heard(name string, qtype uint16) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[name+" "+dns.TypeToString[qtype]]
}

// explained asks one question and returns rcode and the text of the extended
// error.
func (p *program) explained(name string, qtype uint16) string {
	p.t.Helper()
	reply, err := dns.Exchange(new(dns.Msg).SetQuestion(name, qtype).SetEdns0(1232, false), p.dns)
	if err != nil {
		return err.Error()
	}
	text := dns.RcodeToString[reply.Rcode]
	if opt := reply.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				text += " " + e.ExtraText
			}
		}
	}
	return text
}

func service(name, spec string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: default}\nspec: {%s}\n", name, spec)
}

// TestStubServiceName: a stub domain's server that is a Service is found when
// it is there, and its names never reach the default servers.
func TestStubServiceName(t *testing.T) {
	plain := record(t, "127.0.0.1:0", "192.0.2.1")
	// Port 53 is what a server given by name is asked on.
	first, second := record(t, "127.0.0.71:53", "192.0.2.71"), record(t, "127.0.0.72:53", "192.0.2.72")
	path := writeFile(t, "objects.yaml", objects+service("alias", "type: ExternalName, externalName: www.corp.example"))
	config := filepath.Dir(writeFile(t, "stubDomains", `{"corp.example": ["stub.default.svc.cluster.local"], "half.example": ["stub.default.svc.cluster.local", "`+second.address+`"]}`))
	p := newProgram(t, "--objects="+path, "--nameservers="+plain.address, "--config-dir="+config, "--v=2").start()
	p.awaitReady()
	for _, name := range []string{"www.corp.example.", "corp.example.", "alias.default.svc.cluster.local."} {
		want := "SERVFAIL stub domain corp.example: no address for server stub.default.svc.cluster.local: no such Service or endpoint"
		p.await(name+" "+want, func() bool { return p.explained(name, dns.TypeA) == want })
	}
	p.wantAnswer("www.half.example.", dns.TypeA, "NOERROR 192.0.2.72")
	p.await("a warning", func() bool {
		return strings.Contains(p.log.String(), `domain="corp.example half.example" server=stub.default.svc.cluster.local error="no such Service or endpoint"`)
	})
	if _, body := p.get(p.readiness, "/readiness?verbose"); !strings.Contains(body, "stub domain corp.example: no server (") ||
		!strings.Contains(body, "stub domain half.example: "+second.address) || !strings.Contains(body, "other names: "+plain.address) {
		t.Errorf("/readiness?verbose does not tell the servers:\n%s", body)
	}
	for address, want := range map[string]string{"127.0.0.71": "NOERROR 192.0.2.71", "127.0.0.72": "NOERROR 192.0.2.72"} {
		stub := service("stub", "clusterIP: "+address+", ports: [{port: 53, protocol: UDP}]")
		if err := os.WriteFile(path, []byte(objects+stub), 0o600); err != nil {
			t.Fatal(err)
		}
		p.await("the Service at "+address+" is asked", func() bool {
			got, err := p.ask("udp", "www.corp.example.", dns.TypeA)
			return err == nil && got == want
		})
	}
	if !first.heard("www.corp.example.", dns.TypeA) || plain.heard("www.corp.example.", dns.TypeA) || plain.heard("corp.example.", dns.TypeA) {
		t.Error("the wrong servers were asked")
	}
	if !strings.Contains(p.log.String(), `where="stub domain corp.example: 127.0.0.7`) {
		t.Error("the log does not tell the servers at --v=2")
	}
}

// TestWhoAnswers: stub domains below the cluster's, in reverse zones and of one
// label, and names of one label that have none.
func TestWhoAnswers(t *testing.T) {
	plain, stub := record(t, "127.0.0.1:0", "192.0.2.1"), record(t, "127.0.0.1:0", "192.0.2.2")
	path := writeFile(t, "objects.yaml", objects+
		service("far", "type: ExternalName, externalName: db.us-east.svc.cluster.local")+
		service("con", "type: ExternalName, externalName: consul")+service("short", "type: ExternalName, externalName: nosuch"))
	domains := `{"us-east.svc.cluster.local": ["S"], "96.10.in-addr.arpa": ["S"], "consul": ["S"], "cluster.local": ["S"], "svc.cluster.local": ["S"]}`
	config := filepath.Dir(writeFile(t, "stubDomains", strings.ReplaceAll(domains, "S", stub.address)))
	start := func(args ...string) *program {
		p := newProgram(t, append(args, "--objects="+path, "--config-dir="+config)...).start()
		p.awaitReady()
		return p
	}
	p := start("--nameservers=" + plain.address)
	for _, tt := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"db.us-east.svc.cluster.local.", dns.TypeA, "NOERROR 192.0.2.2"},
		{"us-east.svc.cluster.local.", dns.TypeA, "NOERROR 192.0.2.2"},
		{"far.default.svc.cluster.local.", dns.TypeA, "NOERROR db.us-east.svc.cluster.local. 192.0.2.2"},
		{web, dns.TypeA, "NOERROR 10.96.0.10"},
		{"nosuch.default.svc.cluster.local.", dns.TypeA, "NXDOMAIN"},
		{"10.0.96.10.in-addr.arpa.", dns.TypePTR, "NOERROR ptr-192-0-2-2."},
		{"1.0.97.10.in-addr.arpa.", dns.TypePTR, "NOERROR ptr-192-0-2-1."},
		{"consul.", dns.TypeA, "NOERROR 192.0.2.2"},
		{"a.consul.", dns.TypeA, "NOERROR 192.0.2.2"},
		{"con.default.svc.cluster.local.", dns.TypeA, "NOERROR consul. 192.0.2.2"},
		{"nosuch.", dns.TypeA, "NXDOMAIN"},
		{"nosuch.", dns.TypeAAAA, "NXDOMAIN"},
		{"short.default.svc.cluster.local.", dns.TypeA, "NXDOMAIN nosuch."},
		{".", dns.TypeNS, "NOERROR ns.192.0.2.1."},
		{"com.", dns.TypeNS, "NOERROR ns.192.0.2.1."},
		{"com.", dns.TypeDS, "NOERROR"},
	} {
		p.wantAnswer(tt.name, tt.qtype, tt.want)
	}
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		for _, name := range []string{"nosuch.", "consul.", "db.us-east.svc.cluster.local."} {
			if plain.heard(name, qtype) {
				t.Errorf("%s %s was asked outside", name, dns.TypeToString[qtype])
			}
		}
	}
	for _, domain := range []string{"domain=cluster.local ", "domain=svc.cluster.local "} {
		if !strings.Contains(p.log.String(), domain) {
			t.Errorf("no warning about %s", domain)
		}
	}
	none := start("--nameservers=none")
	none.wantAnswer("nosuch.", dns.TypeA, "REFUSED")
	none.wantAnswer("consul.", dns.TypeA, "NOERROR 192.0.2.2")
	none.wantAnswer("db.us-east.svc.cluster.local.", dns.TypeA, "NOERROR 192.0.2.2")
}

// TestResolvConf: a line of resolv.conf that cannot be used costs only itself
// and is told with its text; a file without servers is told too.
func TestResolvConf(t *testing.T) {
	objectsPath := writeFile(t, "objects.yaml", objects)
	start := func(resolvConf string) *program {
		p := newProgram(t, "--objects="+objectsPath)
		p.resolvConf = resolvConf
		p.start().awaitReady()
		return p
	}
	p := start(writeFile(t, "resolv.conf", "nameserver ns.example.com\r\nnameserver 10.0.0.2#53\r\nnameserver 0.0.0.0\r\nnameserver 192.0.2.53\r\n"))
	for _, want := range []string{"line=\"nameserver ns.example.com\"", "line=\"nameserver 10.0.0.2#53\"", "line=\"nameserver 0.0.0.0\""} {
		if n := strings.Count(p.log.String(), want); n != 1 {
			t.Errorf("%d warnings with %s, want 1", n, want)
		}
	}
	if _, body := p.get(p.readiness, "/readiness?verbose"); !strings.Contains(body, "other names: 192.0.2.53:53\n") {
		t.Errorf("the good line is not used:\n%s", body)
	}
	for want, path := range map[string]string{
		"resolv.conf does not exist": filepath.Join(t.TempDir(), "none"), "resolv.conf has no usable server": writeFile(t, "resolv.conf", "\n"),
		"cannot read resolv.conf": t.TempDir(),
	} {
		p := start(path)
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
		if got := p.explained("example.com.", dns.TypeA); got != "SERVFAIL there is no upstream server" {
			t.Errorf("%s: %s", want, got)
		}
	}
}

// TestBothFamilies: an unspecified address of either family takes both, on every
// port.
func TestBothFamilies(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("no IPv6 here")
	} else {
		l.Close()
	}
	path := writeFile(t, "objects.yaml", objects)
	for _, bind := range []string{"0.0.0.0", "::", "[::]"} {
		p := newProgram(t, "--objects="+path, "--nameservers=none")
		p.args = append(p.args, "--dns-bind-address="+bind)
		p.start().awaitReady()
		port := p.dns[strings.LastIndex(p.dns, ":"):]
		for _, host := range []string{"127.0.0.1", "[::1]"} {
			p.dns = host + port
			p.wantAnswer(web, dns.TypeA, "NOERROR 10.96.0.10")
			for address, page := range map[string]string{p.readiness: "/readiness", p.prom: "/metrics"} {
				if code, body := p.get(host+address[strings.LastIndex(address, ":"):], page); code != 200 {
					t.Errorf("%s on %s: %d %s", page, host, code, body)
				}
			}
		}
	}
}

// TestNoIPv6 runs this test's own binary in a network namespace in which IPv6 is
// switched off.
func TestNoIPv6(t *testing.T) {
	const inside = "KUBEDNS_TEST_NO_IPV6"
	if os.Getenv(inside) == "" {
		script := "ip link set lo up && sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1 && exec \"$0\" -test.run='^TestNoIPv6$' -test.v"
		cmd := exec.Command("unshare", "-n", "sh", "-c", script, os.Args[0])
		cmd.Env = append(os.Environ(), inside+"=1")
		out, err := cmd.CombinedOutput()
		if !strings.Contains(string(out), "=== RUN") {
			t.Skipf("no network namespace to be had: %v\n%s", err, out)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", objects), "--nameservers=none")
	p.args = append(p.args, "--dns-bind-address=0.0.0.0", "--healthz-port="+strconv.Itoa(testkit.FreePortRow(t, 11000, 1000, 1)))
	p.readiness = "127.0.0.1:" + strings.TrimPrefix(p.args[len(p.args)-1], "--healthz-port=")
	p.start().awaitReady()
	p.wantAnswer(web, dns.TypeA, "NOERROR 10.96.0.10")
}

// TestConfigReplacesServers: what the configuration replaces is not read, so
// nothing in it is warned of.
func TestConfigReplacesServers(t *testing.T) {
	path := writeFile(t, "objects.yaml", objects)
	config := filepath.Dir(writeFile(t, "upstreamNameservers", `["192.0.2.53"]`))
	p := newProgram(t, "--objects="+path, "--config-dir="+config)
	p.start().awaitReady()
	if strings.Contains(p.log.String(), "resolv.conf") {
		t.Error("resolv.conf was read")
	}
	if _, body := p.get(p.readiness, "/readiness?verbose"); !strings.Contains(body, "other names: 192.0.2.53:53\n") {
		t.Errorf("/readiness?verbose:\n%s", body)
	}
}

// TestObjectForms: files may write addresses as the API may hold them, and old
// objects mean what they meant.
func TestObjectForms(t *testing.T) {
	slice := func(name, service, family, addresses, ready string) string {
		return fmt.Sprintf("---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: %s, namespace: default, labels: {kubernetes.io/service-name: %s}}\n"+
			"addressType: %s\nendpoints: [{addresses: [%s], conditions: {ready: %s}}]\n", name, service, family, addresses, ready)
	}
	tolerant := "---\napiVersion: v1\nkind: Service\nmetadata: {name: old, namespace: default, annotations: {service.alpha.kubernetes.io/tolerate-unready-endpoints: \"true\"}}\nspec: {clusterIP: None}\n"
	path := writeFile(t, "objects.yaml", objects+service("zeros", "clusterIP: 010.096.000.009")+service("mapped", "clusterIP: '::ffff:10.96.0.8'")+
		service("strict", "clusterIP: None")+service("named", "clusterIP: None")+tolerant+
		slice("old-1", "old", "IPv4", "'010.1.0.1'", "false")+slice("strict-1", "strict", "IPv4", "10.1.0.2", "false")+slice("named-1", "named", "FQDN", "host.example.com", "true")+
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: ep, namespace: default}\nspec: {clusterIP: None}\n---\n"+
		"apiVersion: v1\nkind: Endpoints\nmetadata: {name: ep, namespace: default}\nsubsets: [{addresses: [{ip: '::ffff:10.1.0.4'}, {ip: 'fd00::4'}]}]\n")
	p := newProgram(t, "--objects="+path, "--nameservers=none").start()
	p.awaitReady()
	for name, want := range map[string]string{
		"zeros": "NOERROR 10.96.0.9", "mapped": "NOERROR 10.96.0.8", "old": "NOERROR 10.1.0.1", "ep": "NOERROR 10.1.0.4",
		"strict": "NXDOMAIN", "named": "NXDOMAIN",
	} {
		p.wantAnswer(name+".default.svc.cluster.local.", dns.TypeA, want)
	}
	if log := p.log.String(); !strings.Contains(log, "EndpointSlice named-1: addressType: FQDN slices have no DNS records") {
		t.Error("no warning about the FQDN slice")
	}
}

// TestConfigMapFirst: with a ConfigMap in the API nobody else is asked about its
// stub domains' names before it is read, and the flags hold where it is invalid
// or missing.
func TestConfigMapFirst(t *testing.T) {
	plain, stub := record(t, "127.0.0.1:0", "192.0.2.1"), record(t, "127.0.0.1:0", "192.0.2.2")
	configMap := func(name, stubs string) string {
		return fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: kube-system}\ndata: {stubDomains: '%s'}\n", name, stubs)
	}
	path := writeFile(t, "objects.yaml", objects+configMap("good", `{"corp.example": ["`+stub.address+`"]}`)+configMap("bad", `{"corp.example": `))
	for name, want := range map[string]string{"good": "NOERROR 192.0.2.2", "bad": "NOERROR 192.0.2.1", "missing": "NOERROR 192.0.2.1"} {
		p := newProgram(t, "--objects="+path, "--nameservers="+plain.address, "--config-map="+name).start()
		first := ""
		p.await("an answer", func() bool {
			got, err := p.ask("udp", "www.corp.example.", dns.TypeA)
			first = got
			return err == nil && got != "SERVFAIL"
		})
		if first != want {
			t.Errorf("ConfigMap %s: first %s, want %s", name, first, want)
		}
		if name == "good" && plain.heard("www.corp.example.", dns.TypeA) {
			t.Error("the default servers were asked before the ConfigMap was read")
		}
		plain.mu.Lock()
		clear(plain.asked)
		plain.mu.Unlock()
	}
}
