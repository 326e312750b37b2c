package main

import (
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
