// Package cgroup reads the limits that a container sets for the process, and
// tells the garbage collector about them.
//
// Use [LimitMemory] at the start of a program.
package cgroup

import (
	"io/fs"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// LimitMemory sets Go's soft memory limit from the container's limit, unless
// the environment sets GOMEMLIMIT or there is no limit. It returns what it set,
// in octets.
func LimitMemory() (limit int64, set bool) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0, false
	}
	limit, limited := MemoryLimit(os.DirFS("/"))
	if !limited {
		return 0, false
	}
	limit = Share(limit)
	debug.SetMemoryLimit(limit)
	return limit, true
}

// MemoryLimit returns how much memory the process may use, in octets, according
// to version 2 or 1 of Linux's control groups; false if there is no limit. root
// is the root directory of the file system.
func MemoryLimit(root fs.FS) (limit int64, limited bool) {
	for _, path := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		data, err := fs.ReadFile(root, path)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		// Without a limit the file says "max", or a number near the largest.
		if err != nil || limit <= 0 || limit >= 1<<60 {
			return 0, false
		}
		return limit, true
	}
	return 0, false
}

// Share returns the part of a container's limit that is for Go's memory limit.
// The rest is for what Go does not count.
func Share(limit int64) int64 { return limit - limit/8 }
