//go:build cluster

package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// known are names that exist all the time.
var known = []string{"kubernetes.default.svc.cluster.local", "web.dns-test.svc.cluster.local"}

// programs are the containers of the addon and what runs in them.
var programs = map[string]string{"kubedns": "kubedns", "dnscache": "dnscache", "healthz": "exechealthz"}

// kill kills the program of a container in p, and waits until that container, and no other,
// has been restarted and all want pods are ready again.
func kill(tb testing.TB, p corev1.Pod, name string, want int) {
	tb.Helper()
	before := restarts(tb, addonApp)
	ctl(tb, "in", "kill", "-KILL", process(tb, p, programs[name]))
	eventually(tb, 5*time.Minute, func() string {
		if maps.Equal(restarts(tb, addonApp), before) {
			return "no container was restarted"
		}
		return ""
	})
	awaitReady(tb, addonApp, want, 5*time.Minute)
	wantRestarted(tb, addonApp, name, before)
}

// highlyAvailable installs the overlay ha for this test. Going back is an ordinary rolling
// update, during which the next test may begin.
func highlyAvailable(tb testing.TB) {
	tb.Helper()
	tb.Cleanup(func() {
		kubectl(tb, "-n", system, "delete", "poddisruptionbudget", "kube-dns")
		kubectl(tb, "-n", system, "apply", "-k", manifests)
	})
	kubectl(tb, "-n", system, "apply", "-k", manifests+"/overlays/ha")
	kubectl(tb, "-n", system, "rollout", "status", "deployment/kube-dns", "--timeout=3m")
	awaitReady(tb, addonApp, 2, 5*time.Minute)
	eventually(tb, 3*time.Minute, func() string {
		allowed := kubectl(tb, "-n", system, "get", "poddisruptionbudget", "kube-dns", "-o", "jsonpath={.status.disruptionsAllowed}")
		if allowed != "1" {
			return "the PodDisruptionBudget allows " + allowed + " disruptions, want 1"
		}
		return ""
	})
}

// One container of one of two pods is killed. Only that container is restarted. Names that
// existed fail at most in the moment before kube-proxy knows that the killed dnscache no
// longer listens.
func testKilledOfTwo(t *testing.T) {
	highlyAvailable(t)
	t.Run("kubedns and healthz", func(t *testing.T) {
		failed, log := underLoad(t, known, func() {
			kill(t, pods(t, addonApp)[0], "kubedns", 2)
			kill(t, pods(t, addonApp)[1], "healthz", 2)
		})
		wantNone(t, failed, log)
	})
	t.Run("dnscache", func(t *testing.T) {
		failed, log := underLoad(t, known, func() {
			kill(t, pods(t, addonApp)[0], "dnscache", 2)
		})
		t.Logf("%d failures\n%s", failed, lastLine(log))
	})
}

// One container of the only pod is killed. The Service has no pod until all containers run
// again; the test prints how long that takes.
func testKilledOfOne(t *testing.T) {
	awaitReady(t, addonApp, 1, 5*time.Minute)
	for name := range programs {
		t.Run(name, func(t *testing.T) {
			killed := time.Now()
			kill(t, thePod(t, addonApp), name, 1)
			wantAt(t, clusterIP+":53", known[0]+".", "NOERROR 10.96.0.1")
			t.Logf("answers again after %v", time.Since(killed).Round(100*time.Millisecond))
		})
	}
}

func lastLine(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return lines[len(lines)-1]
}

// A container that is stuck but not dead fails its own probe and is restarted; the others are
// not. The probes are those of the manifest, but run sooner and more often. As there, healthz
// has about 20 s to be restarted before the containers whose probes it answers count as
// stuck.
func testStuck(t *testing.T) {
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := "stuck-" + name
			variant(t, app, func(d *appsv1.Deployment) {
				for c, period := range map[string]int32{"kubedns": 8, "dnscache": 8, "healthz": 4} {
					probe := container(d, c).LivenessProbe
					probe.InitialDelaySeconds, probe.PeriodSeconds = 5, period
				}
			})
			awaitReady(t, app, 1, 5*time.Minute)
			before := restarts(t, app)
			freeze(t, thePod(t, app), program)
			eventually(t, 3*time.Minute, func() string {
				if maps.Equal(restarts(t, app), before) {
					return name + " is stuck, and was not restarted"
				}
				return ""
			})
			awaitReady(t, app, 1, 5*time.Minute)
			wantRestarted(t, app, name, before)
		})
	}
}

