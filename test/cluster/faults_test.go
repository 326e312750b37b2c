//go:build cluster

package cluster

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

// known are names that exist all the while.
var known = []string{"kubernetes.default.svc.cluster.local", "web.dns-test.svc.cluster.local"}

// process returns the number, inside the node, of the container's only process.
func process(tb testing.TB, name string) string {
	tb.Helper()
	return strings.Fields(ctl(tb, "in", "pgrep", "-x", name))[0]
}

// kubedns or exechealthz killed: cluster names that existed have no failure,
// since dnscache answers for a kubedns that is gone. dnscache killed: names
// fail while nobody serves, and only then. Each container is restarted alone.
func TestKilled(t *testing.T) {
	for name, spare := range map[string]int{"kubedns": 0, "exechealthz": 0, "dnscache": -1} {
		t.Run(name, func(t *testing.T) {
			before := restarts(t)
			failed, log := underLoad(t, known, func() {
				start := time.Now()
				ctl(t, "in", "kill", "-KILL", process(t, name))
				eventually(t, 60*time.Second, func() string {
					if maps.Equal(restarts(t), before) {
						return "no container was restarted"
					}
					if out := kubectl(t, "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns"); !strings.Contains(out, "3/3") {
						return out
					}
					return ""
				})
				t.Logf("%s: all containers ready again after %v", name, time.Since(start).Round(100*time.Millisecond))
			})
			if spare >= 0 && failed > spare {
				t.Errorf("%d failures:\n%s", failed, log)
			}
			t.Logf("%s: %s", name, lastLine(log))
			container := map[string]string{"kubedns": "kubedns", "dnscache": "dnscache", "exechealthz": "healthz"}[name]
			for other, n := range restarts(t) {
				if other != container && n != before[other] {
					t.Errorf("%s was restarted too", other)
				}
			}
		})
	}
}

func lastLine(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return lines[len(lines)-1]
}

// A container that stops answering, not dead but stuck, fails its own probe
// and is restarted; the others are not.
func TestStuck(t *testing.T) {
	before := restarts(t)
	ctl(t, "in", "kill", "-STOP", process(t, "kubedns"))
	eventually(t, 150*time.Second, func() string {
		if restarts(t)["kubedns"] == before["kubedns"] {
			return "kubedns is stuck, and was not restarted"
		}
		return ""
	})
	for _, other := range []string{"dnscache", "healthz"} {
		if after := restarts(t); after[other] != before[other] {
			t.Errorf("%s was restarted too: %s, before %s", other, after[other], before[other])
		}
	}
	kubectl(t, "-n", "kube-system", "rollout", "status", "deployment/kube-dns", "--timeout=60s")
}

// The API server stopped for a minute: no name that existed fails, and what is
// made after its return resolves.
func TestAPIServerDown(t *testing.T) {
	before := restarts(t)
	failed, log := underLoad(t, known, func() {
		ctl(t, "stop", "kube-apiserver")
		time.Sleep(time.Minute)
		ctl(t, "start", "kube-apiserver")
		eventually(t, 60*time.Second, func() string {
			_, err := tryKubectl("", "get", "--raw", "/readyz")
			if err != nil {
				return err.Error()
			}
			return ""
		})
		// The kubelet has to report again before logs can be read.
		time.Sleep(5 * time.Second)
	})
	if failed > 0 {
		t.Errorf("%d failures:\n%s", failed, log)
	}
	if after := restarts(t); !maps.Equal(before, after) {
		t.Errorf("restarts %v, before %v", after, before)
	}
	apply(t, "apiVersion: v1\nkind: Service\nmetadata: {name: later}\nspec: {ports: [{port: 80}]}\n")
	t.Cleanup(func() { _, _ = tryKubectl("", "delete", "service", "later") })
	pod(t, "after", "", "sleep")
	wantIn(t, "after", []string{"lookup", "later"}, kubectl(t, "get", "service", "later", "-o", "jsonpath={.spec.clusterIP}"))
}

