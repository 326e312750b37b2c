package nodelocal

import (
	"strings"
	"testing"
	"time"
)

// TestTakeOver starts a cache whose upstream Service is not served yet, as kube-proxy serves a
// new one a moment later. Queries stay with cluster DNS until the cache can answer them, or for
// 3 s if it never can.
func TestTakeOver(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	run(t, "ip addr add "+bootstrap+"/32 dev lo") // a closed port
	args := "--node-local=" + vip + " --node-local-upstream=" + strings.TrimSuffix(headless, ".") +
		" --node-local-lameduck=0s -- -k -h -R --server=/cluster.local/x.test/" + bootstrap
	p := start(t, args)
	const byUpstream = "10.9.9.9"
	began := time.Now()
	for got := ""; got != byUpstream; time.Sleep(5 * time.Millisecond) {
		if got = ask(vip); got != byOther && got != byUpstream {
			t.Fatalf("%s after %v", got, time.Since(began))
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal("the cache does not take over")
		}
		if took := time.Since(began); took > time.Second && took < 2*time.Second {
			newCluster(t, "10.2.0.1")
			began = began.Add(-time.Second)
		}
	}
	if strings.Count(p.text(), "queries come to this cache") != 1 {
		t.Error("the rules were not installed once")
	}
	_ = p.Process.Kill()
	<-p.done
	run(t, "iptables -w -A INPUT -d "+bootstrap+" -j DROP")
	run(t, "iptables -w -A INPUT -d 10.2.0.1 -j DROP")
	began = time.Now()
	p = start(t, args)
	eventually(t, 20*time.Second, func() bool { return strings.Contains(p.text(), "queries come to this cache") })
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("without an upstream server the cache took over after %v", took)
	}
}
