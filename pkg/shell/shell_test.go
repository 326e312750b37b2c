package shell

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/nslookup"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

func newShell() *Shell {
	return New(os.Environ(), nslookup.Command{ResolvConf: "/nonexistent", TryTimeout: 10 * time.Second, Tries: 2})
}

// once runs a command with a deadline, and fails the test when it does not come
// back long after it.
func once(t *testing.T, sh *Shell, command string, deadline time.Duration) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	return onceUntil(ctx, t, sh, command)
}

func onceUntil(ctx context.Context, t *testing.T, sh *Shell, command string) (string, error) {
	t.Helper()
	file, err := Parse(command)
	if err != nil {
		t.Fatalf("parsing %q: %v", command, err)
	}
	var out testkit.Buffer
	done := make(chan error, 1)
	go func() { done <- sh.Run(ctx, file, &out) }()
	select {
	case err := <-done:
		return out.String(), err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return out.String(), err
	case <-time.After(30 * time.Second):
		t.Fatalf("%q hangs", command)
		return "", nil
	}
}

func TestShell(t *testing.T) {
	server := dnsServer(t)
	dead := "127.0.0.1:" + strconv.Itoa(testkit.FreePorts(t, 14000, 500, 1)[0])
	t.Setenv("SERVER", server)
	t.Setenv("DEAD", dead)
	t.Setenv("NAME", "kubernetes.default.svc.cluster.local")
	dir := t.TempDir()
	t.Setenv("DIR", dir)
	if err := os.WriteFile(filepath.Join(dir, "script"), []byte("#!/bin/sh\necho from script $1\nexit 5\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "nslookup"), []byte("#!/bin/sh\necho another nslookup\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "garbage"), []byte("\x00\x01"), 0o700); err != nil {
		t.Fatal(err)
	}
	const missing = `nosuchcommand: "nosuchcommand": executable file not found in $PATH` + "\n"
	tests := []struct {
		command string
		out     string
		err     string // empty: exit status 0
	}{
		{"echo healthz", "healthz\n", ""},
		{"true", "", ""},
		{"false", "", "exit status 1"},
		{"exit 3", "", "exit status 3"},
		{"exit 0; false", "", ""},
		{"(exit 4)", "", "exit status 4"},
		{"echo a; exit 2; echo b", "a\n", "exit status 2"},
		{"echo out; echo err >&2", "out\nerr\n", ""},
		{"echo '100%s %d'", "100%s %d\n", ""},
		{"false || echo saved", "saved\n", ""},
		{"true && false", "", "exit status 1"},
		{"! false", "", ""},
		{"nosuchcommand", missing, "exit status 127"},
		{"nosuchcommand 2>/dev/null || echo x", "x\n", ""},
		{"sh -c 'echo ext; echo err >&2; exit 7'", "ext\nerr\n", "exit status 7"},
		{"sh -c 'kill -9 $$'", "", "exit status 137"},
		{"echo b a | tr ' ' '\\n' | sort", "a\nb\n", ""},
		{"x=$(sh -c 'echo inner; echo shown >&2'); echo \"<$x>\"", "shown\n<inner>\n", ""},
		{"VAR=v sh -c 'echo $VAR'; unset HOME; sh -c 'echo ${HOME-none}'", "v\nnone\n", ""},
		{"cd $DIR && ./script arg", "from script arg\n", "exit status 5"},
		{"echo one > $DIR/f; echo two >> $DIR/f; cat < $DIR/f", "one\ntwo\n", ""},
		{"echo one > $DIR/g; echo \"<$(<$DIR/g)>\"; x=$(<$DIR/g); echo $x; echo `<$DIR/g`", "<one>\none\none\n", ""},
		{"x=$(<$DIR/absent)", "open " + dir + "/absent: no such file or directory\n", "exit status 1"},
		{"cat < $DIR/absent", "open " + dir + "/absent: no such file or directory\n", "exit status 1"},
		{"cat", "", ""}, // standard input is empty
		{"read x; echo \"<$x>\"", "<>\n", ""},
		{"for i in 1 2; do echo $i; done; if [ 1 -lt 2 ]; then echo y; fi", "1\n2\ny\n", ""},
		{"cat <<E\nhere\nE", "here\n", ""},
		{"nslookup $NAME $SERVER >/dev/null", "", ""},
		{
			"nslookup $NAME $SERVER >/dev/null && nslookup $NAME $DEAD >/dev/null",
			"nslookup: can't resolve 'kubernetes.default.svc.cluster.local' at " + dead + ": connection refused\n", "exit status 1",
		},
		{"nslookup $NAME $DEAD &>/dev/null", "", "exit status 1"}, // no background job, as in ash
		{"nslookup nx $SERVER >/dev/null 2>&1 || echo down", "down\n", ""},
		{"nslookup $NAME $SERVER | grep -c 10.96.0.1", "1\n", ""},
		{"command nslookup $NAME $SERVER >/dev/null && echo ok", "ok\n", ""},
		{"$DIR/nslookup", "another nslookup\n", ""}, // given with a path
		{"sh -c 'sleep 60 & echo started'", "started\n", ""},
		{"sleep 60 & echo started", "started\n", ""}, // the job ends with the run
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			out, err := once(t, newShell(), tt.command, 30*time.Second)
			if out != tt.out || text(err) != tt.err {
				t.Errorf("output %q, error %q; want %q, %q", out, text(err), tt.out, tt.err)
			}
		})
	}
	t.Run("cannot be executed", func(t *testing.T) {
		out, err := once(t, newShell(), "$DIR/garbage", 30*time.Second)
		if !strings.Contains(out, "exec format error") || text(err) != "exit status 126" {
			t.Errorf("output %q, error %q; want exec format error and 126", out, text(err))
		}
	})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestDeadline holds the ways in which a command outlives its deadline, or looks
