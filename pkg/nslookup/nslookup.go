// Package nslookup is a small nslookup for health checks, with the command line
// and the output of busybox:
//
//	nslookup [-type=TYPE] NAME [SERVER[:PORT]]
//
// Use [Command.Run] with the arguments of a command line, or [Command.Lookup]. The
// package exists because an image made from scratch has no nslookup, and because a
// check that starts no process is cheaper and fails less often.
//
// A check looks at the exit code only, so the exit code is strict. It is 0 only if the
// name was resolved, that is, if there is a record of the requested type at the end of
// the name's chain of aliases. If no type was given, an A or an AAAA record is enough.
// In all other cases it is 1, with one line on standard error that says which server
// answered what.
//
// Differences from busybox: the two address types are asked for in parallel; a
// truncated answer is asked for again over TCP; replies are matched by id, question and
// source; a missing AAAA record is not an error if there is an A record; errors are
// written to standard error, so that the usual `>/dev/null` of a check does not hide
// them. The server's own address is never looked up.
package nslookup

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"
)

// DefaultResolvConf is the file with the servers and search domains that are used if
// the command names no server.
const DefaultResolvConf = "/etc/resolv.conf"

const (
	dnsPort           = 53
	defaultTryTimeout = time.Second
	// defaultTries times the timeout is how long the command waits for a dead
	// server: 5 seconds, as busybox does. Replies to earlier tries count until then.
	defaultTries = 5
)

// Command is nslookup with its settings. The zero Command is ready for use. A Command
// may be run by several goroutines at once.
type Command struct {
	// ResolvConf is the resolv.conf file; empty means DefaultResolvConf. It is read
	// only if no server is given, or if the server is given by name.
	ResolvConf string
	// ServerPort is the port of the servers in resolv.conf; zero means 53.
	ServerPort uint16
	// TryTimeout is how long to wait before the question is sent again; zero means
	// one second.
	TryTimeout time.Duration
	// Tries is how often a question is sent over UDP; zero means five times.
	Tries int
}

// Run runs the command with its arguments, without the program's name, and returns
// the exit code. If ctx ends, it returns 1.
func (c Command) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	req, err := ParseArgs(args)
	if err != nil {
		fmt.Fprintf(stderr, "nslookup: %v\n%s\n", err, usage)
		return 1
	}
	ans, err := c.Lookup(ctx, req)
	if err != nil {
		fmt.Fprintf(stderr, "nslookup: %v\n", err)
		return 1
	}
	if _, err := io.WriteString(stdout, ans.text()); err != nil {
		fmt.Fprintf(stderr, "nslookup: writing the answer: %v\n", err)
		return 1
	}
	return 0
}

func (c Command) tryTimeout() time.Duration { return cmp.Or(c.TryTimeout, defaultTryTimeout) }
