package nodelocal

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestReady: --node-local-ready reports whether the cache answers, whatever other instances
// do at the same addresses.
func TestReady(t *testing.T) {
	if !inside(t) {
		return
	}
	ready := func() bool { return exec.Command(program, "--node-local-ready").Run() == nil }
	other := start(t, "-k -h -R --share-port --listen-address=127.0.0.1 --address=/x.test/"+byOther)
	eventually(t, 5*time.Second, func() bool { return ask("127.0.0.1") == byOther })
	if ready() {
		t.Error("ready without --node-local")
	}
	_ = other.Process.Kill()
	p := node(t, local)
	eventually(t, 5*time.Second, ready)
	pid := p.cache(t)
	syscall.Kill(pid, syscall.SIGSTOP)
	if ready() {
		t.Error("ready while the cache is stopped")
	}
	syscall.Kill(pid, syscall.SIGCONT)
	eventually(t, 5*time.Second, ready)
	_ = p.Process.Signal(syscall.SIGTERM)
	p.wait(10 * time.Second)
	if ready() {
		t.Error("ready after its end")
	}
}
