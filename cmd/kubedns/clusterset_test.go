package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

const importObjects = `apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceImport
metadata: {name: shop, namespace: ns1}
spec: {type: ClusterSetIP, ips: [10.7.0.1], ports: [{name: http, protocol: TCP, port: 80}]}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: db, namespace: ns1}
spec: {type: Headless, ports: [{name: pg, protocol: TCP, port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: db-1
  namespace: ns1
  labels: {multicluster.kubernetes.io/service-name: db}
addressType: IPv4
endpoints: [{addresses: [10.9.0.1]}]
`

// The resource shows in the metrics and in /readiness?verbose, and only with the flag.
func TestClusterSetShows(t *testing.T) {
	file := writeFile(t, "objects.yaml", objects+"\n---\n"+importObjects)
	p := newProgram(t, "--objects="+file, "--nameservers=none", "--clusterset-domain=clusterset.local").start()
	p.awaitReady()
	p.await("the zone", func() bool {
		got, err := p.ask("udp", "shop.ns1.svc.clusterset.local.", dns.TypeA)
		return err == nil && got == "NOERROR 10.7.0.1"
	})
	_, page := p.get(p.prom, "/metrics")
	for _, line := range []string{
		`kubedns_kubernetes_clusterset_synced 1`, `kubedns_kubernetes_objects{kind="serviceimport"} 2`,
		`kubedns_kubernetes_connected{resource="serviceimports.multicluster.x-k8s.io"} 1`, `kubedns_kubernetes_skipped_pieces 1`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("no %s in\n%s", line, page)
		}
	}
	_, text := p.get(p.readiness, "/readiness?verbose")
	for _, want := range []string{"clusterset: 2 imports, 1 slices, 1 endpoints\n", "serviceimports.multicluster.x-k8s.io: connected"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	off := newProgram(t, "--objects="+file, "--nameservers=none").start()
	off.awaitReady()
	_, page = off.get(off.prom, "/metrics")
	_, text = off.get(off.readiness, "/readiness?verbose")
	if strings.Contains(page+text, "clusterset") || strings.Contains(page+text, "serviceimport") {
		t.Errorf("without the flag:\n%s\n%s", page, text)
	}
}

// The zone is the cluster's own even if the configuration has a stub domain of its name,
// but a stub domain below it keeps its names.
func TestClusterSetStubDomains(t *testing.T) {
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", objects+"\n---\n"+importObjects), "--nameservers=none",
		"--clusterset-domain=clusterset.local", "--config-dir="+filepath.Dir(writeFile(t, "stubDomains",
			`{"clusterset.local": ["127.0.0.1:1"], "local": ["127.0.0.1:1"], "db.ns1.svc.clusterset.local": ["127.0.0.1:1"]}`))).start()
	p.awaitReady()
	p.await("the zone", func() bool {
		got, err := p.ask("udp", "shop.ns1.svc.clusterset.local.", dns.TypeA)
		return err == nil && got == "NOERROR 10.7.0.1"
	})
	if got, err := p.ask("udp", "db.ns1.svc.clusterset.local.", dns.TypeA); err == nil && got != "SERVFAIL" {
		t.Errorf("a stub domain below the zone: %q, %v", got, err)
	}
	if log := p.log.String(); !strings.Contains(log, "with --clusterset-domain its names are answered from ServiceImports") {
		t.Errorf("no warning in %s", log)
	}
}

// The server of a stub domain may be given by a name in the zone.
func TestClusterSetStubServer(t *testing.T) {
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", objects+"\n---\n"+importObjects), "--nameservers=none",
		"--clusterset-domain=clusterset.local", "--config-dir="+filepath.Dir(writeFile(t, "stubDomains",
			`{"corp.example": ["shop.ns1.svc.clusterset.local"]}`))).start()
	p.awaitReady()
	p.await("the server's address", func() bool {
		_, text := p.get(p.readiness, "/readiness?verbose")
		return strings.Contains(text, "stub domain corp.example: 10.7.0.1:53")
	})
}

