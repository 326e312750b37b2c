//go:build cluster

package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The kubelet's --cluster-dns and --cluster-domain reach pods as resolv.conf,
// with search lists of all kinds, and names resolve through it.
func testResolvConf(t *testing.T) {
	const (
		first  = "search dns-test.svc.cluster.local svc.cluster.local cluster.local"
		server = "\nnameserver 10.96.0.10"
	)
	// More than six domains and 256 characters.
	var long []string
	for _, label := range []string{"a", "b", "c", "d", "e", "f"} {
		long = append(long, label+"."+strings.Repeat("x", 45))
	}
	inside := []string{"lookup kubernetes.default.svc.cluster.local", "10.96.0.1"}
	short := []string{"search kubernetes.default", "10.96.0.1"}
	outside := []string{"lookup www.example.com", "198.51.100.7"}
	tests := []struct {
		name, spec, conf string
		asks             [][]string
	}{
		{"first", "  dnsPolicy: ClusterFirst\n", first + server, [][]string{inside, short, outside}},
		{"host-net", "  dnsPolicy: ClusterFirstWithHostNet\n  hostNetwork: true\n", first + server, [][]string{inside, short, outside}},
		{"default", "  dnsPolicy: Default\n", "nameserver 10.250.0.2", [][]string{outside}},
		{"none", "  dnsPolicy: None\n  dnsConfig: {nameservers: [10.96.0.10], searches: [example.com]}\n", "search example.com" + server, [][]string{inside, {"search www", "198.51.100.7"}}},
		{"long", "  dnsConfig: {searches: [" + strings.Join(long, ", ") + "]}\n", first + " " + strings.Join(long, " ") + server, [][]string{inside, short, outside}},
		{"odd", "  dnsConfig: {searches: [abc_d.example.com, \".\"]}\n", first + " abc_d.example.com ." + server, [][]string{inside, short, outside}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pod(t, "policy-"+tt.name, tt.spec, "sleep")
			want := map[string][]string{"cat /etc/resolv.conf": {tt.conf}}
			for _, a := range tt.asks {
				want[a[0]] = a[1:]
			}
			eventually(t, 3*time.Minute, func() string { return ask("policy-"+tt.name, want) })
		})
	}
}

// Lookups as programs in pods make them.
func testNames(t *testing.T) {
	pod(t, "asker", "", "sleep")
	askEverything(t, "asker")
}

// addresses returns both families' addresses of a Service or a pod, IPv4 first.
func addresses(tb testing.TB, kind, name string) [2]string {
	tb.Helper()
	path := "jsonpath={.spec.clusterIPs[*]}"
	if kind == "pod" {
		path = "jsonpath={.status.podIPs[*].ip}"
	}
	list := strings.Fields(kubectl(tb, "get", kind, name, "-o", path))
	if len(list) != 2 {
		tb.Fatalf("%s %s has the addresses %v, want one of each family", kind, name, list)
	}
	return [2]string(list)
}

func reverse(tb testing.TB, ip string) string {
	tb.Helper()
	name, err := dns.ReverseAddr(ip)
	if err != nil {
		tb.Fatal(err)
	}
	return name
}

