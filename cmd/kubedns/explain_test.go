package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/kubedns/explain"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

// explainObjects are objects + some whose names are typically not found.
const explainObjects = objects + `---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data, creationTimestamp: "2024-01-02T03:04:05Z"}
spec: {clusterIP: None}
---
apiVersion: v1
kind: Service
metadata: {name: eager, namespace: data}
spec: {clusterIP: None, publishNotReadyAddresses: true}
---
apiVersion: v1
kind: Service
metadata: {name: ext, namespace: data}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-abc, namespace: data, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: pg, port: 5432, protocol: TCP}]
endpoints:
- {addresses: [10.1.0.1], hostname: db-0, conditions: {ready: true}}
- {addresses: [10.1.0.3], hostname: db-0, conditions: {ready: true}}
- {addresses: [10.1.0.2], hostname: db-2, conditions: {ready: false}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: eager-abc, namespace: data, labels: {kubernetes.io/service-name: eager}}
addressType: IPv4
endpoints: [{addresses: [10.1.0.9], hostname: e-0, conditions: {ready: false}}]
`

// explainCommand runs "kubedns explain" and returns its exit code and output.
func explainCommand(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(context.Background(), append([]string{"explain"}, args...), environment{
		getenv: noEnv, stdout: &out, stderr: &errs, resolvConf: "/nonexistent/resolv.conf",
	})
	return code, out.String() + errs.String()
}

func TestExplainQuestionsOfOperators(t *testing.T) {
	server := dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte {
		if !strings.HasSuffix(q.Question[0].Name, "corp.example.") {
			return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeNameError))}
		}
		return [][]byte{dnstest.Pack(dnstest.Reply(q, 0, q.Question[0].Name+" 60 IN A 192.0.2.1"))}
	})
	config := writeFile(t, "stubDomains", `{"corp.example": ["`+server.Addr.String()+`"], "gone.example": ["127.0.0.1:1"]}`)
	flags := []string{
		"--objects=" + writeFile(t, "objects.yaml", explainObjects), "--nameservers=none",
		"--config-dir=" + strings.TrimSuffix(config, "/stubDomains"),
	}
	for _, tt := range []struct {
		args string
		code int
		want []string
	}{
		{"web", 0, []string{"web.default.svc.cluster.local.\t30\tIN\tA\t10.96.0.10", "ClusterIP 10.96.0.10", "TTL of 30s"}},
		{"web.defalt", 3, []string{"NXDOMAIN", "no Service web in namespace defalt", "\n  web.default.svc.cluster.local.\n"}},
		{"wbe.default", 3, []string{"\n  web.default.svc.cluster.local.\n"}},
		{"web.data", 3, []string{"no Service web in namespace data", "\n  web.default.svc.cluster.local.\n"}},
		{"web --namespace=data", 3, []string{"\n  web.default.svc.cluster.local.\n"}},
		{"web.default.cluster.local", 3, []string{"\n  web.default.svc.cluster.local.\n"}},
		{"db-2.db.data", 3, []string{"endpoint 10.1.0.2 (host name db-2) in EndpointSlice db-abc: not ready", "headless", "created "}},
		{"db-7.db.data", 3, []string{`no endpoint has the host name "db-7"`, "\n  db-0.db.data.svc.cluster.local.\n"}},
		{"db-0.db.data", 0, []string{`2 endpoints share the host name "db-0"`, "10.1.0.1", "10.1.0.3"}},
		{"e-0.eager.data", 0, []string{"publishNotReadyAddresses", "not ready, but published"}},
		{"_htp._tcp.web.default SRV", 3, []string{"the named ports are _http._tcp", "\n  _http._tcp.web.default.svc.cluster.local.\n"}},
		{"_http.web.default SRV", 3, []string{"\n  _http._tcp.web.default.svc.cluster.local.\n"}},
		{"_pg._tcp.db.data SRV", 0, []string{"5432 db-0.db.data.svc.cluster.local."}},
		{"web.default AAAA", 4, []string{"STATUS: NODATA"}},
		{"ext.data", 0, []string{"ExternalName web.default.svc.cluster.local", "CNAME", "10.96.0.10"}},
		{"1-2-3-4.x.pod.cluster.local", 0, []string{"a Pod name: the address is spelled", "1.2.3.4"}},
		{"*.web.default.svc.cluster.local.", 0, []string{"a wildcard"}},
		{"10.0.96.10.in-addr.arpa. PTR", 0, []string{"reverse name of 10.96.0.10", "web.default.svc.cluster.local."}},
		{"corp.example", 0, []string{"stub domain corp.example has it", server.Addr.String(), "1 answer, 0 failures", "192.0.2.1"}},
		{"www.gone.example.", 2, []string{"stub domain gone.example has it", "127.0.0.1:1  DOWN", "; last failure ", " ago: nothing listens there, or the host"}},
		{"example.org.", 2, []string{"there are no servers to ask"}},
		{"web MXX", 2, []string{`unknown record type "MXX"`}},
		{"", 2, []string{"want NAME"}},
		{"web --objects=/nonexistent", 2, []string{"--objects=/nonexistent"}},
		{"a..b", 2, []string{"not a domain name"}},
		{"--help", 0, []string{"Exit code: 0 answer, 3 NXDOMAIN", "--server"}},
	} {
		code, out := explainCommand(t, append(slices.Clone(flags), strings.Fields(tt.args)...)...)
		if code != tt.code {
			t.Errorf("%s: exit code %d, want %d:\n%s", tt.args, code, tt.code, out)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", tt.args, want, out)
			}
		}
	}
}