// explain and diff know ServiceImports as well as Services: their invalid parts, the names of
// their endpoints, similar names, and what changes.
func TestClusterSetExplained(t *testing.T) {
	const flag = "--clusterset-domain=clusterset.local"
	more := `---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: odd, namespace: ns1}
spec: {type: ClusterSetIP, ips: [10.7.0.5, 0.0.0.0], ports: [{name: http, protocol: TCP, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: db-2
  namespace: ns1
  labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: CA.reg}
addressType: IPv4
ports: [{name: pg, protocol: TCP, port: 5432}]
endpoints: [{addresses: [10.9.1.1], hostname: pod-0}, {addresses: [10.9.1.2]}, {addresses: [10.9.1.3], conditions: {ready: false}}]
`
	text := objects + "\n---\n" + importObjects + more
	before := writeFile(t, "a.yaml", text)
	var out bytes.Buffer
	command := func(args ...string) int {
		out.Reset()
		return run(context.Background(), append(args, flag), environment{getenv: noEnv, stdout: &out, stderr: &out, resolvConf: "/nonexistent"})
	}
	for _, tt := range []struct {
		name string
		code int
		want []string
	}{
		{"odd", 0, []string{"ClusterSetIP 10.7.0.5", "left out: spec.ips[1]: the unspecified address"}},
		{"db", 0, []string{"left out: EndpointSlice db-1 metadata.labels[multicluster.kubernetes.io/source-cluster]: missing", "3 endpoints ready, 3 published"}},
		{"pod-0.ca.reg.db", 0, []string{"endpoint 10.9.1.1 (name pod-0.ca.reg) in EndpointSlice db-2: ready, published"}},
		{"10-9-1-2.ca.reg.db", 0, []string{"endpoint 10.9.1.2 (name 10-9-1-2.ca.reg) in EndpointSlice db-2: ready, published"}},
		{"10-9-1-3.ca.reg.db", 3, []string{"endpoint 10.9.1.3 (name 10-9-1-3.ca.reg) in EndpointSlice db-2: not ready"}},
		{"pod-1.ca.reg.db", 3, []string{`no endpoint has the name "pod-1.ca.reg": the names are HOST.CLUSTER`, "Similar names that exist:\n  pod-0.ca.reg.db.ns1.svc.clusterset.local.\n"}},
		{"shpo", 3, []string{"Similar names that exist:\n  shop.ns1.svc.clusterset.local.\n"}},
		{"_htp._tcp.shop", 3, []string{"Similar names that exist:\n  _http._tcp.shop.ns1.svc.clusterset.local.\n"}},
	} {
		typ := "A"
		if tt.name[0] == '_' {
			typ = "SRV"
		}
		code := command("explain", tt.name+".ns1.svc.clusterset.local.", typ, "--objects="+before, "--nameservers=none")
		for _, want := range tt.want {
			if code != tt.code || !strings.Contains(out.String(), want) {
				t.Errorf("%s: %d, no %q in\n%s", tt.name, code, want, out.String())
			}
		}
		if strings.Contains(out.String(), "named by a hash") || strings.Contains(out.String(), "names below this Service are _PORT") {
			t.Errorf("%s: %s", tt.name, out.String())
		}
	}
	if code := command("diff", before, before); code != 0 || out.Len() > 0 {
		t.Errorf("equal: %d %s", code, out.String())
	}
	for _, tt := range []struct{ from, to, want string }{
		{"ips: [10.7.0.1]", "ips: [10.7.0.2]", "+ shop.ns1.svc.clusterset.local. 30 IN A 10.7.0.2\n"},
		{"port: 80}]}", "port: 81}]}", "+ _http._tcp.shop.ns1.svc.clusterset.local. 30 IN SRV 10 100 81 shop.ns1.svc.clusterset.local.\n"},
		{"port: 80}]}", "port: 81}]}", "+ shop.ns1.svc.clusterset.local. 30 IN SRV 10 100 81 shop.ns1.svc.clusterset.local.\n"},
		{"10.9.1.1]", "10.9.1.9]", "+ pod-0.ca.reg.db.ns1.svc.clusterset.local. 30 IN A 10.9.1.9\n"},
		{"10.9.1.2]", "10.9.1.8]", "+ 10-9-1-8.ca.reg.db.ns1.svc.clusterset.local. 30 IN A 10.9.1.8\n"},
		{"ready: false", "ready: true", "+ db.ns1.svc.clusterset.local. 30 IN A 10.9.1.3\n"},
		{"CA.reg", "cb.reg", "- pod-0.ca.reg.db.ns1.svc.clusterset.local. 30 IN A 10.9.1.1\n"},
	} {
		if code := command("diff", before, writeFile(t, "b.yaml", strings.Replace(text, tt.from, tt.to, 1))); code != 1 || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s to %s: %d, no %q in\n%s", tt.from, tt.to, code, tt.want, out.String())
		}
	}
}
