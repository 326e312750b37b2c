package treecache

import (
	"fmt"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Path is the position of a Set below the zone: <service>.<namespace>.svc in canonical wire
// form, without the zone and the final zero octet ("\x03web\x07default\x03svc"). It
// identifies an owner.
type Path string

// pathLabels is the number of labels of every Path.
const pathLabels = 3

// svc is the last label of every Path.
const svc = "\x03svc"

// MaxHashLabel is the length of the longest hash label, in octets of wire form.
const MaxHashLabel = 1 + 16

// MaxZone is the length of the longest zone that a Tree accepts, in octets of wire
// form: one in which a Service with short names can have hosts. Whoever makes a Set must
// see to it that the targets of its records are not too long in the zone.
const MaxZone = dnsname.MaxName - MaxHashLabel - len("\x01s\x01n") - len(svc)

// MakePath returns the Path of a Service, letters lower-cased. It reports an
// error if a name is empty or too long for a label. The caller must refuse names
// that are not host names.
func MakePath(service, namespace string) (Path, error) {
	b := make([]byte, 0, len(service)+len(namespace)+len(svc)+2)
	for _, l := range [...]string{service, namespace} {
		if l == "" || len(l) > dnsname.MaxLabel {
			return "", fmt.Errorf("name %q: want 1 to %d octets", l, dnsname.MaxLabel)
		}
		b = append(append(b, byte(len(l))), l...)
	}
	b = append(b, svc...)
	return Path(dnsname.AppendLower(b[:0], b)), nil
}

// labels returns the labels of p, from the zone downwards.
func (p Path) labels() [pathLabels]string {
	var l [pathLabels]string
	for i := range l {
		end := 1 + int(p[0])
		l[i] = string(p[1:end])
		p = p[end:]
	}
	slices.Reverse(l[:])
	return l
}
