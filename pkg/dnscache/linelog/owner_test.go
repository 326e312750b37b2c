package linelog

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLogOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	dir := t.TempDir()
	fifo, file := filepath.Join(dir, "fifo"), filepath.Join(dir, "file")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]uint32{fifo: 0, file: 4711} {
		log, err := Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Chown(4711); err != nil {
			t.Error(err)
		}
		log.Close()
		info, err := os.Stat(path)
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != want {
			t.Errorf("%s: owner %+v, %v; want %d", path, info.Sys(), err, want)
		}
	}
}