// well after it. Each ends soon, failed, and leaves no process in its group; the
// commands write their group's id to $DIR/pid.
func TestDeadline(t *testing.T) {
	tests := []struct {
		name    string
		command string
	}{
		{"sleeping", "sh -c 'echo $$ > $DIR/pid; exec sleep 60'"},
		{"background job that is waited for", "sh -c 'echo $$ > $DIR/pid; exec sleep 60' & wait"},
		{"ignores SIGTERM and SIGINT", `sh -c 'trap "" TERM INT; echo $$ > $DIR/pid; while :; do sleep 1; done'`},
		{"grandchild holds the pipe", "sh -c 'echo $$ > $DIR/pid; sleep 60 & sleep 61'"},
		{"pipeline", "sh -c 'echo $$ > $DIR/pid; exec yes' | sleep 60"},
		{"substitution", "x=$(sh -c 'echo $$ > $DIR/pid; exec sleep 60')"},
		{"killed, then success", "sh -c 'echo $$ > $DIR/pid; exec sleep 60'; true"},
		{"killed or success", "sh -c 'echo $$ > $DIR/pid; exec sleep 60' || true"},
		{"endless output", "sh -c 'echo $$ > $DIR/pid; exec yes'"},
		{"loop in the shell", "while :; do :; done"},
		{"loop in a job", "while :; do :; done & wait"},
		{"loop of commands", "while :; do true; sh -c 'echo $$ > $DIR/pid; sleep 0.01'; done"},
		{"job in a subshell", "(sh -c 'echo $$ > $DIR/pid; exec sleep 60' &) ; sleep 60"},
		{"reading a fifo", "read x < $DIR/fifo"},
		{"reading a fifo outside", "cat < $DIR/fifo"},
		{"writing a fifo", "echo x > $DIR/fifo"},
		{"writing a fifo outside", "sh -c 'echo x' >> $DIR/fifo"},
		{"fifo in a substitution", "x=$(<$DIR/fifo)"},
		{"fifo in a job", "cat < $DIR/fifo & wait"},
		{"fifo with an idle writer", "sleep 60 > $DIR/fifo & read x < $DIR/fifo"},
		{"sourcing a fifo", ". $DIR/fifo"},
		{"nslookup of a silent server", "nslookup -type=A x.test $SILENT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
				t.Fatal(err)
			}
			silent := silentPort(t)
			sh := newShell()
			sh.nslookup.TryTimeout = time.Hour
			sh.env = append(sh.env, "DIR="+dir, "SILENT="+silent)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				// Once the command is well under way, its time is over.
				for range 1000 {
					if _, err := os.Stat(filepath.Join(dir, "pid")); err == nil || !strings.Contains(tt.command, "/pid") {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(200 * time.Millisecond)
				cancel()
			}()
			out, err := onceUntil(ctx, t, sh, tt.command)
			if !errors.Is(err, context.Canceled) || ctx.Err() == nil {
				t.Errorf("error %v, output %.100q; want the end of the context", err, out)
			}
			if pid, err := os.ReadFile(filepath.Join(dir, "pid")); err == nil {
				assertGroupGone(t, strings.TrimSpace(string(pid)))
			} else if strings.Contains(tt.command, "/pid") {
				t.Errorf("the command did not start: %v", err)
			}
			if n := len(sh.processes.known); n != 0 {
				t.Errorf("%d processes still known after the run", n)
			}
		})
	}
}

// silentPort is a UDP port that takes everything and says nothing.
func silentPort(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strconv.Itoa(sa.(*unix.SockaddrInet4).Port)
}

