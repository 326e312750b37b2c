//go:build cluster

package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// elsewhere returns the text of a manifest with everything moved to the tests' own namespace,
// so that it does not conflict with the addon, and without the address that is in use.
func elsewhere(tb testing.TB, path string) string {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	s := strings.ReplaceAll(string(text), "namespace: "+system, "namespace: "+namespace)
	return strings.ReplaceAll(s, "  clusterIP: 10.96.0.10\n", "")
}

// What docs/migrating.md says about applying over objects that were not created by apply.
func testApplyOverCreated(t *testing.T) {
	old := strings.Replace(elsewhere(t, "testdata/kube-dns-1.6.yaml"), "spec:\n", "spec:\n  replicas: 0\n", 1)
	if _, err := tryKubectl(old, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = tryKubectl("", "delete", "deployment,service", "kube-dns", "--ignore-not-found") })
	if out, err := tryKubectl("", "apply", "view-last-applied", "deployment/kube-dns"); err == nil && strings.TrimSpace(out) != "" {
		t.Errorf("view-last-applied knows a Deployment that was created: %s", out)
	}
	after, err := tryKubectl(elsewhere(t, manifests+"/base/deployment.yaml"), "apply", "--dry-run=server", "-f", "-",
		"-o", "jsonpath={.spec.template.spec.containers[*].name}")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dnsmasq", "sidecar", "kubedns", "dnscache", "healthz"} {
		if !strings.Contains(after, name) {
			t.Errorf("containers after apply over what was created: %s, want %s among them", after, name)
		}
	}
	// A port that somebody else added to the Service stays.
	service := elsewhere(t, manifests+"/base/service.yaml")
	if _, err := tryKubectl(service+"    - {name: metrics, port: 9153, protocol: TCP}\n", "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	ports, err := tryKubectl(service, "apply", "--dry-run=server", "-f", "-", "-o", "jsonpath={.spec.ports[*].port}")
	if err != nil || !strings.Contains(ports, "9153") {
		t.Errorf("%v, ports after apply %s, want 9153 among them", err, ports)
	}
}

// The checks that docs/migrating.md recommends first, and the preview from files.
func testLookFirst(t *testing.T) {
	configz := kubectl(t, "get", "--raw", "/api/v1/nodes/node/proxy/configz")
	if !strings.Contains(configz, `"clusterDomain":"cluster.local"`) {
		t.Errorf("the kubelet's configuration does not tell the domain: %s", configz)
	}
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(kubectl(t, "get", "services,endpointslices", "-A", "-o", "yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(testkit.FreePorts(t, 16000, 1000, 1)[0])
	var log strings.Builder
	cmd := exec.CommandContext(t.Context(), "../../dist/bin-"+runtime.GOARCH+"/kubedns", "--objects="+file, "--nameservers=none",
		"--dns-port="+port, "--dns-bind-address=127.0.0.1", "--healthz-port="+strconv.Itoa(testkit.FreePorts(t, 16000, 1000, 1)[0]), "--debug-address=")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		t.Log(log.String())
	}()
	wantAt(t, "127.0.0.1:"+port, known[1]+".", "NOERROR "+addresses(t, "service", "web")[0])
}

// With the role that every cluster has for kube-dns, which does not know
// EndpointSlices, Endpoints stand in for them, and a line of the log says so.
func testBootstrapRole(t *testing.T) {
	const app = "bootstrap-role"
	account(t, app, "all")
	binding := rbacv1.ClusterRoleBinding{
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:kube-dns"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: app, Namespace: system}},
	}
	binding.APIVersion, binding.Kind, binding.Name = "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", app+"-system"
	text, err := yaml.Marshal(&binding)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, string(text))
	t.Cleanup(func() { _, _ = tryKubectl("", "delete", "clusterrolebinding", binding.Name) })
	variant(t, app, func(d *appsv1.Deployment) { d.Spec.Template.Spec.ServiceAccountName = app })
	awaitReady(t, app, 1, 3*time.Minute)
	server := thePod(t, app).Status.PodIP + ":53"
	db0 := addresses(t, "pod", "db-0")
	wantAt(t, server, "db-0.db.dns-test.svc.cluster.local.", "NOERROR "+db0[0])
	if got := askAt(server, "db-0.db.dns-test.svc.cluster.local.", dns.TypeAAAA); got != "NOERROR" {
		t.Errorf("AAAA from Endpoints, which know one family: %s", got)
	}
	wantLine(t, app, "kubedns", "level=WARN", "endpointslices")
}
