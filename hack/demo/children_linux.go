package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stopGrace is how long a program may take to end after SIGTERM.
	stopGrace = 5 * time.Second
	// keptLines is how much of each program's log is shown after a failure.
	keptLines = 100
)

// child is a running program.
type child struct {
	program program
	cmd     *exec.Cmd
	log     *childLog
	ended   chan struct{} // closed when the program ended
	err     error         // why, once ended is closed
}

// start starts a program in a process group of its own, so that a Ctrl-C in the
// terminal reaches the demo only and the programs end in the demo's order.
// Should the demo die without a word, the kernel kills them.
func start(bin string, p program, out io.Writer) (*child, error) {
	c := &child{
		program: p,
		cmd:     exec.Command(filepath.Join(bin, p.name), p.args...),
		log:     &childLog{name: p.name, out: out},
		ended:   make(chan struct{}),
	}
	c.cmd.Env = environment(os.Environ())
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.cmd.WaitDelay = stopGrace
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// environment returns env without the variables that would change the programs' ports or
// answers.
func environment(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return strings.HasPrefix(v, "PROMETHEUS_") || strings.HasPrefix(v, "KUBERNETES_SERVICE_")
	})
}

// stopAll ends the programs with all of their groups, the last one started
// first, and returns when all have ended.
func stopAll(children []*child) {
	for _, c := range slices.Backward(children) {
		c.signal(unix.SIGTERM)
	}
	grace := time.After(stopGrace)
	for _, c := range children {
		select {
		case <-c.ended:
			continue
		case <-grace:
		}
		break // the other programs get no more time either
	}
	for _, c := range children {
		c.signal(unix.SIGKILL)
		<-c.ended
	}
}

// signal sends a signal to a program's process group. The kernel does not reuse the program's
// process id before it has been waited for.
func (c *child) signal(sig unix.Signal) {
	select {
	case <-c.ended:
	default:
		_ = unix.Kill(-c.cmd.Process.Pid, sig) // ESRCH: it just ended
	}
}

// died returns an error if one of the programs has ended.
func died(children []*child) error {
	for _, c := range children {
		select {
		case <-c.ended:
			if c.err != nil {
				return fmt.Errorf("%s ended: %w", c.program.name, c.err)
			}
			return fmt.Errorf("%s ended", c.program.name)
		default:
		}
	}
	return nil
}

// childLog receives what one program writes. It keeps the last lines. After show, it passes
// all lines on, with the program's name in front.
type childLog struct {
	name string
	out  io.Writer // shared by the logs; takes whole lines

	mu      sync.Mutex
	partial []byte
	lines   []string
	live    bool
}

// Write implements io.Writer.
func (l *childLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		line, rest, ok := bytes.Cut(l.partial, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.addLine(string(line))
		l.partial = append(l.partial[:0], rest...)
	}
}

func (l *childLog) addLine(line string) {
	if l.live {
		l.print(line)
		return
	}
	if len(l.lines) == keptLines {
		l.lines = slices.Delete(l.lines, 0, 1)
	}
	l.lines = append(l.lines, line)
}

func (l *childLog) print(line string) { fmt.Fprintf(l.out, "%-11s | %s\n", l.name, line) }

// show prints the lines that were kept, and from now on every line as it arrives.
func (l *childLog) show() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live = true
	for _, line := range l.lines {
		l.print(line)
	}
	l.lines = nil
}

// lockedWriter lets several goroutines write whole lines to one writer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
