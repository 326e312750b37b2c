// Package mmsg moves batches of UDP packets with one system call each, by
// recvmmsg(2) and sendmmsg(2).
//
// Use [NewInbox] to receive, [NewQueue] to send messages that somebody else
// keeps, and [NewOutbox] to send messages that are built in its own memory. None
// of them allocates after it was made, and none may be used by two goroutines
// at a time. Addresses and control messages are the caller's: set them through
// [Header.Msg].
//
// No call in this package blocks, so all of them skip the runtime's bookkeeping
// for system calls. With it, a long batch would lose its processor to the
// runtime's monitor thread and pay to get it back, which made an echo server
// 20 % slower.
package mmsg

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Header is struct mmsghdr of recvmmsg(2).
type Header struct {
	// Msg is the message: its buffers, peer address, control data and flags.
	Msg unix.Msghdr
	// Size is the number of octets received or sent, set by the kernel.
	Size uint32
}

// Truncated reports whether the packet was longer than its buffer.
func (h *Header) Truncated() bool { return h.Msg.Flags&unix.MSG_TRUNC != 0 }

// Receive receives the packets that wait at fd, at most len(hdrs), and returns
// how many it received. The error is EAGAIN when none waits.
func Receive(fd int, hdrs []Header) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(hdrs))),
		uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// Send sends hdrs in order and returns how many it sent before the first that
// failed. An error means that the very first failed; it is EAGAIN when the
// send buffer is full.
func Send(fd int, hdrs []Header) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(hdrs))),
		uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// Inbox is the memory of one [Receive].
type Inbox struct {
	// Headers has one element for each packet of a batch.
	Headers []Header
	iovs    []unix.Iovec
	data    []byte
	size    int // octets of data for each packet
}

// NewInbox returns the memory for batches of count packets of up to size octets
// each; longer ones arrive truncated.
func NewInbox(count, size int) *Inbox {
	in := &Inbox{
		Headers: make([]Header, count),
		iovs:    make([]unix.Iovec, count),
		data:    make([]byte, count*size),
		size:    size,
	}
	for i := range in.Headers {
		in.iovs[i].Base = &in.data[i*size]
		in.iovs[i].SetLen(size)
		in.Headers[i].Msg.Iov = &in.iovs[i]
		in.Headers[i].Msg.SetIovlen(1)
	}
	return in
}

// Packet returns the octets of packet i. The caller may change them until the
// next Receive.
func (in *Inbox) Packet(i int) []byte {
	start := i * in.size
	return in.data[start : start+int(in.Headers[i].Size) : start+in.size]
}

// Queue collects messages to send with one system call. It does not copy them:
// they must stay unchanged until Flush.
type Queue struct {
	// Headers has one element for each message of a batch.
	Headers []Header
	iovs    []unix.Iovec
	n       int // messages queued
}

// NewQueue returns a queue for batches of count messages.
func NewQueue(count int) *Queue {
	q := &Queue{Headers: make([]Header, count), iovs: make([]unix.Iovec, count)}
	for i := range q.Headers {
		q.Headers[i].Msg.Iov = &q.iovs[i]
		q.Headers[i].Msg.SetIovlen(1)
	}
	return q
}

// Len returns the number of messages queued.
func (q *Queue) Len() int { return q.n }

// Full reports whether the queue must be flushed before another message.
func (q *Queue) Full() bool { return q.n == len(q.Headers) }

// Add queues msg and returns its header, in which the caller may set a peer
// address and control data. The queue must not be full.
func (q *Queue) Add(msg []byte) *Header {
	i := q.n
	q.iovs[i].Base = unsafe.SliceData(msg)
	q.iovs[i].SetLen(len(msg))
	q.n++
	return &q.Headers[i]
}

// Drop forgets the queued messages without sending them.
func (q *Queue) Drop() { q.n = 0 }

// Release lets the garbage collector have the messages that were sent last. It
// is for queues that are kept for long after a Flush.
func (q *Queue) Release() {
	for i := range q.iovs {
		q.iovs[i].Base = nil
	}
}

// Flush sends and forgets the queued messages. A message that cannot be sent is
// skipped, except that a full send buffer drops all the rest: waiting would hold
// up everybody else. Flush returns the number sent and the last error.
func (q *Queue) Flush(fd int) (sent int, last unix.Errno) {
	for i := 0; i < q.n; {
		n, errno := Send(fd, q.Headers[i:q.n])
		switch errno {
		case 0:
			sent += n
			i += n
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS:
			last = errno
			i = q.n
		default:
			last = errno
			i++
		}
	}
	q.n = 0
	return sent, last
}

// Outbox is a [Queue] with memory of its own for the messages:
//
//	if out.Full() || out.Room() < likely { out.Flush(fd) }
//	out.Put(appendMessage(out.Space(), ...))
//
// A message that turns out larger than the space that was left goes to memory
// of its own, by append, and is sent all the same. So a wrong guess of a size
// costs an allocation and never a crash.
type Outbox struct {
	*Queue
	data []byte
	used int // octets of data in use
}

// NewOutbox returns an outbox for batches of count messages with size octets of
// memory together.
func NewOutbox(count, size int) *Outbox {
	return &Outbox{Queue: NewQueue(count), data: make([]byte, size)}
}

// Room returns the capacity of the next Space, in octets.
func (b *Outbox) Room() int { return len(b.data) - b.used }

// Space returns an empty slice to which the next message may be appended.
func (b *Outbox) Space() []byte { return b.data[b.used:b.used] }

// Put queues msg, which is what was appended to Space, and returns its header.
// The outbox must not be full.
func (b *Outbox) Put(msg []byte) *Header {
	if len(msg) > 0 && b.used < len(b.data) && &msg[0] == &b.data[b.used] {
		b.used += len(msg)
	}
	return b.Add(msg)
}

// Flush sends and forgets the queued messages as [Queue.Flush] does.
func (b *Outbox) Flush(fd int) (sent int, last unix.Errno) {
	sent, last = b.Queue.Flush(fd)
	b.Release() // an outsized message must not stay in memory
	b.used = 0
	return sent, last
}
