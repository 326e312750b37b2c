package options

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/resolvconf"
)

// ParseResolvConf returns the servers in a resolv.conf: the addresses in lines that begin
// with nameserver or server, each once. As in dnsmasq, other lines and invalid addresses
// are ignored.
func ParseResolvConf(data []byte) []netip.Addr {
	var servers uniq[netip.Addr]
	for words := range resolvconf.Lines(data) {
		if len(words) < 2 || words[0] != "nameserver" && words[0] != "server" {
			continue
		}
		if addr, err := netip.ParseAddr(words[1]); err == nil {
			servers.addItem(addr)
		}
	}
	return servers.list
}
