package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

const externalObjects = `
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: default}
spec: {type: ExternalName, externalName: www.outside.example}
`

// TestTLSConfigMap is B40 to B42: servers over TLS in both keys beside plain ones,
// ExternalName Services and stub servers given by name through them, and the
// reason where the server is not the one expected.
func TestTLSConfigMap(t *testing.T) {
	ca := dnstest.NewCA(t, "CA")
	zone := func(address string) dnstest.Script {
		return func(q *dns.Msg, tcp bool) [][]byte {
			if q.Question[0].Qtype != dns.TypeA {
				return dnstest.Zone(dns.RcodeSuccess)(q, tcp)
			}
			return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeSuccess, q.Question[0].Name+" 60 IN A "+address))}
		}
	}
	secure := func(name, address string) *dnstest.TLSServer {
		config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(t, dnstest.Leaf{Names: []string{name}})}, MinVersion: tls.VersionTLS12}
		return dnstest.NewTLSServer(t, config, dnstest.TLSScript{Answer: zone(address)})
	}
	usual, stub := secure("dns.example.net", "192.0.2.1"), secure("stub.example.net", "192.0.2.2")
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	caFile := writeFile(t, "ca.pem", string(ca.PEM()))
	_, stubPort, _ := net.SplitHostPort(stub.Addr.String())
	_, usualPort, _ := net.SplitHostPort(usual.Addr.String())
	write("upstreamNameservers", fmt.Sprintf(`["tls://127.0.0.1%%dns.example.net:%s"]`, usualPort))
	write("stubDomains", fmt.Sprintf(`{"stub.example": ["tls://127.0.0.1%%stub.example.net:%s"], "wrong.example": ["tls://127.0.0.1%%other.example:%s"]}`, stubPort, stubPort))
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", externalObjects), "--config-dir="+dir, "--config-period=20ms", "--tls-ca-file="+caFile).start()
	p.awaitReady()
	p.wantAnswer("www.example.", dns.TypeA, "NOERROR 192.0.2.1")
	p.wantAnswer("www.stub.example.", dns.TypeA, "NOERROR 192.0.2.2")
	p.wantAnswer("outside.default.svc.cluster.local.", dns.TypeA, "NOERROR www.outside.example. 192.0.2.1")
	if got := p.explained("www.wrong.example.", dns.TypeA); !strings.Contains(got, "SERVFAIL") || !strings.Contains(got, "not for the expected name other.example but for stub.example.net") {
		t.Errorf("got %q", got)
	}
	for _, name := range usual.Names() {
		if name != "dns.example.net" {
			t.Errorf("SNI %q", name)
		}
	}
	// A mixture is rejected, and the old servers stay.
	write("upstreamNameservers", fmt.Sprintf(`["tls://127.0.0.1:%s", "127.0.0.1"]`, usualPort))
	p.await("the mixture is rejected", func() bool { return strings.Contains(p.log.String(), "clear text") })
	p.wantAnswer("www2.example.", dns.TypeA, "NOERROR 192.0.2.1")
	// A stub server given by name is looked up over TLS.
	before := usual.Questions.Load()
	write("upstreamNameservers", fmt.Sprintf(`["tls://127.0.0.1%%dns.example.net:%s"]`, usualPort))
	write("stubDomains", `{"byname.example": ["server.outside.example"]}`)
	p.await("the stub server's address is found", func() bool {
		return strings.Contains(p.log.String(), "192.0.2.1]") && usual.Questions.Load() > before
	})
}

// TestTLSRejectedAtStart: if the first configuration is invalid and has servers over
// TLS, names are not asked of the default servers in clear text, but of nobody until
// it is valid.
func TestTLSRejectedAtStart(t *testing.T) {
	ca := dnstest.NewCA(t, "CA")
	config := dnstest.ServerConfig(ca.Leaf(t, dnstest.Leaf{Names: []string{"dns.example.net"}}))
	secure := dnstest.NewTLSServer(t, config, dnstest.TLSScript{})
	plain := dnstest.NewServer(t, dnstest.Zone(dns.RcodeSuccess))
	dir := t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "upstreamNameservers"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`["tls://dns.example.net"]`) // a name
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", externalObjects), "--config-dir="+dir, "--config-period=20ms",
		"--nameservers="+plain.Addr.String(), "--tls-ca-file="+writeFile(t, "ca.pem", string(ca.PEM()))).start()
	p.awaitReady()
	if got := p.explained("www.example.", dns.TypeA); strings.Contains(got, "NOERROR") {
		t.Errorf("got %q", got)
	}
	p.await("the log says why", func() bool { return strings.Contains(p.log.String(), "asking no upstream servers until it is valid") })
	if plain.Seen() != 0 {
		t.Errorf("%d questions in clear text", plain.Seen())
	}
	write(fmt.Sprintf(`["tls://127.0.0.1%%dns.example.net:%d"]`, secure.Addr.Port()))
	p.await("the valid configuration holds", func() bool { return strings.Contains(p.explained("www2.example.", dns.TypeA), "NOERROR") })
	if plain.Seen() != 0 || secure.Questions.Load() == 0 {
		t.Errorf("%d questions in clear text, %d over TLS", plain.Seen(), secure.Questions.Load())
	}
}