// What explain says is what the server answers, for names of every kind.
func TestExplainAgreesWithServer(t *testing.T) {
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", explainObjects), "--nameservers=none", "--federations=other=example.org").start()
	p.awaitReady()
	labels := []string{"web", "db", "ext", "eager", "db-0", "db-2", "e-0", "default", "data", "svc", "pod", "_http", "_tcp", "_pg", "*", "other", "10-0-0-1", "x", "ns", "dns"}
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	for range 40 {
		name := "svc.cluster.local."
		if rng.IntN(4) == 0 {
			name = "cluster.local."
		}
		for range rng.IntN(5) {
			name = labels[rng.IntN(len(labels))] + "." + name
		}
		qtype := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeCNAME}[rng.IntN(4)]
		reply, _, err := (&dns.Client{Net: "tcp", Timeout: 20 * time.Second}).Exchange(new(dns.Msg).SetQuestion(name, qtype), p.dns)
		if err != nil {
			t.Fatal(err)
		}
		x := p.explain(name, dns.TypeToString[qtype])
		status := dns.RcodeToString[reply.Rcode]
		if wanted := slices.ContainsFunc(reply.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == qtype }); status == "NOERROR" && !wanted {
			status = "NODATA"
		}
		var want []string
		for _, rr := range reply.Answer {
			want = append(want, rr.String())
		}
		got := slices.Clone(x.Answer)
		slices.Sort(want)
		slices.Sort(got)
		if x.Status != status || !slices.Equal(got, want) {
			t.Errorf("%s %s: explained %s %q, answered %s %q", name, dns.TypeToString[qtype], x.Status, got, status, want)
		}
	}
}

// explain asks the page, again while it limits the rate.
func (p *program) explain(name, qtype string) *explain.Explanation {
	p.t.Helper()
	x := &explain.Explanation{}
	p.await("an explanation of "+name, func() bool {
		code, body := p.get(p.dbg, "/explain?output=json&name="+url.QueryEscape(name)+"&type="+qtype)
		if code == 429 {
			return false
		}
		if err := json.Unmarshal([]byte(body), x); err != nil {
			p.t.Fatalf("%d %s: %v", code, body, err)
		}
		return true
	})
	return x
}

