package load

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// answerBytes is the most an answer to these queries has over UDP.
const answerBytes = 1500

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr  unix.Msghdr
	size uint32
}

// udp is a connected UDP socket with batched system calls, so that the load
// takes as little as possible of the machine that it shares with the server.
type udp struct {
	conn    *net.UDPConn
	raw     syscall.RawConn
	in, out []mmsghdr
	inIov   []unix.Iovec
	outIov  []unix.Iovec
	data    []byte

	n      int // result of the last call of either kind
	errno  unix.Errno
	queued int // of out
	readFn func(fd uintptr) bool
	sendFn func(fd uintptr) bool
}

func dialUDP(ctx context.Context, server netip.AddrPort, window int) (*udp, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", server.String())
	if err != nil {
		return nil, err
	}
	u := &udp{
		conn: c.(*net.UDPConn),
		in:   make([]mmsghdr, window), out: make([]mmsghdr, window),
		inIov: make([]unix.Iovec, window), outIov: make([]unix.Iovec, window),
		data: make([]byte, window*answerBytes),
	}
	if u.raw, err = u.conn.SyscallConn(); err != nil {
		_ = c.Close()
		return nil, err
	}
	for i := range window {
		u.inIov[i].Base = &u.data[i*answerBytes]
		u.inIov[i].SetLen(answerBytes)
		u.in[i].hdr.Iov = &u.inIov[i]
		u.in[i].hdr.SetIovlen(1)
		u.out[i].hdr.Iov = &u.outIov[i]
		u.out[i].hdr.SetIovlen(1)
	}
	u.readFn = func(fd uintptr) bool { return u.call(unix.SYS_RECVMMSG, fd, u.in) }
	u.sendFn = func(fd uintptr) bool { return u.call(unix.SYS_SENDMMSG, fd, u.out[:u.queued]) }
	return u, nil
}

// call returns false when the socket is not ready.
func (u *udp) call(trap, fd uintptr, hdrs []mmsghdr) bool {
	n, _, errno := unix.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(hdrs))),
		uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
	u.n, u.errno = int(n), errno
	return errno != unix.EAGAIN
}

// ready reports whether the last call worked; a server that is not there yet
// (ECONNREFUSED) only costs the timeout.
func (u *udp) ready(err error) (bool, error) {
	switch {
	case err != nil:
		return false, err
	case u.errno == unix.EINTR || u.errno == unix.ECONNREFUSED:
		return false, nil
	case u.errno != 0:
		return false, fmt.Errorf("%v: %w", u.conn.RemoteAddr(), u.errno)
	}
	return true, nil
}

func (u *udp) send(queries [][]byte) error {
	for len(queries) > 0 {
		u.queued = min(len(queries), len(u.out))
		for i, q := range queries[:u.queued] {
			u.outIov[i].Base = unsafe.SliceData(q)
			u.outIov[i].SetLen(len(q))
		}
		ok, err := u.ready(u.raw.Write(u.sendFn))
		if err != nil {
			return err
		}
		if ok {
			queries = queries[u.n:]
		}
	}
	return nil
}

func (u *udp) receive(timeout time.Duration, f func(answer []byte)) error {
	if err := u.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	for {
		ok, err := u.ready(u.raw.Read(u.readFn))
		if err != nil {
			return err
		}
		if ok {
			break
		}
	}
	for i := range u.n {
		f(u.data[i*answerBytes:][:u.in[i].size])
	}
	return nil
}

func (u *udp) close() { _ = u.conn.Close() }
