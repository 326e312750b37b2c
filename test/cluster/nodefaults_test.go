//go:build cluster

package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// nodeScenarios runs everything that can happen to a node's cache, while a pod sends queries
// to the Service's two addresses and to the cache's own.
func nodeScenarios(t *testing.T, mode string) {
	proxyMode(t, mode)
	kubectl(t, "-n", system, "apply", "-k", manifests+"/overlays/dual-stack")
	eventually(t, time.Minute, func() string {
		if got := askAt("["+clusterIP6+"]:53", known[0]+".", dns.TypeA); !strings.Contains(got, "NOERROR") {
			return got
		}
		return ""
	})
	both := startStorm(t, clusterIP, clusterIP6)
	tracked := flows(t)
	t.Logf("without the cache: %d connection tracking entries of queries", tracked)
	tolls := both.during(t, "started", func() {
		applyBothFamilies(t)
		rolledOut(t)
		wantAnswering(t, clusterIP, true)
	})
	wantRetried(t, "started", tolls, clusterIP, clusterIP6)
	s := startStorm(t, clusterIP, nodeLocal, clusterIP6)
	for _, n := range []struct {
		name string
		test func(*testing.T, *storm)
	}{
		{"Tracking", nodeTracking},
		{"Crash", nodeCrash},
		{"OutOfMemory", nodeOutOfMemory},
		{"Stuck", nodeStuck},
		{"SupervisorKilled", nodeSupervisorKilled},
		{"RolledOut", nodeRolledOut},
		{"ClusterDNSRolled", nodeClusterDNSRolled},
		{"Stopped", nodeStopped},
		{"FromNodeLocalDNSCache", nodeMigrated},
	} {
		t.Run(n.name, func(t *testing.T) { n.test(t, s) })
	}
	removeNodeCache(t)
}

// flows counts the connection tracking entries of queries to the addresses of the cache.
func flows(tb testing.TB) int {
	tb.Helper()
	out := ctl(tb, "in", "sh", "-c", "{ conntrack -L -f ipv4; conntrack -L -f ipv6; } 2>/dev/null || true")
	n := 0
	for line := range strings.Lines(out) {
		// The first addresses of an entry are those of the query.
		original, _, _ := strings.Cut(line, "dport=53")
		_, to, _ := strings.Cut(original, "dst=")
		to, _, _ = strings.Cut(to, " ")
		if original != line && (to == clusterIP || to == nodeLocal || to == clusterIP6 || to == "fd00:0010:0096:0000:0000:0000:0000:000a") {
			n++
		}
	}
	return n
}

// Queries to the cache leave no connection tracking entries.
func nodeTracking(t *testing.T, s *storm) {
	before := 0
	eventually(t, time.Minute, func() string { // on a busy node, one pass does not find all
		for _, addr := range []string{clusterIP, nodeLocal, clusterIP6} {
			family := "ipv4"
			if strings.Contains(addr, ":") {
				family = "ipv6"
			}
			_, _ = tryCtl("in", "conntrack", "-D", "-f", family, "--orig-dst", addr) // 1 when there is none
		}
		if before = flows(t); before > 0 {
			return fmt.Sprintf("%d entries, or new ones, after they were deleted", before)
		}
		return ""
	})
	asked := func(now totals) (n int) {
		for _, server := range s.servers {
			n += now.Servers[server].Asked
		}
		return n
	}
	begin := asked(s.settled(t))
	eventually(t, 2*time.Minute, func() string {
		if n := asked(s.totals(t)) - begin; n < 10000 {
			return fmt.Sprintf("%d queries so far", n)
		}
		return ""
	})
	after := flows(t)
	t.Logf("connection tracking entries of queries: %d before, %d after %d queries", before, after, asked(s.totals(t))-begin)
	if after > 0 {
		t.Errorf("%d entries", after)
	}
}

// The cache is killed. Cluster DNS answers meanwhile; queries to the cache's own address wait
// for the next cache. Those that the killed process had read are lost. On a busy machine these
// are more, so only one of three attempts has to stay within the bound.
func nodeCrash(t *testing.T, s *storm) {
	lost := 0
	for range 3 {
		tolls := s.during(t, "killed", func() {
			ctl(t, "in", "kill", "-KILL", nodeProcess(t, thePod(t, nodeApp), false))
			time.Sleep(500 * time.Millisecond)
			wantAnswering(t, clusterIP, true)
			wantAnswering(t, clusterIP6, true)
			time.Sleep(3 * time.Second)
		})
		wantRetried(t, "killed", tolls, s.servers...)
		asked := 0
		lost = 0
		for _, toll := range tolls {
			asked, lost = asked+toll.asked, lost+toll.lost
		}
		if 2000*lost <= 2*max(asked, 2000) {
			return
		}
	}
	t.Errorf("lost %d queries without a retry, want at most 2 of 2000", lost)
}

