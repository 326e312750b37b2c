//go:build cluster

package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

const (
	// hostIP is this machine's address on the node's network.
	hostIP     = "10.250.0.1"
	secureName = "dns.example.net"
	stubName   = "stub.example.net"
)

// secureServer starts a server over TLS beside the node. It answers every name with an
// address.
func secureServer(t *testing.T, ca *dnstest.CA, port, name, address string) *dnstest.TLSServer {
	t.Helper()
	leaf := ca.Leaf(t, dnstest.Leaf{Names: []string{name}})
	return dnstest.NewTLSServerAt(t, hostIP+":"+port, dnstest.ServerConfig(leaf), dnstest.TLSScript{
		Answer: func(q *dns.Msg, tcp bool) [][]byte {
			if q.Question[0].Qtype != dns.TypeA {
				return dnstest.Zone(dns.RcodeSuccess)(q, tcp)
			}
			return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeSuccess, q.Question[0].Name+" 5 IN A "+address))}
		},
	})
}

// reason asks a server for a name and returns the response code and the text of the
// extended error.
func reason(server, name string) string {
	q := new(dns.Msg).SetQuestion(name, dns.TypeA)
	q.SetEdns0(1232, false)
	m, _, err := (&dns.Client{Timeout: 5 * time.Second}).Exchange(q, server)
	if err != nil {
		return err.Error()
	}
	text := dns.RcodeToString[m.Rcode]
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				text += " " + e.ExtraText
			}
		}
	}
	return text
}

// countClearText counts the packets to port 53 that leave a pod, in its network
// namespace. The result reads the count.
func countClearText(t *testing.T, p corev1.Pod) func() string {
	t.Helper()
	inside := []string{"in", "nsenter", "-t", process(t, p, "kubedns"), "-n"}
	for _, protocol := range []string{"udp", "tcp"} {
		ctl(t, append(inside, "iptables", "-w", "-I", "OUTPUT", "!", "-o", "lo", "-p", protocol, "--dport", "53", "-j", "ACCEPT")...)
	}
	return func() string {
		var packets []string
		for line := range strings.Lines(ctl(t, append(inside, "iptables", "-w", "-nvxL", "OUTPUT")...)) {
			if strings.Contains(line, "dpt:53") {
				packets = append(packets, strings.Fields(line)[0])
			}
		}
		return strings.Join(packets, " ")
	}
}

// With the component tls-upstream and its own certification authority, questions about names
// outside the cluster and in a stub domain are sent only over TLS. If the certificate is not
// the expected one, they fail with the reason. Nothing is sent in clear text.
func testTLSUpstream(t *testing.T) {
	const app = "tls-upstream"
	ca := dnstest.NewCA(t, "CA of the tests")
	usual := secureServer(t, ca, "853", secureName, "192.0.2.1")
	stub := secureServer(t, ca, "8853", stubName, "192.0.2.2")
	set := func(data string) {
		t.Helper()
		apply(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: %s\n", app, system, data))
	}
	stubs := fmt.Sprintf(`stubDomains: '{"stub.example": ["tls://%s%%%s:8853"]}'`, hostIP, stubName)
	set("{" + stubs + "}")
	apply(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: dns-ca, namespace: %s}\ndata:\n  ca.crt: |\n    %s\n",
		system, strings.ReplaceAll(strings.TrimSpace(string(ca.PEM())), "\n", "\n    ")))
	t.Cleanup(func() {
		_, _ = tryKubectl("", "-n", system, "delete", "configmap", app, "dns-ca", "--ignore-not-found")
	})
	variantOf(t, manifests+"/overlays/tls-upstream", app, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Volumes[0].ConfigMap.Name = app
		d.Spec.Template.Spec.Volumes = append(d.Spec.Template.Spec.Volumes, corev1.Volume{Name: "dns-ca", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "dns-ca"}},
		}})
		c := container(d, "kubedns")
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "dns-ca", MountPath: "/etc/dns-ca", ReadOnly: true})
		for i, arg := range c.Args {
			if strings.HasPrefix(arg, "--nameservers=tls://") {
				c.Args[i] = "--nameservers=tls://" + hostIP + "%" + secureName
			}
		}
		c.Args = append(c.Args, "--tls-ca-file=/etc/dns-ca/ca.crt")
	})
	awaitReady(t, app, 1, 5*time.Minute)
	p := thePod(t, app)
	server := p.Status.PodIP + ":53"
	inClear := countClearText(t, p)

	pod(t, "tls-client", "  dnsPolicy: None\n  dnsConfig: {nameservers: ["+p.Status.PodIP+"]}\n", "sleep")
	wantIn(t, "tls-client", []string{"lookup", "www.secure.example."}, "192.0.2.1")
	wantIn(t, "tls-client", []string{"lookup", "www.stub.example."}, "192.0.2.2")
	wantIn(t, "tls-client", []string{"lookup", "web.dns-test.svc.cluster.local."}, "10.96.")
	for _, name := range append(usual.Names(), stub.Names()...) {
		if name != secureName && name != stubName {
			t.Errorf("SNI %s", name)
		}
	}
	// The servers of the ConfigMap replace those of the flag.
	set(fmt.Sprintf(`{%s, upstreamNameservers: '["tls://%s%%%s:8853"]'}`, stubs, hostIP, stubName))
	eventually(t, 3*time.Minute, func() string {
		if got := askAt(server, fmt.Sprintf("n%d.secure.example.", time.Now().UnixNano()), dns.TypeA); got != "NOERROR 192.0.2.2" {
			return got
		}
		return ""
	})

	good := stub.Config.Load()
	stub.Config.Store(dnstest.ServerConfig(ca.Leaf(t, dnstest.Leaf{Names: []string{"other.example"}})))
	stub.Drop()
	for _, domain := range []string{"secure.example.", "stub.example."} {
		eventually(t, time.Minute, func() string {
			got := reason(server, fmt.Sprintf("n%d.%s", time.Now().UnixNano(), domain))
			if !strings.HasPrefix(got, "SERVFAIL") || !strings.Contains(got, "not for the expected name "+stubName+" but for other.example") {
				return got
			}
			return ""
		})
	}
	wantLine(t, app, "kubedns", "level=WARN", "not for the expected name "+stubName)
	stub.Config.Store(good)
	eventually(t, 2*time.Minute, func() string {
		if got := askAt(server, fmt.Sprintf("n%d.stub.example.", time.Now().UnixNano()), dns.TypeA); got != "NOERROR 192.0.2.2" {
			return got
		}
		return ""
	})
	if got := inClear(); got != "0 0" {
		t.Errorf("packets to port 53 that left the pod, UDP and TCP: %s", got)
	}
}
