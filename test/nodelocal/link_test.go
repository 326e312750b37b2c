package nodelocal

import (
	"os/exec"
	"strings"
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

// TestCleanup: --node-local-cleanup needs no addresses to remove a dummy link. From an interface
// of another kind it removes only the addresses that it is given.
func TestCleanup(t *testing.T) {
	if !inside(t) {
		return
	}
	links := func() string {
		out, _ := exec.Command("ip", "-o", "addr").Output()
		return string(out)
	}
	run(t, "ip link add net0 type bridge")
	run(t, "ip addr add 10.6.0.1/24 dev net0")
	run(t, "ip addr add "+local+"/32 dev net0")
	run(t, program+" --node-local-interface=net0 --node-local="+local+","+vip+" --node-local-cleanup")
	if got := links(); !strings.Contains(got, "10.6.0.1/24") || strings.Contains(got, local) {
		t.Errorf("of a bridge there is left:\n%s", got)
	}
	run(t, "ip addr add "+local+"/32 dev lo")
	run(t, program+" --node-local-interface=lo --node-local="+local+" --node-local-cleanup")
	if got := links(); !strings.Contains(got, "127.0.0.1/8") || strings.Contains(got, local) {
		t.Errorf("of lo there is left:\n%s", got)
	}
	run(t, program+" --node-local-cleanup")
	if exec.Command("ip", "link", "add", "nodelocaldns", "type", "dummy").Run() != nil {
		t.Log("this kernel has no dummy links")
		return
	}
	run(t, program+" --node-local-cleanup")
	if got, _ := exec.Command("ip", "link").Output(); strings.Contains(string(got), "nodelocaldns") {
		t.Errorf("there is left:\n%s", got)
	}
}
