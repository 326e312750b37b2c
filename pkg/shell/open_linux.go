package shell

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// fifoPoll is how often to check whether the other end of a FIFO is open.
const fifoPoll = 10 * time.Millisecond

// openFile opens a file for a redirection. To open a FIFO normally would wait in the
// kernel, without a deadline, for its other end. Therefore it is opened without waiting
// and polled until ctx ends. Reading and writing also end with ctx. Errors of the file are
// *os.PathError, which the shell prints.
func openFile(ctx context.Context, dir, path string, flag int, perm os.FileMode) (io.ReadWriteCloser, error) {
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return os.OpenFile(path, flag, perm)
	}
	ticker := time.NewTicker(fifoPoll)
	defer ticker.Stop()
	var f *os.File
	for {
		if f == nil {
			// ENXIO: opened for writing, and nobody reads.
			if f, err = os.OpenFile(path, flag|unix.O_NONBLOCK, perm); err != nil && !errors.Is(err, unix.ENXIO) {
				return nil, err
			}
		}
		if f != nil && (flag&(os.O_WRONLY|os.O_RDWR) != 0 || readable(f)) {
			context.AfterFunc(ctx, func() { _ = f.SetDeadline(time.Unix(1, 0)) }) // fails once f is closed
			return f, nil
		}
		select {
		case <-ctx.Done():
			if f != nil {
				f.Close()
			}
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

// readable reports whether a FIFO has something to read, or had a writer that has closed
// it. If it never had a writer, reading it would look like an empty file.
func readable(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return true // let the read say what is wrong
	}
	ready := false
	err = conn.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		ready = n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
	return ready || err != nil
}
