// Package records turns one Service with its EndpointSlices into everything that
// DNS says about it: the names below S.N.svc, and the addresses that point back to
// them. Use [Build] for a Service and [BuildImport] for a ServiceImport. They are pure
// functions that know nothing about the Kubernetes API. Their inputs are compact,
// because a cluster's objects are kept in this form.
//
// The rules are those of the Kubernetes DNS specification 1.1.0 and, where it
// leaves room, of kube-dns: TTL 30 by default, SRV priority 10, hashed labels for
// endpoints without a hostname.
package records

import (
	"net/netip"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// What the records of all Services have in common.
const (
	// DefaultTTL is kube-dns's TTL, in seconds. CoreDNS's is 5.
	DefaultTTL = 30
	// Priority is that of SRV records.
	Priority = 10
)

// Kind is the kind of a Service.
type Kind = treecache.Kind

// The kinds of Services.
const (
	ClusterIP    = treecache.ClusterIP // and NodePort and LoadBalancer; without an address it has no records
	Headless     = treecache.Headless
	ExternalName = treecache.ExternalName
)

// The kinds of ServiceImports, for BuildImport.
const (
	ClusterSetIP       = treecache.ClusterSetIP
	ClusterSetHeadless = treecache.ClusterSetHeadless
	// UnknownImport is a ServiceImport of another type, or one that cannot be read.
	UnknownImport Kind = 255
)

// Protocol is the transport protocol of a port; the zero value is none.
type Protocol = treecache.Protocol

// The protocols.
const (
	TCP  = treecache.TCP
	UDP  = treecache.UDP
	SCTP = treecache.SCTP
)

// Service is what DNS needs to know of a Service or a ServiceImport. Build and
// BuildImport do not change it.
type Service struct {
	Namespace, Name string // of the object
	Kind            Kind   // what kind of Service or ServiceImport it is
	// ClusterIPs are the virtual addresses of a ClusterIP Service or ServiceImport. An invalid Addr
	// stands for text that was not an address.
	ClusterIPs []netip.Addr
	// ExternalName is the target of an ExternalName Service, as given.
	ExternalName string
	Ports        []Port // the ports, in the order of the object
	// PublishNotReady publishes endpoints that are not ready, too.
	PublishNotReady bool
	// Created is the creation time in Unix seconds.
	Created int64
}

// Publishes reports whether an endpoint of a headless Service gets records, if its
// address is valid: when it is ready, or the Service publishes those that are not.
func (s *Service) Publishes(e Endpoint) bool { return e.Ready || s.PublishNotReady }

// Port is a port of a Service or of an EndpointSlice. A port without Name,
// Protocol or Number has no records.
type Port struct {
	Name     string
	Protocol Protocol
	Number   uint16
}

// Endpoint is one address of an EndpointSlice. An API endpoint with several
// addresses is several of these.
type Endpoint struct {
	// Addr is invalid if the text was not an address.
	Addr netip.Addr
	// Hostname is "" for most endpoints.
	Hostname string
	// Ready is the API's condition. The caller must set it if the condition is
	// absent, which counts as ready.
	Ready bool
}

// Slice is an EndpointSlice in compact form: 20 octets for an endpoint without a
// hostname. Fill it with Add. After that it is only read, and safe for concurrent
// use.
type Slice struct {
	Name string
	// Ports are those of the endpoints (target ports).
	Ports []Port

	endpoints []endpoint
	hostnames []string
	// cluster is a pointer, because most slices have none.
	cluster *string
}

// SetCluster says which cluster of a ClusterSet the endpoints are in, by the label
// multicluster.kubernetes.io/source-cluster. The slice keeps the pointer.
func (s *Slice) SetCluster(id *string) { s.cluster = id }

// Equal reports whether both slices say the same.
func (s *Slice) Equal(o *Slice) bool {
	return s == o || s.Name == o.Name && s.Cluster() == o.Cluster() && slices.Equal(s.Ports, o.Ports) &&
		slices.Equal(s.endpoints, o.endpoints) && slices.Equal(s.hostnames, o.hostnames)
}

// Cluster returns what SetCluster set, "" if nothing.
func (s *Slice) Cluster() string {
	if s.cluster == nil {
		return ""
	}
	return *s.cluster
}

// endpoint keeps IPv4 as IPv4-mapped IPv6.
type endpoint struct {
	addr     [16]byte
	hostname uint32 // index+1 into hostnames, and the bits below
}

const (
	readyBit  = 1 << 31
	noAddrBit = 1 << 30 // the text was not an address
)

// Grow makes room for n more endpoints, so that Add does not have to grow the slice
// step by step.
func (s *Slice) Grow(n int) {
	if cap(s.endpoints)-len(s.endpoints) < n {
		grown := make([]endpoint, len(s.endpoints), len(s.endpoints)+n)
		copy(grown, s.endpoints)
		s.endpoints = grown
	}
}

// Add appends an endpoint. The hostname is kept as it is, so an interned string
// stays shared.
func (s *Slice) Add(e Endpoint) {
	var c endpoint
	if e.Hostname != "" {
		s.hostnames = append(s.hostnames, e.Hostname)
		c.hostname = uint32(len(s.hostnames))
	}
	if e.Addr.IsValid() {
		c.addr = e.Addr.As16()
	} else {
		c.hostname |= noAddrBit
	}
	if e.Ready {
		c.hostname |= readyBit
	}
	s.endpoints = append(s.endpoints, c)
}

// Len returns the number of endpoints.
func (s *Slice) Len() int { return len(s.endpoints) }

// At returns endpoint i.
func (s *Slice) At(i int) Endpoint {
	c := &s.endpoints[i]
	e := Endpoint{Ready: c.hostname&readyBit != 0}
	if c.hostname&noAddrBit == 0 {
		e.Addr = netip.AddrFrom16(c.addr).Unmap()
	}
	if at := c.hostname &^ (readyBit | noAddrBit); at > 0 {
		e.Hostname = s.hostnames[at-1]
	}
	return e
}

// Path returns the place of a Service's Set in the tree. It returns false if one of the names is
// not an RFC 1123 label: such an object has no records. EndpointSlices may nevertheless name it.
func Path(namespace, name string) (treecache.Path, bool) {
	if !dnsname.IsLabel1123(namespace) || !dnsname.IsLabel1123(name) {
		return "", false
	}
	p, err := treecache.MakePath(name, namespace)
	return p, err == nil
}
