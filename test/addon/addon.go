// Package addon builds the real binaries and runs them for tests. Use [Build] once, and
// [Start] for each process. The processes use loopback ports that belong to the test,
// their logs are shown if the test fails, and they end with the test.
package addon

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// Root returns the folder that holds go.mod. It derives it from the path of this file.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Build compiles the named commands below cmd/ into dir. flags go to `go
// build`, for example "-race".
func Build(dir string, flags []string, names ...string) error {
	args := append([]string{"build", "-o", dir + "/"}, flags...)
	for _, n := range names {
		args = append(args, "./cmd/"+n)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = Root()
	if !slices.Contains(flags, "-race") {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as released
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %v: %w\n%s", names, err, out)
	}
	return nil
}

// FreePorts returns n ports of 127.0.0.1 on which nothing listens at the moment, over UDP or
// TCP. It is for tests of whole programs.
func FreePorts(tb testing.TB, n int) []int {
	tb.Helper()
	return testkit.FreePorts(tb, 17000, 3000, n)
}

// maxShown is how much of a log a failed test shows.
const maxShown = 20_000

// Process is one running program.
type Process struct {
	cmd  *exec.Cmd
	log  *testkit.Buffer
	done chan struct{}
	err  error
}

// Start runs path with args. The program ends with the test; if the test failed, the end of
// the program's log is shown.
func Start(tb testing.TB, path string, args ...string) *Process {
	tb.Helper()
	return StartEnv(tb, nil, path, args...)
}

// StartEnv is Start with environment variables, such as "PROMETHEUS_PORT=10055". Start passes
// none.
func StartEnv(tb testing.TB, env []string, path string, args ...string) *Process {
	tb.Helper()
	p := &Process{cmd: exec.Command(path, args...), log: &testkit.Buffer{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(append(os.Environ(), "PROMETHEUS_PORT="), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			log := p.Log()
			tb.Logf("the end of the log of %s:\n%s", filepath.Base(path), log[max(0, len(log)-maxShown):])
		}
	})
	return p
}

// Pid returns the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Log returns everything that the program has printed so far.
func (p *Process) Log() string { return p.log.String() }

// Signal sends sig to the program.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Kill ends the program at once and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// Wait waits, at most for limit, until the program ends by itself, and returns its exit code.
func (p *Process) Wait(limit time.Duration) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("still running after %v", limit)
	}
}

// Stop sends SIGTERM to the program and returns its exit code. If the program has not ended
// after limit, Stop kills it and fails the test.
func (p *Process) Stop(tb testing.TB, limit time.Duration) int {
	tb.Helper()
	_ = p.Signal(syscall.SIGTERM) // it may have ended by itself
	code, err := p.Wait(limit)
	if err != nil {
		tb.Errorf("after SIGTERM: %v", err)
		p.Kill()
	}
	return code
}

// Running fails the test if the program has ended.
func (p *Process) Running(tb testing.TB) {
	tb.Helper()
	if p.Ended() {
		tb.Fatalf("%s has ended: %v", filepath.Base(p.cmd.Path), p.err)
	}
}

// Ended reports whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// WaitURL waits, at most for limit, until the status of url is 200.
func (p *Process) WaitURL(tb testing.TB, url string, limit time.Duration) {
	tb.Helper()
	p.WaitFor(tb, limit, url, func(ctx context.Context) bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			tb.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// WaitFor polls ready until it returns true. It fails the test if the program ends or limit
// passes before that.
func (p *Process) WaitFor(tb testing.TB, limit time.Duration, what string, ready func(ctx context.Context) bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	defer cancel()
	for !ready(ctx) {
		select {
		case <-p.done:
			tb.Fatalf("ended while waiting for %s:\n%s", what, p.Log())
		case <-ctx.Done():
			tb.Fatalf("%s: not within %v:\n%s", what, limit, p.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
