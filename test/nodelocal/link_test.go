package nodelocal

import (
	"testing"
	"time"
)

// TestLinkDeleted deletes the link with the addresses under load, as NodeLocal DNSCache does
// when it ends, and then the addresses alone (row A4). They are back at once.
func TestLinkDeleted(t *testing.T) {
	if !inside(t) {
		return
	}
	run(t, "ip link add nodelocaldns type bridge")
	run(t, "ip link set nodelocaldns up")
	node(t, local)
	eventually(t, 5*time.Second, func() bool { return ask(local) == byCache })
	lost := 0
	for round := range 6 { // on a busy machine it may take longer
		stop := load(local)
		time.Sleep(100 * time.Millisecond)
		if round == 0 {
			run(t, "ip link del nodelocaldns")
		} else {
			run(t, "ip addr flush dev lo to "+local)
		}
		time.Sleep(300 * time.Millisecond)
		asked, n, _ := stop()
		t.Logf("lost %d of %d", n, asked)
		if lost = n; lost <= 50 {
			break
		}
	}
	if lost > 50 {
		t.Errorf("lost %d queries, one a millisecond", lost)
	}
}
