// Package readfile reads files that an operator has named, whatever is at their paths: a named
// pipe that nobody writes to must not block the program, and a device without an end must not
// use up its memory.
//
// Use [All] or [AllWithin] to get the content of a file, or [Open] to read it in parts.
package readfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// patience is how long a named pipe or a device may take to give all its data.
const patience = 5 * time.Second

// ErrTooLarge is the error of reading a file beyond its limit.
var ErrTooLarge = errors.New("too large")

// errNoWriter is the error of reading a named pipe that gives nothing. To read it as an empty
// file would lose what was there before.
var errNoWriter = errors.New("a named pipe, and nobody writes to it")

// Input is an open file. Close must be called.
type Input struct {
	file *os.File
	most int  // how many octets may be read
	read int  // how many have been read
	pipe bool // it is a named pipe
}

// Open opens a file for reading at most the given number of octets. Unlike os.Open, it does not
// wait for the writer of a named pipe.
func Open(path string, most int) (*Input, error) { return open(path, most, patience) }

func open(path string, most int, patience time.Duration) (*Input, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	_ = file.SetReadDeadline(time.Now().Add(patience)) // fails for a regular file, which has no deadlines
	return &Input{file: file, most: most, pipe: info.Mode()&os.ModeNamedPipe != 0}, nil
}

// Read implements [io.Reader]. Beyond the limit, it returns ErrTooLarge.
func (f *Input) Read(p []byte) (int, error) {
	if f.read == f.most {
		if n, err := f.file.Read(make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, fmt.Errorf("%w: only its first %d MiB are read", ErrTooLarge, f.most>>20)
	}
	n, err := f.file.Read(p[:min(len(p), f.most-f.read)])
	f.read += n
	if f.pipe && f.read == 0 && errors.Is(err, io.EOF) {
		err = errNoWriter
	}
	return n, err
}

// Close closes the file.
func (f *Input) Close() { f.file.Close() }

// All returns the content of a file of at most the given number of octets.
func All(path string, most int) ([]byte, error) { return AllWithin(path, most, patience) }

// AllWithin is All for a named pipe that may take longer than usual to give all its data.
func AllWithin(path string, most int, patience time.Duration) ([]byte, error) {
	file, err := open(path, most, patience)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}
