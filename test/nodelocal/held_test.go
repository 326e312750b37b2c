package nodelocal

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCrashAtLinkLocal kills the cache under load at an address that no rule leads elsewhere.
// The queries wait for the next cache, so only those are lost that the killed one had already
// read. If it crashes again and again, the pauses become long; then queries are rejected at
// once, so that clients ask their next server.
func TestCrashAtLinkLocal(t *testing.T) {
	if !inside(t) {
		return
	}
	p := node(t, local)
	eventually(t, 5*time.Second, func() bool { return ask(local) == byCache })
	crash := func() { syscall.Kill(p.cache(t), syscall.SIGKILL) }
	ended := func(n int) bool { return strings.Count(p.text(), "the cache has ended") == n }
	stop := load(local)
	for n := 1; n <= 3; n++ { // pauses of 0.25, 0.5 and 1 s
		time.Sleep(300 * time.Millisecond)
		crash()
		eventually(t, 5*time.Second, func() bool { return ended(n) })
		if got := exchange(local, "tcp", 4*time.Second); got != byCache {
			t.Errorf("over TCP, during pause %d: %s", n, got)
		}
	}
	asked, lost, _ := stop()
	t.Logf("lost %d of %d queries in three crashes", lost, asked)
	if lost > 3*2 {
		t.Errorf("lost %d of %d queries in three crashes", lost, asked)
	}
	crash() // a pause of 2 s
	eventually(t, time.Second, func() bool { return strings.Contains(ask(local), "refused") })
	eventually(t, 5*time.Second, func() bool { return ask(local) == byCache })
}
