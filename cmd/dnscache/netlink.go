package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openNetlink opens a non-blocking routing socket that hears of the given
// multicast groups (rtnetlink(7)).
func openNetlink(groups uint32) (fd int, err error) {
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

// addressWatch hears of interfaces and addresses that come and go.
type addressWatch struct {
	file *os.File
	// changed holds an item after a change.
	changed chan struct{}
}

func newAddressWatch() (*addressWatch, error) {
	fd, err := openNetlink(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err != nil {
		return nil, err
	}
	return &addressWatch{file: os.NewFile(uintptr(fd), "netlink"), changed: make(chan struct{}, 1)}, nil
}

// run fills changed until ctx ends. What the messages say does not matter: the
// receiver lists the interfaces itself.
func (w *addressWatch) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = w.file.Close() })
	defer stop()
	buf := make([]byte, 1<<16)
	for {
		_, err := w.file.Read(buf)
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// netlinkMessages calls each for the messages in b.
func netlinkMessages(b []byte, each func(typ uint16, body []byte)) {
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return
		}
		each(binary.NativeEndian.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:size])
		b = b[min(align4(size), len(b)):]
	}
}

// netlinkAttributes calls each for the attributes in b.
func netlinkAttributes(b []byte, each func(typ uint16, value []byte)) {
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
