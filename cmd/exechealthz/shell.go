package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/kube-dns/kube-dns/pkg/nslookup"
)

// maxSubstitution bounds what one external command may put into a $(...).
const maxSubstitution = 1 << 20

// Exit codes of a POSIX shell for a command that it could not run.
const (
	exitCannotRun = 126
	exitNotFound  = 127
)

// parseCommand parses a --cmd. The language is that of busybox ash, for which
// such commands were written: POSIX with a few words of bash. It matters: to a
// purely POSIX parser `nslookup x &>/dev/null` is a background job that always
// succeeds.
func parseCommand(text string) (*syntax.File, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return nil, err
	}
	if len(file.Stmts) == 0 {
		return nil, errors.New("no command")
	}
	syntax.Walk(file, func(node syntax.Node) bool {
		if err != nil {
			return false
		}
		switch node := node.(type) {
		case *syntax.ProcSubst:
			err = fmt.Errorf("%v: process substitution is not supported", node.Pos())
		case *syntax.Stmt:
			if node.Coprocess {
				err = fmt.Errorf("%v: coprocesses are not supported", node.Pos())
			}
		case *syntax.CoprocClause:
			err = fmt.Errorf("%v: coprocesses are not supported", node.Pos())
		case *syntax.CmdSubst:
			copyShortcut(node)
		case *syntax.Redirect:
			if node.N != nil && node.N.Value != "0" && node.N.Value != "1" && node.N.Value != "2" {
				err = fmt.Errorf("%v: only file descriptors 0, 1 and 2 can be redirected", node.Pos())
			}
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return file, nil
}

// copyWord is a command that copies its input to its output. No command line
// can spell it.
const copyWord = "\x00copy"

// copyShortcut turns $(<file) into a substitution with a command. The
// interpreter's own short cut for it is wrong when the file's name holds a
// variable: the name then stands in front of the file's content.
func copyShortcut(subst *syntax.CmdSubst) {
	if len(subst.Stmts) != 1 {
		return
	}
	if stmt := subst.Stmts[0]; stmt.Cmd == nil && len(stmt.Redirs) == 1 && stmt.Redirs[0].Op == syntax.RdrIn {
		stmt.Cmd = &syntax.CallExpr{Args: []*syntax.Word{{Parts: []syntax.WordPart{&syntax.Lit{Value: copyWord}}}}}
	}
}

// shell runs parsed commands in this process. Commands that are neither the
// shell's own nor nslookup are executed, each in a process group of its own
// that ends with the command or with the run. It is safe for concurrent use.
type shell struct {
	processes *processes
	nslookup  nslookup.Command
	env       []string
}

// run runs a command once, with an empty standard input and its output and
// errors both to out. The error is nil when it exited with 0, and says
// "exit status N" otherwise; when ctx ended meanwhile it is that of ctx, as a
// shell whose background jobs were killed may well exit with 0. What the command
// left behind is killed.
func (s *shell) run(parent context.Context, file *syntax.File, out io.Writer) error {
	ctx, cancel := context.WithCancel(parent)
	jobs := &jobs{}
	defer jobs.close()
	defer cancel()
	one := &oneRun{shell: s, out: out, jobs: jobs}
	runner, err := interp.New(
		interp.Env(expand.ListEnviron(s.env...)),
		interp.StdIO(nil, out, out),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return one.exec }),
		interp.OpenHandler(one.open),
	)
	if err != nil {
		return fmt.Errorf("starting the shell: %w", err)
	}
	err = runner.Run(ctx, file)
	if parent.Err() != nil {
		return parent.Err()
	}
	return err
}

// oneRun is what the handlers of one run share.
type oneRun struct {
	shell *shell
	out   io.Writer
	jobs  *jobs
}

func (r *oneRun) open(ctx context.Context, path string, flag int, perm os.FileMode) (io.ReadWriteCloser, error) {
	if !r.jobs.enter() {
		return nil, context.Canceled
	}
	defer r.jobs.leave()
	return openFile(ctx, interp.HandlerCtx(ctx).Dir, path, flag, perm)
}

