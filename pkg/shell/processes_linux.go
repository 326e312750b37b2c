package shell

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pipeDelay is how long the pipe of a command that has ended is read if a process outside
// its group keeps it open.
const pipeDelay = 500 * time.Millisecond

// processes is the table of the processes that were started and have not yet been waited
// for. The reaper needs it: process 1 of a container inherits every orphan and must wait
// for it, but must not wait for a child that os/exec waits for, or its exit status would
// be lost.
type processes struct {
	mu    sync.Mutex
	known map[int]bool
}

func newProcesses() *processes { return &processes{known: make(map[int]bool)} }

// run runs a command in a new process group and waits for it. It kills the whole group
// with SIGKILL when ctx ends, and the rest of the group when the command itself ends. So
// a check leaves nothing behind, unless a process leaves the group, as daemons do.
func (p *processes) run(ctx context.Context, cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = pipeDelay
	if err := p.start(ctx, cmd); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	var (
		mu        sync.Mutex
		collected bool
	)
	kill := func() {
		mu.Lock()
		defer mu.Unlock()
		if !collected {
			_ = unix.Kill(-pid, unix.SIGKILL) // ESRCH: the group is empty
		}
	}
	stop := context.AfterFunc(ctx, kill)
	defer stop()
	// Wait, but leave the process a zombie: as long as it is one, its id cannot be
	// reused, and the group can be killed by its number.
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	kill()
	mu.Lock()
	collected = true
	mu.Unlock()
	err := cmd.Wait()
	p.mu.Lock()
	delete(p.known, pid)
	p.mu.Unlock()
	return err
}

// start starts the command and adds it to the table, in one step for the reaper.
func (p *processes) start(ctx context.Context, cmd *exec.Cmd) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.known[cmd.Process.Pid] = true
	return nil
}

// Reap waits for orphaned processes until ctx ends. A process that inherits orphans must
// run it: process 1, or one that asked for them (prctl PR_SET_CHILD_SUBREAPER).
func (s *Shell) Reap(ctx context.Context) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	defer signal.Stop(ended)
	// Signals of one kind are merged, and one may come while its zombie is still in
	// the table; the ticker takes care of those.
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		s.processes.reap()
		select {
		case <-ctx.Done():
			return
		case <-ended:
		case <-ticker.C:
		}
	}
}

// reap waits for the zombies that are children of this process and not in the table.
func (p *processes) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return
	}
	self := os.Getpid()
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // gone meanwhile
		}
		if pid, parent, zombie := parseStat(text); zombie && parent == self && !p.known[pid] {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // ECHILD: not ours after all
		}
	}
}

// parseStat reads the process id, the parent's id and whether the process is a zombie
// from /proc/PID/stat: "PID (NAME) STATE PARENT ...". NAME may hold any characters,
// including parentheses and spaces. For any other text it returns zeros.
func parseStat(text []byte) (pid, parent int, zombie bool) {
	open, closing := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 1 || closing < open {
		return 0, 0, false
	}
	fields := bytes.Fields(text[closing+1:])
	if len(fields) < 2 {
		return 0, 0, false
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text[:open])))
	if err != nil {
		return 0, 0, false
	}
	if parent, err = strconv.Atoi(string(fields[1])); err != nil {
		return 0, 0, false
	}
	return pid, parent, string(fields[0]) == "Z"
}
