package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

const tlsName = "dns.example.net"

func secureServer(t *testing.T, ca *dnstest.CA, script dnstest.TLSScript) (server *dnstest.TLSServer, option string) {
	t.Helper()
	leaf := ca.Leaf(t, dnstest.Leaf{Names: []string{tlsName}})
	server = dnstest.NewTLSServer(t, &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS12}, script)
	return server, fmt.Sprintf("tls:%s,name=%s", querylog.ServerText(server.Addr), tlsName)
}

func file(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// extended returns the extended error in an answer.
func extended(m *dns.Msg) (code int, text string) {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return int(e.InfoCode), e.ExtraText
			}
		}
	}
	return -1, ""
}

// TestTLSUpstream runs the whole program with a server over TLS (B1, B25 and B45).
func TestTLSUpstream(t *testing.T) {
	ca := dnstest.NewCA(t, "CA")
	server, option := secureServer(t, ca, dnstest.TLSScript{Answer: func(q *dns.Msg, _ bool) [][]byte {
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{record(q.Question[0].Name + " 60 IN A 192.0.2.1")}
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{
			&dns.EDNS0_TCP_KEEPALIVE{Code: 11, Timeout: 300}, &dns.EDNS0_PADDING{Padding: make([]byte, 300)},
		}
		return [][]byte{dnstest.Pack(m)}
	}})
	in := start(t, "--server="+option, "--tls-ca-file="+file(t, ca.PEM()), "--metrics-address=127.0.0.1:0")
	in.logged("using nameserver tls:" + querylog.ServerText(server.Addr))
	for range 2 {
		q := new(dns.Msg).SetQuestion("www.example.", dns.TypeA)
		q.SetEdns0(1232, false)
		m := in.exchange(q)
		if len(m.Answer) != 1 || m.IsEdns0() == nil || len(m.IsEdns0().Option) != 0 {
			t.Fatalf("got %v", m)
		}
	}
	if server.Questions.Load() != 1 {
		t.Errorf("%d questions", server.Questions.Load())
	}
	page := scrape(t, in)
	for _, want := range []string{
		`dnscache_upstream_tls_handshakes_total{result="full",server="tls:%s"} 1`,
		`dnscache_upstream_tls_connections{server="tls:%s"} 1`,
		`dnscache_upstream_queries_total{server="tls:%s"} 1`,
		`dnscache_upstream_tls_certificate_expiry_timestamp_seconds{server="tls:%s"} 1`,
	} {
		if want = fmt.Sprintf(want, querylog.ServerText(server.Addr)); !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
}

// TestTLSUpstreamRefused: clients get the reason, no question is sent in clear text, and the
// log has one message about it.
func TestTLSUpstreamRefused(t *testing.T) {
	ca, other := dnstest.NewCA(t, "CA"), dnstest.NewCA(t, "other CA")
	server, option := secureServer(t, ca, dnstest.TLSScript{})
	fallback := upstreamServer(t, "127.0.0.1:0", func(*dns.Msg) bool { return true })
	in := start(t, "--server="+option, "--server=/plain.example/"+fallback.option(), "--tls-ca-file="+file(t, other.PEM()))
	for i := range 30 {
		q := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.example.", i), dns.TypeA)
		q.SetEdns0(1232, false)
		m := in.exchange(q)
		code, text := extended(m)
		if m.Rcode != dns.RcodeServerFailure || code != 23 && code != 22 || !strings.Contains(text, "unknown authority") {
			t.Fatalf("%s %d %q", dns.RcodeToString[m.Rcode], code, text)
		}
	}
	in.logged("warning: server cannot be asked over TLS.*unknown authority.*")
	if n := strings.Count(in.log.String(), "cannot be asked over TLS"); n != 1 || server.Accepted.Load() > 3 {
		t.Errorf("%d lines, %d connections", n, server.Accepted.Load())
	}
	if server.Questions.Load() != 0 {
		t.Error("a question went to a server that is not trusted")
	}
}

// TestTLSFiles tests B20 and B21: files are read again when they change, and after an invalid
// change the last valid content stays.
func TestTLSFiles(t *testing.T) {
	ca, clients := dnstest.NewCA(t, "CA"), dnstest.NewCA(t, "clients")
	server, option := secureServer(t, ca, dnstest.TLSScript{Serve: nil})
	config := server.Config.Load().Clone()
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients.Pool()
	server.Config.Store(config)
	dir := t.TempDir()
	cert, key := dnstest.WritePair(t, dir, ca.Leaf(t, dnstest.Leaf{Usage: x509.ExtKeyUsageClientAuth}))
	in := start(t, "--server="+option, "--tls-ca-file="+file(t, ca.PEM()), "--tls-cert-file="+cert, "--tls-key-file="+key)
	ask := func() bool {
		return in.ask(fmt.Sprintf("n%d.example.", time.Now().UnixNano()), dns.TypeA).Rcode == dns.RcodeSuccess
	}
	if ask() {
		t.Fatal("the wrong client certificate is taken")
	}
	if err := os.WriteFile(key, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the bad file is reported", func() bool { ask(); return strings.Contains(in.log.String(), "keeping the previous certificates") })
	dnstest.WritePair(t, dir, clients.Leaf(t, dnstest.Leaf{Usage: x509.ExtKeyUsageClientAuth}))
	testkit.Eventually(t, "the new certificate is used", ask)
}

// TestTLSRefusedOptions: the program does not start with invalid options.
func TestTLSRefusedOptions(t *testing.T) {
	for _, args := range [][]string{
		{"--server=/example.org/tls://127.0.0.1"},
		{"--server=tls:127.0.0.1", "--server=127.0.0.2"},
		{"--server=tls:127.0.0.1", "--tls-ca-file=/nowhere"},
		{"--server=tls:127.0.0.1", "--tls-ca-file=" + file(t, []byte("no certificate"))},
		{"--server=tls:127.0.0.1", "--tls-cert-file=/c"},
	} {
		if out, code := refused(t, args...); code == 0 || out == "" {
			t.Errorf("%q: exit code %d, %q", args, code, out)
		}
	}
}

func scrape(t *testing.T, in *instance) string {
	t.Helper()
	reply, err := http.Get("http://" + in.metrics.String() + "/metrics") //nolint:noctx // a test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	page, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// refused runs the program with options with which it must not start.
func refused(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	log := &testkit.Buffer{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code = run(ctx, append([]string{"--user=root", "--conf-file=", "--no-resolv", "--no-hosts"}, args...), env{
		stdin: strings.NewReader(""), stdout: log, stderr: log, addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
	})
	return log.String(), code
}

// TestTLSNanny tests B40 with dnsmasq-nanny's flags: the ConfigMap names servers over TLS.
func TestTLSNanny(t *testing.T) {
	ca := dnstest.NewCA(t, "CA")
	server, option := secureServer(t, ca, dnstest.TLSScript{})
	dir := t.TempDir()
	port := server.Addr.Port()
	config := map[string]string{
		"upstreamNameservers": fmt.Sprintf(`["tls://127.0.0.1%%%s:%d"]`, tlsName, port),
		"stubDomains":         fmt.Sprintf(`{"stub.example": ["tls://127.0.0.1%%other.example:%d"]}`, port),
	}
	for name, text := range config {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := start(t, "-configDir="+dir, "-restartDnsmasq", "-syncInterval=10ms", "--", "-k", "--tls-ca-file="+file(t, ca.PEM()))
	in.logged("using nameserver " + strings.TrimSuffix(option, ",name="+tlsName))
	if got := in.answers("www.example."); got != "NOERROR" {
		t.Error(got)
	}
	if got := in.answers("www.stub.example."); got != "SERVFAIL" {
		t.Error(got)
	}
	if names := server.Names(); len(names) != 1 || names[0] != tlsName {
		t.Errorf("SNI %q", names)
	}
}

// TestTLSNannyRejectedAtStart: resolv.conf is not used while the first configuration
// is invalid and has servers over TLS.
func TestTLSNannyRejectedAtStart(t *testing.T) {
	ca := dnstest.NewCA(t, "CA")
	server, option := secureServer(t, ca, dnstest.TLSScript{})
	dir := t.TempDir()
	path := filepath.Join(dir, "upstreamNameservers")
	if err := os.WriteFile(path, []byte(`["tls://dns.example.net"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	resolv := file(t, []byte("nameserver 192.0.2.1\n"))
	in := start(t, "-configDir="+dir, "-restartDnsmasq", "-syncInterval=10ms", "--", "-k", "--resolv-file="+resolv, "--tls-ca-file="+file(t, ca.PEM()))
	in.logged(".*asking no upstream servers until it is valid.*")
	if got := in.answers("www.example."); got != "SERVFAIL" && got != "REFUSED" {
		t.Error(got)
	}
	if strings.Contains(in.log.String(), "192.0.2.1") {
		t.Errorf("resolv.conf is used: %s", in.log.String())
	}
	text := fmt.Sprintf(`["tls://127.0.0.1%%%s:%d"]`, tlsName, server.Addr.Port())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in.logged("using nameserver " + strings.TrimSuffix(option, ",name="+tlsName))
	if got := in.answers("www2.example."); got != "NOERROR" {
		t.Error(got)
	}
}

// TestTLSServersFile: an invalid line in a --servers-file that has TLS servers does not send
// their names to the servers in clear text.
func TestTLSServersFile(t *testing.T) {
	for _, content := range []string{"server=/a.example/tls://127.0.0.1#1\n", "server=/a.example/TLS:name\nserver=/b.example/127.0.0.1#1\n"} {
		plain := upstreamServer(t, "192.0.2.1", nil)
		file := filepath.Join(t.TempDir(), "servers")
		dnstest.Replace(t, file, "server=/a.example/tls:127.0.0.1#1\n")
		in := start(t, "--servers-file="+file, "--server="+plain.option())
		dnstest.Replace(t, file, content)
		in.signals <- syscall.SIGHUP
		in.logged("error: .* has TLS servers and errors; keeping its previous servers")
		if got := in.answers("x.a.example"); !strings.HasPrefix(got, "SERVFAIL") || plain.count("x.a.example. A") != 0 {
			t.Errorf("with %q: %s", content, got)
		}
		var log testkit.Buffer
		again := env{stdin: strings.NewReader(""), stdout: &log, stderr: &log, addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}
		code := run(t.Context(), []string{"--user=root", "--conf-file=", "--no-resolv", "--no-hosts", "--servers-file=" + file, "--server=" + plain.option()}, again)
		if code != options.ExitConfig || !strings.Contains(log.String(), file+" has TLS servers and errors: ") {
			t.Errorf("at the start with %q: exit code %d, %s", content, code, &log)
		}
	}
}
