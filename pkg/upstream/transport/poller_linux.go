package transport

import (
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/mmsg"
)

// poller waits for packets on many sockets with one goroutine. The Go runtime's poller waits
// for its epoll descriptor, so that it blocks no thread. A burst of packets on many sockets
// causes one wake-up, and the answers go to the clients in one batch.
type poller struct {
	file *os.File
	raw  syscall.RawConn
	fd   int

	mu    sync.Mutex
	socks []*socket // by slot
	free  []int32
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), fd: fd}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		_ = p.file.Close()
		return nil, err
	}
	return p, nil
}

// watchSocket adds a socket to the poller, edge-triggered.
func (p *poller) watchSocket(s *socket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		s.slot = p.free[n-1]
		p.free = p.free[:n-1]
		p.socks[s.slot] = s
	} else {
		s.slot = int32(len(p.socks))
		p.socks = append(p.socks, s)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | uint32(unix.EPOLLET&0xffffffff), Fd: s.slot}
	err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, s.fd, &ev)
	if err != nil {
		p.drop(s)
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

// remove removes a socket that is about to be closed; closing it also removes it from the
// kernel's set.
func (p *poller) remove(s *socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(s)
}

func (p *poller) drop(s *socket) {
	p.socks[s.slot] = nil
	p.free = append(p.free, s.slot)
}

// get returns the socket in a slot, and takes a reference to it, or returns nil if there is
// none.
func (p *poller) get(slot int32) *socket {
	p.mu.Lock()
	s := p.socks[slot]
	p.mu.Unlock()
	if s == nil || !s.acquire() {
		return nil
	}
	return s
}

// epollWait returns the events that are pending. It does not block, and therefore skips the
// runtime's bookkeeping for system calls.
func epollWait(fd int, events []unix.EpollEvent) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(events))),
		uintptr(len(events)), 0, 0, 0)
	return int(n), errno
}

// How much one system call receives: usually packets of up to receiveBytes.
const (
	receivePackets = 32
	receiveBytes   = 4096
)

func newInbox(payload int) *mmsg.Inbox {
	count := receivePackets
	if payload > receiveBytes {
		count /= 4
	}
	return mmsg.NewInbox(count, max(payload, receiveBytes))
}

// reader is the state that a poller's goroutine owns.
type reader struct {
	udp    *UDP
	poller *poller
	polled [64]unix.EpollEvent
	in     *mmsg.Inbox
	events Events
}

// run receives until the poller is closed.
func (r *reader) run() {
	for {
		err := r.poller.raw.Read(r.readable)
		if r.udp.closed.Load() {
			return
		}
		// Reading cannot fail while the poller is open. If it does, do not spin.
		r.udp.env.Broken(err)
		time.Sleep(time.Second)
	}
}

// readable handles all packets that have arrived. After a single packet it waits for more;
// after several it looks again, because more have probably arrived in the meantime.
func (r *reader) readable(uintptr) bool {
	for !r.udp.closed.Load() {
		n, errno := epollWait(r.poller.fd, r.polled[:])
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return true
		case n == 0:
			return false
		}
		now := r.udp.env.Now()
		packets := 0
		for i := range n {
			s := r.poller.get(r.polled[i].Fd)
			if s == nil {
				continue
			}
			packets += r.receive(s, now)
			s.release()
		}
		r.events.Flush()
		if packets < 2 {
			return false
		}
	}
	return true
}

// receive handles all packets that wait at s, and returns their number.
func (r *reader) receive(s *socket, now int64) (packets int) {
	for {
		n, errno := mmsg.Receive(s.fd, r.in.Headers)
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return packets
		default:
			// An ICMP error about a packet that this socket sent, for example a closed port.
			r.udp.failed(s, r.events)
			packets++
			continue
		}
		for i := range n {
			cut := r.in.Headers[i].Truncated()
			r.in.Headers[i].Msg.Flags = 0
			r.takePacket(s, r.in.Packet(i), cut, now)
		}
		packets += n
		if n < len(r.in.Headers) {
			return packets
		}
	}
}

// takePacket handles one packet. If parsing it panics, the question continues as if the
// packet had not come.
func (r *reader) takePacket(s *socket, msg []byte, cut bool, now int64) {
	defer func() {
		if cause := recover(); cause != nil {
			r.udp.env.Crashed(s.server, msg, cause)
		}
	}()
	r.udp.received(s, msg, cut, now, r.events)
}
