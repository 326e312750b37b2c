package options

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// ParseResolvConf returns the servers of a resolv.conf: lines that start with
// nameserver or server and an address. Other lines and bad addresses are passed
// over, as dnsmasq does. Repeated servers are returned once.
func ParseResolvConf(data []byte) []netip.Addr {
	var servers []netip.Addr
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 || (fields[0] != "nameserver" && fields[0] != "server") {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			servers = appendNew(servers, addr)
		}
	}
	return servers
}

// Host is one address of a hosts file with its names, in the order written.
type Host struct {
	Addr  netip.Addr
	Names []dnsname.Name
}

// ParseHosts reads a hosts file. Bad lines are passed over; bad holds their
// numbers, counted from 1, for the log. Names that are no domain names are left
// out.
func ParseHosts(data []byte) (hosts []Host, bad []int) {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		line, _, _ = bytes.Cut(line, []byte("#"))
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil || len(fields) == 1 {
			bad = append(bad, number)
			continue
		}
		h := Host{Addr: addr.WithZone("")}
		for _, field := range fields[1:] {
			if name, err := parseName(field); err == nil {
				h.Names = appendNew(h.Names, name)
			}
		}
		if len(h.Names) > 0 {
			hosts = append(hosts, h)
		}
	}
	return hosts, bad
}
