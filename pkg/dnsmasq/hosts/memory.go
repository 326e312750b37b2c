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
// more. If there is a new one since the last call and either is large, it gives
// the memory that is free back to the system, and makes the garbage collector
// allow for no more garbage than without the table: as the table has no pointers,
// a cycle costs no more with it. An environment with GOGC keeps its value.
func (l *Loader) Settle() {
	size := l.Table.Bytes()
	before := l.settled
	l.settled = size
	if !l.changed || max(size, before) < largeTable {
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
