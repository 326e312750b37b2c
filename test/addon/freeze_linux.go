package addon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Freeze stops a process with SIGSTOP, and returns once all its threads have stopped. That
// takes some time after the signal, in which the process may still answer.
func Freeze(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		running, err := runningThread(pid)
		if err != nil {
			return err
		}
		if running == "" {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("process %d still runs after SIGSTOP: %s", pid, running)
		}
	}
}

// runningThread returns the state of a thread of the process that has not stopped, or "" if
// all have.
func runningThread(pid int) (string, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return "", err
	}
	if len(threads) == 0 {
		return "", fmt.Errorf("there is no process %d", pid)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(status)) {
			if state, found := strings.CutPrefix(line, "State:\t"); found && state[0] != 'T' && state[0] != 'Z' {
				return strings.TrimSpace(state), nil
			}
		}
	}
	return "", nil
}

// Freeze stops the program, as SIGSTOP does, and returns once it has stopped.
func (p *Process) Freeze() error { return Freeze(p.cmd.Process.Pid) }
