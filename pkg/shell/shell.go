// Package shell runs the commands of health checks without a shell in the image.
//
// Use [Parse] once for each command, [New] to make a Shell, and [Shell.Run] for each run of
// a command. If the process is process 1 of its container, [Shell.Reap] must run too.
//
// The shell itself and nslookup are part of this process. Any other command is started
// as a process, in a process group that is killed when the command or the run ends.
package shell

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

// maxSubstitution is the largest output of an external command in a $(...), in octets.
const maxSubstitution = 1 << 20

// Exit codes of a POSIX shell for a command that it could not run.
const (
	exitCannotRun = 126
	exitNotFound  = 127
)

// Program is a parsed command. It does not change, and several goroutines may run it at the
// same time.
type Program struct{ file *syntax.File }

// Parse parses a command. The language is that of busybox ash, for which checks were
// written: POSIX with a few additions of bash. The additions matter: to a purely POSIX
// parser, `nslookup x &>/dev/null` is a background job that always succeeds. The error
// begins with the line and the column, if it has a position.
func Parse(text string) (Program, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return Program{}, err
	}
	if len(file.Stmts) == 0 {
		return Program{}, errors.New("the command is empty")
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
		return Program{}, err
	}
	return Program{file}, nil
}

// copyWord is a command that copies its input to its output. It cannot be written in a
// command line.
const copyWord = "\x00copy"

// copyShortcut adds a command to the substitution $(<file). Without it, the interpreter puts
// the file's name before the content if the name contains a variable.
func copyShortcut(subst *syntax.CmdSubst) {
	if len(subst.Stmts) != 1 {
		return
	}
	if stmt := subst.Stmts[0]; stmt.Cmd == nil && len(stmt.Redirs) == 1 && stmt.Redirs[0].Op == syntax.RdrIn {
		stmt.Cmd = &syntax.CallExpr{Args: []*syntax.Word{{Parts: []syntax.WordPart{&syntax.Lit{Value: copyWord}}}}}
	}
}

// Shell runs commands. It is safe for concurrent use.
type Shell struct {
	processes *processes
	nslookup  nslookup.Command
	env       []string
}

// New returns a Shell whose commands have the variables of env, each in the form
// NAME=VALUE, and for which lookup is the command nslookup.
func New(env []string, lookup nslookup.Command) *Shell {
	return &Shell{processes: newProcesses(), nslookup: lookup, env: env}
}

// Run runs a command once, with an empty standard input, and writes its output and its
// errors to out, from several goroutines. The error is nil if the command exited with 0, and
// "exit status N" otherwise. If ctx has ended, the error is that of ctx, because a shell
// whose background jobs were killed may exit with 0. Processes that are left are killed.
func (s *Shell) Run(parent context.Context, program Program, out io.Writer) error {
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
	err = runner.Run(ctx, program.file)
	if parent.Err() != nil {
		return parent.Err()
	}
	return err
}

// oneRun is the state that the handlers of one run share.
type oneRun struct {
	shell *Shell
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

// exec runs one simple command that is not built into the shell.
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

// bounded returns w with a limit if w is the memory of a command substitution, which it is if
// it is not a file or the output of the run.
func (r *oneRun) bounded(w io.Writer) io.Writer {
	if _, ok := w.(*os.File); ok || w == r.out || w == io.Discard {
		return w
	}
	return &limitedWriter{to: w, left: maxSubstitution}
}

// limitedWriter returns an error when more than left bytes are written. The command that
// writes then ends because of a broken pipe.
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

// exitStatus turns an error of os/exec into the shell's exit status.
func exitStatus(err error, name string, stderr io.Writer) error {
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		// ErrWaitDelay: the command succeeded, but a process that left its group
		// still has the pipe. That process's output is ignored.
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
		// Inner scopes come later, and may unset variables of outer scopes.
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

// jobs counts the commands of a run that have not ended, including background jobs, so that
// the run ends after all of them.
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

// close allows no more jobs and waits for those that have started.
func (j *jobs) close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.group.Wait()
}
