package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// TestMain lets scripts and tests start this program as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dnscache": main})
}

// TestScripts runs the program with command lines with which it ends by itself.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			// A port that is in use as long as the script runs.
			busy, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Defer(func() { busy.Close() })
			_, port, err := net.SplitHostPort(busy.Addr().String())
			e.Setenv("BUSY_PORT", port)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a program and checks its exit code: exits CODE PROGRAM ARG...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if status, ok := err.(*exec.ExitError); ok { //nolint:errorlint // never wrapped
		got = status.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%q exits %d, want %d", args[1:], got, want)
	}
}

// freePort returns a port of this package that is free for UDP and TCP.
func freePort(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(testkit.FreePorts(t, 12000, 1000, 1)[0])
}

// TestProcess starts the program as Kubernetes does and checks what is visible from outside:
// user, pid file, log, signals and exit code.
func TestProcess(t *testing.T) {
	dir := t.TempDir()
	// The user of the program needs access to the directory, to remove the pid file.
	for path, mode := range map[string]os.FileMode{dir: 0o777, filepath.Dir(dir): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	pidFile := filepath.Join(dir, "pid")
	program, err := exec.LookPath("dnscache")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	cmd := exec.CommandContext(ctx, program, "-k", "--conf-file=", "--no-resolv", "--no-hosts", "--server=127.0.0.1#9",
		"--listen-address=127.0.0.1", "--port="+freePort(t), "--pid-file="+pidFile)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hang := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer hang.Stop()
	lines := bufio.NewScanner(stderr)
	var log []string
	expect := func(pattern string) {
		t.Helper()
		want := regexp.MustCompile(fmt.Sprintf(`^dnscache\[%d\]: %s$`, cmd.Process.Pid, pattern))
		for lines.Scan() {
			log = append(log, lines.Text())
			if want.MatchString(lines.Text()) {
				return
			}
		}
		t.Fatalf("%s was not logged; the log is\n%s", want, strings.Join(log, "\n"))
	}
	expect(`started, version \S+ cachesize 150`)
	expect(`using nameserver 127\.0\.0\.1#9`)

	uid := strconv.Itoa(os.Geteuid())
	if uid == "0" {
		uid = strconv.Itoa(65534)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if want := fmt.Sprintf("Uid:\t%s\t%s\t%s\t%s\n", uid, uid, uid, uid); err != nil || !strings.Contains(string(status), want) {
		t.Errorf("the process is not user %s: %v\n%s", uid, err, status)
	}
	if got, err := os.ReadFile(pidFile); err != nil || strings.TrimSpace(string(got)) != strconv.Itoa(cmd.Process.Pid) {
		t.Errorf("the pid file holds %q, %v", got, err)
	}
	for _, step := range []struct {
		sig  syscall.Signal
		want string
	}{
		{syscall.SIGHUP, "cleared cache"},
		{syscall.SIGUSR1, `queries forwarded 0, queries answered locally 0`},
		{syscall.SIGTERM, `exiting on receipt of SIGTERM`},
	} {
		if err := cmd.Process.Signal(step.sig); err != nil {
			t.Fatal(err)
		}
		expect(step.want)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit code 0", err)
	}
	if _, err := os.Stat(pidFile); err == nil {
		t.Error("the pid file is left behind")
	}
}
