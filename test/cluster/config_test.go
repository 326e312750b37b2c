//go:build cluster

package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	appsv1 "k8s.io/api/apps/v1"
)

// A valid ConfigMap takes effect without a restart. An invalid one is reported with its key
// and changes nothing. A valid one after that takes effect again.
func testConfigMap(t *testing.T) {
	const app = "configured"
	set := func(data string) {
		t.Helper()
		apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: configured, namespace: kube-system}\ndata: "+data+"\n")
	}
	t.Cleanup(func() { _, _ = tryKubectl("", "-n", system, "delete", "configmap", app, "--ignore-not-found") })
	set(`{}`)
	variant(t, app, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Volumes[0].ConfigMap.Name = app })
	awaitReady(t, app, 1, 5*time.Minute)
	server := thePod(t, app).Status.PodIP + ":53"
	becomes := func(want string) {
		t.Helper()
		eventually(t, 3*time.Minute, func() string {
			if got := askAt(server, fmt.Sprintf("n%d.example.com.", time.Now().UnixNano()), dns.TypeA); got != want {
				return "want " + want + ": " + got
			}
			return ""
		})
	}
	becomes("NXDOMAIN")
	// A dead stub server makes names under its domain fail.
	set(`{stubDomains: '{"example.com": ["10.250.0.2:1"]}'}`)
	becomes("SERVFAIL")
	set(`{stubDomains: '{"example.com": ['}`)
	eventually(t, 3*time.Minute, func() string {
		if log := logs(t, app, "kubedns"); !strings.Contains(log, "stubDomains") {
			return "the log does not name the broken key: " + log
		}
		return ""
	})
	becomes("SERVFAIL")
	set(`{}`)
	becomes("NXDOMAIN")
	wantAt(t, server, "www.example.com.", "198.51.100.7")
}
