package kubefiles

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-dns/kube-dns/pkg/records"
)

// slicesOf returns the EndpointSlices that are equivalent to an Endpoints object,
// one for each subset and address family, as a cluster's EndpointSlice mirroring
// controller creates them.
func slicesOf(e *corev1.Endpoints) []*discoveryv1.EndpointSlice { //nolint:staticcheck // files may hold Endpoints
	var out []*discoveryv1.EndpointSlice
	for i := range e.Subsets {
		subset := &e.Subsets[i]
		families := map[discoveryv1.AddressType]*discoveryv1.EndpointSlice{}
		add := func(a *corev1.EndpointAddress, ready bool) {
			family, suffix := discoveryv1.AddressTypeIPv4, "v4"
			if addr, ok := records.ParseAddr(a.IP); ok && addr.Is6() {
				family, suffix = discoveryv1.AddressTypeIPv6, "v6"
			}
			s := families[family]
			if s == nil {
				s = &discoveryv1.EndpointSlice{
					ObjectMeta: metav1.ObjectMeta{
						Namespace: e.Namespace,
						// With the colon, it is not the name of any object in the files.
						Name:   fmt.Sprintf("%s:endpoints-%d-%s", e.Name, i, suffix),
						Labels: map[string]string{discoveryv1.LabelServiceName: e.Name},
					},
					AddressType: family,
				}
				for j := range subset.Ports {
					p := &subset.Ports[j]
					s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: &p.Name, Protocol: &p.Protocol, Port: &p.Port})
				}
				families[family] = s
				out = append(out, s)
			}
			endpoint := discoveryv1.Endpoint{Addresses: []string{a.IP}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}
			if a.Hostname != "" {
				endpoint.Hostname = &a.Hostname
			}
			s.Endpoints = append(s.Endpoints, endpoint)
		}
		for j := range subset.Addresses {
			add(&subset.Addresses[j], true)
		}
		for j := range subset.NotReadyAddresses {
			add(&subset.NotReadyAddresses[j], false)
		}
	}
	return out
}
