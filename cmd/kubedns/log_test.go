package main

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

// post changes what a program logs and returns status and answer.
func (p *program) post(parameters string) (int, string) {
	p.t.Helper()
	resp, err := http.Post("http://"+p.dbg+"/log?"+parameters, "", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

// Answers are logged while that is switched on, whoever gave them, each in one line with
// its outcome.
func TestAnswersAreLogged(t *testing.T) {
	server := dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte {
		if strings.HasPrefix(q.Question[0].Name, "gone") {
			return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeNameError))}
		}
		return [][]byte{dnstest.Pack(dnstest.Reply(q, 0, q.Question[0].Name+" 60 IN A 192.0.2.1"))}
	})
	alias := "---\napiVersion: v1\nkind: Service\nmetadata: {name: alias, namespace: default}\nspec: {type: ExternalName, externalName: www.example.com}\n"
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", objects+alias), "--nameservers="+server.Addr.String()).start()
	p.awaitReady()
	ask := func(name string, qtype uint16) {
		t.Helper()
		if _, err := p.ask("udp", name, qtype); err != nil {
			t.Fatal(err)
		}
	}
	ask("before.default.svc.cluster.local.", dns.TypeA)
	if status, text := p.post("queries=on"); status != 200 || text != "level=info\nqueries=on rate=100 for=10m0s" {
		t.Fatalf("%d %q", status, text)
	}
	ask("web.default.svc.cluster.local.", dns.TypeA)
	ask("nosuch.default.svc.cluster.local.", dns.TypeAAAA)
	ask("10.0.96.10.in-addr.arpa.", dns.TypePTR)
	ask("www.example.com.", dns.TypeA)
	ask("gone.example.com.", dns.TypeMX)
	ask("alias.default.svc.cluster.local.", dns.TypeA)
	ask("cluster.local.", dns.TypeAXFR)
	for _, want := range []string{
		`name=web\.default\.svc\.cluster\.local\. type=A class=IN client=127\.0\.0\.1:\d+ protocol=udp rcode=NOERROR source=cluster duration=[0-9.]+[mµ]?s`,
		`name=nosuch\.default\.svc\.cluster\.local\. type=AAAA .* rcode=NXDOMAIN source=cluster`,
		`name=10\.0\.96\.10\.in-addr\.arpa\. type=PTR .* rcode=NOERROR source=reverse`,
		`name=www\.example\.com\. type=A .* rcode=NOERROR source=upstream duration=`,
		`name=gone\.example\.com\. type=MX .* rcode=NXDOMAIN source=upstream duration=`,
		`name=alias\.default\.svc\.cluster\.local\. type=A .* rcode=NOERROR source=cluster duration=`,
		`name=cluster\.local\. type=AXFR .* rcode=REFUSED source=cluster`,
	} {
		pattern := regexp.MustCompile(`msg="query answered" ` + want)
		p.await("the line "+want, func() bool { return len(pattern.FindAllString(p.log.String(), -1)) == 1 })
	}
	if n := strings.Count(p.log.String(), "query answered"); n != 7 {
		t.Errorf("%d lines, want 7:\n%s", n, p.log)
	}
	if status, text := p.post("queries=off"); status != 200 || text != "level=info\nqueries=off" {
		t.Errorf("%d %q", status, text)
	}
	ask("after.default.svc.cluster.local.", dns.TypeA)
	if log := p.log.String(); strings.Contains(log, "name=before") || strings.Contains(log, "name=after") {
		t.Errorf("logged while it is off:\n%s", log)
	}
	if status, text := p.post("queries=on&client=everybody"); status != 400 || !strings.Contains(text, "client=") {
		t.Errorf("%d %q", status, text)
	}
}

// --log-format=json gives one object on each line, and the level changes at run time.
func TestJSONLog(t *testing.T) {
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", objects), "--nameservers=none", "--log-format=json").start()
	p.awaitReady()
	if status, text := p.post("level=error&queries=on"); status != 200 || !strings.HasPrefix(text, "level=error\n") {
		t.Fatalf("%d %q", status, text)
	}
	if _, err := p.ask("udp", "web.default.svc.cluster.local.", dns.TypeA); err != nil {
		t.Fatal(err)
	}
	p.await("the answer", func() bool { return strings.Contains(p.log.String(), "query answered") })
	seen := map[string]bool{}
	for line := range strings.Lines(p.log.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for _, key := range []string{"time", "level", "msg"} {
			if record[key] == nil {
				t.Errorf("%q has no %s", line, key)
			}
		}
		if record["msg"] == "query answered" && record["name"] != "web.default.svc.cluster.local." {
			t.Errorf("%q", line)
		}
		seen[record["msg"].(string)] = true
	}
	if !seen["starting kubedns"] || !seen["log level changed"] || !seen["query answered"] {
		t.Errorf("messages %v", seen)
	}
}