// A rolling update loses nothing that one retry of the client does not mend.
func TestRollingUpdate(t *testing.T) {
	failed, log := underLoad(t, known, func() {
		kubectl(t, "-n", "kube-system", "rollout", "restart", "deployment/kube-dns")
		kubectl(t, "-n", "kube-system", "rollout", "status", "deployment/kube-dns", "--timeout=120s")
		time.Sleep(25 * time.Second) // the old pod's lameduck
	})
	if failed > 0 {
		t.Errorf("%d failures:\n%s", failed, log)
	}
	t.Log(lastLine(log))
}

// A good ConfigMap is taken up live, a broken one is reported with its key and
// changes nothing, a good one after it is taken up again.
func TestConfigMap(t *testing.T) {
	set := func(data string) {
		t.Helper()
		kubectl(t, "-n", "kube-system", "patch", "configmap", "kube-dns", "--type=merge", "-p", data)
	}
	t.Cleanup(func() { set(`{"data": null}`) })
	pod(t, "config", "", "sleep")
	ask := []string{"query", "www.example.com.", "A"}
	// Stub servers by name of a route tell which configuration is in force: a
	// dead stub makes names under it fail.
	set(`{"data": {"stubDomains": "{\"example.com\": [\"10.250.0.2:1\"]}"}}`)
	eventually(t, 2*time.Minute, func() string {
		if out, _ := in("config", "query", fmt.Sprintf("n%d.example.com.", time.Now().UnixNano()), "A"); !strings.Contains(out, "SERVFAIL") {
			return "the stub domain is not in force: " + out
		}
		return ""
	})
	set(`{"data": {"stubDomains": "{\"example.com\": ["}}`)
	eventually(t, 2*time.Minute, func() string {
		log := kubectl(t, "-n", "kube-system", "logs", "-l", "k8s-app=kube-dns", "-c", "kubedns", "--tail=-1")
		if !strings.Contains(log, "stubDomains") {
			return "the log does not name the broken key: " + log
		}
		return ""
	})
	if out, _ := in("config", "query", "still.example.com.", "A"); !strings.Contains(out, "SERVFAIL") {
		t.Errorf("a broken ConfigMap changed what is in force: %s", out)
	}
	set(`{"data": {"stubDomains": null}}`)
	eventually(t, 2*time.Minute, func() string {
		if out, _ := in("config", "query", fmt.Sprintf("n%d.example.com.", time.Now().UnixNano()), "A"); !strings.Contains(out, "NXDOMAIN") {
			return "the stub domain is still in force: " + out
		}
		return ""
	})
	wantIn(t, "config", ask, "198.51.100.7")
}

// The API server is out of reach from the Pod's start: no container is
// restarted for it, readiness tells the truth, and all is well soon after.
func TestStartWithoutAPI(t *testing.T) {
	reject := func(op string) {
		ctl(t, "in", "iptables", op, "INPUT", "-s", "10.244.0.0/16", "-p", "tcp", "--dport", "6443", "-j", "REJECT")
	}
	reject("-I")
	undone := false
	undo := func() {
		if !undone {
			undone = true
			reject("-D")
		}
	}
	t.Cleanup(undo)
	kubectl(t, "-n", "kube-system", "scale", "deployment/kube-dns", "--replicas=0")
	kubectl(t, "-n", "kube-system", "wait", "pods", "-l", "k8s-app=kube-dns", "--for=delete", "--timeout=90s")
	kubectl(t, "-n", "kube-system", "scale", "deployment/kube-dns", "--replicas=1")
	end := time.Now().Add(3 * time.Minute)
	for time.Now().Before(end) {
		time.Sleep(5 * time.Second)
		for name, n := range restarts(t) {
			if strings.TrimSpace(n) != "0" {
				t.Fatalf("%s was restarted while the API server was out of reach", name)
			}
		}
	}
	if out := kubectl(t, "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns"); !strings.Contains(out, "2/3") {
		t.Errorf("want all but kubedns ready:\n%s", out)
	}
	undo()
	start := time.Now()
	kubectl(t, "-n", "kube-system", "rollout", "status", "deployment/kube-dns", "--timeout=60s")
	t.Logf("ready %v after the API server was back", time.Since(start).Round(100*time.Millisecond))
	pod(t, "well", "", "sleep")
	wantIn(t, "well", []string{"lookup", "web"}, kubectl(t, "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"))
}
