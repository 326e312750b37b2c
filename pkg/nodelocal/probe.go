package nodelocal

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// question is a query for cachesize.bind, type TXT, class CH. dnscache answers it without an
// upstream server, so that a check does not depend on the cluster's DNS.
const question = "\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09cachesize\x04bind\x00\x00\x10\x00\x03"

// notImplemented is the response code with which dnscache answers questions of class CH that it
// does not know, such as this one with --no-ident.
const notImplemented = 4

// nameError is the response code for a name that does not exist (NXDOMAIN).
const nameError = 3

// The faults of an answer.
var (
	errBadAnswer = errors.New("the answer is an error")
	errNoAnswer  = errors.New("no answer")
)

// reach sends question to an address and returns an error unless it is answered within
// patience, in whatever way. The address may answer with an error, for example because another
// client there has exceeded --rate-limit, and still be reached.
func reach(at netip.AddrPort, patience time.Duration) error {
	if err := ask(at, patience); !errors.Is(err, errBadAnswer) {
		return err
	}
	return nil
}

// ask sends question to an address and returns an error unless a good answer comes within
// patience.
func ask(at netip.AddrPort, patience time.Duration) error {
	var query [len(question)]byte
	copy(query[:], question)
	return exchange(at, patience, query[:], func(reply []byte) bool {
		rcode := reply[3] & 0xf
		return rcode == notImplemented || rcode == 0 && binary.BigEndian.Uint16(reply[6:]) > 0
	})
}

// askUpstream asks the cache at an address about a random name below one that its upstream
// servers know. It returns an error unless they say within patience whether the name exists.
func askUpstream(at netip.AddrPort, name string, patience time.Duration) error {
	query := append(make([]byte, 0, 300), "\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"...)
	for label := range strings.SplitSeq("ready-"+strconv.FormatUint(rand.Uint64(), 36)+"."+strings.TrimSuffix(name, "."), ".") {
		query = append(append(query, byte(len(label))), label...)
	}
	query = append(query, "\x00\x00\x01\x00\x01"...) // type A, class IN
	return exchange(at, patience, query, func(reply []byte) bool {
		rcode := reply[3] & 0xf
		return rcode == 0 || rcode == nameError
	})
}

// exchange sends a query, whose ID it sets, to an address. It returns an error unless an answer
// comes within patience for which good returns true. It blocks an operating-system thread while
// it waits. It is called twice a second for as long as the node runs, so it uses as few resources
// as it can.
func exchange(at netip.AddrPort, patience time.Duration, query []byte, good func(reply []byte) bool) error {
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Connect(fd, to); err != nil {
		return err
	}
	end := time.Now().Add(patience)
	id := uint16(end.UnixNano())
	binary.BigEndian.PutUint16(query, id)
	if _, err := unix.Write(fd, query); err != nil {
		return err
	}
	return await(fd, id, end, good)
}

// await reads until the answer with the given id has come, or until end.
func await(fd int, id uint16, end time.Time, good func(reply []byte) bool) error {
	var reply [512]byte
	for {
		left := time.Until(end)
		if left <= 0 {
			return errNoAnswer
		}
		// A timeout of 0 would wait forever.
		timeout := unix.NsecToTimeval(max(left, time.Millisecond).Nanoseconds())
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
			return err
		}
		n, err := unix.Read(fd, reply[:])
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case n < 12 || binary.BigEndian.Uint16(reply[:]) != id:
			continue
		case reply[2]&0x80 == 0, !good(reply[:n]):
			return errBadAnswer
		}
		return nil
	}
}