func TestExplainOverHTTP(t *testing.T) {
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", explainObjects), "--nameservers=none").start()
	p.awaitReady()
	code, out := explainCommand(t, "db-2.db.data", "--server=http://"+p.dbg, "-o", "json")
	x := &explain.Explanation{}
	if err := json.Unmarshal([]byte(out), x); err != nil || code != 3 || x.Status != "NXDOMAIN" || x.DataAge < 0 || filepath.Base(x.Files) != "objects.yaml" {
		t.Errorf("%d %v %s", code, err, out)
	}
	if _, out = explainCommand(t, "db-2.db.data", "--server=http://"+p.dbg); !strings.Contains(out, "\nThe objects are those of "+x.Files+".\n") {
		t.Errorf("%s", out)
	}
	for _, server := range []string{"http://" + p.prom, "http://127.0.0.1:1", "ftp://x"} {
		if code, out := explainCommand(t, "web", "--server="+server); code != 2 || !strings.Contains(out, "--server="+server) {
			t.Errorf("%s: %d %s", server, code, out)
		}
	}
	if code, out := explainCommand(t, "web", "--server=http://"+p.dbg, "--objects="+x.Files); code != 2 || !strings.Contains(out, "give it without --objects") {
		t.Errorf("both --server and --objects: %d %s", code, out)
	}
	if code, body := p.get(p.dbg, "/explain?name=web&output=xml"); code != 400 || !strings.Contains(body, "want text or json") {
		t.Errorf("output=xml: %d %s", code, body)
	}
	limited := false
	for range 40 {
		code, _ := p.get(p.dbg, "/explain?name=web")
		limited = limited || code == 429
	}
	if !limited {
		t.Error("the rate is not limited")
	}
	p.wantAnswer(web, dns.TypeA, "NOERROR 10.96.0.10")
}

// What /readiness?verbose says of upstream servers is only what is wrong with them.
func TestReadinessNamesServersInTrouble(t *testing.T) {
	server := dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte {
		if q.Question[0].Name == "bad.example." {
			return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeServerFailure))}
		}
		return [][]byte{dnstest.Pack(dnstest.Reply(q, 0, q.Question[0].Name+" 60 IN A 192.0.2.1"))}
	})
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", explainObjects), "--nameservers="+server.Addr.String()).start()
	p.awaitReady()
	p.explain("good.example.", "A")
	if _, body := p.get(p.readiness, "/readiness?verbose"); strings.Contains(body, "upstream server") {
		t.Errorf("before: %s", body)
	}
	p.explain("bad.example.", "A")
	want := "\nupstream server " + server.Addr.String() + "  up, 2 answers, 1 failure"
	_, body := p.get(p.readiness, "/readiness?verbose")
	if !strings.Contains(body, want) || !strings.Contains(body, " ago: the reply was SERVFAIL\n") {
		t.Errorf("after: %s, want %q", body, want)
	}
	if code, body := p.get(p.readiness, "/readiness"); code != 200 || body != "ok\n" {
		t.Errorf("not verbose: %d %q", code, body)
	}
}

