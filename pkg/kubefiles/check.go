package kubefiles

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/serviceimport"
)

// checker collects the faults for which an API server would reject an object.
type checker struct{ faults, warnings []string }

func (c *checker) fault(field, format string, args ...any) {
	c.faults = append(c.faults, field+": "+fmt.Sprintf(format, args...))
}

// check returns a text for each invalid field of obj, which begins with the field,
// and a warning for each unusual one. It checks only the fields that DNS uses.
func check(obj object) (faults, warnings []string) {
	c := &checker{}
	switch {
	case obj.GetName() == "":
		c.fault("metadata.name", "is missing")
	case !dnsname.IsSubdomain1123(obj.GetName()):
		c.fault("metadata.name", "%q is not a lower-case RFC 1123 name", obj.GetName())
	}
	if ns := obj.GetNamespace(); ns != "" && !dnsname.IsLabel1123(ns) {
		c.fault("metadata.namespace", "%q is not an RFC 1123 label", ns)
	}
	switch obj := obj.(type) {
	case *corev1.Service:
		c.service(obj)
	case *discoveryv1.EndpointSlice:
		c.slice(obj)
	case *corev1.Endpoints: //nolint:staticcheck // files may hold Endpoints
		c.endpoints(obj)
	case *serviceimport.ServiceImport:
		c.serviceImport(obj)
	}
	return c.faults, c.warnings
}

func (c *checker) service(s *corev1.Service) {
	if s.Name != "" && !dnsname.IsLabel1123(s.Name) {
		c.fault("metadata.name", "%q is not an RFC 1123 label", s.Name)
	}
	switch s.Spec.Type {
	case corev1.ServiceTypeExternalName:
		if s.Spec.ExternalName == "" {
			c.fault("spec.externalName", "is missing")
		}
	case "", corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
		if s.Spec.ClusterIP == "" && len(s.Spec.ClusterIPs) == 0 {
			c.warnings = append(c.warnings, "spec.clusterIP: is not set; an API server would assign an address, but here the Service is headless")
		}
	default:
		c.fault("spec.type", "%q is unknown", s.Spec.Type)
	}
	if s.Spec.ClusterIP != "" {
		c.clusterIP("spec.clusterIP", s.Spec.ClusterIP)
	}
	for i, ip := range s.Spec.ClusterIPs {
		c.clusterIP(fmt.Sprintf("spec.clusterIPs[%d]", i), ip)
	}
	for i, p := range s.Spec.Ports {
		c.port(fmt.Sprintf("spec.ports[%d]", i), p.Name, p.Protocol, p.Port)
	}
}

func (c *checker) clusterIP(field, text string) {
	if text != corev1.ClusterIPNone {
		c.addr(field, text)
	}
}

func (c *checker) addr(field, text string) netip.Addr {
	addr, ok := records.ParseAddr(text)
	if !ok {
		c.fault(field, "%q is not an IP address", text)
	}
	return addr
}

func (c *checker) port(field, name string, protocol corev1.Protocol, number int32) {
	if name != "" && !dnsname.IsLabel1123(name) {
		c.fault(field+".name", "%q is not an RFC 1123 label", name)
	}
	switch protocol {
	case "", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
	default:
		c.fault(field+".protocol", "%q is unknown", protocol)
	}
	if number < 1 || number > 65535 {
		c.fault(field+".port", "%d is not in 1-65535", number)
	}
}

func (c *checker) hostname(field, hostname string) {
	if hostname != "" && !dnsname.IsLabel1123(hostname) {
		c.fault(field, "%q is not an RFC 1123 label", hostname)
	}
}

func (c *checker) slice(s *discoveryv1.EndpointSlice) {
	switch s.AddressType {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6:
	case discoveryv1.AddressTypeFQDN:
		c.warnings = append(c.warnings, "addressType: FQDN slices have no DNS records; their endpoints are ignored")
	default:
		c.fault("addressType", "%q is not IPv4, IPv6 or FQDN", s.AddressType)
	}
	if s.Labels[discoveryv1.LabelServiceName] == "" && s.Labels[serviceimport.LabelServiceName] == "" {
		c.warnings = append(c.warnings, "metadata.labels: no "+discoveryv1.LabelServiceName+" label, so it belongs to no Service")
	}
	for i, p := range s.Ports {
		if p.Port == nil {
			continue
		}
		var name string
		var protocol corev1.Protocol
		if p.Name != nil {
			name = *p.Name
		}
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		c.port(fmt.Sprintf("ports[%d]", i), name, protocol, *p.Port)
	}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		field := fmt.Sprintf("endpoints[%d]", i)
		if len(e.Addresses) == 0 {
			c.fault(field+".addresses", "is empty")
		}
		if s.AddressType != discoveryv1.AddressTypeFQDN {
			for j, text := range e.Addresses {
				at := fmt.Sprintf("%s.addresses[%d]", field, j)
				addr := c.addr(at, text)
				if addr.IsValid() && addr.Is4() != (s.AddressType == discoveryv1.AddressTypeIPv4) {
					c.fault(at, "%q is not of addressType %s", text, s.AddressType)
				}
			}
		}
		if e.Hostname != nil {
			c.hostname(field+".hostname", *e.Hostname)
		}
	}
}

// serviceImport checks only what the CustomResourceDefinition checks.
func (c *checker) serviceImport(s *serviceimport.ServiceImport) {
	switch {
	case s.Spec.Fault != "":
		c.fault("spec", "%s", s.Spec.Fault)
	case s.Spec.Type != serviceimport.ClusterSetIP && s.Spec.Type != serviceimport.Headless:
		c.fault("spec.type", "%q is not %s or %s", s.Spec.Type, serviceimport.ClusterSetIP, serviceimport.Headless)
	}
	for i, p := range s.Spec.Ports {
		c.port(fmt.Sprintf("spec.ports[%d]", i), p.Name, corev1.Protocol(p.Protocol), p.Port)
	}
}

func (c *checker) endpoints(e *corev1.Endpoints) { //nolint:staticcheck // see check
	for i := range e.Subsets {
		field := fmt.Sprintf("subsets[%d]", i)
		s := &e.Subsets[i]
		for j, p := range s.Ports {
			c.port(fmt.Sprintf("%s.ports[%d]", field, j), p.Name, p.Protocol, p.Port)
		}
		for j := range s.Addresses {
			c.addr(fmt.Sprintf("%s.addresses[%d].ip", field, j), s.Addresses[j].IP)
			c.hostname(fmt.Sprintf("%s.addresses[%d].hostname", field, j), s.Addresses[j].Hostname)
		}
		for j := range s.NotReadyAddresses {
			c.addr(fmt.Sprintf("%s.notReadyAddresses[%d].ip", field, j), s.NotReadyAddresses[j].IP)
		}
	}
}
