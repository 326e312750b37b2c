// Package netlink opens routing sockets of Linux and reads their messages
// (rtnetlink(7)).
//
// Use [Open] for a socket that hears of changes, and [Messages] and [Attributes]
// to take apart what it receives. Nothing here waits.
package netlink

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Open opens a non-blocking routing socket that hears of the given multicast
// groups, such as unix.RTMGRP_NEIGH. The caller must close it.
func Open(groups uint32) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("opening a netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("binding a netlink socket: %w", err)
	}
	return fd, nil
}

// Messages calls each for the messages in b, up to one whose length is wrong.
func Messages(b []byte, each func(typ uint16, body []byte)) {
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return
		}
		each(binary.NativeEndian.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:size])
		b = b[min(align4(size), len(b)):]
	}
}

// Attributes calls each for the attributes in b, up to one whose length is wrong.
// Flags are removed from the types.
func Attributes(b []byte, each func(typ uint16, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return
		}
		each(binary.NativeEndian.Uint16(b[2:])&nlaTypeMask, b[unix.SizeofRtAttr:size])
		b = b[min(align4(size), len(b)):]
	}
}

func align4(n int) int { return (n + 3) &^ 3 }

// nlaTypeMask takes the flags off an attribute's type.
const nlaTypeMask = 0x3fff
