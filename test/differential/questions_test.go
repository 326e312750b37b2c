package differential

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kube-dns/kube-dns/test/apiserver"
)

// question is one name and type.
type question struct {
	name string
	typ  uint16
}

// questions returns all names that the generator's objects could have, and names close to
// them.
func questions(api *apiserver.Server) []question {
	var all []question
	add := func(name string, types ...uint16) {
		if _, ok := dns.IsDomainName(name); !ok {
			return
		}
		for _, label := range dns.SplitDomainName(name) {
			if len(label) > 63 {
				return
			}
		}
		for _, typ := range types {
			all = append(all, question{name, typ})
		}
	}
	labels, addrs := labelPool(api)
	for _, ns := range append([]string{"nosuch"}, namespaces...) {
		zone := strings.ToLower(ns) + ".svc.cluster.local."
		add(zone, dns.TypeA, dns.TypeSRV, dns.TypeTXT)
		add(ns+".pod.cluster.local.", dns.TypeA)
		add("*."+zone, dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeCNAME, dns.TypeTXT)
		add("*.*."+zone, dns.TypeA, dns.TypeAAAA) // more SRV than a message holds
		for _, pod := range podNames {
			add(pod+"."+ns+".pod.cluster.local.", dns.TypeA, dns.TypeAAAA, dns.TypeSRV)
		}
		for _, label := range []string{"pet-0", "_http._tcp", "_tcp", "10-0-0-1", "3234633364383235"} {
			add(label+".*."+zone, dns.TypeA, dns.TypeSRV, dns.TypeTXT)
		}
		for _, name := range append([]string{"nosuch"}, names...) {
			if strings.Contains(name, ".") || strings.ToLower(name) != name {
				continue
			}
			svc := name + "." + zone
			add(svc, dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeCNAME, dns.TypeTXT)
			for _, l := range labels {
				add(l+"."+svc, dns.TypeA, dns.TypeAAAA, dns.TypeSRV)
			}
			for _, l := range []string{"pet-0", "10-0-0-1", "3234633364383235", "_tcp", "*"} {
				add(l+"."+name+"."+ns+".pod.cluster.local.", dns.TypeA, dns.TypeSRV)
			}
			for _, below := range []string{"*", "*.*", "*._tcp", "_http.*", "*._http._tcp", "pet-0.*._tcp"} {
				add(below+"."+svc, dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeCNAME)
			}
			add(name+"."+ns+".*.cluster.local.", dns.TypeA, dns.TypeSRV)
			for federation := range federations {
				add(name+"."+ns+"."+federation+".svc.cluster.local.", dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeCNAME, dns.TypeTXT)
			}
			add(name+"."+ns+".nofed.svc.cluster.local.", dns.TypeA)
			for _, proto := range []string{"_tcp", "_udp", "_sctp", "_foo", "tcp"} {
				add(proto+"."+svc, dns.TypeSRV, dns.TypeA)
				for _, p := range []string{"_http", "_https", "_dns", "_1", "_", "http", "_nosuch", "_" + strings.Repeat("p", 62)} {
					add(p+"."+proto+"."+svc, dns.TypeSRV, dns.TypeTXT)
					add(p+"."+proto+"."+svc, dns.TypeA, dns.TypeAAAA)
					add("pet-0."+p+"."+proto+"."+svc, dns.TypeSRV, dns.TypeA)
				}
			}
			add("x._http._tcp."+svc, dns.TypeSRV)
			add("x.y._http._tcp."+svc, dns.TypeSRV)
		}
	}
	for _, name := range append([]string{"nosuch", "*"}, names...) {
		for _, below := range []string{"", "pet-0.", "*.", "_http._tcp.", "*._http._tcp.", "_tcp."} {
			add(below+name+".*.svc.cluster.local.", dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeTXT)
			if name != "*" { // more than a message holds
				add(below+name+".*.svc.cluster.local.", dns.TypeSRV)
			}
		}
		add(name+".*.*.cluster.local.", dns.TypeA, dns.TypeSRV)
	}
	for _, name := range []string{"*", "*.svc", "*.*", "svc.*", "default.*", "pod", "*.pod", "web.default.myfed.*", "*.default.myfed.svc", "web.*.myfed.svc"} {
		add(name+".cluster.local.", dns.TypeA, dns.TypeSRV)
	}
	add("WeB.deFault.sVc.cluster.local.", dns.TypeCNAME)
	for _, a := range addrs {
		if name, err := dns.ReverseAddr(a); err == nil {
			add(name, dns.TypePTR, dns.TypeA)
		}
	}
	return all
}

// podNames spell addresses, or almost do.
var podNames = []string{
	"10-0-0-1", "01-2-3-4", "1-2-3", "1-2-3-256", "1-2-3-4-5", "255-255-255-255", "foo", "*", "x.1-2-3-4",
	"2001-db8--1", "2001-db8-0-0-0-0-0-1", "2001-db8-0-0-0-0-0-1-2", "--", "--1", "1--", "0--0", "fe80--1",
	"--ffff-a00-1", "2001-db8---1", "2001-db8--g", "12345--1", "1--2--3", "-1-2-3-4", "1-2-3-4-",
}

// modelSlices returns all EndpointSlices, and those that stand for Endpoints.
func modelSlices(api *apiserver.Server) []*discoveryv1.EndpointSlice {
	all := objects(api, &discoveryv1.EndpointSlice{})
	for _, e := range objects(api, &corev1.Endpoints{}) { //nolint:staticcheck // what is read where there are no slices
		all = append(all, slicesOf(e)...)
	}
	return all
}

// labelPool returns labels below a Service, and addresses: those of the generator's pools,
// and a sample of those of the objects.
func labelPool(api *apiserver.Server) (labels, addrs []string) {
	for _, h := range hostnames {
		if h != "" && !strings.Contains(h, ".") && len(h) < 64 {
			labels = append(labels, strings.ToLower(h))
		}
	}
	for _, text := range append(slices.Clone(goodAddrs), "10.1.0.7", "10.2.0.9", "0.0.0.0", "192.0.2.200") {
		if a, ok := address(text); ok {
			labels = append(labels, hashLabel(a), dashed(a))
		}
	}
	labels = append(labels, "2001-db8--", "--1", "10-0-0-01", "2001-db8-0-0-0-0-0-1", "nosuch", "*x")
	for _, s := range modelSlices(api) {
		for _, e := range s.Endpoints {
			addrs = append(addrs, e.Addresses...)
		}
	}
	addrs = append(append(addrs, goodAddrs...), "192.0.2.200")
	slices.Sort(labels)
	slices.Sort(addrs)
	return slices.Compact(labels), slices.Compact(addrs)
}
