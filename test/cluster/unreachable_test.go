//go:build cluster

package cluster

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// cutOff is an addon that cannot reach its API server: it uses a port of the node on which
// nothing listens until reachable is called.
const cutOff = "cut-off"

func startCutOff() error {
	d, err := deploymentOf(manifests, cutOff, func(d *appsv1.Deployment) {
		c := container(d, "kubedns")
		c.Env = append(c.Env,
			corev1.EnvVar{Name: "KUBERNETES_SERVICE_HOST", Value: "10.250.0.2"},
			corev1.EnvVar{Name: "KUBERNETES_SERVICE_PORT", Value: "6444"})
	})
	if err != nil {
		return err
	}
	_, err = tryKubectl(d, "apply", "-f", "-")
	return err
}

// The API server cannot be reached for minutes after the Pod's start. No container is
// restarted because of that, readiness reports the true state, the API server's own Service
// is answered from the environment meanwhile, and soon after the API server is back
// everything works. TestMain has started the pod.
func testUnreachable(t *testing.T, lasts time.Duration) {
	p := thePod(t, cutOff)
	time.Sleep(time.Until(p.Status.StartTime.Add(lasts)))
	for name, n := range restarts(t, cutOff) {
		if n > 0 {
			t.Errorf("%s was restarted %d times while the API server was out of reach", name, n)
		}
	}
	if got := strings.Join(unready(t, cutOff), " "); got != "kubedns" {
		t.Errorf("not ready are %q, want kubedns alone", got)
	}
	wantAt(t, p.Status.PodIP+":53", "kubernetes.default.svc.cluster.local.", "NOERROR 10.250.0.2")
	wantAt(t, p.Status.PodIP+":53", "web.dns-test.svc.cluster.local.", "SERVFAIL")
	wantAt(t, p.Status.PodIP+":53", "www.example.com.", "198.51.100.7")
	rule := []string{"PREROUTING", "-p", "tcp", "-d", "10.250.0.2", "--dport", "6444", "-j", "REDIRECT", "--to-port", "6443"}
	ctl(t, append([]string{"in", "iptables", "-w", "-t", "nat", "-I"}, rule...)...)
	t.Cleanup(func() { ctl(t, append([]string{"in", "iptables", "-w", "-t", "nat", "-D"}, rule...)...) })
	back := time.Now()
	eventually(t, time.Minute, func() string { return fetch("http://" + p.Status.PodIP + ":8081/readiness") })
	t.Logf("ready %v after the API server was back", time.Since(back).Round(100*time.Millisecond))
	// The kubelet may first have to report hundreds of other pods.
	awaitReady(t, cutOff, 1, 5*time.Minute)
	wantAt(t, p.Status.PodIP+":53", "web.dns-test.svc.cluster.local.", "NOERROR 10.96.")
	for name, n := range restarts(t, cutOff) {
		if n > 0 {
			t.Errorf("%s was restarted %d times", name, n)
		}
	}
}
