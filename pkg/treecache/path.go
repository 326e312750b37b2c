package treecache

import (
	"fmt"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Path is where a Set hangs below the zone: the labels of its node in canonical
// wire form, without the zone and the final zero octet
// ("\x03web\x07default\x03svc"). It is the identity of an owner.
type Path string

// maxPath bounds a Path, so that a path of three full labels, a host label
// before it and the longest zone still make a name.
const maxPath = dnsname.MaxName - MaxZone - (dnsname.MaxLabel + 1)

// MaxZone is the length of the longest zone that a Tree takes, in octets of
// wire form: 255 less the largest target <host>.<service>.<namespace>.svc.
const MaxZone = dnsname.MaxName - 3*(dnsname.MaxLabel+1) - len("\x03svc")

// MakePath joins labels, leftmost first, letters lower-cased. It reports an
// error when a label is empty or too long, or the whole is.
func MakePath(labels ...string) (Path, error) {
	var b []byte
	for _, l := range labels {
		if l == "" || len(l) > dnsname.MaxLabel {
			return "", fmt.Errorf("path label %q: want 1 to 63 octets", l)
		}
		b = append(append(b, byte(len(l))), l...)
	}
	if len(b) > maxPath || len(b) == 0 {
		return "", fmt.Errorf("path %q: want 1 to %d octets", labels, maxPath)
	}
	return Path(dnsname.AppendLower(b[:0], b)), nil
}

// labels appends the labels of p to dst, from the zone downwards.
func (p Path) labels(dst []string) []string {
	at := len(dst)
	for i := 0; i < len(p); {
		end := i + 1 + int(p[i])
		dst = append(dst, string(p[i+1:end]))
		i = end
	}
	for i, j := at, len(dst)-1; i < j; i, j = i+1, j-1 {
		dst[i], dst[j] = dst[j], dst[i]
	}
	return dst
}
