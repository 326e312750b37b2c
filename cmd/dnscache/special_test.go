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

	"github.com/kube-dns/kube-dns/test/dnstest"
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

// A file that is removed, or becomes a directory or a named pipe to which nobody writes, does not
// stop the program, and leaves it its servers.
func TestFilesBecomeSpecial(t *testing.T) {
	up := upstreamServer(t, "192.0.2.1", nil)
	dir := t.TempDir()
	resolv, servers, hosts := filepath.Join(dir, "resolv"), filepath.Join(dir, "servers"), filepath.Join(dir, "hosts")
	dnstest.Replace(t, resolv, "nameserver 192.0.2.2\n")
	dnstest.Replace(t, servers, "server=/a.example/"+up.option()+"\n")
	dnstest.Replace(t, hosts, "192.0.2.3 h.example\n")
	if err := os.Mkdir(filepath.Join(dir, "hosts.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	in := start(t, "--resolv-file="+resolv, "--servers-file="+servers, "--no-hosts", "--addn-hosts="+hosts, "--hostsdir="+filepath.Join(dir, "hosts.d"))
	in.logged(`using nameserver 192\.0\.2\.2#53`)
	for text, create := range map[string]func(string) error{
		"No such file or directory": func(string) error { return nil },
		"Is a directory":            func(path string) error { return os.Mkdir(path, 0o755) },
		"a named pipe, and nobody writes to it": func(path string) error {
			return unix.Mkfifo(path, 0o600)
		},
	} {
		for _, path := range []string{resolv, servers, hosts, filepath.Join(dir, "hosts.d")} {
			if err := errors.Join(os.RemoveAll(path), create(path)); err != nil {
				t.Fatal(err)
			}
		}
		in.signals <- syscall.SIGHUP
		in.logged("failed to (access|read) " + resolv + ": " + text)
		in.logged("cannot read " + servers + ": " + text)
		if text != "Is a directory" { // of hosts files
			in.logged("failed to load names from " + hosts + ": " + text)
		}
		if got := in.answers("a.example"); got != "NOERROR 192.0.2.1" {
			t.Errorf("%s: the answer is %s", text, got)
		}
	}
}

// A program whose options are in a named pipe to which nobody writes ends with an error.
func TestOptionsInNamedPipe(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for option, want := range map[string]string{
		"--conf-file=": "cannot read " + fifo + ": a named pipe, and nobody writes to it",
		"--domain=# --no-hosts --conf-file= --resolv-file=": "failed to read " + fifo + ": a named pipe, and nobody writes to it",
		"--conf-file= --conf-dir=":                          "cannot access directory " + fifo + ": not a directory",
	} {
		log := &testkit.Buffer{}
		code := run(context.Background(), strings.Fields(option+fifo), env{stdin: strings.NewReader(""), stdout: log, stderr: log})
		if code != 3 || !strings.Contains(log.String(), want) {
			t.Errorf("%s: exit code %d:\n%s", option, code, log)
		}
	}
}

// Only a log that is a regular file gets the user that the program becomes.
