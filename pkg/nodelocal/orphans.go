package nodelocal

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// endOrphans kills caches whose supervisor no longer runs, and returns their process IDs.
// Such a cache normally ends by itself; one that is stopped or hangs in the kernel does not.
// It would keep its share of the ports, and the queries that the kernel hands to it would get
// no answer.
func endOrphans() (ended []int) {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil
	}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		dir := filepath.Dir(file)
		if _, ok := privateOf(line); !ok || supervised(dir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		network, netErr := os.Readlink(filepath.Join(dir, "ns", "net"))
		if err != nil || netErr != nil || network != own {
			continue // it has ports of its own
		}
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			ended = append(ended, pid)
		}
	}
	return ended
}

// supervised reports whether the parent of a process, given by its directory in /proc, is a
// supervisor or cannot be determined.
func supervised(dir string) bool {
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(status), "\nPPid:")
	parent, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
	if parent == "0" {
		return true // outside this process namespace
	}
	line, err := os.ReadFile(filepath.Join("/proc", parent, "cmdline"))
	return err != nil || bytes.Contains(line, []byte("\x00--node-local"))
}
