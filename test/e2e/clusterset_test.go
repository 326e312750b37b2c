package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/test/mcs"
	"github.com/kube-dns/kube-dns/test/outside"
)

// importDefinition returns the definition of ServiceImports.
func importDefinition(t *testing.T) string {
	t.Helper()
	folder, err := mcs.Definitions(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "multicluster.x-k8s.io_serviceimports.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// importRights returns a ClusterRole with the rule that the component clusterset adds.
func importRights(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../manifests/components/clusterset/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var component struct {
		Patches []struct {
			Target struct{ Kind string }
			Patch  string
		}
	}
	if err := yaml.Unmarshal(text, &component); err != nil {
		t.Fatal(err)
	}
	for _, p := range component.Patches {
		var operations []struct{ Value rbacv1.PolicyRule }
		if p.Target.Kind != "ClusterRole" {
			continue
		}
		if err := yaml.Unmarshal([]byte(p.Patch), &operations); err != nil || len(operations) != 1 {
			t.Fatalf("%d operations, %v", len(operations), err)
		}
		role := map[string]any{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
			"metadata": map[string]string{"name": "clusterset"}, "rules": []rbacv1.PolicyRule{operations[0].Value},
		}
		out, err := yaml.Marshal(role)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	t.Fatal("the component has no rule")
	return ""
}

const (
	setZone = "svc.clusterset.local."
	shop    = "shop.ns1." + setZone
)

// TestClusterSet runs kubedns in a cluster in which first the right to read ServiceImports is
// missing, and then their definition. Then it asks the rows of test/conformance. The cluster
// domain is never affected.
func TestClusterSet(t *testing.T) {
	server, stop, err := outside.Serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c := newCluster(t)
	c.args = append(c.args, "--service-cluster-ip-range=10.0.0.0/16,fd00:96::/112")
	c.startAPI(t)
	c.addon(t)
	d := c.startKubeDNS(t, user, "--clusterset-domain=clusterset.local.", "--nameservers="+server)
	d.waitReady(t)
	s := served{c, d}
	logged := func(text string) {
		t.Helper()
		eventually(t, time.Minute, func() bool { return strings.Contains(d.Log(), text) }, func() string { return "no " + text + " in the log" })
	}
	cluster := func() {
		t.Helper()
		d.want(t, "kubernetes.default."+zone, dns.TypeA, "NOERROR", "A 10.0.0.1")
		d.want(t, "nosuch.default."+zone, dns.TypeA, "NXDOMAIN")
		if status := d.ready(t); status != http.StatusOK {
			t.Errorf("/readiness: %d", status)
		}
	}

	d.want(t, shop, dns.TypeA, "SERVFAIL")
	logged("the ClusterRole lacks a rule")
	logged("serviceimports.multicluster.x-k8s.io")
	cluster()

	c.apply(t, importRights(t))
	c.bind(t, "clusterset", user)
	d.want(t, shop, dns.TypeA, "NXDOMAIN")
	d.want(t, "clusterset.local.", dns.TypeA, "NOERROR")
	logged("the cluster has no ServiceImports")
	cluster()

	definition := importDefinition(t)
	c.apply(t, definition)
	folder := "../conformance/testdata/clusterset"
	if refused := c.applyAll(t, filepath.Join(folder, "objects.yaml")); len(refused) > 0 {
		t.Errorf("refused objects: %v", refused)
	}
	d.rows(t, filepath.Join(folder, "rows.md"), nil)
	logged("ServiceImports can be read")
	cluster()

	t.Run("changes", s.importChanges)
	t.Run("faults", func(t *testing.T) { s.importFaults(t, definition) })
	cluster()
	d.end(t)
}

func testImport(name, spec string) string {
	return "{apiVersion: multicluster.x-k8s.io/v1beta1, kind: ServiceImport, metadata: {name: " + name + ", namespace: ns1}, spec: {" + spec + "}}"
}

const importPorts = "ports: [{name: http, protocol: TCP, port: 80}]"

// importChanges: an import goes and comes back as another kind, and a slice moves.
func (s served) importChanges(t *testing.T) {
	t.Helper()
	c, d := s.cluster, s.dns
	c.remove(t, testImport("shop", ""))
	d.want(t, shop, dns.TypeA, "NXDOMAIN")
	c.apply(t, testImport("shop", "type: Headless, "+importPorts))
	d.want(t, shop, dns.TypeA, "NOERROR", "A 10.9.4.1")
	d.want(t, "pod-0.ca."+shop, dns.TypeA, "NOERROR", "A 10.9.4.1")
	c.apply(t, `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: shop-ca
  namespace: ns1
  labels: {multicluster.kubernetes.io/service-name: dead, multicluster.kubernetes.io/source-cluster: ca}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.9.4.1], hostname: pod-0}]
`)
	d.want(t, shop, dns.TypeA, "NXDOMAIN")
	d.want(t, "pod-0.ca.dead.ns1."+setZone, dns.TypeA, "NOERROR", "A 10.9.4.1")
}

// importFaults: the API server restarts, then serves the older version only, and last
// the definition is removed.
func (s served) importFaults(t *testing.T, definition string) {
	t.Helper()
	c, d := s.cluster, s.dns
	dual := "dual.ns1." + setZone
	c.stopAPI()
	d.always(t, 3*time.Second, dual, dns.TypeA, "NOERROR", "A 10.7.0.2")
	c.startAPI(t)
	c.apply(t, testImport("dual", `type: ClusterSetIP, ips: ["10.7.0.22"], `+importPorts))
	d.want(t, dual, dns.TypeA, "NOERROR", "A 10.7.0.22")

	older := withoutVersion(t, definition, "v1beta1")
	c.apply(t, older)
	d.always(t, 3*time.Second, dual, dns.TypeA, "NOERROR", "A 10.7.0.22")
	c.apply(t, strings.Replace(testImport("dual", `type: ClusterSetIP, ips: ["10.7.0.23"], `+importPorts), "v1beta1", "v1alpha1", 1))
	d.want(t, dual, dns.TypeA, "NOERROR", "A 10.7.0.23")

	c.remove(t, definition)
	d.want(t, dual, dns.TypeA, "NXDOMAIN")
}

// withoutVersion returns a definition that does not serve a version.
func withoutVersion(t *testing.T, definition, version string) string {
	t.Helper()
	var crd map[string]any
	if err := yaml.Unmarshal([]byte(definition), &crd); err != nil {
		t.Fatal(err)
	}
	for _, v := range crd["spec"].(map[string]any)["versions"].([]any) {
		if v := v.(map[string]any); v["name"] == version {
			v["served"] = false
		}
	}
	out, err := yaml.Marshal(crd)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
