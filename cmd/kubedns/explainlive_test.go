package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-dns/kube-dns/test/apiserver"
)

// liveCluster is an API server with the Service web of the files, at another address, and a
// kubeconfig for it. Requests that refuse says so of are forbidden.
func liveCluster(t *testing.T, refuse func(*http.Request) bool) (kubeconfig string, server *apiserver.Server) {
	t.Helper()
	server = apiserver.New()
	server.Put(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Annotations: map[string]string{"x": "\x1b[2J"}},
		Spec: corev1.ServiceSpec{
			ClusterIP: "10.96.0.99", ClusterIPs: []string{"10.96.0.99"},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}},
		},
	})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse(r) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "it is forbidden \u001b[2J"}`)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return writeFile(t, "kubeconfig", `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "`+front.URL+`"}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
users: [{name: u, user: {}}]
`), server
}

func nobody(*http.Request) bool { return false }

func isWatch(r *http.Request) bool { return r.URL.Query().Has("watch") }

// An API server is explained by, and compared with a dump, with the rights to list alone.
func TestExplainAndDiffWithReadersRights(t *testing.T) {
	dump := "--objects=" + writeFile(t, "objects.yaml", explainObjects)
	for name, refuse := range map[string]func(*http.Request) bool{"all rights": nobody, "list alone": isWatch} {
		kubeconfig, server := liveCluster(t, refuse)
		server.Put(&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "web-1", Labels: map[string]string{"kubernetes.io/service-name": "web"},
		}, AddressType: discoveryv1.AddressTypeIPv4})
		code, out := explainCommand(t, "web", "--kubecfg-file="+kubeconfig, "--nameservers=none")
		if code != 0 || !strings.Contains(out, "ClusterIP 10.96.0.99") || strings.Contains(out, "\x1b") {
			t.Errorf("%s: %d %s", name, code, out)
		}
		var diff, errs bytes.Buffer
		code = run(context.Background(), []string{"diff", strings.TrimPrefix(dump, "--objects="), "cluster", "--kubecfg-file=" + kubeconfig},
			environment{getenv: noEnv, stdout: &diff, stderr: &errs, resolvConf: "/nonexistent"})
		for _, want := range []string{
			"- web.default.svc.cluster.local. 30 IN A 10.96.0.10\n", "+ web.default.svc.cluster.local. 30 IN A 10.96.0.99\n",
			"- db-0.db.data.svc.cluster.local. 30 IN A 10.1.0.1\n",
		} {
			if code != 1 || !strings.Contains(diff.String(), want) {
				t.Errorf("%s: diff: %d, no %q in\n%s%s", name, code, want, diff.String(), errs.String())
			}
		}
		for line := range strings.Lines(diff.String()) {
			if line[0] != '+' && line[0] != '-' {
				t.Errorf("%s: diff prints %q", name, line)
			}
		}
	}
}

// Without a right, the error names the resource, at once and in one line.
func TestExplainNamesForbiddenResources(t *testing.T) {
	for resource, want := range map[string]string{
		"services":       "the API server refuses to list services: ",
		"endpointslices": "the API server refuses to list endpointslices.discovery.k8s.io, and endpoints in their place: ",
	} {
		kubeconfig, _ := liveCluster(t, func(r *http.Request) bool {
			return strings.Contains(r.URL.Path, "/"+resource) || resource == "endpointslices" && strings.Contains(r.URL.Path, "/endpoints")
		})
		code, out := explainCommand(t, "web", "--kubecfg-file="+kubeconfig, "--nameservers=none", "--timeout=10m")
		if code != 2 || !strings.Contains(out, want) || !strings.Contains(out, "needs the verb list for") {
			t.Errorf("%s: %d %s, want %q", resource, code, out, want)
		}
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "kubedns explain:") && strings.Contains(line, "\x1b") {
				t.Errorf("%s: %q controls the terminal", resource, line)
			}
		}
	}
	for _, args := range [][]string{
		{"--kubecfg-file=/nonexistent"},
		{"--kubecfg-file=" + writeFile(t, "bad", "a: [b")},
		{"--kube-master-url=http://127.0.0.1:1", "--timeout=300ms"},
	} {
		if code, out := explainCommand(t, append(args, "web")...); code != 2 || !strings.Contains(out, "kubedns explain: ") {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
}

// hostileObjects have texts that would control a terminal or forge a line. The API server
// would refuse most of them, but a file may have anything.
const hostileObjects = `apiVersion: v1
kind: Service
metadata: {name: ext, namespace: data, annotations: {"\e]0;x\a": "\e[2J"}}
spec: {type: ExternalName, externalName: "a\e[2J\n;; STATUS: NOERROR.example"}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {clusterIP: None, ports: [{name: p, port: 1}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s-1, namespace: data, annotations: {"\e]0;x\a": "\e[2J"}, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: q, port: 5432, protocol: TCP}]
endpoints: [{addresses: [10.1.0.1], hostname: h}, {addresses: [10.1.0.2], hostname: "ok", conditions: {ready: false}}]
`

// refusedObjects are some that are refused, with errors in one line each.
const refusedObjects = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: "s\e[2J\n;; STATUS: NOERROR", namespace: "d\e[2J", labels: {kubernetes.io/service-name: "x\e[2J"}}
addressType: "IP\e[2J"
ports: [{name: "q\u202e\e[2J", port: 5432, protocol: "T\e[2J"}]
endpoints: [{addresses: ["10\e[2J"], hostname: "h\e[2J"}]
`

