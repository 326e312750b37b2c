// Package autopath completes names for clients that go through a search list: the
// rules by which a question about "web.prod.default.svc.cluster.local", which does
// not exist, is taken for one about "web.prod".
//
// A Pod's search list is <namespace>.svc.Z, svc.Z and Z, the cluster domain. Its
// resolver appends each entry in turn to a name with few dots, asks for A and AAAA, and
// goes on at NXDOMAIN. The question for the first entry tells the namespace, so the
// server can take the next steps by itself.
//
// Use [Split] to see whether a question may be completed, and [Parts.Append] for the
// names that the client would ask next. The rest of the rules needs to know what
// exists, and is with whoever knows.
package autopath

import "github.com/kube-dns/kube-dns/pkg/dnsname"

// Parts is a question x.<namespace>.svc.<zone>, split. All values are offsets of
// labels in the name that was split.
type Parts struct {
	// Last is the last label of x. The name from there on is that of a Service of
	// the namespace, if there is one.
	Last int
	// Namespace is the label after x.
	Namespace int
	svc, zone int
}

// Labels before the zone: at least two of x, the namespace, and svc.
const leastLabels = 4

// Split splits a canonical wire name whose zone begins at offset zone. ok is false if
// a name of this form is never completed:
//   - x has one label: it means a Service of the namespace. Who asks for one that was
//     deleted must not get something else of that name.
//   - A label is "*", the wildcard of kube-dns.
//
// name and zone may be anything, and no reference to name is kept.
func Split(name []byte, zone int) (p Parts, ok bool) {
	var buf [dnsname.MaxLabels]uint8
	offsets := dnsname.Offsets(buf[:0], name)
	n := 0
	for n < len(offsets) && int(offsets[n]) < zone {
		if at := int(offsets[n]); name[at] == 1 && name[at+1] == '*' {
			return Parts{}, false
		}
		n++
	}
	end := len(name) - 1 // of all labels, where the root is
	if n < len(offsets) {
		end = int(offsets[n])
	}
	if n < leastLabels || end != zone {
		return Parts{}, false
	}
	p = Parts{Last: int(offsets[n-3]), Namespace: int(offsets[n-2]), svc: int(offsets[n-1]), zone: zone}
	return p, string(name[p.svc:zone]) == "\x03svc"
}

// Candidate is a name that a client asks after the one that was split.
type Candidate uint8

// The candidates, in the order in which a client asks. A resolver may have entries
// of its own between InZone and Bare.
const (
	InServices Candidate = iota // x.svc.<zone>
	InZone                      // x.<zone>
	Bare                        // x
	Candidates                  // how many there are
)

// String names the candidate for metrics.
func (c Candidate) String() string {
	return [Candidates]string{"svc", "domain", "name"}[c]
}

// Suffix returns what follows x in a candidate for the name that was split into p. It
// is part of name.
func (p *Parts) Suffix(name []byte, c Candidate) []byte {
	switch c {
	case InServices:
		return name[p.svc:]
	case InZone:
		return name[p.zone:]
	}
	return name[len(name)-1:] // the root
}

// Append appends a candidate for the name that was split into p. It is shorter than
// that name.
func (p *Parts) Append(dst, name []byte, c Candidate) []byte {
	return append(append(dst, name[:p.Namespace]...), p.Suffix(name, c)...)
}
