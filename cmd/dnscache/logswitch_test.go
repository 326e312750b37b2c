package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// post changes what the running program logs.
func (in *instance) post(parameters string) (int, string) {
	in.t.Helper()
	resp, err := http.Post("http://"+in.metrics.String()+"/log?"+parameters, "", nil)
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		in.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

// While the logging of answers is switched on, answers from every source are logged, each in
// one line.
func TestAnswersAreLogged(t *testing.T) {
	up := upstreamServer(t, "192.0.2.1", func(m *dns.Msg) bool {
		switch name := m.Question[0].Name; {
		case strings.HasPrefix(name, "bad"):
			m.Rcode = dns.RcodeServerFailure
		case m.Question[0].Qtype == dns.TypeA:
			m.Answer = append(m.Answer, record(name+" 100 A 192.0.2.1"))
		}
		return true
	})
	in := start(t, "--server="+up.option(), "--metrics-address=127.0.0.1:0", "--address=/local.example/192.0.2.7")
	in.answers("before.example")
	if status, text := in.post("queries=on&name=example&client=127.0.0.0/8&rate=1000&for=1h"); status != 200 ||
		text != "level=info\nqueries=on name=example. client=127.0.0.0/8 rate=1000 for=1h0m0s" {
		t.Fatalf("%d %q", status, text)
	}
	in.answers("www.example")
	in.answers("WWW.example")
	in.answers("www.other")
	in.ask("local.example", dns.TypeA)
	in.ask("bad.example", dns.TypeAAAA)
	in.ask("bad.example", dns.TypeAAAA)
	in.ask("www.example", dns.TypeAXFR)
	for _, want := range []string{
		`name=www\.example\. type=A class=IN client=127\.0\.0\.1:\d+ protocol=udp rcode=NOERROR source=upstream duration=\S+`,
		`name=WWW\.example\. type=A .* rcode=NOERROR source=cache duration=\S+`,
		`name=local\.example\. type=A .* rcode=NOERROR source=local duration=\S+`,
		`name=bad\.example\. type=AAAA .* rcode=SERVFAIL source=(upstream|none) duration=\S+`,
		`name=bad\.example\. type=AAAA .* rcode=SERVFAIL source=failure duration=\S+`,
		`name=www\.example\. type=AXFR .* rcode=REFUSED source=error duration=\S+`,
	} {
		in.logged("query answered " + want)
	}
	if status, _ := in.post("queries=off"); status != 200 {
		t.Error(status)
	}
	in.answers("after.example")
	if n := strings.Count(in.log.String(), "query answered"); n != 6 {
		t.Errorf("%d lines, want 6:\n%s", n, in.log)
	}
	for parameters, want := range map[string]string{"queries=maybe": "queries=", "level=9": "level=", "verbose=1": "no such parameter"} {
		if status, text := in.post(parameters); status != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %q", parameters, status, text)
		}
	}
}

// With --log-format=json, each line is an object with the same keys as in the other programs,
// and so are lines in dnsmasq's wording. The level can be changed at run time, and applies to
// both.
func TestJSONLog(t *testing.T) {
	up := upstreamServer(t, "192.0.2.1", nil)
	in := start(t, "--server="+up.option(), "--metrics-address=127.0.0.1:0", "--log-format=json", "--log-queries", "--log-facility=-")
	in.answers("www.example")
	if status, _ := in.post("level=error&queries=on"); status != 200 {
		t.Fatal(status)
	}
	in.answers("www.example")
	testkit.Eventually(t, "the answer is logged", func() bool { return strings.Contains(in.log.String(), "query answered") })
	before := strings.Count(in.log.String(), "queries forwarded")
	in.signals <- syscall.SIGUSR1
	if status, _ := in.post("level=info"); status != 200 {
		t.Fatal(status)
	}
	in.signals <- syscall.SIGUSR1
	testkit.Eventually(t, "the statistics are logged", func() bool { return strings.Contains(in.log.String(), "queries forwarded") })
	if before != 0 {
		t.Error("statistics before the signal")
	}
	levels := map[string]string{}
	for line := range strings.Lines(in.log.String()) {
		var r struct{ Time, Level, Msg, Name, Rcode string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if r.Time == "" || r.Level == "" || r.Msg == "" {
			t.Errorf("%q lacks a key", line)
		}
		first, _, _ := strings.Cut(r.Msg, " ")
		levels[first] = r.Level
		if r.Msg == "query answered" && (r.Name != "www.example." || r.Rcode != "NOERROR") {
			t.Errorf("%q", line)
		}
	}
	if levels["started,"] != "INFO" || levels["query[A]"] != "DEBUG" || levels["query"] != "DEBUG" || levels["queries"] != "INFO" {
		t.Errorf("levels %v", levels)
	}
}
