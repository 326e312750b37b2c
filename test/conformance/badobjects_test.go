package conformance

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/apiserver"
)

// badObjects are a good Service, one of which parts cannot become records, and
// one that cannot at all. The API refuses such objects today; other versions
// let some of them pass.
const badObjects = `
{apiVersion: v1, kind: Service, metadata: {name: good, namespace: default}, spec: {clusterIP: 10.96.1.1, clusterIPs: [10.96.1.1]}}
---
{apiVersion: v1, kind: Service, metadata: {name: partly, namespace: default}, spec: {clusterIP: None, clusterIPs: [None]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: partly-1, namespace: default, labels: {kubernetes.io/service-name: partly}},
  addressType: IPv4, endpoints: [{addresses: [0.0.0.0]}, {addresses: [10.1.0.1]}],
  ports: [{name: ` + longName + `, port: 81, protocol: TCP}, {name: http, port: 80, protocol: TCP}]}
---
{apiVersion: v1, kind: Service, metadata: {name: none, namespace: default}, spec: {clusterIP: 0.0.0.0, clusterIPs: [0.0.0.0]}}
`

// longName leaves no room for the underscore before it.
const longName = "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"

// TestBadObjects: only the parts that cannot become records are left out. They are counted
// and logged once, whichever way the objects arrived.
func TestBadObjects(t *testing.T) {
	t.Run("files", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "objects.yaml")
		if err := os.WriteFile(path, []byte(badObjects), 0o600); err != nil {
			t.Fatal(err)
		}
		testBadObjects(t, "--objects="+path)
	})
	t.Run("API", func(t *testing.T) {
		api := apiserver.New()
		for text := range strings.SplitSeq(badObjects, "---\n") {
			var o apiserver.Object = &corev1.Service{}
			if strings.Contains(text, "EndpointSlice") {
				o = &discoveryv1.EndpointSlice{}
			}
			if err := yaml.UnmarshalStrict([]byte(text), o); err != nil {
				t.Fatal(err)
			}
			api.Put(o)
		}
		front, err := apiserver.Open(api)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(front.Stop)
		testBadObjects(t, "--kube-master-url="+front.URL())
	})
}

func testBadObjects(t *testing.T, source string) {
	t.Helper()
	ports := addon.FreePorts(t, 3)
	addr := fmt.Sprintf("127.0.0.1:%d", ports[0])
	k := addon.StartEnv(t, []string{fmt.Sprintf("PROMETHEUS_PORT=%d", ports[2])}, filepath.Join(bin, "kubedns"), source,
		"--nameservers=none", "--dns-bind-address=127.0.0.1", fmt.Sprintf("--dns-port=%d", ports[0]),
		fmt.Sprintf("--healthz-port=%d", ports[1]), "--debug-address=")
	k.WaitURL(t, fmt.Sprintf("http://127.0.0.1:%d/readiness", ports[1]), 20*time.Second)
	label := hashLabel(netip.MustParseAddr("10.1.0.1"))
	for _, tt := range []struct {
		name string
		typ  uint16
		want string
	}{
		{"good.default.svc.cluster.local.", dns.TypeA, "NOERROR A 10.96.1.1"},
		{"partly.default.svc.cluster.local.", dns.TypeA, "NOERROR A 10.1.0.1"},
		{"_http._tcp.partly.default.svc.cluster.local.", dns.TypeSRV, "NOERROR SRV 10 100 80 " + label + ".partly.default.svc.cluster.local."},
		{"none.default.svc.cluster.local.", dns.TypeA, "NXDOMAIN"},
		{"1.0.1.10.in-addr.arpa.", dns.TypePTR, "NOERROR PTR " + label + ".partly.default.svc.cluster.local."},
		{"0.0.0.0.in-addr.arpa.", dns.TypePTR, "REFUSED"},
	} {
		m, _, err := (&dns.Client{Timeout: 10 * time.Second}).Exchange(new(dns.Msg).SetQuestion(tt.name, tt.typ), addr)
		if err != nil {
			t.Fatal(err)
		}
		got := dns.RcodeToString[m.Rcode]
		for _, rr := range m.Answer {
			got += " " + dns.TypeToString[rr.Header().Rrtype] + " " + strings.TrimPrefix(rr.String(), rr.Header().String())
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	for _, service := range []string{"namespace=default service=partly parts=", "namespace=default service=none parts="} {
		if n := strings.Count(k.Log(), service); n != 1 {
			t.Errorf("%q is %d times in the log, want once", service, n)
		}
	}
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[2]))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if want := "kubedns_kubernetes_skipped_pieces 3\n"; err != nil || !strings.Contains(string(body), want) {
		t.Errorf("no %q in the metrics (%v)", want, err)
	}
}