// assertGroupGone fails when a process of the group lives; zombies, which their
// parent has yet to collect, do not.
func assertGroupGone(t *testing.T, pgid string) {
	t.Helper()
	var alive []string
	for range 100 {
		alive = nil
		stats, err := filepath.Glob("/proc/[0-9]*/stat")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range stats {
			stat, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
			if len(f) > 2 && f[2] == pgid && f[0] != "Z" && f[0] != "X" {
				alive = append(alive, string(stat))
			}
		}
		if len(alive) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("group %s still lives: %q", pgid, alive)
}

// TestLeftoversEndWithTheRun: what a command started and did not wait for is
// gone when the run is over, though the run was a success.
func TestLeftoversEndWithTheRun(t *testing.T) {
	for _, command := range []string{
		"sh -c 'echo $$ > $DIR/pid; sleep 60 & sleep 61 & true'",
		"sh -c 'echo $$ > $DIR/pid; exec sleep 60' & while [ ! -s $DIR/pid ]; do sleep 0.01; done",
	} {
		t.Run(command, func(t *testing.T) {
			dir := t.TempDir()
			sh := newShell()
			sh.env = append(sh.env, "DIR="+dir)
			if out, err := once(t, sh, command, 30*time.Second); err != nil {
				t.Errorf("error %v, output %q", err, out)
			}
			pid, err := os.ReadFile(filepath.Join(dir, "pid"))
			if err != nil {
				t.Fatal(err)
			}
			assertGroupGone(t, strings.TrimSpace(string(pid)))
		})
	}
}

// TestPipeHeldFromOutside: a daemon that left the group and kept our pipe does
// not keep the run from ending.
func TestPipeHeldFromOutside(t *testing.T) {
	out, err := once(t, newShell(), "sh -c 'setsid sleep 30 & sleep 0.5; echo done'", 28*time.Second)
	if err != nil || out != "done\n" {
		t.Errorf("error %v, output %q; want success", err, out)
	}
}

func TestFIFOWithBothEnds(t *testing.T) {
	for _, command := range []string{
		"{ sleep 0.1; echo hello; } > $DIR/fifo & read x < $DIR/fifo; echo $x",
		"{ sleep 0.1; cat < $DIR/fifo; } & echo hello > $DIR/fifo; wait",
		"echo hello > $DIR/fifo & cat < $DIR/fifo",
		"echo hello > $DIR/fifo & x=$(<$DIR/fifo); echo $x",
	} {
		t.Run(command, func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
				t.Fatal(err)
			}
			sh := newShell()
			sh.env = append(sh.env, "DIR="+dir)
			if out, err := once(t, sh, command, 30*time.Second); err != nil || out != "hello\n" {
				t.Errorf("output %q, error %v", out, err)
			}
		})
	}
}

func TestSubstitutionIsBounded(t *testing.T) {
	out, err := once(t, newShell(), "x=$(head -c 1000000 /dev/zero | tr '\\0' x); echo ${#x}; y=$(cat /dev/zero)", time.Minute)
	if errors.Is(err, context.DeadlineExceeded) || err == nil || !strings.HasPrefix(out, "1000000\n") {
		t.Errorf("error %v, output %.100q; want the second substitution to fail before the deadline", err, out)
	}
}

func TestRunsShareNothing(t *testing.T) {
	sh := newShell()
	const command = "echo \"<$x>\"; x=1; cd /; f() { :; }; type f >/dev/null"
	for range 2 {
		if out, err := once(t, sh, command, 30*time.Second); err != nil || out != "<>\n" {
			t.Errorf("output %q, error %v", out, err)
		}
	}
}

func TestParseCommandRefuses(t *testing.T) {
	tests := []struct{ command, want string }{
		{"", "the command is empty"},
		{"  # nothing", "the command is empty"},
		{"echo 'unclosed", "1:6: reached EOF without closing quote `'`"},
		{"a &&", "1:3: `&&` must be followed by a statement"},
		{"cat <(echo x)", "1:5: process substitution is not supported"},
		{"coproc cat", "1:1: coprocesses are not supported"},
		{"echo 3>&1", "1:6: only file descriptors 0, 1 and 2 can be redirected"},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			if _, err := Parse(tt.command); err == nil || err.Error() != tt.want {
				t.Errorf("Parse(%q): %v, want %q", tt.command, err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a && b || c | d", "x=$(y)", "nslookup a b >/dev/null 2>&1", "cat <(x)", "if a; then b; fi", "a 3>b", "((", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, command string) {
		file, err := Parse(command)
		if err == nil && len(file.file.Stmts) == 0 {
			t.Errorf("Parse(%q) accepted a command that does nothing", command)
		}
	})
}

// dnsServer starts a server that knows one address and returns its own.
func dnsServer(tb testing.TB) string {
	tb.Helper()
	const name = "kubernetes.default.svc.cluster.local."
	return dnstest.NewServer(tb, func(q *dns.Msg, _ bool) [][]byte {
		switch {
		case q.Question[0].Name != name:
			return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeNameError))}
		case q.Question[0].Qtype == dns.TypeA:
			return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeSuccess, name+" 30 A 10.96.0.1"))}
		}
		return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeSuccess))}
	}).Addr.String()
}
