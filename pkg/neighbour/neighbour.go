// Package neighbour finds the hardware (MAC) addresses of hosts on connected
// networks, from the kernel's ARP and IPv6 neighbour tables.
//
// Use [New] to open the table and [Table.Lookup] to read it.
package neighbour

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/netlink"
)

// Table knows the hardware addresses of hosts on connected networks. The kernel reports every
// change of its neighbour table to the socket; lookups first take in what was reported. Since
// the kernel learns a client's address before it delivers its query, the first query finds it
// too. No call waits.
type Table struct {
	mu    sync.Mutex
	fd    int
	buf   []byte
	table map[netip.Addr][]byte
	lost  bool // reports were lost: the table has to be read again
}

// New reads the table. The caller must call Close.
func New() (*Table, error) {
	fd, err := netlink.Open(unix.RTMGRP_NEIGH)
	if err != nil {
		return nil, err
	}
	n := &Table{fd: fd, buf: make([]byte, 1<<16), table: map[netip.Addr][]byte{}, lost: true}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.update()
	return n, nil
}

// Close closes the socket; lookups then find nothing new.
func (n *Table) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	_ = unix.Close(n.fd)
	n.fd = -1
}

// Lookup returns the hardware address of a host, nil if there is none. The
// slice must not be changed. It may be called from any goroutine.
func (n *Table) Lookup(addr netip.Addr) []byte {
	addr = addr.Unmap().WithZone("")
	if addr.IsLoopback() {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.update()
	return n.table[addr]
}

// maxReads bounds the messages that one lookup takes in.
const maxReads = 256

// update takes in what the kernel has reported.
func (n *Table) update() {
	if n.fd < 0 {
		return
	}
	if n.lost {
		clear(n.table)
		n.lost = n.request() != nil
	}
	for range maxReads {
		size, _, err := unix.Recvfrom(n.fd, n.buf, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			clear(n.table)
			n.lost = n.request() != nil
			continue
		case err != nil:
			return // EAGAIN: there is no more
		}
		netlink.Messages(n.buf[:size], n.message)
	}
}

// request asks for the whole table. The kernel has the answer ready at once.
func (n *Table) request() error {
	msg := make([]byte, unix.NLMSG_HDRLEN+sizeofNdMsg)
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	binary.NativeEndian.PutUint16(msg[4:], unix.RTM_GETNEIGH)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	return unix.Sendto(n.fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// sizeofNdMsg is the size of struct ndmsg: family, padding, interface, state,
// flags, type.
const sizeofNdMsg = 12

// noAddress are the states of entries whose address is not known, and of those
// for which there is none.
const noAddress = unix.NUD_NOARP | unix.NUD_INCOMPLETE | unix.NUD_FAILED

// message takes in one entry of the table.
func (n *Table) message(typ uint16, body []byte) {
	if len(body) < sizeofNdMsg || typ != unix.RTM_NEWNEIGH && typ != unix.RTM_DELNEIGH {
		return
	}
	if family := body[0]; family != unix.AF_INET && family != unix.AF_INET6 {
		return // a bridge's table
	}
	state := binary.NativeEndian.Uint16(body[8:])
	var addr netip.Addr
	var mac []byte
	netlink.Attributes(body[sizeofNdMsg:], func(typ uint16, value []byte) {
		switch typ {
		case unix.NDA_DST:
			addr, _ = netip.AddrFromSlice(value)
		case unix.NDA_LLADDR:
			mac = value
		}
	})
	switch {
	case !addr.IsValid():
	case typ == unix.RTM_DELNEIGH || state&noAddress != 0 || len(mac) == 0 || len(mac) > 16:
		delete(n.table, addr)
	default:
		n.table[addr] = append([]byte(nil), mac...)
	}
}
