package backend

import (
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// pod answers for a name at or below pod.<zone>, which begins at octet at of name.
// Nothing is stored, because the name spells the address:
//
//	pod.Z, <namespace>.pod.Z            exist, no records
//	<a-b-c-d>.<namespace>.pod.Z         the address, IPv4 or IPv6 in dashes
//	<other>.<namespace>.pod.Z           exists, no records
//	<host>.<service>.<namespace>.pod.Z  as the same name in svc.Z
//
// Neither the namespace nor the Pod needs to exist, as with kube-dns. The
// specification has no Pod names. For a Pod name that is not an address the RFCs
// allow both NXDOMAIN and NODATA; kube-dns answers NODATA, and the name may be the
// parent of host names in the last form. There are no wildcards among Pods.
func (b *Backend) pod(name []byte, at int) treecache.Answer {
	var buf [dnsname.MaxLabels]uint8
	offsets := dnsname.Offsets(buf[:0], name)
	labels := 0
	for labels < len(offsets) && int(offsets[labels]) < at {
		if i := offsets[labels]; name[i] == 1 && name[i+1] == '*' {
			return treecache.Answer{}
		}
		labels++
	}
	switch {
	case offsets == nil || labels > 3:
		return treecache.Answer{}
	case labels == 3:
		return b.podHost(name, at)
	case labels == 2:
		if addr, ok := dnsname.ParseDashed(string(name[1 : 1+name[0]])); ok {
			return treecache.ListAnswer([]treecache.Record{treecache.AddressRecord(addr, b.ttl)})
		}
	}
	return treecache.Answer{Status: treecache.NoRecords}
}

// podHost answers <host>.<service>.<namespace>.pod.Z like the same name in svc.Z.
// Older Kubernetes documentation shows this form.
func (b *Backend) podHost(name []byte, at int) treecache.Answer {
	var buf [dnsname.MaxName]byte
	svc := append(append(buf[:0], name[:at]...), b.svcZone...)
	if a := b.tree.Lookup(svc); a.Status == treecache.Found {
		return a
	}
	return treecache.Answer{}
}