// fill uses up the memory of a container's control group with files until one of its
// processes has been killed, and then frees it. The process that does this cannot be chosen
// itself.
const fill = `
pid=$1
dir=$(sed -n 's#^[0-9]*:memory:#/sys/fs/cgroup/memory#p; s#^0::/#/sys/fs/cgroup/#p' /proc/$pid/cgroup | head -n 1)
echo -1000 >/proc/self/oom_score_adj
echo $$ >"$dir/cgroup.procs"
trap 'rm -f /run/fill' EXIT
for _ in $(seq 400); do
	kill -0 $pid 2>/dev/null || exit 0
	head -c 524288 /dev/zero >>/run/fill
done
echo "it was not killed" >&2
exit 1
`

// The container's memory is used up: the kernel kills the process that answers, or all.
func nodeOutOfMemory(t *testing.T, s *storm) {
	tolls := s.during(t, "out of memory", func() {
		ctl(t, "in", "sh", "-c", fill, "fill", nodeProcess(t, thePod(t, nodeApp), false))
		time.Sleep(500 * time.Millisecond)
		wantAnswering(t, clusterIP, true)
		wantAnswering(t, clusterIP6, true)
		time.Sleep(time.Second)
	})
	wantRetried(t, "out of memory", tolls, clusterIP, clusterIP6)
}

// The cache is stopped but not dead. This is noticed within 2.5 s, so that a client that asks
// again after 5 s gets its answer.
func nodeStuck(t *testing.T, s *storm) {
	pid := nodeProcess(t, thePod(t, nodeApp), false)
	tolls := s.during(t, "stuck", func() {
		ctl(t, "in", "kill", "-STOP", pid)
		begin := time.Now()
		eventually(t, 10*time.Second, func() string {
			if got := answering(clusterIP); got == nodeCacheSize || strings.Contains(got, "timeout") {
				return "no answer of cluster DNS: " + got
			}
			return ""
		})
		t.Logf("cluster DNS answers after %v", time.Since(begin).Round(100*time.Millisecond))
		_, _ = tryCtl("in", "kill", "-CONT", pid) // on a busy machine it has been replaced already
		wantAnswering(t, clusterIP, true)
	})
	wantRetried(t, "stuck", tolls, clusterIP, clusterIP6)
}

// The supervisor is killed, and with it the container.
func nodeSupervisorKilled(t *testing.T, s *storm) {
	p := thePod(t, nodeApp)
	tolls := s.during(t, "supervisor killed", func() {
		ctl(t, "in", "kill", "-KILL", nodeProcess(t, p, true))
		eventually(t, time.Minute, func() string {
			if restarts(t, nodeApp)["dnscache"] == 0 {
				return "the container was not restarted"
			}
			return ""
		})
		wantAnswering(t, clusterIP, true)
	})
	wantRetried(t, "supervisor killed", tolls, clusterIP, clusterIP6)
}

// An update: the new cache answers before the old one ends, at every address.
func nodeRolledOut(t *testing.T, s *storm) {
	tolls := s.during(t, "rolled out", func() {
		kubectl(t, "-n", system, "rollout", "restart", "daemonset/"+nodeApp)
		rolledOut(t)
	})
	wantRetried(t, "rolled out", tolls, s.servers...)
	for server, toll := range tolls {
		if toll.lost > 0 {
			t.Errorf("%d queries to %s were lost without a retry", toll.lost, server)
		}
	}
	wantAnswering(t, clusterIP, true)
}

func nodeClusterDNSRolled(t *testing.T, s *storm) {
	tolls := s.during(t, "cluster DNS rolled", func() {
		kubectl(t, "-n", system, "rollout", "restart", "deployment/kube-dns")
		kubectl(t, "-n", system, "rollout", "status", "deployment/kube-dns", "--timeout=3m")
		settle(t, 1)
	})
	wantRetried(t, "cluster DNS rolled", tolls, s.servers...)
}

// The cache is told to end. No query to the Service's addresses is lost.
func nodeStopped(t *testing.T, s *storm) {
	tolls := s.during(t, "stopped", func() {
		kubectl(t, "-n", system, "delete", "daemonset", nodeApp)
		eventually(t, time.Minute, func() string {
			if n := len(allPods(t, nodeApp)); n > 0 {
				return fmt.Sprintf("%d pods are still there", n)
			}
			return ""
		})
		wantAnswering(t, clusterIP, false)
	})
	wantRetried(t, "stopped", tolls, clusterIP, clusterIP6)
}

