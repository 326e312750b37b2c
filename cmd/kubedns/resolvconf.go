package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
)

// systemServers reads the servers of a resolv.conf(5) file. Loopback addresses
// are left out with a warning: they are the node's own resolver, which is not
// there in a Pod, or is this very program. A missing file means no servers.
func systemServers(path string, log *slog.Logger) ([]netip.AddrPort, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		log.Warn("no file with DNS servers, names outside the domain cannot be resolved", "file", path)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the system's DNS servers: %w", err)
	}
	defer file.Close()
	servers, skipped, err := parseResolvConf(file)
	if err != nil {
		return nil, fmt.Errorf("reading the system's DNS servers from %s: %w", path, err)
	}
	for _, text := range skipped {
		log.Warn("DNS server left out: a loopback address from resolv.conf would be this Pod, not the node",
			"file", path, "server", text)
	}
	return servers, nil
}

// parseResolvConf returns the addresses of the nameserver lines, and the text of
// those that were skipped.
func parseResolvConf(r io.Reader) (servers []netip.AddrPort, skipped []string, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		addr, err := netip.ParseAddr(fields[1])
		if err != nil {
			return nil, nil, fmt.Errorf("nameserver %q is not an IP address", fields[1])
		}
		// A zone needs an interface of the node, which a Pod does not have.
		if addr.Unmap().IsLoopback() || addr.Zone() != "" {
			skipped = append(skipped, fields[1])
			continue
		}
		servers = append(servers, netip.AddrPortFrom(addr.Unmap(), dnsconfig.DefaultPort))
	}
	return servers, skipped, lines.Err()
}
