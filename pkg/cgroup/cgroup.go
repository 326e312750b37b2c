// Package cgroup reads the limits that the container sets for the process. Use
// [MemoryLimit] with os.DirFS("/"), and [Share] for Go's own memory limit.
package cgroup

import (
	"io/fs"
	"strconv"
	"strings"
)

// MemoryLimit returns the memory limit of the process's control group in octets, or
// false if there is none. It reads version 2 or 1 of Linux's control groups. root is
// the root folder of the file system.
func MemoryLimit(root fs.FS) (limit int64, limited bool) {
	for _, path := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		data, err := fs.ReadFile(root, path)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		// Without a limit the file holds "max" (version 2), or a number close to
		// 2^63 (version 1).
		if err != nil || limit <= 0 || limit >= 1<<60 {
			return 0, false
		}
		return limit, true
	}
	return 0, false
}

// Share returns the part of a container's limit that Go's memory limit may be set to.
// The remaining eighth is for memory that Go does not count, such as the kernel's
// socket buffers and the program's text.
func Share(limit int64) int64 { return limit - limit/8 }
