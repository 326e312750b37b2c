package nodelocal

import (
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A cache passes duplicates of its sockets to the supervisor once it has bound them. If the
// cache ends unexpectedly, the kernel goes on queueing the queries that arrive, and the next
// cache, which gets the same sockets, answers them. Thus a crash loses only the queries that
// the cache had already read, even at addresses that no rule leads elsewhere.

// Sockets are the sockets of each address of a cache: a TCP listener, then UDP sockets.
type Sockets = map[netip.AddrPort][]*os.File

// Descriptors of a cache besides the standard ones: the pipe with the supervisor's state, the
// socket over which it passes its sockets to the supervisor, and the first of those that it
// inherits.
const (
	stateFD = 3 + iota
	handOverFD
	inheritedFD
)

// maxHanded is the largest number of descriptors that one message can carry (SCM_MAX_FD in the
// kernel).
const maxHanded = 253

// held are the sockets that the supervisor holds, by address. Only the supervisor's goroutine
// uses it.
type held map[netip.AddrPort][]int

// set replaces the sockets of an address.
func (h held) set(addr netip.AddrPort, fds []int) {
	closeAll(h[addr])
	h[addr] = fds
}

// release closes all sockets.
func (h held) release() {
	for addr, fds := range h {
		closeAll(fds)
		delete(h, addr)
	}
}

// files returns duplicates of all sockets in the order in which a cache inherits them, and the
// text that describes them to it. It returns nothing if not every one of addrs has its sockets,
// or if they cannot be duplicated; the cache then binds new ones.
func (h held) files(addrs []netip.Addr) (files []*os.File, text string) {
	for _, addr := range addrs {
		at := netip.AddrPortFrom(addr, dnsPort)
		if len(h[at]) == 0 {
			closeFiles(files)
			return nil, ""
		}
		text += " " + at.String() + " " + strconv.Itoa(len(h[at]))
		for _, fd := range h[at] {
			fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				closeFiles(files)
				return nil, ""
			}
			files = append(files, os.NewFile(uintptr(fd), at.String()))
		}
	}
	return files, text
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// inherited returns the sockets that text, which [held.files] made, describes to this process.
func inherited(text string) Sockets {
	fields := strings.Fields(text)
	sockets, fd := Sockets{}, inheritedFD
	for i := 0; i+1 < len(fields); i += 2 {
		at, err := netip.ParseAddrPort(fields[i])
		n, countErr := strconv.Atoi(fields[i+1])
		if err != nil || countErr != nil {
			break
		}
		for range n {
			syscall.CloseOnExec(fd)
			sockets[at] = append(sockets[at], os.NewFile(uintptr(fd), at.String()))
			fd++
		}
	}
	return sockets
}

// Inherited returns the sockets of the previous cache, if there was one and the supervisor has
// held them. The caller takes over the files. A nil *Node has none.
func (n *Node) Inherited() Sockets {
	if n == nil {
		return nil
	}
	return n.inherited
}

// HandOver passes duplicates of the cache's sockets, which the function duplicate makes, to the
// supervisor. It must be called once, when all addresses have been bound. A nil *Node ignores it.
// It returns an error if the supervisor will not be able to ask this cache. If it fails in
// another way, the supervisor only has no sockets to pass on.
func (n *Node) HandOver(duplicate func() (Sockets, error)) error {
	if n == nil {
		return nil
	}
	defer n.handOver.Close()
	for _, unused := range n.inherited { // nobody would read them
		closeFiles(unused)
	}
	sockets, err := duplicate()
	if err != nil {
		return nil // the next cache then binds new ones
	}
	private := false
	for at, files := range sockets {
		if isPrivate(at.Addr()) {
			private = private || at.Port() == dnsPort
		} else {
			n.pass(at, files)
		}
		closeFiles(files)
	}
	if !private {
		return errNotAsked
	}
	return nil
}

// pass sends the sockets of an address to the supervisor.
func (n *Node) pass(at netip.AddrPort, files []*os.File) {
	if len(files) > maxHanded {
		return
	}
	fds := make([]int, len(files))
	for i, f := range files {
		raw, err := f.SyscallConn()
		if err != nil {
			return
		}
		_ = raw.Control(func(fd uintptr) { fds[i] = int(fd) })
	}
	_ = unix.Sendmsg(int(n.handOver.Fd()), []byte(at.String()), unix.UnixRights(fds...), nil, 0)
}

// errNotAsked means that the supervisor's checks could never be answered.
var errNotAsked = errors.New("the cache does not listen on port 53 of its private loopback address, where --node-local checks it; remove --port and --except-interface")

// receiveSockets passes the sockets that a cache hands over at conn to got, until the cache
// has handed over all. It closes conn.
func receiveSockets(conn *os.File, got func(netip.AddrPort, []int)) {
	defer conn.Close()
	var text [64]byte
	var rights [unix.SizeofCmsghdr + 4*(maxHanded+1)]byte
	for {
		n, rn, _, _, err := unix.Recvmsg(int(conn.Fd()), text[:], rights[:], unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		var fds []int
		messages, _ := unix.ParseSocketControlMessage(rights[:rn])
		for i := range messages {
			list, _ := unix.ParseUnixRights(&messages[i])
			fds = append(fds, list...)
		}
		at, err := netip.ParseAddrPort(string(text[:n]))
		if err != nil || len(fds) == 0 {
			closeAll(fds)
			continue
		}
		got(at, fds)
	}
}

// handOverPair returns the two ends of the connection over which a cache hands over its
// sockets: the supervisor's and the cache's.
func handOverPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "handover"), os.NewFile(uintptr(fds[1]), "handover"), nil
}
