package nodelocal

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/test/addon"
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
	rules := func() bool {
		return strings.LastIndex(p.text(), "queries come to this cache") > strings.LastIndex(p.text(), "started the cache")
	}
	eventually(t, 5*time.Second, func() bool { return ask(local) == byCache && rules() })
	time.Sleep(1500 * time.Millisecond) // one that reads counters comes within a second
	before := p.descriptors(t)
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
	eventually(t, 5*time.Second, func() bool { return rules() && p.descriptors(t) <= before+1 }) // and one of a check

	crash() // a pause of 2 s
	eventually(t, time.Second, func() bool { return strings.Contains(ask(local), "refused") })
	eventually(t, 5*time.Second, func() bool { return ask(local) == byCache })
}

// descriptors returns the number of open files of the supervisor.
func (p *process) descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestHung stops the cache for good. A query that it has not read is answered by the next
// cache, which gets the same sockets.
func TestHung(t *testing.T) {
	if !inside(t) {
		return
	}
	p := node(t, local)
	eventually(t, 5*time.Second, func() bool { return strings.Contains(p.text(), "queries come to this cache") && ask(local) == byCache })
	time.Sleep(100 * time.Millisecond) // the supervisor has the sockets
	first := p.cache(t)
	if err := addon.Freeze(first); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if got := exchange(local, "udp", 20*time.Second); got != byCache {
		t.Errorf("got %s", got)
	}
	t.Logf("answered after %v", time.Since(began))
	if p.cache(t) == first || !strings.Contains(p.text(), "killing the cache") {
		t.Error("the stopped cache was not replaced")
	}
}

// TestStandby kills one of two instances as a whole, as the kernel kills a container that is out
// of memory. The other one answers at the address that no rule leads elsewhere.
func TestStandby(t *testing.T) {
	if !inside(t) {
		return
	}
	node(t, local)
	lost := 0
	for range 6 { // what the killed processes had not read is more on a busy machine
		p := node(t, local)
		eventually(t, 5*time.Second, func() bool { return strings.Contains(p.text(), "queries come to this cache") })
		stop := load(local)
		time.Sleep(300 * time.Millisecond)
		pid := p.cache(t)
		_ = p.Process.Kill()
		_ = syscall.Kill(pid, syscall.SIGKILL)
		time.Sleep(time.Second)
		asked, n, _ := stop()
		t.Logf("lost %d of %d", n, asked)
		if lost = n; lost <= 2 || lost >= 1000 {
			break
		}
	}
	if lost > 2 {
		t.Errorf("lost %d", lost)
	}
}
