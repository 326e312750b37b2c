package listener

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddr is a sockaddr_in or sockaddr_in6 as the kernel reads and writes it:
//
//	offset  0        2       4            8           24
//	IPv4    family   port    address      zero
//	IPv6    family   port    flow info    address     scope
//
// Family and scope are in native byte order, the port in network byte order.
type sockaddr [unix.SizeofSockaddrInet6]byte

// peer returns the address without a zone, and the scope of a link-local address. It
// returns an invalid address for other address families.
func (a *sockaddr) peer() (addr netip.AddrPort, scope uint32) {
	port := binary.BigEndian.Uint16(a[2:])
	switch binary.NativeEndian.Uint16(a[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:8])), port), 0
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[8:24])), port), binary.NativeEndian.Uint32(a[24:])
	}
	return netip.AddrPort{}, 0
}

// portZero reports whether the port is 0. Only a forged packet has that port.
func (a *sockaddr) portZero() bool { return a[2]|a[3] == 0 }

// set stores peer in the form that a socket of its address family requires.
func (a *sockaddr) set(peer netip.AddrPort, scope uint32) {
	binary.BigEndian.PutUint16(a[2:], peer.Port())
	if ip := peer.Addr(); ip.Is4() {
		binary.NativeEndian.PutUint16(a[:], unix.AF_INET)
		ip4 := ip.As4()
		copy(a[4:8], ip4[:])
		clear(a[8:16])
	} else {
		binary.NativeEndian.PutUint16(a[:], unix.AF_INET6)
		clear(a[4:8])
		ip16 := ip.As16()
		copy(a[8:24], ip16[:])
		binary.NativeEndian.PutUint32(a[24:], scope)
	}
}

// Layout of a control message (cmsg(3)): header, data, padding to the header's
// alignment. The data is
//
//	IP_PKTINFO    ifindex(4) spec_dst(4) addr(4)
//	IPV6_PKTINFO  addr(16) ifindex(4)
//
// When receiving, spec_dst is the local address of the packet, which differs
// from addr for a broadcast; when sending it is the source to use.
const (
	cmsgHeader    = unix.SizeofCmsghdr
	cmsgLevel     = int(unsafe.Offsetof(unix.Cmsghdr{}.Level))
	cmsgType      = int(unsafe.Offsetof(unix.Cmsghdr{}.Type))
	cmsgAlign     = int(unsafe.Sizeof(uintptr(0)))
	pktinfo4Local = cmsgHeader + 4
	pktinfo4Bytes = (cmsgHeader + unix.SizeofInet4Pktinfo + cmsgAlign - 1) &^ (cmsgAlign - 1)
	pktinfo6Bytes = (cmsgHeader + unix.SizeofInet6Pktinfo + cmsgAlign - 1) &^ (cmsgAlign - 1)
	// controlBytes has room for one more message than the socket asks for.
	controlBytes = 128
)

// control is the control buffer of one outgoing packet. It holds one packet info
// message.
type control [pktinfo6Bytes]byte

// setLocal sets the source address of the packet to local and returns the length of
// the control data in octets.
func (c *control) setLocal(local netip.Addr) int {
	putLen := func(n int) {
		if cmsgAlign == 8 {
			binary.NativeEndian.PutUint64(c[:], uint64(n))
		} else {
			binary.NativeEndian.PutUint32(c[:], uint32(n))
		}
	}
	if local.Is4() {
		putLen(cmsgHeader + unix.SizeofInet4Pktinfo)
		binary.NativeEndian.PutUint32(c[cmsgLevel:], unix.IPPROTO_IP)
		binary.NativeEndian.PutUint32(c[cmsgType:], unix.IP_PKTINFO)
		ip := local.As4()
		clear(c[cmsgHeader:pktinfo4Bytes])
		copy(c[pktinfo4Local:], ip[:])
		return pktinfo4Bytes
	}
	putLen(cmsgHeader + unix.SizeofInet6Pktinfo)
	binary.NativeEndian.PutUint32(c[cmsgLevel:], unix.IPPROTO_IPV6)
	binary.NativeEndian.PutUint32(c[cmsgType:], unix.IPV6_PKTINFO)
	ip := local.As16()
	copy(c[cmsgHeader:], ip[:])
	clear(c[cmsgHeader+16:])
	return pktinfo6Bytes
}

// localOf returns the local address in the control messages b of a received packet.
// For any b without one, it returns an invalid address.
func localOf(b []byte) netip.Addr {
	for len(b) >= cmsgHeader {
		var size uint64
		if cmsgAlign == 8 {
			size = binary.NativeEndian.Uint64(b)
		} else {
			size = uint64(binary.NativeEndian.Uint32(b))
		}
		if size < cmsgHeader || size > uint64(len(b)) {
			return netip.Addr{}
		}
		data := b[cmsgHeader:size]
		level, kind := binary.NativeEndian.Uint32(b[cmsgLevel:]), binary.NativeEndian.Uint32(b[cmsgType:])
		switch {
		case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4([4]byte(data[4:8]))
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			return netip.AddrFrom16([16]byte(data[:16]))
		}
		next := (int(size) + cmsgAlign - 1) &^ (cmsgAlign - 1)
		if next >= len(b) {
			break
		}
		b = b[next:]
	}
	return netip.Addr{}
}
