package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// TestLiveServerless: as long as no server of a stub domain has an address, questions about the
// domain get SERVFAIL with the reason, and local data is still answered.
func TestLiveServerless(t *testing.T) {
	other := upstreamServer(t, "192.0.2.1", nil)
	stub := upstreamServer(t, "192.0.2.2", nil)
	dir := t.TempDir()
	dnstest.Replace(t, filepath.Join(dir, "stubDomains"), `{"corp.example": ["ns.foo.com"]}`)
	in := start(t, "-configDir="+dir, "-kubednsServer=kubedns.example:10053", "-restartDnsmasq=true", "-syncInterval=50ms", "--",
		"--server="+other.option(), "--host-record=here.corp.example,10.9.9.9")
	for _, name := range []string{"a.corp.example", "corp.example"} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT} {
			q := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype).SetEdns0(1232, false)
			reply := in.exchange(q)
			text := reply.IsEdns0().String()
			if reply.Rcode != dns.RcodeServerFailure || !strings.Contains(text, "no server of corp.example has an address yet") {
				t.Errorf("%s: %s, %s; want SERVFAIL with the reason", name, short(reply), text)
			}
		}
	}
	if got := in.answers("here.corp.example"); got != "NOERROR 10.9.9.9" {
		t.Errorf("a local name: %s", got)
	}
	if got := in.answers("x.example"); got != "NOERROR 192.0.2.1" {
		t.Errorf("another name: %s", got)
	}
	if n := other.count("a.corp.example. A"); n != 0 {
		t.Errorf("the other server was asked %d times", n)
	}
	dnstest.Replace(t, filepath.Join(dir, "stubDomains"), fmt.Sprintf(`{"corp.example": [%q]}`, stub.addr))
	testkit.Eventually(t, "the server counts", func() bool { return in.answers("a.corp.example") == "NOERROR 192.0.2.2" })
}
