package options

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// ParseResolvConf returns the servers of a resolv.conf: lines that start with
// nameserver or server and an address. Other lines and bad addresses are passed
// over, as dnsmasq does. Repeated servers are returned once.
func ParseResolvConf(data []byte) []netip.Addr {
	var servers uniq[netip.Addr]
	for line := range bytes.Lines(withoutBOM(data)) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 || (fields[0] != "nameserver" && fields[0] != "server") {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			servers.add(addr)
		}
	}
	return servers.list
}

// withoutBOM removes a byte order mark, which some editors write.
func withoutBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\ufeff")) }

// Host is one address of a hosts file with its names, in the order written.
type Host struct {
	Addr  netip.Addr
	Names []dnsname.Name
}

// BadHost is a line of a hosts file that was passed over, or one of its names.
type BadHost struct {
	Line int // counted from 1
	// Name is the word that is not a domain name, "" when the line has no
	// address or no name.
	Name string
}

// String words it as dnsmasq does, for the line's file.
func (b BadHost) String(path string) string {
	if b.Name == "" {
		return fmt.Sprintf("bad address at %s line %d", path, b.Line)
	}
	return fmt.Sprintf("bad name at %s line %d: %q is not a domain name in ASCII", path, b.Line, b.Name)
}

// ParseHosts reads a hosts file and calls host for the address and the names of
// every line, in order; names is only valid during the call. Zones of addresses
// are removed. Bad lines and bad names are passed over and returned for the log.
func ParseHosts(data []byte, host func(addr netip.Addr, names []dnsname.Name)) (bad []BadHost) {
	number := 0
	var names []dnsname.Name
	for line := range bytes.Lines(withoutBOM(data)) {
		number++
		line, _, _ = bytes.Cut(line, []byte("#"))
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil || len(fields) == 1 {
			bad = append(bad, BadHost{Line: number})
			continue
		}
		names = names[:0]
		for _, field := range fields[1:] {
			name, err := parseName(field)
			if err != nil {
				bad = append(bad, BadHost{number, field})
				continue
			}
			names = append(names, name)
		}
		if len(names) > 0 {
			host(addr.WithZone(""), names)
		}
	}
	return bad
}
