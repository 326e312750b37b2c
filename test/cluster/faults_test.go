//go:build cluster

package cluster

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
)

// known are names that exist all the while.
var known = []string{"kubernetes.default.svc.cluster.local", "web.dns-test.svc.cluster.local"}

// programs are the containers of the addon and what runs in them.
var programs = map[string]string{"kubedns": "kubedns", "dnscache": "dnscache", "healthz": "exechealthz"}

// soak says that there is time for the long scenarios.
func soak() bool { return os.Getenv("SOAK") != "" }

// pick is short, or long where there is time.
func pick[T any](short, long T) T {
	if soak() {
		return long
	}
	return short
}

// One container of one pod killed, of two pods: it alone is restarted, and
// names that existed have no failure but those of the moment before kube-proxy
// knows that the killed dnscache does not listen.
func TestKilledOfTwo(t *testing.T) {
	scale(t, 2)
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			before := restarts(t, addonApp)
			failed, log := underLoad(t, known, func() {
				ctl(t, "in", "kill", "-KILL", process(t, pods(t, addonApp)[0], program))
				eventually(t, time.Minute, func() string {
					if maps.Equal(restarts(t, addonApp), before) {
						return "no container was restarted"
					}
					return ""
				})
				awaitReady(t, addonApp, 2, time.Minute)
			})
			if name != "dnscache" {
				wantNone(t, failed, log)
			}
			t.Logf("%d failures\n%s", failed, lastLine(log))
			wantRestarted(t, addonApp, name, before)
		})
	}
}

// One container of the only pod killed: the Service has no pod until all
// containers run again, and how long that takes is printed.
func TestKilledOfOne(t *testing.T) {
	scale(t, 1)
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			before := restarts(t, addonApp)
			killed := time.Now()
			ctl(t, "in", "kill", "-KILL", process(t, thePod(t, addonApp), program))
			eventually(t, time.Minute, func() string {
				if maps.Equal(restarts(t, addonApp), before) {
					return "no container was restarted"
				}
				return ""
			})
			awaitReady(t, addonApp, 1, time.Minute)
			wantAt(t, clusterIP+":53", known[0]+".", "NOERROR 10.96.0.1")
			t.Logf("answers again after %v", time.Since(killed).Round(100*time.Millisecond))
			wantRestarted(t, addonApp, name, before)
		})
	}
}

func lastLine(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return lines[len(lines)-1]
}

// A container that is stuck, not dead, fails its own probe and is restarted;
// the others are not. The probes are those of the manifest, asked more often
// where there is little time.
func TestStuck(t *testing.T) {
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := "stuck-" + name
			variant(t, app, func(d *appsv1.Deployment) {
				for c := range programs {
					probe := container(d, c).LivenessProbe
					probe.InitialDelaySeconds = pick[int32](5, probe.InitialDelaySeconds)
					probe.PeriodSeconds = pick[int32](4, probe.PeriodSeconds)
				}
			})
			awaitReady(t, app, 1, 2*time.Minute)
			time.Sleep(pick(5*time.Second, time.Minute))
			before := restarts(t, app)
			ctl(t, "in", "kill", "-STOP", process(t, thePod(t, app), program))
			eventually(t, 3*time.Minute, func() string {
				if maps.Equal(restarts(t, app), before) {
					return name + " is stuck, and was not restarted"
				}
				return ""
			})
			awaitReady(t, app, 1, time.Minute)
			wantRestarted(t, app, name, before)
		})
	}
}

// The API server stopped: no name that existed fails, nothing is restarted,
// and what is made after its return resolves.
func TestAPIServerDown(t *testing.T) {
	before := restarts(t, addonApp)
	failed, log := underLoad(t, known, func() {
		ctl(t, "stop", "kube-apiserver")
		time.Sleep(pick(time.Minute, 10*time.Minute))
		ctl(t, "start", "kube-apiserver")
		eventually(t, time.Minute, func() string {
			if _, err := tryKubectl("", "get", "--raw", "/readyz"); err != nil {
				return err.Error()
			}
			return ""
		})
		// Everybody finds back to it meanwhile.
		time.Sleep(20 * time.Second)
	})
	wantNone(t, failed, log)
	if after := restarts(t, addonApp); !maps.Equal(before, after) {
		t.Errorf("restarts %v, before %v", after, before)
	}
	apply(t, "apiVersion: v1\nkind: Service\nmetadata: {name: later}\nspec: {ports: [{port: 80}]}\n")
	t.Cleanup(func() { _, _ = tryKubectl("", "delete", "service", "later") })
	wantAt(t, clusterIP+":53", "later.dns-test.svc.cluster.local.", "NOERROR 10.96.")
}

// containerd restarted: containers go on without it.
func TestContainerdRestart(t *testing.T) {
	before := restarts(t, addonApp)
	failed, log := underLoad(t, known, func() {
		ctl(t, "restart", "containerd")
		eventually(t, time.Minute, func() string {
			if out, err := in("db-0", "cat", "/etc/hostname"); err != nil {
				return out + err.Error()
			}
			return ""
		})
		time.Sleep(10 * time.Second)
	})
	wantNone(t, failed, log)
	if after := restarts(t, addonApp); !maps.Equal(before, after) {
		t.Errorf("restarts %v, before %v", after, before)
	}
}

// A rolling update loses nothing that one retry of the client does not mend.
func TestRollingUpdate(t *testing.T) {
	failed, log := underLoad(t, known, func() {
		kubectl(t, "-n", system, "rollout", "restart", "deployment/kube-dns")
		kubectl(t, "-n", system, "rollout", "status", "deployment/kube-dns", "--timeout=120s")
		time.Sleep(25 * time.Second) // the old pod's lameduck
	})
	wantNone(t, failed, log)
}

// The backends of a headless Service scaled up and down: the answer follows,
// and no name that existed fails.
func TestScaledBackends(t *testing.T) {
	many := pick(20, 200)
	// Asked of kubedns itself: behind dnscache an answer stays for its TTL.
	server := thePod(t, addonApp).Status.PodIP + ":10053"
	count := func() int {
		return strings.Count(askAt(server, "db.dns-test.svc.cluster.local.", 1), "10.244.")
	}
	follow := func(n int) {
		kubectl(t, "scale", "statefulset/db", fmt.Sprintf("--replicas=%d", n))
		start := time.Now()
		eventually(t, pick(4*time.Minute, 15*time.Minute), func() string {
			if got := count(); got != n {
				return fmt.Sprintf("%d addresses, want %d", got, n)
			}
			return ""
		})
		t.Logf("%d backends answered after %v", n, time.Since(start).Round(100*time.Millisecond))
	}
	t.Cleanup(func() { _, _ = tryKubectl("", "scale", "statefulset/db", "--replicas=2") })
	failed, log := underLoad(t, append(known, "db-0.db.dns-test.svc.cluster.local"), func() {
		follow(many)
		follow(2)
	})
	wantNone(t, failed, log)
}
