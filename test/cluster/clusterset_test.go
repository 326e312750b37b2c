//go:build cluster

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	appsv1 "k8s.io/api/apps/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kube-dns/kube-dns/test/mcs"
)

// exported are Services of the tests' namespace that testClusterSet exports: one
// with cluster IPs, whose two ports differ in the protocol only, and the headless one.
const exported = `
apiVersion: v1
kind: Service
metadata: {name: hello}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {app: db}
  ports: [{name: tcp, port: 42, protocol: TCP}, {name: udp, port: 42, protocol: UDP}]
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {name: hello}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {name: db}
`

// testClusterSet asks an addon with the component clusterset the questions of the DNS specs
// in the Multi-Cluster Services API's own suite (hack/test-mcs.sh runs that suite): before
// the API is installed, while Services are exported, and after the export is withdrawn.
func testClusterSet(t *testing.T) {
	variantOf(t, manifests+"/overlays/clusterset", "clusterset", func(*appsv1.Deployment) {})
	apply(t, clustersetRole)
	t.Cleanup(func() {
		_, _ = tryKubectl("", "delete", "clusterrole,clusterrolebinding", "clusterset-test", "--ignore-not-found")
	})
	awaitReady(t, "clusterset", 1, 5*time.Minute)
	server := thePod(t, "clusterset").Status.PodIP + ":53"
	const zone = ".dns-test.svc.clusterset.local."
	wantAt(t, server, "web.dns-test.svc.cluster.local.", "NOERROR 10.96.")
	wantAt(t, server, "hello"+zone, "NXDOMAIN") // the API is not installed

	installAPI(t)
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- mcs.Run(ctx, config, func(err error) { t.Log("stand-in: ", err) }) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	apply(t, exported)

	for family, qtype := range map[string]uint16{"IPv4": dns.TypeA, "IPv6": dns.TypeAAAA} {
		t.Run(family, func(t *testing.T) { checkFamily(t, server, zone, family, qtype) })
	}
	// Equal ports once, with the Service's own name as the target.
	wantRecords(t, server, "hello"+zone, dns.TypeSRV, []string{"10 100 42 hello" + zone})
	// One for each endpoint of both families.
	var targets []string
	for _, e := range append(endpointsOf(t, "IPv4"), endpointsOf(t, "IPv6")...) {
		targets = append(targets, e.host)
	}
	eventually(t, time.Minute, func() string {
		got := records(server, "db"+zone, dns.TypeSRV)
		for _, target := range targets {
			if !slices.ContainsFunc(got, func(r string) bool { return strings.Contains(r, " 8080 "+target) }) {
				return fmt.Sprintf("SRV of db: no target begins with %s: %v", target, got)
			}
		}
		return ""
	})

	kubectl(t, "delete", "serviceexport", "hello", "db")
	wantAt(t, server, "hello"+zone, "NXDOMAIN")
	wantAt(t, server, "web.dns-test.svc.cluster.local.", "NOERROR 10.96.")
}

// checkFamily checks the addresses of one family: the import's, those of the headless
// Service and each of its endpoints', and that the cluster's own names stay the cluster's.
func checkFamily(t *testing.T, server, zone, family string, qtype uint16) {
	var service struct{ Spec struct{ ClusterIPs []string } }
	if err := json.Unmarshal([]byte(kubectl(t, "get", "service", "hello", "-o", "json")), &service); err != nil {
		t.Fatal(err)
	}
	var own, all []string
	for _, ip := range service.Spec.ClusterIPs {
		if strings.Contains(ip, ":") == (family == "IPv6") {
			own = append(own, ip)
		}
	}
	wantRecords(t, server, "hello"+zone, qtype, own)
	wantRecords(t, server, "hello.dns-test.svc.cluster.local.", qtype, own)
	for _, e := range endpointsOf(t, family) {
		all = append(all, e.address)
		wantRecords(t, server, e.host+"."+mcs.ClusterID+".db"+zone, qtype, []string{e.address})
	}
	wantRecords(t, server, "db"+zone, qtype, all)
}

type endpoint struct{ host, address string }

// endpointsOf returns the endpoints of the headless Service db as its own
// EndpointSlices of one family have them.
func endpointsOf(t *testing.T, family string) (list []endpoint) {
	t.Helper()
	var slices struct{ Items []discoveryv1.EndpointSlice }
	out := kubectl(t, "get", "endpointslices", "-l", discoveryv1.LabelServiceName+"=db", "-o", "json")
	if err := json.Unmarshal([]byte(out), &slices); err != nil {
		t.Fatal(err)
	}
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			if string(s.AddressType) == family {
				list = append(list, endpoint{*e.Hostname, e.Addresses[0]})
			}
		}
	}
	return list
}

// records returns the data of the answers, sorted.
func records(server, name string, qtype uint16) (list []string) {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	client := dns.Client{Timeout: 5 * time.Second}
	m, _, err := client.Exchange(q, server)
	if err != nil {
		return []string{err.Error()}
	}
	for _, rr := range m.Answer {
		list = append(list, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(list)
	return list
}

func wantRecords(t *testing.T, server, name string, qtype uint16, want []string) {
	t.Helper()
	slices.Sort(want)
	eventually(t, time.Minute, func() string {
		if got := records(server, name, qtype); !slices.Equal(got, want) {
			return fmt.Sprintf("%s %s: %v, want %v", name, dns.TypeToString[qtype], got, want)
		}
		return ""
	})
}

// installAPI creates the API's definitions, from the module that test/e2e uses too.
func installAPI(t *testing.T) {
	t.Helper()
	folder, err := mcs.Definitions(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, resource := range []string{"serviceimports", "serviceexports"} {
		file := filepath.Join(folder, "multicluster.x-k8s.io_"+resource+".yaml")
		kubectl(t, "apply", "-f", file)
		t.Cleanup(func() { _, _ = tryKubectl("", "delete", "-f", file, "--wait=false") })
		eventually(t, time.Minute, func() string { // kubectl wait fails while there are no conditions at all
			_, err := tryKubectl("", "wait", "--for=condition=Established", "crd/"+resource+".multicluster.x-k8s.io", "--timeout=10s")
			if err != nil {
				return err.Error()
			}
			return ""
		})
	}
}

// clustersetRole is what the component clusterset adds to the addon's rights.
const clustersetRole = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: clusterset-test}
rules:
  - {apiGroups: [multicluster.x-k8s.io], resources: [serviceimports], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: clusterset-test}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: clusterset-test}
subjects: [{kind: ServiceAccount, name: kube-dns, namespace: kube-system}]
`
