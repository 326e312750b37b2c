package script

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// A program of --conf-script that runs for too long is ended together with the child processes
// that it has started.
func TestScriptTimeout(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	command := "sleep 600 & echo $! > " + pidFile + "; wait"
	_, err := Run(t.Context(), command, io.Discard, 5*time.Second)
	if err == nil || err.Error() != "it took longer than 5s" {
		t.Fatalf("%q: %v", command, err)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the condition holds", func() bool { // the child process has ended
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		// If no process waits for orphans, the child remains as a zombie.
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// The other ways in which a program of --conf-script can end.
func TestScriptEnds(t *testing.T) {
	for _, tt := range []struct {
		command, want, err string
		code               int
	}{
		{command: "echo port=5; echo no-resolv", want: "port=5\nno-resolv\n"},
		{command: "echo port=5; exit 3", want: "port=5\n", err: "exit code 3", code: 3},
		{command: "kill -TERM $$", err: "exit code 15", code: 15},
		{command: "cat /dev/zero", err: "it printed more than 64 MiB"},
	} {
		got, err := Run(t.Context(), tt.command, io.Discard, time.Minute)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if string(got) != tt.want || text != tt.err {
			t.Errorf("%q: %q, %q; want %q, %q", tt.command, got, text, tt.want, tt.err)
		}
		script, ok := errors.AsType[*options.ScriptError](err)
		if ok != (tt.code != 0) || ok && script.Code != tt.code {
			t.Errorf("%q: the error is %#v, want code %d", tt.command, err, tt.code)
		}
	}
}
