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

// trimAfter is how long after its start a process gives back what only the start needed,
// and trimEvery how often it does so again with what it has used since.
const (
	trimAfter = 3 * time.Second
	trimEvery = 15 * time.Second
)

// gcPercent is the garbage collector's in both processes, unless GOGC is set. Answers
// from the cache allocate nothing, so it runs seldom all the same.
const gcPercent = 50

// saveMemory makes the garbage collector run earlier than it would by itself, which lets
// a heap of half a megabyte grow to four before the first run, and trims later.
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

// trim unmaps the pages of the program's file, which the start has touched most of: the
// kernel maps 16 at a time. What runs on is mapped again when it is used, a small part of
// it, at some tenths of a millisecond in all and without reading the file. There are two
// such processes on every node of a cluster.
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

// unchangedFiles reads the format of /proc/PID/smaps (proc_pid_smaps(5)) and returns the
// mappings of files that the process cannot write to and has no changed copy of: their
// pages can be read from the file again.
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
