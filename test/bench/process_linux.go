package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/test/bench/load"
)

// startLimit is how long a server may take until it answers.
const startLimit = 3 * time.Minute

// A server that starts is asked for a right answer every pollEvery, or after
// pollTimeout if it does not answer at all.
const (
	pollEvery   = 5 * time.Millisecond
	pollTimeout = 20 * time.Millisecond
)

// process is one running server.
type process struct {
	name string
	addr netip.AddrPort
	cmd  *exec.Cmd
	log  string // file with what it printed
	gone chan error
	// family says that its children are measured with it.
	family bool
	// From its start to its first right answer:
	took, used time.Duration // by the clock, and of processors
}

// launch starts argv, where probe's sockets are, and waits until it answers what probe asks.
func launch(ctx context.Context, name, dir string, argv []string, probe load.Config) (*process, error) {
	p := &process{name: name, addr: probe.Server, log: filepath.Join(dir, name+".log"), gone: make(chan error, 1)}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, out, out
	// Its own process group protects it from Ctrl-C. It is killed when this process ends.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	start := p.cmd.Start
	if probe.Within != nil {
		start = func() error { return probe.Within(p.cmd.Start) }
	}
	if err := start(); err != nil {
		return nil, err
	}
	go func() { p.gone <- p.cmd.Wait() }()
	err = p.ready(ctx, probe)
	p.took = time.Since(began)
	if err == nil {
		p.used, err = p.cpu()
	}
	if err != nil {
		p.stop()
		said, _ := os.ReadFile(p.log)
		return nil, fmt.Errorf("starting %s: %w\n%s", name, err, said)
	}
	return p, nil
}

func (p *process) ready(ctx context.Context, probe load.Config) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	probe.Sockets, probe.Window, probe.Timeout = 1, 1, pollTimeout
	probe.Count = max(probe.Count, 1)
	for {
		r, err := load.Run(ctx, probe)
		if err == nil && r.Answered == probe.Count {
			return nil
		}
		select {
		case err := <-p.gone:
			p.gone <- err
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("no right answer from %v (last: %d wrong, %d lost, %w)", p.addr, r.Wrong, r.Lost, errors.Join(err, ctx.Err()))
		case <-time.After(pollEvery):
		}
	}
}

// stop kills the process and waits for its end.
func (p *process) stop() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	err := <-p.gone
	p.gone <- err
}

// members returns the ids of the process and, with family, of its children.
func (p *process) members() ([]int, error) {
	list := []int{p.cmd.Process.Pid}
	if !p.family {
		return list, nil
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", list[0]))
	for _, task := range tasks {
		b, readErr := os.ReadFile(task)
		if readErr != nil {
			continue // that thread has ended
		}
		for field := range strings.FieldsSeq(string(b)) {
			pid, numberErr := strconv.Atoi(field)
			if numberErr != nil {
				return nil, numberErr
			}
			list = append(list, pid)
		}
	}
	return list, err
}

// cpu returns the processor time that the process has taken so far, in user
// and kernel mode, by its CPU clock (clock_getcpuclockid(3)): the sum that
// /proc/PID/stat rounds to hundredths of a second.
func (p *process) cpu() (sum time.Duration, err error) {
	const schedulerClock = 2
	pids, err := p.members()
	for _, pid := range pids {
		var ts unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &ts); err != nil {
			return 0, fmt.Errorf("reading the CPU clock of %s: %w", p.name, err)
		}
		sum += time.Duration(ts.Nano())
	}
	return sum, err
}

// rss returns the resident memory of the process in octets.
func (p *process) rss() (int64, error) { return p.status("VmRSS") }

// peak returns the most memory that was ever resident.
func (p *process) peak() (int64, error) { return p.status("VmHWM") }

// status returns a size in /proc/PID/status in octets.
func (p *process) status(field string) (sum int64, err error) {
	pids, err := p.members()
	for _, pid := range pids {
		size, err := p.statusOf(pid, field)
		if err != nil {
			return 0, err
		}
		sum += size
	}
	return sum, err
}

func (p *process) statusOf(pid int, field string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no %s: it has ended", p.name, field)
}

// pause stops the process until resume, so that it uses no CPU while another process is
// measured.
func (p *process) pause() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

func (p *process) resume() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// freePort returns an address on loopback whose port was free for UDP and TCP.
func freePort() (netip.AddrPort, error) {
	s, err := listener.Listen(listener.Config{
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: echo{},
	})
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer s.Close()
	return s.Addrs()[0], nil
}
