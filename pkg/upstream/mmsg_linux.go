package upstream

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2): a message and its size.
type mmsghdr struct {
	hdr  unix.Msghdr
	size uint32
}

// These calls do not block, so they skip the runtime's bookkeeping for system calls,
// which could cost them their processor.

func recvmmsg(fd int, hdrs []mmsghdr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(hdrs))),
		uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func sendmmsg(fd int, hdrs []mmsghdr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(hdrs))),
		uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// epollWait takes the events that are there.
func epollWait(fd int, events []unix.EpollEvent) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(events))),
		uintptr(len(events)), 0, 0, 0)
	return int(n), errno
}

// inbox is the memory of one recvmmsg on a connected socket.
type inbox struct {
	hdrs []mmsghdr
	iovs []unix.Iovec
	data []byte
	size int
}

// Sizes of an inbox: packets of receiveBytes in the usual case.
const (
	receivePackets = 32
	receiveBytes   = 4096
)

func newInbox(size int) *inbox {
	count := receivePackets
	if size > receiveBytes {
		count /= 4
	}
	size = max(size, receiveBytes)
	b := &inbox{
		hdrs: make([]mmsghdr, count),
		iovs: make([]unix.Iovec, count),
		data: make([]byte, count*size),
		size: size,
	}
	for i := range b.hdrs {
		b.iovs[i].Base = &b.data[i*size]
		b.iovs[i].SetLen(size)
		b.hdrs[i].hdr.Iov = &b.iovs[i]
		b.hdrs[i].hdr.SetIovlen(1)
	}
	return b
}

// packet returns packet i and whether it was longer than its room.
func (b *inbox) packet(i int) (msg []byte, cut bool) {
	start := i * b.size
	n := int(b.hdrs[i].size)
	cut = b.hdrs[i].hdr.Flags&unix.MSG_TRUNC != 0
	b.hdrs[i].hdr.Flags = 0
	return b.data[start : start+n : start+b.size], cut
}

// outbox is messages queued for one connected socket.
type outbox struct {
	hdrs [sendPackets]mmsghdr
	iovs [sendPackets]unix.Iovec
	data [sendPackets * sendBytes]byte
	n    int
	used int
}

const (
	sendPackets = 32
	// sendBytes holds any query that we make: header, name, type and class, OPT.
	sendBytes = 12 + 255 + 4 + 11
)

func newOutbox() *outbox {
	b := new(outbox)
	for i := range b.hdrs {
		b.hdrs[i].hdr.Iov = &b.iovs[i]
		b.hdrs[i].hdr.SetIovlen(1)
	}
	return b
}

// space returns room for one more message, which put then queues.
func (b *outbox) space() []byte { return b.data[b.used:b.used:len(b.data)] }

func (b *outbox) put(msg []byte) (full bool) {
	b.iovs[b.n].Base = &b.data[b.used]
	b.iovs[b.n].SetLen(len(msg))
	b.n++
	b.used += len(msg)
	return b.n == sendPackets
}

func (b *outbox) reset() { b.n, b.used = 0, 0 }

// send sends all messages. An error of the socket ends it; a full send buffer
// drops the rest, which the retries make good.
func (b *outbox) send(fd int) unix.Errno {
	for i := 0; i < b.n; {
		n, errno := sendmmsg(fd, b.hdrs[i:b.n])
		switch errno {
		case 0:
			i += n
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS:
			return 0
		default:
			return errno
		}
	}
	return 0
}
