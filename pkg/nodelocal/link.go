package nodelocal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/netlink"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// ipvsLink is the interface on which kube-proxy, in IPVS mode, puts the addresses of
// Services.
const ipvsLink = "kube-ipvs0"

// inIPVS returns those of addrs that kube-proxy has in IPVS mode, even if other interfaces have
// them too.
func inIPVS(list netif.List, addrs []netip.Addr) (taken []netip.Addr) {
	for _, network := range list.Networks(ipvsLink) {
		if slices.Contains(addrs, network.Addr()) {
			taken = append(taken, network.Addr())
		}
	}
	return taken
}

// link is the interface that holds the addresses. If an interface of that name already
// exists, for example from NodeLocal DNSCache, it is used unchanged and never removed.
type link struct {
	name string // the interface that is wanted
	used string // the one that has the addresses: name, or lo
}

// ensure creates the link if it is missing, adds the addresses that no interface in list has,
// and sets the link up. It reports whether it changed anything. An address that cannot be added
// does not keep the others from being added.
func (l *link) ensure(list netif.List, addrs []netip.Addr) (changed bool, err error) {
	missing := missingAddrs(list, addrs)
	if l.used == "" && l.exists() {
		l.used = l.name
	}
	up := l.used != "" && isUp(l.used)
	if len(missing) == 0 && (up || l.used == "") {
		return false, nil // also when other interfaces have all of them
	}
	c, err := dial(unix.NETLINK_ROUTE)
	if err != nil {
		return false, err
	}
	defer c.close()
	if l.used != "lo" && !l.exists() {
		switch err := l.create(c); {
		case err == nil, errors.Is(err, unix.EEXIST):
			l.used = l.name
		case errors.Is(err, unix.EOPNOTSUPP):
			l.used = "lo"
		default:
			return true, fmt.Errorf("adding the interface %s: %w", l.name, err)
		}
	}
	if err := setUp(c, l.used); err != nil {
		return true, fmt.Errorf("setting the interface %s up: %w", l.used, err)
	}
	for _, addr := range missing {
		failed := changeAddress(c, l.used, addr, unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
		if failed != nil && !errors.Is(failed, unix.EEXIST) && err == nil {
			err = fmt.Errorf("adding the address %v to %s: %w", addr, l.used, failed)
		}
	}
	return true, err
}

// remove deletes the link if it is a dummy link, and otherwise the addresses from it, or from lo
// if there is no such link. Any other link is used by more than this cache.
func (l *link) remove(addrs []netip.Addr) error {
	c, err := dial(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.close()
	i, err := net.InterfaceByName(l.name)
	switch {
	case err != nil:
		return removeAddresses(c, "lo", addrs)
	case isDummy(i.Index):
		return c.change(unix.RTM_DELLINK, 0, linkBody(i.Index, 0), func(*message) {})
	}
	return removeAddresses(c, l.name, addrs)
}

// removeAddresses removes those of addrs that an interface has.
func removeAddresses(c *conn, from string, addrs []netip.Addr) error {
	for _, addr := range addrs {
		err := changeAddress(c, from, addr, unix.RTM_DELADDR, 0)
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("removing the address %v from %s: %w", addr, from, err)
		}
	}
	return nil
}

// isDummy reports whether the interface with this index is a dummy link.
func isDummy(index int) (dummy bool) {
	list, _ := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC) // nothing, after an error
	netlink.Messages(list, func(typ uint16, body []byte) {
		if typ != unix.RTM_NEWLINK || len(body) < unix.SizeofIfInfomsg || binary.NativeEndian.Uint32(body[4:]) != uint32(index) {
			return
		}
		netlink.Attributes(body[unix.SizeofIfInfomsg:], func(typ uint16, value []byte) {
			dummy = dummy || typ == unix.IFLA_LINKINFO && bytes.Contains(value, []byte("dummy\x00"))
		})
	})
	return dummy
}

func (l *link) exists() bool {
	_, err := net.InterfaceByName(l.name)
	return err == nil
}

func isUp(name string) bool {
	i, err := net.InterfaceByName(name)
	return err == nil && i.Flags&net.FlagUp != 0
}

// missingAddrs returns the addresses that no interface has.
func missingAddrs(list netif.List, addrs []netip.Addr) (missing []netip.Addr) {
	for _, addr := range addrs {
		if list.NameOf(addr) == "" {
			missing = append(missing, addr)
		}
	}
	return missing
}

// create makes a dummy link.
func (l *link) create(c *conn) error {
	return c.change(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, linkBody(0, 0), func(m *message) {
		m.text(unix.IFLA_IFNAME, l.name)
		m.nest(unix.IFLA_LINKINFO, func() { m.text(unix.IFLA_INFO_KIND, "dummy") })
	})
}

func setUp(c *conn, name string) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	return c.change(unix.RTM_NEWLINK, 0, linkBody(i.Index, unix.IFF_UP), func(*message) {})
}

// linkBody returns a struct ifinfomsg that changes only the given flags.
func linkBody(index int, flags uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], flags)
	return b
}

// changeAddress adds or deletes an address whose network contains only itself (/32 or /128).
func changeAddress(c *conn, name string, addr netip.Addr, typ, flags uint16) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	body := make([]byte, unix.SizeofIfAddrmsg)
	body[0], body[1] = unix.AF_INET, byte(addr.BitLen())
	if addr.Is6() {
		body[0], body[2] = unix.AF_INET6, unix.IFA_F_NODAD
	}
	binary.NativeEndian.PutUint32(body[4:], uint32(i.Index))
	return c.change(typ, flags, body, func(m *message) {
		m.attr(unix.IFA_LOCAL, addr.AsSlice())
		m.attr(unix.IFA_ADDRESS, addr.AsSlice())
	})
}
