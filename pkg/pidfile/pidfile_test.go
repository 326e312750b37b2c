package pidfile

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// special makes things that are no regular files, by name. A character device
// of a temporary directory stands for /dev/null, which no test may touch.
func special(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	paths := map[string]string{}
	make := func(name string, err error) {
		t.Helper()
		if errors.Is(err, syscall.EPERM) {
			t.Logf("no right to make a %s", name)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		paths[name] = filepath.Join(dir, name)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	make("device", unix.Mknod(at("device"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	make("fifo", unix.Mkfifo(at("fifo"), 0o600))
	make("directory", os.Mkdir(at("directory"), 0o755))
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: at("socket")})
	make("socket", err)
	t.Cleanup(func() { _ = socket.Close() })
	for _, name := range []string{"device", "fifo", "directory", "socket"} {
		if paths[name] != "" {
			make("link-to-"+name, os.Symlink(paths[name], at("link-to-"+name)))
		}
	}
	make("link-to-itself", os.Symlink(at("link-to-itself"), at("link-to-itself")))
	return paths
}

func TestOnlyRegularFilesAreReplaced(t *testing.T) {
	for name, path := range special(t) {
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Write(path, -1)
		if err == nil {
			t.Errorf("%s: written", name)
		}
		if base := filepath.Base(name); base == "device" || base == "fifo" || base == "socket" {
			if !errors.Is(err, ErrNotRegular) {
				t.Errorf("%s: %v is not ErrNotRegular", name, err)
			}
		}
		f.Remove()
		after, err := os.Lstat(path)
		if err != nil || after.Mode() != before.Mode() || !os.SameFile(before, after) {
			t.Errorf("%s was replaced: %v, now %v, %v", name, before.Mode(), after, err)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	for name, set := range map[string]func(path string) error{
		"new":          func(string) error { return nil },
		"old":          func(path string) error { return os.WriteFile(path, []byte("1234567890\n"), 0o600) },
		"link":         func(path string) error { return os.Symlink(filepath.Join(dir, "victim"), path) },
		"link to file": func(path string) error { return os.Symlink(filepath.Join(dir, "precious"), path) },
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "precious"), []byte("x"), 0o600), set(path)); err != nil {
			t.Fatal(err)
		}
		f, err := Write(path, os.Getuid())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != strconv.Itoa(os.Getpid())+"\n" {
			t.Errorf("%s: holds %q, %v", name, got, err)
		}
		f.Remove()
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: still there: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "victim")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("written through a link: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "precious")); err != nil || string(got) != "x" {
		t.Errorf("the target of a link now holds %q, %v", got, err)
	}
	if _, err := Write(filepath.Join(dir, "none", "pid"), -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a missing directory: %v", err)
	}
}

// A file that another instance has written meanwhile stays.
func TestRemoveLeavesTheFilesOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	first, err := Write(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Write(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	first.Remove()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the other's file: %v", err)
	}
	second.Remove()
}
