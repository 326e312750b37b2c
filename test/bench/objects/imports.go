package objects

import (
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kube-dns/kube-dns/pkg/serviceimport"
	"github.com/kube-dns/kube-dns/test/apiserver"
)

// ImportZone is the domain that holds the names of ServiceImports.
const ImportZone = "clusterset.local."

// ImportName is the name of the ServiceImport of Service i in DNS.
func ImportName(i int) string { return fmt.Sprintf("%s.%s.svc.%s", Name(i), Namespace(i), ImportZone) }

// FillImports puts a ServiceImport in place of each Service, with the same addresses,
// ports and endpoints.
func (c Cluster) FillImports(s *apiserver.Server) {
	for i := range c.Services {
		s.Put(c.Import(i))
		for _, slice := range c.Slices(i) {
			s.Put(Imported(slice, i))
		}
	}
}

// Import returns what Service i is imported as.
func (c Cluster) Import(i int) *serviceimport.ServiceImport {
	service := c.Service(i)
	out := &serviceimport.ServiceImport{ObjectMeta: service.ObjectMeta, Spec: serviceimport.Spec{Type: serviceimport.ClusterSetIP, IPs: service.Spec.ClusterIPs}}
	if Headless(i) {
		out.Spec.Type, out.Spec.IPs = serviceimport.Headless, nil
	}
	for _, p := range service.Spec.Ports {
		out.Spec.Ports = append(out.Spec.Ports, serviceimport.Port{Name: p.Name, Protocol: string(p.Protocol), Port: p.Port})
	}
	return out
}

// Imported returns slice as one of the ServiceImport of Service i. It changes slice.
func Imported(slice *discoveryv1.EndpointSlice, i int) *discoveryv1.EndpointSlice {
	delete(slice.Labels, discoveryv1.LabelServiceName)
	slice.Labels[serviceimport.LabelServiceName] = Name(i)
	slice.Labels[serviceimport.LabelSourceCluster] = "cluster-1"
	return slice
}
