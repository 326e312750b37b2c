package kubewatch

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/serviceimport"
)

// The methods here convert decoded objects field by field: what the decoder must give.

// convertService converts a Service.
func (c *converter) convertService(obj any) conversion[*records.Service] {
	in, ok := obj.(*corev1.Service)
	if !ok {
		return conversion[*records.Service]{}
	}
	f := serviceFields{
		kind:            []byte(in.Spec.Type),
		externalName:    []byte(in.Spec.ExternalName),
		clusterIP:       []byte(in.Spec.ClusterIP),
		publishNotReady: in.Spec.PublishNotReadyAddresses,
		tolerateUnready: []byte(in.Annotations[tolerateUnready]),
	}
	for _, text := range in.Spec.ClusterIPs {
		f.clusterIPs = append(f.clusterIPs, []byte(text))
	}
	for i := range in.Spec.Ports {
		p := &in.Spec.Ports[i]
		f.ports = append(f.ports, c.port([]byte(p.Name), []byte(p.Protocol), p.Port))
	}
	k := key{c.shared.intern([]byte(in.Namespace)), in.Name}
	return conversion[*records.Service]{c.service(k, in.CreationTimestamp, &f), true, true}
}

// convertSlice converts an EndpointSlice. A slice that belongs to no Service or
// ServiceImport, or that holds names instead of addresses, is not kept.
func (c *converter) convertSlice(obj any) conversion[sliceValue] {
	in, ok := obj.(*discoveryv1.EndpointSlice)
	if !ok {
		return conversion[sliceValue]{}
	}
	f := sliceFields{
		service: []byte(in.Labels[discoveryv1.LabelServiceName]), addressType: []byte(in.AddressType),
		imported: []byte(in.Labels[serviceimport.LabelServiceName]), cluster: []byte(in.Labels[serviceimport.LabelSourceCluster]),
	}
	for i := range in.Ports {
		// A port without a number means all ports, which no record can express.
		if p := &in.Ports[i]; p.Port != nil {
			f.ports = append(f.ports, c.port([]byte(deref(p.Name)), []byte(deref(p.Protocol)), *p.Port))
		}
	}
	for i := range in.Endpoints {
		e := &in.Endpoints[i]
		// A nil ready means unknown and is to be read as ready (discovery/v1,
		// EndpointConditions).
		ready := e.Conditions.Ready == nil || *e.Conditions.Ready
		for _, text := range e.Addresses {
			f.endpoints = append(f.endpoints, records.Endpoint{Addr: parseAddr([]byte(text)), Hostname: deref(e.Hostname), Ready: ready})
		}
	}
	value, kept := c.slice(in.Name, &f)
	return conversion[sliceValue]{value, kept, true}
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
