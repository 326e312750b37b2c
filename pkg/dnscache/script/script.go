// Package script runs the program of --conf-script.
//
// Use [Run] to get what it prints.
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

// Run runs the program of --conf-script, a command for the shell, and returns what it prints.
// It is ended after timeout. Like
// dnsmasq it leaves the command to the shell; where there is none, as in our
// image, the words of the command are the program and its arguments.
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
	// Children that it leaves behind go with it.
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

// boundedBuffer ends the program that fills it beyond its size. It has no
// ReadFrom, which would go around the bound.
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
