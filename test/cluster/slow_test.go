//go:build cluster

package cluster

import (
	"net/http"
	"os/exec"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// The node has no API server for a minute, and is fully busy for half of it. No name that
// existed fails, and nothing is restarted, not even if an addon has fewer rights after the
// API server's return.
func testNodeInTrouble(t *testing.T) {
	takenAway := takeRightsAway(t)
	const app = "slow"
	variant(t, app, func(d *appsv1.Deployment) {
		container(d, "healthz").Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("10m"), "memory": resource.MustParse("50Mi")}
	})
	awaitReady(t, app, 1, 5*time.Minute)
	ip := thePod(t, app).Status.PodIP
	for _, path := range checks {
		eventually(t, 3*time.Minute, func() string { return probe(ip, path) })
	}
	sideBySide(t, "Meanwhile", []named{
		{"APIServerDown", func(t *testing.T) { testAPIServerDown(t, time.Minute) }},
		{"Busy", func(t *testing.T) { testBusyNode(t, ip) }},
	})
	for name, n := range restarts(t, app) {
		if n > 0 {
			t.Errorf("%s was restarted %d times", name, n)
		}
	}
	takenAway()
}

// takeRightsAway removes all rights from a running addon. The effect shows when its watches
// end and it sends new requests. The returned function then checks that a line of the log
// names the missing right, and that known names are still answered.
func takeRightsAway(t *testing.T) (check func()) {
	t.Helper()
	const app = "robbed"
	account(t, app, "")
	variant(t, app, func(d *appsv1.Deployment) { d.Spec.Template.Spec.ServiceAccountName = app })
	awaitReady(t, app, 1, 5*time.Minute)
	kubectl(t, "delete", "clusterrolebinding", app)
	return func() {
		t.Helper()
		wantLine(t, app, "kubedns", "level=ERROR", "lacks a rule", "resource=services")
		wantLine(t, app, "kubedns", "level=ERROR", "lacks a rule", "resource=endpointslices")
		wantOfKubedns(t, thePod(t, app), known[0]+".", "10.96.0.1")
		awaitReady(t, app, 1, time.Minute)
		for name, n := range restarts(t, app) {
			if n > 0 {
				t.Errorf("%s was restarted %d times", name, n)
			}
		}
	}
}

// checks are the paths of exechealthz that the manifests' probes request.
var checks = []string{"/healthz-dnsmasq", "/healthz-kubedns"}

// On a busy node, and with hardly any CPU for exechealthz, its checks succeed as long as DNS
// answers, so that nothing is restarted only because it is slow. ip is the address of such a
// pod.
func testBusyNode(t *testing.T, ip string) {
	for range 4 {
		busy := exec.Command("../../hack/cluster/ctl.sh", "in", "timeout", "30", "sh", "-c", "while :; do :; done")
		if err := busy.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = busy.Wait() }) // ended by its time
	}
	asked, bad := 0, 0
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
		for _, path := range checks {
			asked++
			if why := probe(ip, path); why != "" {
				bad++
				t.Log(why)
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d probes failed", bad, asked)
	}
}

// probe requests a path of exechealthz as the kubelet does. It returns what is wrong, or ""
// if nothing is.
func probe(ip, path string) string { return fetch("http://" + ip + ":8080" + path) }

func fetch(url string) string {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return url + " answers " + resp.Status
	}
	return ""
}