// Weird names, and objects with hostile texts: there is an answer or an error, and nothing
// that is printed controls the terminal or forges a line.
func TestExplainHostileNamesAndObjects(t *testing.T) {
	objects := "--objects=" + writeFile(t, "objects.yaml", hostileObjects)
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, label[:61]}, ".") // 255 octets
	refused := "--objects=" + writeFile(t, "refused.yaml", refusedObjects)
	if code, out := explainCommand(t, "--nameservers=none", refused, "a"); code != 2 || strings.ContainsAny(out, "\x1b\u202e") || strings.Contains(out, "\n;;") {
		t.Errorf("refused objects: %d %s", code, out)
	}
	for _, name := range []string{
		"ext.data", "db.data", "ok.db.data", "h.db.data", "_p._tcp.db.data", "_q._tcp.db.data", `a\.b.data`, `\027[2J.data`, "\x1b[2J.data", "a\nb.data",
		`\255\000.data`, "größe.data", "xn--gre-6ka8i.data", "\xff\xfe.data", long + ".", long + "x.", long, label + "a.data", ".", "..", "a..b", " ", "*", "*.*.svc.cluster.local.",
		"-", "_._", `\`, `\9`, `\999`, "\u202edata", strings.Repeat("a.", 126) + "a.", strings.Repeat("a.", 127) + "a.", "1.2.3.4", "::1", "http://web", "db.data:80", "db.data/",
	} {
		for _, format := range []string{"text", "json"} {
			code, out := explainCommand(t, "--nameservers=none", objects, "-o", format, "--", name)
			if code != 0 && code != 2 && code != 3 && code != 4 || out == "" {
				t.Errorf("%q: %d %q", name, code, out)
			}
			statuses := 0
			for line := range strings.Lines(out) {
				if strings.HasPrefix(line, ";; STATUS") {
					statuses++
				}
				if strings.ContainsAny(strings.TrimRight(line, "\n"), "\x00\x07\x1b\u202e\u009b\x7f") {
					t.Errorf("%q: %q controls the terminal", name, line)
				}
			}
			if statuses > 1 {
				t.Errorf("%q: a forged status in\n%s", name, out)
			}
		}
	}
}

// In a large namespace with many similar names, the nearest ones are found.
func TestExplainFindsNearestOfMany(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Service\nmetadata: {name: service-%d, namespace: big}\nspec: {clusterIP: 10.0.%d.%d}\n", i, i/250, i%250+1)
	}
	objects := "--objects=" + writeFile(t, "objects.yaml", b.String())
	for _, i := range []int{7, 777, 2999} {
		code, out := explainCommand(t, fmt.Sprintf("servce-%d.big", i), "--nameservers=none", objects)
		if want := fmt.Sprintf("Similar names that exist:\n  service-%d.big.svc.cluster.local.\n", i); code != 3 || !strings.Contains(out, want) {
			t.Errorf("%d: no %q in\n%s", code, want, out)
		}
	}
}
