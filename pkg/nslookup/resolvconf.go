package nslookup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"github.com/miekg/dns"
)

// maxServers is how many servers libc uses from resolv.conf (MAXNS).
const maxServers = 3

// resolvConf is the content of a resolv.conf(5) file, with the servers as addresses.
type resolvConf struct {
	*dns.ClientConfig
	servers []netip.AddrPort
}

// readResolvConf reads the file. If there is no file, or no server in it, the server is
// 127.0.0.1, as resolv.conf(5) says.
func readResolvConf(path string, port uint16) (resolvConf, error) {
	conf := resolvConf{ClientConfig: &dns.ClientConfig{Ndots: 1}}
	text, err := os.ReadFile(path)
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
