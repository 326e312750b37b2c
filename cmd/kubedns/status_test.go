package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

// The page stays small, whatever the configuration and clients do, and many who read it at
// the same time get it.
func TestStatusPageIsBounded(t *testing.T) {
	stubs := map[string][]string{}
	for i := range 2000 {
		stubs[fmt.Sprintf("d%04d.example", i)] = []string{fmt.Sprintf("127.1.%d.%d:1", i/250, i%250+1)}
	}
	text, err := json.Marshal(stubs)
	if err != nil {
		t.Fatal(err)
	}
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", objects), "--nameservers=none",
		"--config-dir="+filepath.Dir(writeFile(t, "stubDomains", string(text)))).start()
	p.awaitReady()
	label := strings.Repeat("<", 63) + "."
	long := strings.Repeat(label, 3) + strings.Repeat("<", 55)
	for i := range 500 {
		q := new(dns.Msg).SetQuestion(fmt.Sprintf("%d.", i)+long+".", dns.TypeA)
		if reply, _, err := (&dns.Client{Timeout: 20 * time.Second}).Exchange(q, p.dns); err != nil || reply.Rcode != dns.RcodeRefused {
			t.Fatalf("%v %v", reply, err)
		}
	}
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			code, body := p.get(p.dbg, "/status")
			if code != http.StatusOK || len(body) > 1<<20 || !strings.HasSuffix(body, "</html>\n") {
				t.Errorf("%d, %d octets", code, len(body))
			}
		})
	}
	group.Wait()
	code, body := p.get(p.dbg, "/status?name="+strings.Repeat("%3C", 1000))
	if code != http.StatusBadRequest || len(body) > 1<<20 {
		t.Errorf("a long name: %d, %d octets", code, len(body))
	}
	for _, want := range []string{"d0199.example<", "1800 more are not shown", "all other names", "further failed answers came too fast", "&lt;&lt;", "REFUSED"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(body, "d0200.example<") || strings.Contains(body, "<<") {
		t.Error("more than there should be")
	}
	if n := strings.Count(body, ">REFUSED<"); n == 0 || n > 50 {
		t.Errorf("%d failed answers", n)
	}
	p.wantAnswer(web, dns.TypeA, "NOERROR 10.96.0.10")
}

// The box explains names, and the rest of the page is there beyond the limit of explanations.
func TestStatusPageExplains(t *testing.T) {
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", explainObjects), "--nameservers=none").start()
	p.awaitReady()
	code, body := p.get(p.dbg, "/status?name=+db-2.db.data+&type=a&namespace=data")
	if code != http.StatusOK || !strings.Contains(body, "EndpointSlice db-abc: not ready") || !strings.Contains(body, "<option selected>A</option>") {
		t.Errorf("%d %s", code, body)
	}
	for range 40 { // some of them beyond the limit
		code, body := p.get(p.dbg, "/status?name=web")
		if code != http.StatusOK && code != http.StatusTooManyRequests || !strings.Contains(body, `<th scope="row">services</th>`) {
			t.Fatalf("%d %s", code, body)
		}
	}
	if code, _ := p.get(p.dbg, "/status"); code != http.StatusOK {
		t.Errorf("without a name: %d", code)
	}
}

// A configuration that cannot be read for a while is not called rejected afterwards.
func TestStatusPageShowsConfiguration(t *testing.T) {
	key := writeFile(t, "stubDomains", `{"corp.example": ["127.0.0.1:1"]}`)
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", objects), "--nameservers=none",
		"--config-dir="+filepath.Dir(key), "--config-period=10ms").start()
	p.awaitReady()
	shows := func(want string) {
		t.Helper()
		p.await(want, func() bool {
			_, body := p.get(p.dbg, "/status")
			return strings.Contains(body, want)
		})
	}
	shows(", accepted <time")
	dnstest.Replace(t, key, `{"corp.example": ["nonsense..name"]}`)
	shows("The newest content is rejected")
	dnstest.Replace(t, key, `{"lab.example": ["127.0.0.1:1"]}`)
	shows(`<th scope="row">lab.example</th>`)
	_, body := p.get(p.dbg, "/status")
	if strings.Contains(body, "The newest content is rejected") || !strings.Contains(body, ">ERROR<") {
		t.Errorf("%s", body)
	}
}

// No page at the debug address answers for the host name of a web page that leads to it (DNS
// rebinding).
func TestDebugPagesRefuseOtherHosts(t *testing.T) {
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", objects), "--nameservers=none").start()
	p.awaitReady()
	for _, path := range []string{"/", "/status", "/explain?name=web", "/log", "/cache", "/debug/pprof/", "/debug/pprof/heap"} {
		for host, want := range map[string]int{"evil.example": http.StatusForbidden, "localhost": http.StatusOK} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.dbg+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s for the host %s: %d, want %d", path, host, resp.StatusCode, want)
			}
		}
	}
}
