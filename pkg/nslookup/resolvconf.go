package nslookup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/internal/readfile"
)

// maxServers is how many servers libc uses from resolv.conf (MAXNS).
const maxServers = 3

// maxResolvConf is the size of the largest resolv.conf file, in octets.
const maxResolvConf = 1 << 20

// resolvConf is the content of a resolv.conf(5) file, with the servers as addresses.
type resolvConf struct {
	*dns.ClientConfig
	servers []netip.AddrPort
}

// readResolvConf reads the file. If there is no file, or no server in it, the server is
// 127.0.0.1, as resolv.conf(5) says.
func readResolvConf(path string, port uint16) (resolvConf, error) {
	conf := resolvConf{ClientConfig: &dns.ClientConfig{Ndots: 1}}
	text, err := readfile.All(path, maxResolvConf)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return resolvConf{}, fmt.Errorf("reading the servers: %w", err)
	default:
		if conf.ClientConfig, err = dns.ClientConfigFromReader(bytes.NewReader(text)); err != nil {
			return resolvConf{}, fmt.Errorf("reading %s: %w", path, err)
		}
	}
	for _, text := range conf.Servers {
		if a, err := netip.ParseAddr(text); err == nil && len(conf.servers) < maxServers {
			conf.servers = append(conf.servers, netip.AddrPortFrom(a, port))
		}
	}
	if len(conf.servers) == 0 {
		conf.servers = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
	}
	return conf, nil
}
