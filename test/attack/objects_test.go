package attack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-dns/kube-dns/pkg/serviceimport"
	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/apiserver"
)

func tenantMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "tenant", Name: name}
}

// tenantSlice returns an EndpointSlice of a tenant's Service with that many endpoints and ports,
// whose first number is number.
func tenantSlice(name, service string, endpoints, ports, number int) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: tenantMeta(name), AddressType: "IPv4"}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: service}
	for i := range endpoints {
		n := len(name)<<16 + i
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)}})
	}
	for i := range ports {
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: new(fmt.Sprintf("port-%d", i)), Protocol: new(corev1.ProtocolTCP), Port: new(int32(number + i))})
	}
	return s
}

func headless(name string) *corev1.Service {
	return &corev1.Service{ObjectMeta: tenantMeta(name), Spec: corev1.ServiceSpec{ClusterIP: "None", ClusterIPs: []string{"None"}}}
}

// victim returns the EndpointSlice of another Service. It comes after those of the attack.
func victim(ip string) *discoveryv1.EndpointSlice {
	s := tenantSlice("victim-a", "victim", 1, 0, 1)
	s.Endpoints[0].Addresses[0] = ip
	return s
}

// objectAttacks are what a tenant may do with objects that an API server accepts.
var objectAttacks = map[string]func(api *apiserver.Server){
	"many ports times many endpoints": func(api *apiserver.Server) {
		for i := range 4 {
			name := fmt.Sprintf("wide-%d", i)
			api.Put(headless(name))
			api.Put(tenantSlice(name+"-a", name, 500, 8000, 1))
			api.Put(tenantSlice(name+"-other", name, 500, 8000, 2))
			api.Put(tenantSlice(name+"-further", name, 10, 0, 1))
		}
	},
	"an import with many ports and endpoints": func(api *apiserver.Server) {
		api.Put(&serviceimport.ServiceImport{ObjectMeta: tenantMeta("wide"), Spec: serviceimport.Spec{Type: serviceimport.Headless}})
		s := tenantSlice("wide-a", "", 1000, 20_000, 1)
		s.Labels = map[string]string{serviceimport.LabelServiceName: "wide", serviceimport.LabelSourceCluster: "c1"}
		api.Put(s)
	},
	"port lists that change": func(api *apiserver.Server) {
		api.Put(headless("changing"))
		for i := range 300 {
			s := tenantSlice("changing-a", "changing", 1, 8000, 1)
			for j := range s.Ports {
				s.Ports[j].Name = new(fmt.Sprintf("port-%d-of-version-%d", j, i))
			}
			api.Put(s)
			time.Sleep(10 * time.Millisecond)
		}
	},
	"many slices of one Service": func(api *apiserver.Server) {
		api.Put(headless("sliced"))
		for i := range 15_000 {
			api.Put(tenantSlice(fmt.Sprintf("sliced-%05d", i), "sliced", 1, 0, 1))
		}
	},
	"labels that are nearly names of Services": func(api *apiserver.Server) {
		for i, label := range []string{"VICTIM", "Victim", "victim.tenant", "victim_", "tenant"} {
			api.Put(tenantSlice(fmt.Sprintf("near-%d", i), label, 1, 1, 1))
		}
	},
	"faults that change": func(api *apiserver.Server) {
		api.Put(headless("faulty"))
		for i := range 300 {
			s := tenantSlice("faulty-a", "faulty", 1, 2000, 1)
			for j := range s.Ports {
				s.Ports[j].Name = new(fmt.Sprintf("%063d", i*10_000+j)) // one character too many for DNS
			}
			api.Put(s)
			time.Sleep(5 * time.Millisecond)
		}
	},
	"a stub domain's server with many addresses": func(api *apiserver.Server) {
		api.Put(headless("dns"))
		for i := range 30 {
			api.Put(tenantSlice(fmt.Sprintf("dns-%s", strings.Repeat("x", i)), "dns", 1000, 0, 1))
		}
	},
}

// TestHostileObjects: whatever objects a tenant makes, kubedns stays within its memory limit and
// short of words, and soon answers for others what is true.
func TestHostileObjects(t *testing.T) {
	for name, attack := range objectAttacks {
		t.Run(name, func(t *testing.T) {
			api := apiserver.New()
			front, err := apiserver.Open(api)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(front.Stop)
			for i := range 200 { // with which it takes long until each Service is rebuilt in any case
				api.Put(headless(fmt.Sprint("other-", i)))
			}
			api.Put(headless("victim"))
			api.Put(victim("10.96.0.1"))
			config := t.TempDir()
			if err := os.WriteFile(filepath.Join(config, "stubDomains"), []byte(`{"corp.example": ["dns.tenant.svc.cluster.local"]}`), 0o600); err != nil {
				t.Fatal(err)
			}
			group := newMemoryGroup(t, limitOf(t, "kubedns"))
			ports := addon.FreePorts(t, 2)
			p := group.start(t, nil, filepath.Join(binaries, "kubedns"), "--kube-master-url="+front.URL(), "--nameservers=none", "--config-dir="+config,
				"--clusterset-domain=clusterset.local", "--debug-address=", fmt.Sprint("--dns-port=", ports[0]), fmt.Sprint("--healthz-port=", ports[1]))
			p.WaitURL(t, fmt.Sprintf("http://127.0.0.1:%d/readiness", ports[1]), 20*time.Second)
			server := fmt.Sprint("127.0.0.1:", ports[0])
			ask := func(ctx context.Context, name string) []dns.RR {
				q := new(dns.Msg)
				q.SetQuestion(name, dns.TypeA)
				r, _, err := new(dns.Client).ExchangeContext(ctx, q, server)
				if err != nil {
					return nil
				}
				return r.Answer
			}
			answers := func(ip string) func(context.Context) bool {
				return func(ctx context.Context) bool {
					list := ask(ctx, "victim.tenant.svc.cluster.local.")
					return len(list) == 1 && list[0].(*dns.A).A.String() == ip
				}
			}
			p.WaitFor(t, 10*time.Second, "the victim's first address", answers("10.96.0.1"))
			attack(api)
			if len(api.Objects(&serviceimport.ServiceImport{})) > 0 { // which have a tree of their own
				p.WaitFor(t, 20*time.Second, "the import", func(ctx context.Context) bool {
					return len(ask(ctx, "wide.tenant.svc.clusterset.local.")) > 0
				})
			}
			time.Sleep(200 * time.Millisecond)
			p.WaitFor(t, 10*time.Second, "the victim's first address after the attack", answers("10.96.0.1"))
			for i := range 10 {
				ip := fmt.Sprintf("10.96.1.%d", i)
				api.Put(victim(ip))
				p.WaitFor(t, 10*time.Second, "the victim's address to be "+ip, answers(ip))
			}
			if p.Ended() {
				t.Error("the program ended")
			}
			if n := len(p.Log()); n > 100_000 {
				t.Errorf("the log has %d octets", n)
			}
			t.Logf("used at most %d of %d MiB, and logged %d octets", group.used(), group.limit>>20, len(p.Log()))
		})
	}
}
