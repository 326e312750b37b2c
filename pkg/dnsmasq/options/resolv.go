package options

import (
	"bytes"
	"net/netip"
	"strings"
)

// ParseResolvConf returns the servers in a resolv.conf: the addresses in lines that begin
// with nameserver or server, each once. As in dnsmasq, other lines and invalid addresses
// are ignored.
func ParseResolvConf(data []byte) []netip.Addr {
	var servers uniq[netip.Addr]
	for line := range bytes.Lines(withoutBOM(data)) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 || (fields[0] != "nameserver" && fields[0] != "server") {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			servers.addItem(addr)
		}
	}
	return servers.list
}

// withoutBOM removes a byte order mark, which some editors add.
func withoutBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\ufeff")) }
