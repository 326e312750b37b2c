package nodelocal

import (
	"bufio"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// trimAfter is how long after its start a process gives back the memory that only the start
// needed. trimEvery is how often it then gives back the memory that it has stopped using.
const (
	trimAfter = 3 * time.Second
	trimEvery = 15 * time.Second
)

// gcPercent is the garbage collector's target percentage (GOGC) in both processes, unless
// GOGC is set. Answers from the cache allocate nothing, so the collector still runs rarely.
const gcPercent = 50

// saveMemory makes the garbage collector run earlier than by default, where a heap of half a
// megabyte grows to four before the first run. It also starts the trimming.
func saveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	go func() {
		time.Sleep(trimAfter)
		for list := programFile(); ; time.Sleep(trimEvery) {
			trim(list)
		}
	}()
}

// trim unmaps the pages of the program's file. The start has touched most of them, because
// the kernel maps 16 at a time. The small part that is still used is mapped again on use,
// without reading the file; in all this takes some tenths of a millisecond. It is worth doing
// because two such processes run on every node of a cluster.
func trim(list []mapping) {
	for _, m := range list {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(m.from), uintptr(m.to-m.from), unix.MADV_DONTNEED)
	}
}

// programFile returns the mappings of this process that trim may unmap.
func programFile() []mapping {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil
	}
	defer f.Close()
	return unchangedFiles(f)
}

// mapping is a range of addresses of this process.
type mapping struct{ from, to uint64 }

// unchangedFiles parses /proc/PID/smaps (proc_pid_smaps(5)) and returns the file mappings
// that the process cannot write to and has no changed copy of. Their pages can be read from
// the file again.
func unchangedFiles(smaps io.Reader) (list []mapping) {
	var last mapping
	fromFile := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 {
			continue
		}
		if name, isField := strings.CutSuffix(fields[0], ":"); isField {
			if name == "Anonymous" && fromFile && len(fields) > 1 && fields[1] == "0" {
				list = append(list, last)
			}
			continue
		}
		first, end, _ := strings.Cut(fields[0], "-")
		from, err := strconv.ParseUint(first, 16, 64)
		to, endErr := strconv.ParseUint(end, 16, 64)
		last = mapping{from, to}
		fromFile = err == nil && endErr == nil && from < to && len(fields) >= 6 && strings.HasPrefix(fields[1], "r-") &&
			fields[4] != "0" && strings.HasPrefix(fields[5], "/")
	}
	return list
}
