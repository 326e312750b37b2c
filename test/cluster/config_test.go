//go:build cluster

package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A good ConfigMap is taken up live, a broken one is reported with its key and
// changes nothing, a good one after it is taken up again. Applying the
// manifests leaves it alone.
func TestConfigMap(t *testing.T) {
	set := func(data string) {
		t.Helper()
		apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-dns, namespace: kube-system}\ndata: "+data+"\n")
	}
	t.Cleanup(func() { _, _ = tryKubectl("", "-n", system, "delete", "configmap", "kube-dns", "--ignore-not-found") })
	pod(t, "config", "", "sleep")
	becomes := func(want string) {
		t.Helper()
		eventually(t, 3*time.Minute, func() string {
			out, _ := in("config", "query", fmt.Sprintf("n%d.example.com.", time.Now().UnixNano()), "A")
			if !strings.Contains(out, want) {
				return "want " + want + ": " + out
			}
			return ""
		})
	}
	// A dead stub server makes names under its domain fail.
	set(`{stubDomains: '{"example.com": ["10.250.0.2:1"]}'}`)
	becomes("SERVFAIL")
	kubectl(t, "-n", system, "apply", "-k", manifests)
	set(`{stubDomains: '{"example.com": ['}`)
	eventually(t, 3*time.Minute, func() string {
		if log := logs(t, addonApp, "kubedns"); !strings.Contains(log, "stubDomains") {
			return "the log does not name the broken key: " + log
		}
		return ""
	})
	becomes("SERVFAIL")
	set(`{}`)
	becomes("NXDOMAIN")
	wantIn(t, "config", []string{"query", "www.example.com.", "A"}, "198.51.100.7")
}
