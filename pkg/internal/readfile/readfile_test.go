package readfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const limit = 1 << 20

// TestAll: whatever is at a path, reading it ends, with the content or an error.
func TestAll(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	fifo := func(name string) string {
		if err := syscall.Mkfifo(at(name), 0o600); err != nil {
			t.Fatal(err)
		}
		return at(name)
	}
	file := func(name, content string) string {
		if err := os.WriteFile(at(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return at(name)
	}
	if err := os.Symlink(fifo("target"), at("link")); err != nil {
		t.Fatal(err)
	}
	written := fifo("written")
	source, err := os.OpenFile(written, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(source, strings.Repeat("x", 200_000)) // more than a pipe holds
		source.Close()
	}()
	for _, tt := range []struct {
		path string
		want int // length of the content
		err  error
	}{
		{file("full", "hello"), 5, nil},
		{file("empty", ""), 0, nil},
		{os.DevNull, 0, nil},
		{written, 200_000, nil},
		{"/dev/zero", limit, ErrTooLarge},
		{fifo("nobody"), 0, errNoWriter},
		{at("link"), 0, errNoWriter},
		{dir, 0, syscall.EISDIR},
		{at("none"), 0, os.ErrNotExist},
	} {
		data, err := All(tt.path, limit)
		if len(data) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %d octets, %v; want %d, %v", tt.path, len(data), err, tt.want, tt.err)
		}
	}
}

// TestSilentPipe: a writer that writes nothing, or does not go on, is not waited for.
func TestSilentPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	for _, text := range []string{"", "the beginning"} {
		if _, err := writer.WriteString(text); err != nil {
			t.Fatal(err)
		}
		f, err := open(path, limit, 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(f); string(data) != text || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q: %q, %v", text, data, err)
		}
		f.Close()
	}
}

// TestLimit: a file of exactly the largest size can be read.
func TestLimit(t *testing.T) {
	for more, want := range map[int64]error{0: nil, 1: ErrTooLarge} {
		path := filepath.Join(t.TempDir(), "file")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(limit + more); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if data, err := All(path, limit); len(data) != limit || !errors.Is(err, want) {
			t.Errorf("%d more: %d octets, %v", more, len(data), err)
		}
	}
}
