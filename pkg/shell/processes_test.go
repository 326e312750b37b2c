package shell

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/interp"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// reaperEnv makes the test binary play process 1, see reaperChild.
const reaperEnv = "SHELL_TEST_REAPER"

func TestMain(m *testing.M) {
	if os.Getenv(reaperEnv) != "" {
		os.Exit(reaperChild())
	}
	os.Exit(m.Run())
}

func TestParseStat(t *testing.T) {
	tests := []struct {
		text        string
		pid, parent int
		zombie      bool
	}{
		{"7 (sh) S 1 7 7 0 -1", 7, 1, false},
		{"8 (sleep) Z 7 7 7 0 -1", 8, 7, true},
		{"9 (a) Z 1 (b) Z 5 9 9", 9, 5, true}, // the name holds a parenthesis and a blank
		{"10 () R 0 0", 10, 0, false},
		{"", 0, 0, false},
		{"x (sh) Z 1", 0, 0, false},
		{"7 (sh) Z", 0, 0, false},
		{"7 (sh) Z one", 0, 0, false},
		{"7 sh Z 1", 0, 0, false},
		{") (", 0, 0, false},
	}
	for _, tt := range tests {
		pid, parent, zombie := parseStat([]byte(tt.text))
		if pid != tt.pid || parent != tt.parent || zombie != tt.zombie {
			t.Errorf("parseStat(%q) = %d, %d, %v; want %d, %d, %v", tt.text, pid, parent, zombie, tt.pid, tt.parent, tt.zombie)
		}
	}
}

// TestReaper runs this binary as a process that inherits orphans, as process 1
// of a container does.
func TestReaper(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), reaperEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// reaperChild runs commands that make orphans beside commands whose exit status
// matters, with the reaper at work all the time. Every exit status must arrive,
// and in the end no zombie may be left.
func reaperChild() int {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Println("becoming a subreaper:", err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	sh := newShell()
	var reaper, workers sync.WaitGroup
	reaper.Go(func() { sh.Reap(ctx) })
	reaper.Go(func() {
		for ctx.Err() == nil { // more eager than any signal
			sh.processes.reap()
			time.Sleep(time.Millisecond)
		}
	})
	failures := make(chan string, 1000)
	for _, command := range []string{
		"sh -c 'exit 7'",
		"sh -c 'sleep 60 & sh -c \"sleep 60 & sleep 61 &\" ; exit 7'",
		"sh -c '(setsid sleep 0.05 &) ; sleep 0.01; exit 7'",
	} {
		workers.Go(func() {
			file, err := Parse(command)
			if err != nil {
				failures <- err.Error()
				return
			}
			for range 30 {
				var out testkit.Buffer
				err := sh.Run(ctx, file, &out)
				if status, ok := errors.AsType[interp.ExitStatus](err); !ok || status != 7 {
					failures <- fmt.Sprintf("%s: %v, output %q", command, err, out.String())
				}
			}
		})
	}
	workers.Wait()
	var left []string
	for range 200 {
		if left = children(); len(left) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	reaper.Wait()
	close(failures)
	bad := false
	for f := range failures {
		bad = true
		fmt.Println(f)
	}
	if len(left) > 0 {
		bad = true
		fmt.Println("children left:", left)
	}
	if bad {
		return 1
	}
	fmt.Println("ok")
	return 0
}

// children returns the stat lines of this process's children, dead or alive.
func children() []string {
	var list []string
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if _, parent, _ := parseStat(text); parent == os.Getpid() {
			list = append(list, string(text))
		}
	}
	return list
}