// askEverything asks from a pod through its resolv.conf, with two resolvers, and with single
// queries over both transports.
func askEverything(t *testing.T, asker string) {
	t.Helper()
	web, db0 := addresses(t, "service", "web"), addresses(t, "pod", "db-0")
	outside := []string{"198.51.100.7", "2001:db8:ee::7"}
	want := map[string][]string{}
	for name, addrs := range map[string][]string{
		"web":                                web[:],
		"web.dns-test":                       web[:],
		"web.dns-test.svc":                   web[:],
		"web.dns-test.svc.cluster.local":     web[:],
		"kubernetes.default":                 {"10.96.0.1"},
		"kubernetes.default.svc":             {"10.96.0.1"},
		"db":                                 db0[:],
		"db-0.db":                            db0[:],
		"db-0.db.dns-test.svc.cluster.local": db0[:],
		"outside":                            outside,
		"www.example.com":                    outside,
	} {
		want["lookup "+name] = addrs
		want["search "+name] = addrs
	}
	for name, target := range map[string]string{
		"_http._tcp.web.dns-test":     "80 web.dns-test.svc.cluster.local.",
		"_http._tcp.web.dns-test.svc": "80 web.dns-test.svc.cluster.local.",
		"_http._tcp.db.dns-test.svc":  "8080 db-0.db.dns-test.svc.cluster.local.",
	} {
		want["srv "+name] = []string{target}
	}
	for question, answer := range map[string]string{
		"web.dns-test.svc.cluster.local. A":              web[0],
		"web.dns-test.svc.cluster.local. AAAA":           web[1],
		"db.dns-test.svc.cluster.local. AAAA":            db0[1],
		"_http._tcp.web.dns-test.svc.cluster.local. SRV": "80 web.dns-test.svc.cluster.local.",
		"_http._tcp.db.dns-test.svc.cluster.local. SRV":  "8080 db-1.db.dns-test.svc.cluster.local.",
		reverse(t, web[0]) + " PTR":                      "web.dns-test.svc.cluster.local.",
		reverse(t, web[1]) + " PTR":                      "web.dns-test.svc.cluster.local.",
		reverse(t, db0[0]) + " PTR":                      "db-0.db.dns-test.svc.cluster.local.",
		reverse(t, db0[1]) + " PTR":                      "db-0.db.dns-test.svc.cluster.local.",
		"outside.dns-test.svc.cluster.local. CNAME":      "www.example.com.",
		"nosuch.dns-test.svc.cluster.local. A":           "NXDOMAIN",
		"dns-version.cluster.local. TXT":                 `"1.1.0"`,
	} {
		want["query "+question+" udp"] = []string{answer}
		want["query "+question+" tcp"] = []string{answer}
	}
	eventually(t, 3*time.Minute, func() string { return ask(asker, want) })
}

// ask makes a pod run commands of the client. It returns the output of each command that
// lacks a wanted text, or "" if none does.
func ask(asker string, want map[string][]string) string {
	commands := slices.Sorted(maps.Keys(want))
	out, err := in(asker, append([]string{"each"}, commands...)...)
	if err != nil {
		return err.Error()
	}
	printed := map[string]string{}
	for part := range strings.SplitSeq("\n"+out, "\n== ") {
		command, text, _ := strings.Cut(part, "\n")
		printed[command] = text
	}
	var wrong []string
	for _, command := range commands {
		for _, text := range want[command] {
			if !strings.Contains(printed[command], text) {
				wrong = append(wrong, fmt.Sprintf("%s: no %s in %s", command, text, printed[command]))
			}
		}
	}
	return strings.Join(wrong, "\n")
}

// An ExternalName is followed: to another name after a change, and to an address once the
// Service has one.
func testExternalName(t *testing.T) {
	server := clusterIP + ":53"
	const name = "moves.dns-test.svc.cluster.local."
	t.Cleanup(func() { _, _ = tryKubectl("", "delete", "service", "moves") })
	becomes := func(spec, want string) {
		t.Helper()
		apply(t, "apiVersion: v1\nkind: Service\nmetadata: {name: moves}\nspec: "+spec+"\n")
		eventually(t, 3*time.Minute, func() string {
			if got := askAt(server, name, dns.TypeA); !strings.Contains(got, want) {
				return "want " + want + ": " + got
			}
			return ""
		})
	}
	becomes("{type: ExternalName, externalName: www.example.com}", "NOERROR www.example.com. 198.51.100.7")
	becomes("{type: ExternalName, externalName: ext.example.com}", "NOERROR ext.example.com. 198.51.100.7")
	becomes("{type: ClusterIP, externalName: null, ports: [{port: 80}]}", "NOERROR 10.96.")
}

// The answer for a headless Service with 1 200 endpoints is complete over TCP, and marked as
// truncated over UDP.
func testLargeHeadless(t *testing.T) {
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
	// A program's own resolver changes to TCP.
	if out, err := in("counter", "lookup", "large"); err != nil || strings.Count(out, " 10.200.") != 1200 {
		t.Errorf("%v, %d addresses for a program, want 1200", err, strings.Count(out, " 10.200."))
	}
	out, err := in("counter", "query", "large.dns-test.svc.cluster.local.", "A", "udp")
	if err != nil || !strings.Contains(out, " tc ") {
		t.Errorf("over UDP: %v, want the flag tc in\n%s", err, out)
	}
}
