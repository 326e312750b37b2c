package main

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

// TestServersMemory limits the memory of the process with servers for 60 000 domains: to three
// times that of dnsmasq 2.90 (19 MB) if all domains have the same server, and to twenty times
// if all servers differ, because each server has a state. In the first case, reading the
// servers again must not add any memory permanently.
func TestServersMemory(t *testing.T) {
	if testing.Short() || dnstest.RaceEnabled {
		t.Skip("large, and the race detector takes memory")
	}
	for _, tt := range []struct {
		name   string
		server func(i int) string
		atMost int // in KiB
	}{
		{"same", func(int) string { return "192.0.2.1" }, 57 << 10},
		{"different", func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255) }, 380 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) { serversMemory(t, tt.server, tt.atMost) })
	}
}

func serversMemory(t *testing.T, server func(i int) string, atMost int) {
	t.Helper()
	const domains = 60_000
	path := filepath.Join(t.TempDir(), "servers")
	write := func(version int) {
		var text strings.Builder
		for i := range domains {
			fmt.Fprintf(&text, "server=/d%d.example%d.com/%s\n", i, i%977, server(i))
		}
		fmt.Fprintf(&text, "server=/version-%d.example/\n", version)
		dnstest.Replace(t, path, text.String())
	}
	write(0)
	program, err := exec.LookPath("dnscache")
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	cmd := exec.CommandContext(t.Context(), program, "-k", "--conf-file=", "--no-resolv", "--no-hosts", "--servers-file="+path,
		"--listen-address=127.0.0.1", "--port="+port, "--pid-file=", "--user=root")
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for version := range 4 {
		if version > 0 {
			write(version)
			hangUp(t, cmd)
		}
		until(t, func() bool { // the servers are in use once no server is asked about this name
			client := dns.Client{Timeout: time.Second}
			m, _, err := client.Exchange(new(dns.Msg).SetQuestion(fmt.Sprintf("www.version-%d.example.", version), dns.TypeA), "127.0.0.1:"+port)
			return err == nil && m.Rcode == dns.RcodeNameError
		})
		// The previous servers are freed just afterwards.
		until(t, func() bool { return memory(t, cmd, "VmRSS") <= atMost })
		t.Logf("version %d: %d KiB, %d at most", version, memory(t, cmd, "VmRSS"), memory(t, cmd, "VmHWM"))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
}

// until waits for a condition.
func until(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not so after a minute")
		}
	}
}
