package hosts

import (
	"os"
	"runtime"
	"runtime/debug"
)

// largeTable is from how many octets on a table matters to the garbage collector.
const largeTable = 1 << 20

// leastPercent keeps the garbage collector from running all the time where there
// is little beside the table.
const leastPercent = 20

// Settle is to be called when Table is in use and no one uses an older one any
// more. others is the size of other lasting data that may have been made anew with
// it, in octets. If there is a new table since the last call, or other data, and all
// together is or was large, it gives the memory that is free back to the system, and
// makes the garbage collector allow for no more garbage than without them: there is
// little garbage between changes, and as the table has no pointers, a cycle costs no
// more with it. An environment with GOGC keeps its value.
func (l *Loader) Settle(others int) {
	size := l.Table.Bytes() + others
	before := l.settled
	l.settled = size
	if !l.changed && others == 0 || max(size, before) < largeTable {
		return
	}
	l.changed = false
	debug.FreeOSMemory()
	if os.Getenv("GOGC") != "" {
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(gcPercent(int(m.HeapAlloc), size))
}

// gcPercent returns how much garbage there may be, in percent of the live heap,
// for as much as 100 percent of what is not the table.
func gcPercent(live, table int) int {
	return min(max(100*(live-table)/max(live, 1), leastPercent), 100)
}
