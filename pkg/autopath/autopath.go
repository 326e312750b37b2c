// Package autopath completes names for clients that go through a search list: it holds
// the rules by which the question "web.prod.default.svc.cluster.local", a name that does
// not exist, is answered as if it were "web.prod".
//
// Use [Split] to see whether a question may be completed, and [Parts.Append] for the
// names that the client would ask for next. Whether these names exist is not known here;
// the caller must find out.
//
// A Pod's search list is <namespace>.svc.Z, svc.Z and Z, the cluster domain. For a name
// with few dots, its resolver appends each entry in turn, asks for A and AAAA records,
// and tries the next entry after NXDOMAIN. The question for the first entry shows the
// namespace, so the server can take the next steps itself.
package autopath

import "github.com/kube-dns/kube-dns/pkg/dnsname"

// Parts are the parts of a question x.<namespace>.svc.<zone>. All values are offsets of labels
// in the name that was split.
type Parts struct {
	// Last is the last label of x. If the namespace has a Service of that name, the name from
	// this label on is the name of that Service.
	Last int
	// Namespace is the label after x.
	Namespace int
	svc, zone int
}

// leastLabels is the least number of labels before the zone: two of x, the namespace, and svc.
const leastLabels = 4

// Split splits a canonical wire name whose zone begins at offset zone. ok is false if
// a name of this form is never completed:
//   - x has one label: it means a Service of the namespace. A client that asks for a
//     Service that was deleted must not get another object with that name.
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
	end := len(name) - 1 // the end of all labels, where the root is
	if n < len(offsets) {
		end = int(offsets[n])
	}
	if n < leastLabels || end != zone {
		return Parts{}, false
	}
	p = Parts{Last: int(offsets[n-3]), Namespace: int(offsets[n-2]), svc: int(offsets[n-1]), zone: zone}
	return p, string(name[p.svc:zone]) == "\x03svc"
}

// Candidate is a name that a client asks for after the one that was split.
type Candidate uint8

// The candidates, in the order in which a client asks for them. Its search list may have
// further entries between InZone and Bare.
const (
	InServices Candidate = iota // x.svc.<zone>
	InZone                      // x.<zone>
	Bare                        // x
	Candidates                  // how many there are
)

// String returns the name of the candidate in metrics.
func (c Candidate) String() string {
	return [Candidates]string{"svc", "domain", "name"}[c]
}

// Suffix returns the part of a candidate after x, for the name that was split into p. The
// result is a part of name.
func (p *Parts) Suffix(name []byte, c Candidate) []byte {
	switch c {
	case InServices:
		return name[p.svc:]
	case InZone:
		return name[p.zone:]
	}
	return name[len(name)-1:] // the root
}

// Append appends a candidate for the name that was split into p. The candidate is shorter than
// that name.
func (p *Parts) Append(dst, name []byte, c Candidate) []byte {
	return append(append(dst, name[:p.Namespace]...), p.Suffix(name, c)...)
}
