// Package nslookup is a small nslookup for health checks, with the command line
// and the output of busybox:
//
//	nslookup [-type=TYPE] NAME [SERVER[:PORT]]
//
// It exists because an image made from scratch has no other, and because a
// check that needs no process is cheaper and cannot fail for want of one.
//
// The exit code is what a check looks at, so it is strict: 0 only when the name
// resolved, that is, when a record of a type that was asked for stands at the
// end of the name's alias chain. For an unset type that means an A or an AAAA
// record, either will do. Everything else is 1, with one line on the error
// stream that says which server said what.
//
// Where it is not busybox: the two address types are asked in parallel, a
// truncated answer is asked again over TCP, answers are matched by id, question
// and source, an absent AAAA record is not a complaint when there is an A
// record, and complaints go to the error stream, so that they survive the
// `>/dev/null` of the usual check. The server's own address is never looked up.
package nslookup

import (
	"context"
	"fmt"
	"io"
	"time"
)

// DefaultResolvConf is where servers and search domains come from when the
// command names no server.
const DefaultResolvConf = "/etc/resolv.conf"

const (
	dnsPort           = 53
	defaultTryTimeout = time.Second
	// defaultTries times the timeout is how long a dead server is waited for:
	// busybox's 5 seconds. Answers to earlier tries count until the end.
	defaultTries = 5
)

// Command is nslookup with its surroundings. The zero Command is ready for use,
// and a Command may be run from several goroutines at once.
type Command struct {
	// ResolvConf is the resolv.conf to read; empty means DefaultResolvConf.
	// It is read only when no server is named, or the server by a name.
	ResolvConf string
	// ServerPort is the port of the servers in resolv.conf, zero means 53.
	ServerPort uint16
	// TryTimeout is how long one try waits before the question is sent again,
	// zero means one second.
	TryTimeout time.Duration
	// Tries is how often a question is sent over UDP, zero means five.
	Tries int
}

// Run runs the command with its arguments, without the program's name, and
// returns the exit code. It ends early, with 1, when ctx ends.
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

func (c Command) resolvConf() string {
	if c.ResolvConf != "" {
		return c.ResolvConf
	}
	return DefaultResolvConf
}

func (c Command) serverPort() uint16 {
	if c.ServerPort > 0 {
		return c.ServerPort
	}
	return dnsPort
}

func (c Command) tryTimeout() time.Duration {
	if c.TryTimeout > 0 {
		return c.TryTimeout
	}
	return defaultTryTimeout
}

func (c Command) tries() int {
	if c.Tries > 0 {
		return c.Tries
	}
	return defaultTries
}