// The API server is stopped. No name that existed fails, nothing is restarted, and Services
// that are created after its return resolve.
func testAPIServerDown(t *testing.T, lasts time.Duration) {
	before := restarts(t, addonApp)
	failed, log := underLoad(t, known, func() {
		ctl(t, "stop", "kube-apiserver")
		time.Sleep(lasts)
		ctl(t, "start", "kube-apiserver")
		eventually(t, 3*time.Minute, func() string {
			if _, err := tryKubectl("", "get", "--raw", "/readyz"); err != nil {
				return err.Error()
			}
			return ""
		})
		back := time.Now()
		apply(t, "apiVersion: v1\nkind: Service\nmetadata: {name: later}\nspec: {ports: [{port: 80}]}\n")
		t.Cleanup(func() { _, _ = tryKubectl("", "delete", "service", "later") })
		wantAt(t, clusterIP+":53", "later.dns-test.svc.cluster.local.", "NOERROR 10.96.")
		t.Logf("a new Service is answered %v after the API server is ready", time.Since(back).Round(100*time.Millisecond))
	})
	wantNone(t, failed, log)
	if after := restarts(t, addonApp); !maps.Equal(before, after) {
		t.Errorf("restarts %v, before %v", after, before)
	}
}

// containerd is restarted. Containers go on running without it.
func testContainerdRestart(t *testing.T) {
	before := restarts(t, addonApp)
	failed, log := underLoad(t, known, func() {
		ctl(t, "restart", "containerd")
		eventually(t, 3*time.Minute, func() string {
			if out, err := in("db-0", "cat", "/etc/hostname"); err != nil {
				return out + err.Error()
			}
			return ""
		})
	})
	wantNone(t, failed, log)
	if after := restarts(t, addonApp); !maps.Equal(before, after) {
		t.Errorf("restarts %v, before %v", after, before)
	}
}

// In a rolling update, no query fails that the client retries once.
func testRollingUpdate(t *testing.T) {
	failed, log := underLoad(t, known, func() {
		kubectl(t, "-n", system, "rollout", "restart", "deployment/kube-dns")
		kubectl(t, "-n", system, "rollout", "status", "deployment/kube-dns", "--timeout=3m")
		settle(t, 1) // the old pod's lameduck is over
	})
	wantNone(t, failed, log)
}

// The backends of a headless Service are scaled up and down. The answer follows, and no name
// that existed fails.
func testScaledBackends(t *testing.T) {
	t.Cleanup(func() { _, _ = tryKubectl("", "scale", "statefulset/db", "--replicas=2") })
	failed, log := underLoad(t, append(known, "db-0.db.dns-test.svc.cluster.local"), func() {
		backends(t, 20)
		backends(t, 2)
	})
	wantNone(t, failed, log)
}

// backends scales the headless Service db to n pods and waits until kubedns
// answers with that many. Behind dnscache an answer stays for its TTL.
func backends(tb testing.TB, n int) {
	tb.Helper()
	server := pods(tb, addonApp)[0]
	kubectl(tb, "scale", "statefulset/db", fmt.Sprintf("--replicas=%d", n))
	start := time.Now()
	eventually(tb, 10*time.Minute, func() string {
		got := strings.Count(askKubedns(tb, server, "db.dns-test.svc.cluster.local."), "10.244.")
		if got != n {
			return fmt.Sprintf("%d addresses, want %d", got, n)
		}
		return ""
	})
	tb.Logf("%d backends answered after %v", n, time.Since(start).Round(100*time.Millisecond))
	// Pods that are ending take a place on the node until they are gone.
	eventually(tb, 10*time.Minute, func() string {
		var list corev1.PodList
		out, err := get("/api/v1/namespaces/" + namespace + "/pods?labelSelector=app%3Ddb")
		if err == nil {
			err = json.Unmarshal(out, &list)
		}
		if err != nil {
			return err.Error()
		}
		if len(list.Items) > n {
			return fmt.Sprintf("%d pods, want %d", len(list.Items), n)
		}
		return ""
	})
}
