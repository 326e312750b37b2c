package nodelocal

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/netif"
)

// errNoAddress means that no address is left because kube-proxy holds all of them in IPVS
// mode.
var errNoAddress = errors.New("kube-proxy in IPVS mode has every one of the addresses; give a link-local address such as 169.254.20.10 as well, and set the kubelet's clusterDNS to it")

// check returns an error if this host cannot do what cfg asks for. It removes from cfg the
// addresses that kube-proxy holds in IPVS mode. It changes nothing on the host.
func check(cfg *config) error {
	list, err := netif.All()
	if err != nil {
		return fmt.Errorf("listing the interfaces: %w", err)
	}
	cfg.byIPVS = inIPVS(list, cfg.addrs)
	cfg.addrs = slices.DeleteFunc(cfg.addrs, func(a netip.Addr) bool { return slices.Contains(cfg.byIPVS, a) })
	if len(cfg.addrs) == 0 {
		return errNoAddress
	}
	missing := missingAddrs(list, cfg.addrs)
	for _, addr := range missing {
		if addr.Is6() {
			if where := ipv6Off(cfg.link); where != "" {
				return fmt.Errorf("IPv6 is off on %s, so %v cannot be used", where, addr)
			}
		}
		if name := neighbourOn(list, addr); name != "" {
			return fmt.Errorf("%v is in the network of the interface %s, so it is the address of another host; use the cluster IP of the Service kube-dns, or a link-local address such as 169.254.20.10", addr, name)
		}
	}
	return checkCapabilities(missing)
}

// ipv6Off returns where IPv6 is off, so that the link cannot get an IPv6 address, or "".
func ipv6Off(link string) (where string) {
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		return "this host"
	}
	off := func(name string) (off, known bool) {
		value, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6")
		return strings.TrimSpace(string(value)) == "1", err == nil
	}
	if all, _ := off("all"); all {
		return "this host"
	}
	switch its, exists := off(link); {
	case its:
		return "the interface " + link
	case exists:
		return ""
	}
	if newOnes, _ := off("default"); newOnes {
		return "new interfaces (net.ipv6.conf.default.disable_ipv6)"
	}
	return ""
}

// neighbourOn returns the interface whose network contains addr, or "" if there is none. It
// ignores networks of a single address, and link-local addresses, which belong to no one
// network.
func neighbourOn(list netif.List, addr netip.Addr) string {
	if addr.IsLinkLocalUnicast() {
		return ""
	}
	for _, i := range list {
		for _, network := range i.Networks {
			if !network.IsSingleIP() && network.Bits() > 0 && network.Contains(addr) {
				return i.Name
			}
		}
	}
	return ""
}

// checkCapabilities returns an error if this process lacks a capability that it needs:
// NET_ADMIN if addresses have to be added, and those needed to start and end the cache.
func checkCapabilities(addresses []netip.Addr) error {
	if len(addresses) > 0 && !hasCapability(unix.CAP_NET_ADMIN) {
		return fmt.Errorf("the capability NET_ADMIN is missing, and no interface has %v", addresses[0])
	}
	if os.Geteuid() != 0 {
		return nil // the cache stays the same user
	}
	for _, c := range []struct {
		number uint
		text   string
	}{
		{unix.CAP_SETUID, "SETUID is missing, without which the cache cannot become another user"},
		{unix.CAP_SETGID, "SETGID is missing, without which the cache cannot become another user"},
		{unix.CAP_KILL, "KILL is missing, without which a cache of another user cannot be ended"},
	} {
		if !hasCapability(c.number) {
			return fmt.Errorf("the capability %s", c.text)
		}
	}
	return nil
}