// beforeNodeLocal creates what NodeLocal DNSCache creates on a node, with CoreDNS as its
// server. afterNodeLocal removes it in the same order as NodeLocal DNSCache at SIGTERM:
// rules, link, program. This kernel may not support dummy links.
const (
	beforeNodeLocal = `
ip addr flush dev lo to 169.254.20.10
ip addr flush dev lo to 10.96.0.10
ip link add nodelocaldns type dummy 2>/dev/null || ip link add nodelocaldns type bridge
ip link set nodelocaldns up
for a in 169.254.20.10 10.96.0.10; do
	ip addr add $a/32 dev nodelocaldns
	for p in tcp udp; do
		iptables -w -t raw -I PREROUTING -d $a -p $p --dport 53 -j NOTRACK
		iptables -w -t raw -I OUTPUT -d $a -p $p --dport 53 -j NOTRACK
		iptables -w -t raw -I OUTPUT -s $a -p $p --sport 53 -j NOTRACK
	done
done
`
	afterNodeLocal = `
for a in 169.254.20.10 10.96.0.10; do
	for p in tcp udp; do
		iptables -w -t raw -D PREROUTING -d $a -p $p --dport 53 -j NOTRACK
		iptables -w -t raw -D OUTPUT -d $a -p $p --dport 53 -j NOTRACK
		iptables -w -t raw -D OUTPUT -s $a -p $p --sport 53 -j NOTRACK
	done
done
ip link del nodelocaldns
kill -TERM $(cat /run/nodelocaldns.pid)
rm -f /run/nodelocaldns.pid
`
)

// Migration from NodeLocal DNSCache on a live node, as docs/node-local.md says: ours starts
// beside it on the same link, then NodeLocal DNSCache is told to end. Ours restores the
// addresses that it removes. If CoreDNS waits for a server when it is told to end, it keeps its
// sockets open without reading them, for up to 5 s. The kernel gives them their share of the
// queries, and a client may meet them twice.
func nodeMigrated(t *testing.T, s *storm) {
	removeNodeCache(t)
	startNodeLocal(t)
	index := linkIndex(t)
	tolls := s.during(t, "put beside NodeLocal DNSCache", func() {
		applyBothFamilies(t)
		rolledOut(t)
		if now := linkIndex(t); now != index {
			t.Error("the link was made anew")
		}
	})
	wantRetried(t, "put beside NodeLocal DNSCache", tolls, clusterIP, nodeLocal)
	tolls = s.during(t, "NodeLocal DNSCache ended", func() {
		ctl(t, "in", "sh", "-c", afterNodeLocal)
		time.Sleep(2 * time.Second)
		wantAnswering(t, clusterIP, true)
	})
	for server, toll := range tolls {
		if toll.asked == 0 || 100*toll.failed > toll.asked {
			t.Errorf("NodeLocal DNSCache ended: %d of %d queries to %s were lost in spite of a retry", toll.failed, toll.asked, server)
		}
	}
	tolls = s.during(t, "after that", func() { time.Sleep(2 * time.Second) })
	wantRetried(t, "after that", tolls, s.servers...)
}

// linkIndex returns the index of the link. A recreated link would have another one.
func linkIndex(t *testing.T) string {
	t.Helper()
	index, _, _ := strings.Cut(ctl(t, "in", "ip", "-o", "link", "show", "nodelocaldns"), ":")
	return index
}

// startNodeLocal starts CoreDNS in the role of NodeLocal DNSCache, and waits until it
// answers.
func startNodeLocal(t *testing.T) {
	t.Helper()
	applyUpstreamOnly(t)
	coredns, err := exec.Command("../../hack/coredns.sh").Output()
	if err != nil {
		t.Fatal(err)
	}
	upstream := kubectl(t, "-n", system, "get", "service", "kube-dns-upstream", "-o", "jsonpath={.spec.clusterIP}")
	corefile := filepath.Join(t.TempDir(), "Corefile")
	text := fmt.Sprintf(".:53 {\n\tbind %s %s\n\thosts {\n\t\t192.0.2.1 who.nodelocal.test\n\t\tfallthrough\n\t}\n\tcache 30\n\tforward . %s {\n\t\tforce_tcp\n\t}\n}\n", nodeLocal, clusterIP, upstream)
	if err := os.WriteFile(corefile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctl(t, "in", "sh", "-ec", beforeNodeLocal)
	ctl(t, "in", "sh", "-c", "echo >/run/nodelocaldns.log; "+
		"setsid sh -c 'echo $$ >/run/nodelocaldns.pid; exec "+strings.TrimSpace(string(coredns))+" -conf "+corefile+"' >/run/nodelocaldns.log 2>&1 </dev/null &")
	t.Cleanup(func() { _, _ = tryCtl("in", "sh", "-c", "[ ! -e /run/nodelocaldns.pid ] || {"+afterNodeLocal+"}") })
	eventually(t, time.Minute, func() string {
		if got := askAt(clusterIP+":53", "who.nodelocal.test.", dns.TypeA); got != "NOERROR 192.0.2.1" {
			log, _ := tryCtl("in", "cat", "/run/nodelocaldns.log")
			return "NodeLocal DNSCache does not answer: " + got + ": " + log
		}
		return ""
	})
}

// applyUpstreamOnly makes the Service kube-dns-upstream, which NodeLocal DNSCache has too.
func applyUpstreamOnly(tb testing.TB) {
	tb.Helper()
	text, err := os.ReadFile(manifests + "/components/node-local/service.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	apply(tb, string(text))
}
