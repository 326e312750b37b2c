package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

// TestHostsMemory limits the memory of the process with 300 000 names in hosts files to twice
// that of dnsmasq 2.90 (33 MB). SIGHUP must not add any memory permanently, and none at all if
// the files have not changed.
func TestHostsMemory(t *testing.T) {
	if testing.Short() || dnstest.RaceEnabled {
		t.Skip("large, and the race detector takes memory")
	}
	const (
		names   = 300_000
		atMost  = 66 << 10 // in KiB
		changes = 3
	)
	path := filepath.Join(t.TempDir(), "hosts")
	var text strings.Builder
	for i := range names {
		fmt.Fprintf(&text, "10.%d.%d.%d host-%06d.lan.example\n", i>>16, i>>8&255, i&255, i)
	}
	dnstest.Replace(t, path, text.String())

	program, err := exec.LookPath("dnscache")
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	cmd := exec.CommandContext(t.Context(), program, "-k", "--conf-file=", "--no-resolv", "--no-hosts", "--addn-hosts="+path,
		"--listen-address=127.0.0.1", "--port="+port, "--pid-file=", "--user=root")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hang := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer hang.Stop()
	lines := bufio.NewScanner(stderr)
	expect := func(want string) {
		t.Helper()
		for lines.Scan() {
			if strings.HasSuffix(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("%q was not logged", want)
	}
	answers := func(name, want string) {
		t.Helper()
		client := dns.Client{Timeout: patience}
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // the change may not be applied yet
			m, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), "127.0.0.1:"+port)
			if err == nil && len(m.Answer) == 1 && m.Answer[0].(*dns.A).A.String() == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %v, %v; want %s", name, m, err, want)
			}
		}
	}
	expect(" - 300000 names")
	answers("host-299999.lan.example.", "10.4.147.223")
	first := memory(t, cmd, "VmRSS")
	for range 3 {
		hangUp(t, cmd)
		expect(" names")
	}
	if peak := memory(t, cmd, "VmHWM"); peak > atMost {
		t.Errorf("%d KiB at most, want %d", peak, atMost)
	}
	for i := range changes {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(file, "10.200.0.%d new-%d.example\n", i, i)
		file.Close()
		hangUp(t, cmd)
		expect(" names")
		answers(fmt.Sprintf("new-%d.example.", i), fmt.Sprintf("10.200.0.%d", i))
	}
	// The old table is freed just after the new one is in use.
	for end := time.Now().Add(patience); memory(t, cmd, "VmRSS") > first*5/4 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	after, peak := memory(t, cmd, "VmRSS"), memory(t, cmd, "VmHWM")
	t.Logf("%d KiB, after %d changes %d KiB, at most %d KiB", first, changes, after, peak)
	if first > atMost || after > first*5/4 || peak > atMost*5/4 {
		t.Errorf("too much: want %d KiB, and no more after changes", atMost)
	}
	go io.Copy(io.Discard, stderr)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

func hangUp(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// memory returns a value of /proc/PID/status, in KiB.
func memory(t *testing.T, cmd *exec.Cmd, key string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), key+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.Fatalf("no %s", key)
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