func TestDiff(t *testing.T) {
	before, after := writeFile(t, "a.yaml", explainObjects), writeFile(t, "b.yaml",
		strings.Replace(strings.Replace(explainObjects, "10.96.0.10\n", "10.96.0.11\n", 1), "clusterIPs: [10.96.0.10]", "clusterIPs: [10.96.0.11]", 1))
	var out bytes.Buffer
	diff := func(args ...string) int {
		out.Reset()
		return run(context.Background(), append([]string{"diff"}, args...), environment{getenv: noEnv, stdout: &out, stderr: &out, resolvConf: "/nonexistent"})
	}
	if code := diff(before, before); code != 0 || out.Len() > 0 {
		t.Errorf("equal: %d %s", code, out.String())
	}
	const want = "+ web.default.svc.cluster.local. 30 IN A 10.96.0.11\n- web.default.svc.cluster.local. 30 IN A 10.96.0.10\n"
	code := diff(before, after)
	lines := slices.Sorted(strings.Lines(out.String()))
	if code != 1 || strings.Join(lines, "") != want {
		t.Errorf("changed: %d %s", code, out.String())
	}
	if code := diff(before, writeFile(t, "c.yaml", strings.Replace(explainObjects, "ready: false", "ready: true", 1))); code != 1 ||
		!strings.Contains(out.String(), "+ db-2.db.data.svc.cluster.local. 30 IN A 10.1.0.2\n") {
		t.Errorf("ready: %d %s", code, out.String())
	}
	big := writeFile(t, "big.yaml", bigObjects())
	if code := diff(big, big); code != 0 || out.Len() > 0 {
		t.Errorf("a large Service: %d, %d octets", code, out.Len())
	}
	none := writeFile(t, "none.yaml", "{apiVersion: v1, kind: List, items: []}")
	if code := diff(none, big); code != 1 || strings.Count(out.String(), "\n") != 2*bigEndpoints {
		t.Errorf("a large new Service: %d, %d lines", code, strings.Count(out.String(), "\n"))
	}
	stub := writeFile(t, "stub.yaml", `{apiVersion: v1, kind: List, items: [
  {apiVersion: v1, kind: Service, metadata: {name: web, namespace: here}, spec: {clusterIP: 10.96.0.1}},
  {apiVersion: v1, kind: Service, metadata: {name: web, namespace: gone}, spec: {clusterIP: 10.96.0.2}},
  {apiVersion: v1, kind: ConfigMap, metadata: {name: kube-dns, namespace: kube-system}, data: {
    stubDomains: '{"gone.svc.cluster.local": ["127.0.0.1:9"]}'}}]}`)
	if code := diff(none, stub, "--config-map=kube-dns"); code != 1 || out.String() != "+ web.here.svc.cluster.local. 30 IN A 10.96.0.1\n" {
		t.Errorf("names that a stub domain takes away: %d %s", code, out.String())
	}
	for _, args := range [][]string{{before}, {before, "/nonexistent"}, {before, after, "x"}, {before, after, "--nosuch"}} {
		if code := diff(args...); code != 2 || !strings.Contains(out.String(), "kubedns diff: ") {
			t.Errorf("%v: %d %s", args, code, out.String())
		}
	}
}

