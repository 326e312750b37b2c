package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// threadNet is the network namespace of the thread that opens it.
const threadNet = "/proc/thread-self/ns/net"

// namespace is a network namespace. It goes once it is closed and the programs in it have
// ended. A nil one is that of the bench.
type namespace struct{ file *os.File }

// newNamespace makes one, which needs root. It has nothing but a loopback link that is down.
func newNamespace() (n *namespace, err error) {
	err = elsewhere(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() error {
		file, err := os.Open(threadNet)
		n = &namespace{file}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("making a network namespace: %w", err)
	}
	return n, nil
}

// do calls f on a thread that is in the namespace. The sockets that f opens and the programs
// that it starts stay there; the goroutines that it starts are not in it.
func (n *namespace) do(f func() error) error {
	if n == nil {
		return f()
	}
	return elsewhere(func() error { return unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET) }, f)
}

func (n *namespace) close() { _ = n.file.Close() }

// elsewhere calls f on a thread that enter has moved to another network namespace, and takes
// the thread back.
func elsewhere(enter, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open(threadNet)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err = enter(); err == nil {
		err = f()
	}
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread stays locked, and so ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}
