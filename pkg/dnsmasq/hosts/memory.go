package hosts

import (
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// largeTable is the size, in octets, from which on a table matters to the garbage collector.
const largeTable = 1 << 20

// leastPercent keeps the garbage collector from running all the time if the heap has little else
// than the table.
const leastPercent = 20

// settleAgain is after how long memory is freed once more. A query that was being answered at the
// first time may have kept the previous table.
const settleAgain = time.Second

// Settle returns free memory to the system after a change. Call it when Table is in use and
// nobody uses an older one any more. others is the size, in octets, of other long-lived data that
// may have been rebuilt with it. Settle does nothing unless the table or the other data are new
// since the last call and large, now or before. It also tunes the garbage collector so that these
// data do not allow more garbage than without them: there is little garbage between changes, and
// because the table has no pointers, a cycle costs no more with it. If the environment sets GOGC,
// that value remains.
func (l *Loader) Settle(others int) {
	size := l.Table.Bytes() + others
	before := l.settled
	l.settled = size
	if !l.changed && others == 0 || max(size, before) < largeTable {
		return
	}
	l.changed = false
	debug.FreeOSMemory()
	time.AfterFunc(settleAgain, debug.FreeOSMemory) //nolint:forbidigo // nothing depends on the time
	if os.Getenv("GOGC") != "" {
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(gcPercent(int(m.HeapAlloc), size))
}

// gcPercent returns the value of GOGC that allows as much garbage as there is live data besides
// the table.
func gcPercent(live, table int) int {
	return min(max(100*(live-table)/max(live, 1), leastPercent), 100)
}