func TestValidate(t *testing.T) {
	var out bytes.Buffer
	validate := func(args ...string) int {
		out.Reset()
		return run(context.Background(), append([]string{"validate"}, args...), environment{getenv: noEnv, stdout: &out, stderr: &out})
	}
	manifest := func(data string) string {
		return "--config-map-file=" + writeFile(t, "cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-dns}\ndata:\n"+data)
	}
	for _, tt := range []struct {
		args string
		code int
		want []string
	}{
		{manifest("  stubDomains: '{\"corp.example\": [\"10.0.0.53\"]}'\n"), 0, []string{"corp.example. and names below it -> 10.0.0.53:53", "all other names"}},
		{manifest("  federations: a=example.org\n  upstreamNameservers: '[\"nonsense\"]'\n"), 1, []string{"cm.yaml:6: key upstreamNameservers: ", "rejected"}},
		{manifest("  stubDomains: |\n    {\n      \"a.example\": [\n    }\n"), 1, []string{"cm.yaml:8: key stubDomains"}},
		{manifest("  # stubDomains: \n  upstreamNameservers: |\n    [\"192.0.2.1\",\n    ]\n"), 1, []string{"cm.yaml:8: key upstreamNameservers"}},
		{manifest("  {stubDomains: '{\"a.example\": [', upstreamNameservers: '[]'}\n"), 1, []string{"cm.yaml:5: key stubDomains"}},
		{manifest("  upstreamNameservers: \"[\\n\\n]x\"\n"), 1, []string{"cm.yaml:5 (line 3 of the value): key upstreamNameservers"}},
		{manifest("  autopath: cluster\n"), 0, []string{"search lists -> names inside the cluster are completed"}},
		{manifest("  autopath: everything\n"), 1, []string{"cm.yaml:5: key autopath: \"everything\" is not a mode"}},
		{manifest("  autopath: cluster\n  autopath: off\n"), 2, []string{"autopath"}},
		{manifest("  stubDomains: '{\"\\e[2J.example\": [\"nonsense\"]}'\n"), 1, []string{"cm.yaml:5: "}},
		{manifest("  federations: a=example.org\n---\napiVersion: v1\nkind: Service\n"), 0, []string{"federation a -> example.org"}},
		{"--config-map-file=" + writeFile(t, "two.yaml", "---\nkind: ConfigMap\nmetadata: {name: other}\ndata: {autopath: x}\n---\nkind: ConfigMap\nmetadata: {name: kube-dns}\ndata:\n  autopath: yes?\n"), 1, []string{`two.yaml:9: key autopath: "yes?"`}},
		{"--config-map-file=" + writeFile(t, "three.yaml", "kind: ConfigMap\n---\nkind: ConfigMap\n"), 2, []string{"2 ConfigMaps"}},
		{"--config-map-file=" + writeFile(t, "empty.yaml", "\n# nothing\n"), 2, []string{"empty"}},
		{"--config-dir=" + strings.TrimSuffix(writeFile(t, "stubDomains", "{\n \"a.example\": [\n}"), "/stubDomains"), 1, []string{"stubDomains:3: key stubDomains"}},
		{manifest("  autopath: off\n"), 1, []string{"cm.yaml:5: key autopath: the value is false, not a string", "put it in quotes", "The API server rejects"}},
		{manifest("  federations: x\n  upstreamNameservers: [8.8.8.8]\n"), 1, []string{"cm.yaml:5: key federations", "cm.yaml:6: key upstreamNameservers: the value is a list"}},
		{manifest("  stubDomains: {a.example: [192.0.2.1]}\n"), 1, []string{"cm.yaml:5: key stubDomains: the value is an object"}},
		{manifest("  upstreamNameservers: 8\n"), 1, []string{"cm.yaml:5: key upstreamNameservers: the value is a number"}},
		{manifest("  autopath:\n"), 1, []string{"cm.yaml:5: key autopath: \"\" is not a mode"}},
		{manifest("  stubDomains: |\n    {\"a.example\": [\"192.0.2.1\"],\n     \"b.example\": \"192.0.2.2\"}\n"), 1, []string{`cm.yaml:7: key stubDomains: not a JSON object of arrays of strings: wrong type (string) at ..."`}},
		{manifest("  upstreamNameservers: '[\"192.0.2.1\",8]'\n"), 1, []string{`not a JSON array of strings: wrong type (number) at "[\"192.0.2.1\",8"`}},
		{"--config-map-file=" + writeFile(t, "list.yaml", "- a\n"), 2, []string{"not a ConfigMap: the document is a list; want an object"}},
		{manifest("  stubDomain: '{}'\n"), 0, []string{"warning: ", "stubDomain"}},
		{"--config-dir=" + strings.TrimSuffix(writeFile(t, "upstreamNameservers", `["192.0.2.1"]`), "/upstreamNameservers"), 0, []string{"-> 192.0.2.1:53"}},
		{"--config-dir=/nonexistent", 2, []string{"--config-dir=/nonexistent"}},
		{"--config-map-file=" + writeFile(t, "x.yaml", "kind: Service\n"), 2, []string{`kind is "Service"`}},
		{"--config-map-file=" + writeFile(t, "y.yaml", "a: [b"), 2, []string{"not a ConfigMap"}},
		{"", 2, []string{"want either --config-dir"}},
		{"--help", 0, []string{"Exit code: 0 valid"}},
	} {
		code := validate(strings.Fields(tt.args)...)
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", tt.args, want, out.String())
			}
		}
		if code != tt.code {
			t.Errorf("%s: exit code %d, want %d: %s", tt.args, code, tt.code, out.String())
		}
	}
}

// bigEndpoints is the number of endpoints of the Service in bigObjects: too many for the addresses,
// and even more for the SRV records, to fit a DNS message.
const bigEndpoints = 5000

// bigObjects returns a headless Service with a port.
func bigObjects() string {
	var b strings.Builder
	b.WriteString(`
apiVersion: v1
kind: Service
metadata: {name: big, namespace: default}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: big-1, namespace: default, labels: {kubernetes.io/service-name: big}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
`)
	for i := range bigEndpoints {
		fmt.Fprintf(&b, "- addresses: [10.2.%d.%d]\n", i/256, i%256)
	}
	return b.String()
}
