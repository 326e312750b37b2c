// Package pidfile writes the file that tells scripts the process id.
//
// Use [Write] once the program can no longer fail to start, and [PIDFile.Remove]
// when it ends. Only a regular file is ever written, replaced or removed: a
// device such as /dev/null, a named pipe, a socket and a directory stay as they
// are, also behind a symbolic link.
package pidfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// ErrNotRegular says that the path leads to something that is neither a regular
// file nor a directory, so that nothing was written. It is wrapped with the
// path and the kind of what is there.
var ErrNotRegular = errors.New("not a regular file")

// PIDFile is a pid file that [Write] wrote.
type PIDFile struct {
	path string
	// file stays open so that no other file gets its inode number.
	file *os.File
}

// Write replaces the file at path, or a symbolic link to a regular file or to
// nothing, by a new file that holds the process id in decimal and a newline. The
// file belongs to the user uid unless that is negative. The caller must call
// Remove of the result, which is nil on error.
func Write(path string, uid int) (*PIDFile, error) {
	if err := check(path); err != nil {
		return nil, err
	}
	// Not through a link that somebody else may have put there.
	if err := syscall.Unlink(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	_, err = file.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	if uid >= 0 {
		err = errors.Join(err, file.Chown(uid, -1))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &PIDFile{path: path, file: file}, nil
}

// check reports what must not be replaced.
func check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // nothing, or a link to nothing
	case err != nil:
		return err
	case info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: syscall.EISDIR}
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is %s: %w", path, kind(info.Mode()), ErrNotRegular)
	}
	return nil
}

// kind names what is no regular file.
func kind(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeDevice != 0:
		return "a device"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a special file"
}

// Remove removes the file unless another one has taken its place. It does
// nothing for nil. Failures are left alone: the directory may belong to a user
// that the program no longer is.
func (f *PIDFile) Remove() {
	if f == nil {
		return
	}
	now, err := os.Lstat(f.path)
	written, statErr := f.file.Stat()
	if err == nil && statErr == nil && os.SameFile(now, written) {
		_ = syscall.Unlink(f.path)
	}
	f.file.Close()
}
