package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/pkg/cgroup"
	"github.com/kube-dns/kube-dns/test/addon"
)

// memoryGroup is a control group with a memory limit.
type memoryGroup struct {
	dir   string
	limit int64
	peak  string // file with the most memory ever used
}

// newMemoryGroup makes a group, of version 1 or 2, whichever this machine has.
// Without the right to make one the test is skipped.
func newMemoryGroup(t *testing.T, limit int64) *memoryGroup {
	t.Helper()
	var root string
	files := map[string]string{}
	g := &memoryGroup{limit: limit}
	switch {
	case isFile("/sys/fs/cgroup/memory/memory.limit_in_bytes"):
		root = "/sys/fs/cgroup/memory"
		files["memory.limit_in_bytes"] = strconv.FormatInt(limit, 10)
		g.peak = "memory.max_usage_in_bytes"
	case isFile("/sys/fs/cgroup/cgroup.controllers"):
		root = "/sys/fs/cgroup"
		_ = os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+memory"), 0)
		files["memory.max"] = strconv.FormatInt(limit, 10)
		files["memory.swap.max"] = "0"
		g.peak = "memory.peak"
	default:
		t.Skip("no memory control group is mounted at /sys/fs/cgroup")
	}
	g.dir = filepath.Join(root, fmt.Sprintf("kube-dns-attack-%d-%d", os.Getpid(), time.Now().UnixNano()))
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Skipf("cannot make a memory control group (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		for range 100 { // the processes may still be ending
			if os.Remove(g.dir) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("cannot remove %s", g.dir)
	})
	for name, value := range files {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(value), 0); err != nil && name != "memory.swap.max" {
			t.Skipf("cannot limit memory: %v", err)
		}
	}
	return g
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// start runs a program in the group, as a container with that limit would.
func (g *memoryGroup) start(t *testing.T, env []string, path string, args ...string) *addon.Process {
	t.Helper()
	shell := []string{"-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(g.dir, "cgroup.procs"), path}
	// In a container the program reads its limit itself; here the file system
	// shows it the machine's.
	env = append(env, "GOMEMLIMIT="+strconv.FormatInt(cgroup.Share(g.limit), 10))
	return addon.StartEnv(t, env, "/bin/sh", append(shell, args...)...)
}

// used returns the most memory that the group ever used, in MiB.
func (g *memoryGroup) used() int64 {
	text, err := os.ReadFile(filepath.Join(g.dir, g.peak))
	if err != nil {
		return -1
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return -1
	}
	return n >> 20
}
