// Package cgroup reads the container's memory limit and applies it to Go's garbage
// collector.
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

// LimitMemory sets Go's soft memory limit from the container's memory limit, unless
// the environment variable GOMEMLIMIT is set or there is no limit. It returns the
// limit that it set, in octets.
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

// MemoryLimit returns the container's memory limit in octets, from version 2 or 1
// of Linux's control groups, and false if there is no limit. root is the root of the
// file system.
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

// Share returns the part of a container's memory limit, in octets, that becomes Go's
// memory limit. The rest is for memory that the Go runtime does not count.
func Share(limit int64) int64 { return limit - limit/8 }
