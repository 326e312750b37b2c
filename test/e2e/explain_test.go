package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// reader is a role with the least rights that explain and diff need.
const reader = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: dns-reader}
rules:
- {apiGroups: [""], resources: [services], verbs: [list]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list]}
`

// tool runs a subcommand of kubedns as a user, and returns its exit code and output.
func (c *cluster) tool(t *testing.T, user string, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv(ourBin), "kubedns"), append(args, "--kubecfg-file="+c.kubeconfig(t, user), "--nameservers=none")...)
	out, _ := cmd.CombinedOutput() // the exit code says how it ended
	return cmd.ProcessState.ExitCode(), string(out)
}

// With only the right to list, explain and diff work against a real API server. Without any
// right, they stop at once with an error that names the resource.
func TestExplainAndDiffOfReader(t *testing.T) {
	c := newCluster(t)
	c.startAPI(t)
	c.apply(t, service("web", "clusterIP: 10.96.1.1, "+httpPort))
	code, out := c.tool(t, "nobody", "explain", "web", "--timeout=50s")
	if code != 2 || !strings.Contains(out, "the API server refuses to list services: ") {
		t.Errorf("without rights: exit code %d:\n%s", code, out)
	}
	c.apply(t, reader)
	c.bind(t, "dns-reader", "reader")
	eventually(t, 30*time.Second, func() bool {
		code, out = c.tool(t, "reader", "explain", "web")
		return code == 0 && strings.Contains(out, "ClusterIP 10.96.1.1")
	}, func() string { return out })
	dump := c.file(t, "dump.yaml", []byte(service("web", "clusterIP: 10.96.1.9, "+httpPort)))
	code, out = c.tool(t, "reader", "diff", dump, "cluster")
	for _, want := range []string{"- web.default.svc.cluster.local. 30 IN A 10.96.1.9\n", "+ web.default.svc.cluster.local. 30 IN A 10.96.1.1\n"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("diff: exit code %d, no %q in\n%s", code, want, out)
		}
	}
}