// exec runs one simple command that is not the shell's own.
func (r *oneRun) exec(ctx context.Context, args []string) error {
	if !r.jobs.enter() {
		return context.Canceled
	}
	defer r.jobs.leave()
	hc := interp.HandlerCtx(ctx)
	switch args[0] {
	case copyWord:
		if _, err := io.Copy(&limitedWriter{to: hc.Stdout, left: maxSubstitution}, hc.Stdin); err != nil {
			fmt.Fprintf(hc.Stderr, "reading a substituted file: %v\n", err)
			return interp.ExitStatus(1)
		}
		return nil
	case "nslookup":
		if code := r.shell.nslookup.Run(ctx, args[1:], hc.Stdout, hc.Stderr); code != 0 {
			return interp.ExitStatus(uint8(code))
		}
		return nil
	}
	path, err := interp.LookPathDir(hc.Dir, hc.Env, args[0])
	if err != nil {
		fmt.Fprintf(hc.Stderr, "%s: %v\n", args[0], err)
		return interp.ExitStatus(exitNotFound)
	}
	cmd := &exec.Cmd{
		Path:   path,
		Args:   args,
		Env:    exported(hc.Env),
		Dir:    hc.Dir,
		Stdin:  hc.Stdin,
		Stdout: r.bounded(hc.Stdout),
		Stderr: hc.Stderr,
	}
	if hc.Stderr == hc.Stdout {
		cmd.Stderr = cmd.Stdout // one pipe for both keeps the order of lines
	}
	err = r.shell.processes.run(ctx, cmd)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return exitStatus(err, args[0], hc.Stderr)
}

// bounded puts a limit on a writer that is neither a file nor the run's own
// output, that is, on the memory behind a command substitution.
func (r *oneRun) bounded(w io.Writer) io.Writer {
	if _, ok := w.(*os.File); ok || w == r.out || w == io.Discard {
		return w
	}
	return &limitedWriter{to: w, left: maxSubstitution}
}

// limitedWriter fails once more than left bytes were written, which ends the
// writing command by a broken pipe.
type limitedWriter struct {
	to   io.Writer
	left int
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, fmt.Errorf("output of a command substitution exceeds %d bytes", maxSubstitution)
	}
	w.left -= len(p)
	return w.to.Write(p)
}

// exitStatus turns what os/exec says into the shell's exit status.
func exitStatus(err error, name string, stderr io.Writer) error {
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		// ErrWaitDelay: it ended well, and a process that left its group keeps
		// the pipe. Its output is no longer wanted.
		return nil
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return interp.ExitStatus(128 + uint8(ws.Signal()))
		}
		return interp.ExitStatus(uint8(exit.ExitCode()))
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return interp.ExitStatus(exitCannotRun)
}

// exported returns the variables that a command inherits.
func exported(env expand.Environ) []string {
	values := make(map[string]string)
	env.Each(func(name string, v expand.Variable) bool {
		// Inner scopes come later, and may unset what outer ones set.
		if v.IsSet() && v.Exported && v.Kind == expand.String {
			values[name] = v.String()
		} else {
			delete(values, name)
		}
		return true
	})
	list := make([]string, 0, len(values))
	for name, value := range values {
		list = append(list, name+"="+value)
	}
	return list
}

// jobs counts what a run has going on, so that a run is over only when all of
// it is: background jobs outlive the line that started them.
type jobs struct {
	mu     sync.Mutex
	closed bool
	group  sync.WaitGroup
}

// enter reports whether another job may start; if so, leave must follow.
func (j *jobs) enter() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return false
	}
	j.group.Add(1)
	return true
}

func (j *jobs) leave() { j.group.Done() }

// close lets nothing more start and waits for what did.
func (j *jobs) close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.group.Wait()
}
