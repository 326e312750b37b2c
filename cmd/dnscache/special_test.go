package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// The files that --pid-file and --log-facility name keep their type and owner if they are
// special files. A device in a temporary directory stands for /dev/null.
func TestSpecialFilesStay(t *testing.T) {
	dir := t.TempDir()
	device, fifo, folder := filepath.Join(dir, "device"), filepath.Join(dir, "fifo"), filepath.Join(dir, "folder")
	paths := []string{fifo, folder}
	if err := unix.Mknod(device, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err == nil {
		paths = append(paths, device)
	} else if !errors.Is(err, syscall.EPERM) {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Mkfifo(fifo, 0o600), os.Mkdir(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if err := os.Symlink(path, path+"-link"); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path+"-link")
	}
	for _, option := range []string{"--pid-file=", "--log-facility="} {
		for _, path := range paths {
			t.Run(option+filepath.Base(path), func(t *testing.T) {
				before, err := os.Lstat(path)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(path, "folder") {
					log := &testkit.Buffer{}
					code := run(context.Background(), []string{"--conf-file=", "--no-resolv", "--port=5353", "--listen-address=127.0.0.1", option + path},
						env{stdin: strings.NewReader(""), stdout: log, stderr: log})
					if code != 3 || !strings.Contains(log.String(), path+": Is a directory") {
						t.Errorf("exit code %d:\n%s", code, log)
					}
				} else {
					in := start(t, option+path)
					if option == "--pid-file=" {
						in.logged("warning: not writing a pid file: " + path + " is a (device|named pipe): not a regular file; .*")
					}
					in.signals <- syscall.SIGUSR2
					in.signals <- syscall.SIGINT
					if code := in.wait(); code != 0 {
						t.Errorf("exit code %d", code)
					}
				}
				after, err := os.Lstat(path)
				if err != nil || !os.SameFile(before, after) || before.Mode() != after.Mode() ||
					before.Sys().(*syscall.Stat_t).Uid != after.Sys().(*syscall.Stat_t).Uid {
					t.Errorf("%s changed: %+v, then %+v, %v", path, before, after, err)
				}
			})
		}
	}
}

// Only a log that is a regular file gets the user that the program becomes.
