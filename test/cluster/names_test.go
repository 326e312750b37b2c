//go:build cluster

package cluster

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const objects = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: db}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  clusterIP: None
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
          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
`

func TestMain(m *testing.M) {
	os.Exit(func() int {
		_, _ = tryKubectl("", "delete", "namespace", namespace, "--ignore-not-found", "--wait=true")
		for _, args := range [][]string{
			{"create", "namespace", namespace},
			{"apply", "-f", "-"},
			{"rollout", "status", "statefulset/db", "--timeout=120s"},
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

// The kubelet's --cluster-dns and --cluster-domain reach pods as resolv.conf.
func TestResolvConf(t *testing.T) {
	const cluster = "nameserver 10.96.0.10"
	tests := []struct{ policy, spec, want string }{
		{"first", "  dnsPolicy: ClusterFirst\n", "search dns-test.svc.cluster.local svc.cluster.local cluster.local\n" + cluster},
		{"host-net", "  dnsPolicy: ClusterFirstWithHostNet\n  hostNetwork: true\n", cluster},
		{"default", "  dnsPolicy: Default\n", "nameserver 10.250.0.2"},
		{"none", "  dnsPolicy: None\n  dnsConfig: {nameservers: [10.96.0.10], searches: [example.com]}\n", "search example.com\n" + cluster},
	}
	for _, tt := range tests {
		t.Run(tt.policy, func(t *testing.T) {
			pod(t, "policy-"+tt.policy, tt.spec, "sleep")
			wantIn(t, "policy-"+tt.policy, []string{"cat", "/etc/resolv.conf"}, tt.want)
			if tt.policy != "default" {
				wantIn(t, "policy-"+tt.policy, []string{"lookup", "kubernetes.default.svc.cluster.local"}, "10.96.0.1")
			} else {
				wantIn(t, "policy-"+tt.policy, []string{"lookup", "www.example.com"}, "198.51.100.7")
			}
		})
	}
}

// Names as programs in pods ask for them.
func TestNames(t *testing.T) {
	pod(t, "asker", "", "sleep")
	ip := func(kind, name string) string {
		path := "jsonpath={.spec.clusterIP}"
		if kind == "pod" {
			path = "jsonpath={.status.podIP}"
		}
		return kubectl(t, "get", kind, name, "-o", path)
	}
	web, db0 := ip("service", "web"), ip("pod", "db-0")
	for _, resolver := range []string{"lookup", "search"} {
		for name, want := range map[string]string{
			"web":                                web,
			"web.dns-test":                       web,
			"web.dns-test.svc":                   web,
			"web.dns-test.svc.cluster.local":     web,
			"kubernetes.default":                 "10.96.0.1",
			"db":                                 db0,
			"db-0.db":                            db0,
			"db-0.db.dns-test.svc.cluster.local": db0,
			"outside":                            "198.51.100.7",
			"www.example.com":                    "198.51.100.7",
		} {
			t.Run(resolver+"/"+name, func(t *testing.T) { wantIn(t, "asker", []string{resolver, name}, want) })
		}
	}
	octets := strings.Split(web, ".")
	ptr := fmt.Sprintf("%s.%s.%s.%s.in-addr.arpa.", octets[3], octets[2], octets[1], octets[0])
	for _, network := range []string{"udp", "tcp"} {
		for _, q := range [][]string{
			{"web.dns-test.svc.cluster.local.", "A", web},
			{"_http._tcp.web.dns-test.svc.cluster.local.", "SRV", "80 web.dns-test.svc.cluster.local."},
			{"_http._tcp.db.dns-test.svc.cluster.local.", "SRV", "8080 db-1.db.dns-test.svc.cluster.local."},
			{ptr, "PTR", "web.dns-test.svc.cluster.local."},
			{"outside.dns-test.svc.cluster.local.", "CNAME", "www.example.com."},
			{"nosuch.dns-test.svc.cluster.local.", "A", "NXDOMAIN"},
			{"dns-version.cluster.local.", "TXT", `"1.1.0"`},
		} {
			t.Run(network+"/"+q[0]+"/"+q[1], func(t *testing.T) {
				wantIn(t, "asker", []string{"query", q[0], q[1], network}, q[2])
			})
		}
	}
}

// A headless Service of 1 200 endpoints is whole over TCP, and says over UDP
// that it is not.
func TestLargeHeadless(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: Service\nmetadata: {name: large}\nspec: {clusterIP: None, ports: [{name: http, port: 80}]}\n")
	for s := range 12 {
		fmt.Fprintf(&b, "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: large-%d, labels: {kubernetes.io/service-name: large}}\naddressType: IPv4\nports: [{name: http, port: 80, protocol: TCP}]\nendpoints:\n", s)
		for e := range 100 {
			fmt.Fprintf(&b, "  - {addresses: [10.200.%d.%d], conditions: {ready: true}}\n", s, e+1)
		}
	}
	apply(t, b.String())
	t.Cleanup(func() {
		_, _ = tryKubectl("", "delete", "service/large", "endpointslices", "-l", "kubernetes.io/service-name=large")
		_, _ = tryKubectl("", "delete", "service/large", "--ignore-not-found")
	})
	pod(t, "counter", "", "sleep")
	eventually(t, 30*time.Second, func() string {
		out, err := in("counter", "query", "large.dns-test.svc.cluster.local.", "A", "tcp")
		if err != nil {
			return err.Error()
		}
		if n := strings.Count(out, "\tA\t10.200."); n != 1200 {
			return fmt.Sprintf("%d addresses over TCP, want 1200", n)
		}
		return ""
	})
	out, err := in("counter", "query", "large.dns-test.svc.cluster.local.", "A", "udp")
	if err != nil || !strings.Contains(out, " tc ") {
		t.Errorf("over UDP: %v, want the flag tc in\n%s", err, out)
	}
}
