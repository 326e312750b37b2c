// Package cgroup reads what the container allows the process.
package cgroup

import (
	"io/fs"
	"strconv"
	"strings"
)

// MemoryLimit returns how much memory the process may take, in octets, as
// version 2 or 1 of Linux's control groups says; false if there is no limit.
// root is the file system's root folder.
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

// Share returns what of a limit is for Go's memory limit. The rest is for what
// Go does not count.
func Share(limit int64) int64 { return limit - limit/8 }
