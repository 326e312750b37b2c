package options

import (
	"bytes"
	"net/netip"
	"strings"
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
