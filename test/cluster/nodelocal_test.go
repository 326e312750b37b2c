//go:build cluster

package cluster

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
)

const (
	nodeApp   = "kube-dns-node"
	nodeLocal = "169.254.20.10"
	// nodeCacheSize identifies the node's cache: the addon's has another size.
	nodeCacheSize = "10000"
)

// testNodeLocal switches the node over to its own cache and back, as docs/node-local.md says.
// Then it does to that cache everything that can happen to one, in both modes of kube-proxy
// and with both families.
func testNodeLocal(t *testing.T) {
	begin := time.Now()
	t.Cleanup(func() {
		removeNodeCache(t)
		_, _ = tryCtl("proxy", "iptables")
		wantAt(t, clusterIP+":53", known[0]+".", "NOERROR 10.96.0.1")
		t.Logf("all of it took %v", time.Since(begin).Round(time.Second))
	})
	t.Run("SwitchOver", testSwitchOver)
	for _, mode := range []string{"iptables", "nftables"} {
		t.Run(mode, func(t *testing.T) { nodeScenarios(t, mode) })
	}
}

// removeNodeCache deletes the objects of the component, and removes the cache's addresses
// from the node.
func removeNodeCache(tb testing.TB) {
	tb.Helper()
	_, _ = tryKubectl("", "-n", system, "delete", "daemonset/"+nodeApp, "service/kube-dns-upstream", "serviceaccount/"+nodeApp, "--ignore-not-found")
	eventually(tb, time.Minute, func() string {
		if n := len(allPods(tb, nodeApp)); n > 0 {
			return fmt.Sprintf("%d pods are still there", n)
		}
		return ""
	})
	cleanup := exec.Command("sh", "-c", "ls -d ../../dist/bin-*/dnscache")
	paths, err := cleanup.Output()
	if err != nil {
		tb.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(paths)) {
		if abs, err := filepath.Abs(path); err == nil {
			_, _ = tryCtl("in", abs, "--node-local="+strings.Join([]string{nodeLocal, clusterIP, clusterIP6}, ","), "--node-local-cleanup")
		}
	}
}

// answering returns the size of the cache that answers at an address, which tells the caches
// apart.
func answering(server string) string {
	q := new(dns.Msg)
	q.SetQuestion("cachesize.bind.", dns.TypeTXT)
	q.Question[0].Qclass = dns.ClassCHAOS
	m, _, err := (&dns.Client{Timeout: time.Second}).Exchange(q, net.JoinHostPort(server, "53"))
	if err != nil {
		return err.Error()
	}
	if len(m.Answer) == 1 {
		if txt, ok := m.Answer[0].(*dns.TXT); ok {
			return strings.Join(txt.Txt, "")
		}
	}
	return dns.RcodeToString[m.Rcode]
}

// wantAnswering waits until the node's cache answers at the address, or until it does not.
func wantAnswering(tb testing.TB, server string, cache bool) {
	tb.Helper()
	eventually(tb, 3*time.Minute, func() string {
		if got := answering(server); (got == nodeCacheSize) != cache {
			return fmt.Sprintf("at %s answers %s", server, got)
		}
		return ""
	})
}

// commands returns the lines of the first block of commands below a heading.
func commands(tb testing.TB, page, heading string) []string {
	tb.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		tb.Fatal(err)
	}
	_, below, found := strings.Cut(string(text), "\n"+heading+"\n")
	_, block, fenced := strings.Cut(below, "\n```\n")
	block, _, closed := strings.Cut(block, "\n```")
	if !found || !fenced || !closed {
		tb.Fatalf("%s has no commands below %q", page, heading)
	}
	return strings.Split(block, "\n")
}

// docCommand runs a command of a document as a user would, in the repository's folder.
func docCommand(tb testing.TB, line string) {
	tb.Helper()
	cmd := exec.Command("sh", "-ec", `kubectl() { "$KUBECTL" "$@"; }; `+line)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v: %s", line, err, out)
	}
}

// Two commands switch a running cluster over, and one command switches it back. No lookup is
// lost.
func testSwitchOver(t *testing.T) {
	over, back := commands(t, "../../docs/node-local.md", "### Switch over"), commands(t, "../../docs/node-local.md", "### Switch back")
	if len(over) != 2 || len(back) != 1 {
		t.Fatalf("%d commands to switch over and %d to switch back, want 2 and 1", len(over), len(back))
	}
	s := startStorm(t, clusterIP)
	wantRetried(t, "switched over", s.during(t, "switched over", func() {
		for _, line := range over {
			docCommand(t, line)
		}
		wantAnswering(t, clusterIP, true)
	}), clusterIP)
	wantRetried(t, "switched back", s.during(t, "switched back", func() {
		docCommand(t, back[0])
		wantAnswering(t, clusterIP, false)
	}), clusterIP)
}

// proxyMode restarts kube-proxy in a mode and waits until it has made its rules.
func proxyMode(tb testing.TB, mode string) {
	tb.Helper()
	ctl(tb, "proxy", mode)
	rules := []string{"in", "nft", "list", "chain", "ip", "kube-proxy", "services"}
	if mode == "iptables" {
		rules = []string{"in", "iptables", "-w", "-t", "nat", "-L", "KUBE-SERVICES"}
	}
	eventually(tb, time.Minute, func() string {
		if _, err := tryCtl(rules...); err != nil {
			return err.Error()
		}
		if out, _ := tryCtl("in", "nft", "list", "tables"); mode == "iptables" && strings.Contains(out, "ip kube-proxy") {
			return "the rules of the other mode are still there"
		}
		return ""
	})
	wantAt(tb, clusterIP+":53", known[0]+".", "NOERROR 10.96.0.1")
}

// applyBothFamilies applies the addon with the component and both families.
func applyBothFamilies(tb testing.TB) {
	tb.Helper()
	dir, err := filepath.EvalSymlinks(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	abs, err := filepath.Abs(manifests)
	if err != nil {
		tb.Fatal(err)
	}
	rel, err := filepath.Rel(dir, abs)
	if err != nil {
		tb.Fatal(err)
	}
	text := fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [%[1]s/base]\ncomponents: [%[1]s/components/node-local, %[1]s/components/dual-stack]\n", rel)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	kubectl(tb, "-n", system, "apply", "-k", dir)
}

func rolledOut(tb testing.TB) {
	tb.Helper()
	kubectl(tb, "-n", system, "rollout", "status", "daemonset/"+nodeApp, "--timeout=3m")
	eventually(tb, time.Minute, func() string {
		if n := len(allPods(tb, nodeApp)); n != 1 {
			return fmt.Sprintf("%d pods, want 1", n)
		}
		return ""
	})
}

// nodeProcess returns the supervisor of the node's cache, or the process that answers.
func nodeProcess(tb testing.TB, p corev1.Pod, supervisor bool) string {
	tb.Helper()
	uid := "65534"
	if supervisor {
		uid = "0"
	}
	found := ""
	eventually(tb, time.Minute, func() string {
		out, _ := tryCtl("in", "pgrep", "-x", "-U", uid, "dnscache")
		for pid := range strings.FieldsSeq(out) {
			group, err := tryCtl("in", "cat", "/proc/"+pid+"/cgroup")
			if _, number := strconv.Atoi(pid); number == nil && err == nil && strings.Contains(group, string(p.UID)) {
				found = pid
				return ""
			}
		}
		return "no dnscache of user " + uid + " runs in " + p.Name
	})
	return found
}
