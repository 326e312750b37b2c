package nodelocal

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSignals sends the supervisor signals for the cache while one starts, and SIGTERM in the
// midst of them. They neither end a cache that does not handle them yet nor hide SIGTERM.
func TestSignals(t *testing.T) {
	if !inside(t) {
		return
	}
	burst := func(p *process) {
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2} {
			_ = p.Process.Signal(sig)
		}
	}
	for round := range 5 {
		p := node(t, local)
		for until := time.Now().Add(time.Second); !strings.Contains(p.text(), "queries come to this cache"); time.Sleep(time.Millisecond) {
			if strings.Contains(p.text(), "started the cache") {
				burst(p)
			}
			if time.Now().After(until.Add(4 * time.Second)) {
				t.Fatal("no cache")
			}
		}
		first := p.cache(t)
		syscall.Kill(first, syscall.SIGKILL)
		eventually(t, 5*time.Second, func() bool {
			burst(p)
			return strings.Count(p.text(), "queries come to this cache") == 2
		})
		if n := strings.Count(p.text(), "the cache has ended"); n != 1 {
			t.Errorf("round %d: %d caches ended, 1 was killed", round, n)
		}
		if got := exchange(local, "udp", time.Second); got != byCache {
			t.Errorf("round %d: %s", round, got)
		}
		for range 100 {
			burst(p)
		}
		_ = p.Process.Signal(syscall.SIGTERM)
		burst(p)
		if code := p.wait(8 * time.Second); code != 0 {
			t.Errorf("round %d: exit code %d after SIGTERM", round, code)
		}
	}
}

// TestOptionsOfCache: options of the cache that change what the supervisor's checks get keep
// nothing from working, or are refused with one clear error.
func TestOptionsOfCache(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	for _, args := range []string{
		"--no-ident", "--rate-limit=1", "--cache-size=0", "--local-service", "--local=/bind/", "--txt-record=cachesize.bind,x", "--bind-dynamic",
		"--listen-address=127.0.0.9",
	} {
		p := start(t, "--node-local="+vip+" --node-local-lameduck=0s -- -k -h -R --address=/x.test/"+byCache+" "+args)
		eventually(t, 5*time.Second, func() bool { return strings.Contains(p.text(), "queries come to this cache") })
		for range 20 { // as a client on the node, at the source address of the checks
			_ = ask(vip)
		}
		time.Sleep(2500 * time.Millisecond)
		if strings.Contains(p.text(), "queries go to cluster DNS") {
			t.Errorf("%s: %s", args, p.text())
		}
		_ = p.Process.Signal(syscall.SIGTERM)
		p.wait(5 * time.Second)
	}
	for _, args := range []string{"--port=5353", "--except-interface=lo"} {
		p := start(t, "--node-local="+local+" -- -k -h -R "+args)
		if code := p.wait(5 * time.Second); code != 1 || !strings.Contains(p.text(), "remove --port and --except-interface") {
			t.Errorf("%s: exit code %d, %s", args, code, p.text())
		}
	}
	if p := start(t, "--node-local="+local+" -- -k -h -R --lameduck=9s"); p.wait(5*time.Second) != 1 || !strings.Contains(p.text(), "give --node-local-lameduck") {
		t.Errorf("--lameduck: %s", p.text())
	}
	for args, want := range map[string]string{"--test": "syntax check OK.", "--version": "dnscache ", "--help": "--cache-size"} {
		p := start(t, "--node-local="+local+" -- -k -h -R "+args)
		if code := p.wait(5 * time.Second); code != 0 || !strings.Contains(p.text(), want) || strings.Contains(p.text(), "WARN") {
			t.Errorf("%s: exit code %d, %s", args, code, p.text())
		}
	}
}
