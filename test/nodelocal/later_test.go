package nodelocal

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAddressFails: while the kernel refuses one of the addresses, there are no rules, because
// queries to that address would go nowhere. The other addresses answer, and the log says it
// once. The rules return with the address.
func TestAddressFails(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	p := node(t, vip6+","+vip+","+local+" --node-local-interface=lo")
	installed := func(n int) bool { return strings.Count(p.text(), "queries come to this cache") == n }
	eventually(t, 5*time.Second, func() bool { return installed(1) && ask(vip) == byCache })
	setting(t, "net/ipv6/conf/lo/disable_ipv6", "1") // the kernel removes the address
	run(t, "ip addr del "+local+"/32 dev lo")
	_ = syscall.Kill(p.cache(t), syscall.SIGKILL)
	eventually(t, 5*time.Second, func() bool { return strings.Count(p.text(), "started the cache") == 2 && ask(local) == byCache })
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byOther })
	for until := time.Now().Add(2500 * time.Millisecond); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if ask(vip) == byCache || !installed(1) {
			t.Fatal("the Service's address leads to the cache")
		}
	}
	if n := strings.Count(p.text(), "cannot put the addresses on the host"); n != 1 {
		t.Errorf("%d lines", n)
	}
	setting(t, "net/ipv6/conf/lo/disable_ipv6", "0")
	eventually(t, 5*time.Second, func() bool { return installed(2) && ask(vip) == byCache && ask(vip6) == byCache })
}

// TestIPVSLater: on a node where kube-proxy starts in IPVS mode after the cache, the cache ends
// with a line that says why. The next start leaves the address to kube-proxy, although it is
// still on the cache's link too.
func TestIPVSLater(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	p := node(t, vip+","+local)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache })
	run(t, "ip link add kube-ipvs0 type bridge")
	run(t, "ip addr add "+vip+"/32 dev kube-ipvs0")
	if code := p.wait(10 * time.Second); code != 0 || strings.Count(p.text(), "kube-proxy in IPVS mode has taken over") != 1 {
		t.Errorf("exit code %d", code)
	}
	p = node(t, vip+","+local)
	eventually(t, 5*time.Second, func() bool { return ask(local) == byCache })
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byOther })
	if !strings.Contains(p.text(), "left_out=["+vip+"]") {
		t.Error("nothing says that an address was left out")
	}
}

// TestForeignTable: tables of other owners, though their names are like ours, hinder nothing and
// stay as they are.
func TestForeignTable(t *testing.T) {
	if !inside(t) {
		return
	}
	nft, err := exec.LookPath("nft")
	if err != nil {
		t.Skip("needs nft")
	}
	clusterDNS(t)
	for _, name := range []string{"dnscache_queries_1", "dnscache_answers_1", "raw"} {
		run(t, nft+" add table inet "+name)
		run(t, nft+" add chain inet "+name+" prerouting { type filter hook prerouting priority -300 ; }")
		run(t, nft+" add rule inet "+name+" prerouting udp dport 53 counter accept")
	}
	before, _ := exec.Command(nft, "-s", "list", "ruleset").Output()
	p := node(t, vip+","+local)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache })
	_ = p.Process.Signal(syscall.SIGTERM)
	if code := p.wait(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if after, _ := exec.Command(nft, "-s", "list", "ruleset").Output(); string(after) != string(before) {
		t.Errorf("the tables changed:\n%s\n%s", before, after)
	}
}

// TestUpstreamPort: the port in --node-local-upstream is no part of the name about which the
// supervisor asks.
func TestUpstreamPort(t *testing.T) {
	if !inside(t) {
		return
	}
	c := newCluster(t, "10.2.0.1")
	p := start(t, "--node-local="+vip+" --node-local-upstream="+headless+"#53 --node-local-lameduck=0s -- -k -h -R --server=/cluster.local/"+bootstrap)
	eventually(t, 10*time.Second, func() bool { return strings.Contains(p.text(), "queries come to this cache") })
	if asked, _ := c.counts(); asked[bootstrap]+asked["10.2.0.1"] == 0 {
		t.Error("the upstream servers were not asked before the rules were installed")
	}
}

// TestRolloutIPv6 overlaps two instances in front of IPv6 replicas: first the older one ends, as
// in an update, then the newer one, as when an update is undone. Nothing is lost, although nearly
// always a question is in flight.
func TestRolloutIPv6(t *testing.T) {
	if !inside(t) {
		return
	}
	const bootstrap6 = "fd00:1::11"
	c := newClusterAt(t, bootstrap6, "fd00:2::1", "fd00:2::2")
	instance := func() *process {
		p := followerOf(t, bootstrap6, "")
		eventually(t, 10*time.Second, func() bool {
			return strings.Contains(p.text(), "queries come to this cache") && strings.Contains(p.text(), "fd00:2::2")
		})
		return p
	}
	old := instance()
	lost := make(chan int)
	go func() {
		for sum, n := 0, 0; ; n++ {
			name := fmt.Sprintf("roll%d.default.svc.cluster.local", n)
			if resolve(name, 4*time.Second) != "10.9.9.9" {
				sum++
			}
			select {
			case lost <- sum:
				return
			default:
			}
		}
	}()
	fresh := instance()
	for _, ends := range []func() *process{func() *process { return old }, instance} {
		p := ends()
		_ = p.Process.Signal(syscall.SIGTERM)
		if code := p.wait(10 * time.Second); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	if n := <-lost; n > 0 {
		t.Errorf("lost %d", n)
	}
	c.counts()
	round := 0
	eventually(t, 20*time.Second, func() bool {
		round++
		many(fmt.Sprintf("after%d-", round), 50)
		asked, _ := c.counts()
		return asked["fd00:2::1"] > 5 && asked["fd00:2::2"] > 5 && asked[bootstrap6] == 0
	})
	if strings.Contains(fresh.text(), "the cache has ended") {
		t.Error("the new instance was disturbed")
	}
}
