package listener

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2): a message and the octets received
// or sent.
type mmsghdr struct {
	hdr  unix.Msghdr
	size uint32
}

// recvmmsg takes what waits at fd, up to len(hdrs) packets, without blocking.
//
// Neither it nor sendmmsg blocks, so they skip the runtime's bookkeeping for
// system calls: a long batch would else lose its processor to the monitor
// thread and pay for getting it back, which made an echo 20 % dearer.
func recvmmsg(fd uintptr, hdrs []mmsghdr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(unsafe.SliceData(hdrs))),
		uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// sendmmsg sends hdrs without blocking and returns how many were sent before
// the first that failed; an error means that the very first failed.
func sendmmsg(fd uintptr, hdrs []mmsghdr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(unsafe.SliceData(hdrs))),
		uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// incoming is the memory of one recvmmsg.
type incoming struct {
	hdrs     []mmsghdr
	iovs     []unix.Iovec
	peers    []sockaddr
	controls [][controlBytes]byte
	data     []byte
	size     int // of one packet's part of data
	nameLen  uint32
	ctlLen   int // 0 where the local address is known
}

// newIncoming returns the memory for batches of count packets of up to size
// octets; pktinfo says whether control messages are wanted.
func newIncoming(count, size int, v6, pktinfo bool) *incoming {
	in := &incoming{
		hdrs:    make([]mmsghdr, count),
		iovs:    make([]unix.Iovec, count),
		peers:   make([]sockaddr, count),
		data:    make([]byte, count*size),
		size:    size,
		nameLen: nameBytes(v6),
	}
	if pktinfo {
		in.controls = make([][controlBytes]byte, count)
		in.ctlLen = controlBytes
	}
	for i := range in.hdrs {
		in.iovs[i].Base = &in.data[i*size]
		in.iovs[i].SetLen(size)
		h := &in.hdrs[i].hdr
		h.Name = &in.peers[i][0]
		h.Iov = &in.iovs[i]
		h.SetIovlen(1)
		if pktinfo {
			h.Control = &in.controls[i][0]
		}
		in.reset(i)
	}
	return in
}

// reset readies slot i for the next packet: the kernel overwrote the lengths.
func (in *incoming) reset(i int) {
	h := &in.hdrs[i].hdr
	h.Namelen = in.nameLen
	h.SetControllen(in.ctlLen)
	h.Flags = 0
}

// packet returns the octets of slot i. Writing to them does no harm.
func (in *incoming) packet(i int) []byte {
	start := i * in.size
	return in.data[start : start+int(in.hdrs[i].size) : start+in.size]
}

// local returns the local address of slot i as the kernel told it.
func (in *incoming) local(i int) netip.Addr {
	return localOf(in.controls[i][:min(in.hdrs[i].hdr.Controllen, controlBytes)])
}

// outgoing is the memory of one sendmmsg. The messages themselves belong to
// its user and must stay until flush.
type outgoing struct {
	hdrs     []mmsghdr
	iovs     []unix.Iovec
	peers    []sockaddr
	controls []control
	n        int
}

// newOutgoing returns the memory for batches of count packets on a socket of
// the given family.
func newOutgoing(count int, v6 bool) *outgoing {
	out := &outgoing{
		hdrs:     make([]mmsghdr, count),
		iovs:     make([]unix.Iovec, count),
		peers:    make([]sockaddr, count),
		controls: make([]control, count),
	}
	for i := range out.hdrs {
		h := &out.hdrs[i].hdr
		h.Name = &out.peers[i][0]
		h.Namelen = nameBytes(v6)
		h.Iov = &out.iovs[i]
		h.SetIovlen(1)
		h.Control = &out.controls[i][0]
	}
	return out
}

// full reports whether add needs a flush first.
func (out *outgoing) full() bool { return out.n == len(out.hdrs) }

// add queues msg, which must not be empty, to the peer in from; a valid local
// is the address to leave from. out must not be full.
func (out *outgoing) add(msg []byte, from *sockaddr, local netip.Addr) {
	i := out.n
	out.peers[i] = *from
	out.put(i, msg, local)
}

// addTo is add for a peer that was not just received from.
func (out *outgoing) addTo(msg []byte, peer netip.AddrPort, scope uint32, local netip.Addr) {
	i := out.n
	out.peers[i].set(peer, scope)
	out.put(i, msg, local)
}

func (out *outgoing) put(i int, msg []byte, local netip.Addr) {
	out.iovs[i].Base = unsafe.SliceData(msg)
	out.iovs[i].SetLen(len(msg))
	ctl := 0
	if local.IsValid() {
		ctl = out.controls[i].setLocal(local)
	}
	out.hdrs[i].hdr.SetControllen(ctl)
	out.n++
}

// flush sends what was added. A message that fails is left out and the rest
// goes on, except that a full send buffer drops the rest: waiting would hold
// up every other client. It returns the number sent and the last error.
func (out *outgoing) flush(fd uintptr) (sent int, last unix.Errno) {
	for i := 0; i < out.n; {
		n, errno := sendmmsg(fd, out.hdrs[i:out.n])
		switch errno {
		case 0:
			sent += n
			i += n
		case unix.EINTR:
		case unix.EAGAIN:
			last = errno
			i = out.n
		default:
			last = errno
			i++
		}
	}
	out.n = 0
	return sent, last
}

// nameBytes is the length of a socket address of the family.
func nameBytes(v6 bool) uint32 {
	if v6 {
		return unix.SizeofSockaddrInet6
	}
	return unix.SizeofSockaddrInet4
}
