//go:build cluster

package cluster

import (
	"fmt"
	"os"
	"testing"
	"time"
)

const objects = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {app: db}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  clusterIP: None
  ipFamilyPolicy: PreferDualStack
  selector: {app: db}
  ports: [{name: http, port: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: www.example.com}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: client
          image: kube-dns.test/client:1
          imagePullPolicy: Never
          args: [serve, "8080"]
          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 3}
`

func TestMain(m *testing.M) {
	os.Exit(func() int {
		_, _ = tryKubectl("", "delete", "namespace", namespace, "--ignore-not-found", "--wait=true")
		for _, args := range [][]string{
			{"create", "namespace", namespace},
			{"apply", "-f", "-"},
			{"rollout", "status", "statefulset/db", "--timeout=3m"},
		} {
			stdin := ""
			if args[0] == "apply" {
				stdin = objects
			}
			if _, err := tryKubectl(stdin, args...); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		defer func() { _, _ = tryKubectl("", "-n", system, "delete", "deployment", cutOff) }()
		if err := startCutOff(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// named is one test of TestCluster.
type named struct {
	name string
	test func(*testing.T)
}

// TestCluster defines the order of the tests. Tests that do not change the addon or the node
// run in parallel, so that waiting in one does not delay the others.
func TestCluster(t *testing.T) {
	if text := os.Getenv("SOAK"); text != "" {
		lasts, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal("SOAK: ", err)
		}
		soakCluster(t, lasts)
		return
	}
	sideBySide(t, "Questions", []named{
		{"ResolvConf", testResolvConf},
		{"Names", testNames},
		{"LargeHeadless", testLargeHeadless},
		{"NewServiceResolves", testNewServiceResolves},
		{"DualStack", testDualStack},
		{"OverlaysAreAccepted", testOverlaysAreAccepted},
		{"PairsAreAccepted", testPairsAreAccepted},
		{"PortForward", testPortForward},
		{"ApplyOverCreated", testApplyOverCreated},
		{"LookFirst", testLookFirst},
	})
	t.Run("ContainerdRestart", testContainerdRestart)
	sideBySide(t, "Addons", []named{
		{"Service", testService},
		{"ExternalName", testExternalName},
		{"Stuck", testStuck},
		{"BadInput", testBadInput},
		{"ConfigMap", testConfigMap},
		{"EachVerbIsNeeded", testEachVerbIsNeeded},
		{"AllVerbsSuffice", testAllVerbsSuffice},
		{"BootstrapRole", testBootstrapRole},
		{"Autopath", testAutopath},
		{"Direct", testDirect},
		{"SetsRun", testSetsRun},
		{"Domain", testDomain},
		{"TLSUpstream", testTLSUpstream},
		{"ClusterSet", testClusterSet},
		{"IPv6Outside", testIPv6Outside},
		{"UnreachableFromTheStart", func(t *testing.T) { testUnreachable(t, 3*time.Minute) }},
	})
	t.Run("NodeLocal", testNodeLocal)
	// Last, because the node's programs take half a minute to recover.
	t.Run("NodeInTrouble", testNodeInTrouble)
}

// testService runs, one after another, the tests that take pods away from the Service or
// change it. Other addons that exist at the time are not in the Service.
func testService(t *testing.T) {
	for _, n := range []named{
		{"KilledOfTwo", testKilledOfTwo},
		{"RollingUpdate", testRollingUpdate}, // and the next one's containers are not restarted with a delay
		{"KilledOfOne", testKilledOfOne},
		{"ScaledBackends", testScaledBackends},
		{"IPv6", testIPv6},
		{"MigrateFromKubeDNS", testMigrateFromKubeDNS},
		{"ApplyOverKubeDNS", testApplyOverKubeDNS},
		{"MigrateFromCoreDNS", testMigrateFromCoreDNS},
	} {
		t.Run(n.name, n.test)
	}
}

// sideBySide runs tests in parallel and returns when all have ended.
func sideBySide(t *testing.T, name string, tests []named) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		for _, n := range tests {
			t.Run(n.name, func(t *testing.T) {
				t.Parallel()
				n.test(t)
			})
		}
	})
}
