// Package script runs the program of --conf-script.
//
// Use [Run] to run it and get its output.
package script

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
)

// Bounds of a program of --conf-script.
const (
	Timeout   = time.Minute
	MaxOutput = 64 << 20 // octets
)

const shell = "/bin/sh"

// Run passes command to the shell, as dnsmasq does, and returns the standard output of the
// program. If there is no shell, as in the container image, the words of the command are the
// path of the program and its arguments. The standard error of the program goes to stderr. A
// program that runs longer than timeout, or prints more than MaxOutput, is killed together with
// its child processes; the result is an error. If the program fails, the error is an
// [options.ScriptError] with its exit code.
func Run(ctx context.Context, command string, stderr io.Writer, timeout time.Duration) ([]byte, error) {
	args := []string{shell, "-c", command}
	if _, err := os.Stat(shell); err != nil {
		if args = strings.Fields(command); len(args) == 0 {
			return nil, os.ErrNotExist
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out := &boundedBuffer{left: MaxOutput, cancel: cancel}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, stderr
	// The program leads a process group, so that its child processes can be ended too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch exit, ok := errors.AsType[*exec.ExitError](err); {
	case out.full:
		return nil, fmt.Errorf("it printed more than %d MiB", MaxOutput>>20)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("it took longer than %s", timeout)
	case !ok:
		return out.buf.Bytes(), err
	default:
		status, _ := exit.Sys().(syscall.WaitStatus)
		code := status.ExitStatus()
		if status.Signaled() {
			code = int(status.Signal())
		}
		return out.buf.Bytes(), &options.ScriptError{Code: code}
	}
}

// boundedBuffer holds the output of the program, and ends the program if that becomes too
// large. It has no method ReadFrom, because io.Copy would use that and bypass the limit.
type boundedBuffer struct {
	buf    bytes.Buffer
	left   int
	full   bool
	cancel func()
}

// Write implements [io.Writer].
func (b *boundedBuffer) Write(p []byte) (int, error) {
	if len(p) > b.left {
		b.full = true
		b.cancel()
		return 0, io.ErrShortWrite
	}
	b.left -= len(p)
	return b.buf.Write(p)
}
