package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/kube-dns/kube-dns/pkg/dnscache/explain"
	"github.com/kube-dns/kube-dns/pkg/dnscache/files"
	"github.com/kube-dns/kube-dns/pkg/dnscache/servers"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/nodelocal"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// program is the name of the program in messages.
const program = "dnscache"

// env holds the parts of the system that the program uses and that tests replace.
type env struct {
	stdin          io.Reader        // for files named "-"
	stdout, stderr io.Writer        // the output of the program
	signals        <-chan os.Signal // the signals sent to the program
	node           *nodelocal.Node  // nil unless this is the cache of a node
	// lookup finds the addresses of servers that are given by name. If nil, the system resolver
	// is used.
	lookup servers.Lookup
	// addrs are the addresses to listen on. If empty, the options' addresses and port are used.
	addrs []netip.AddrPort
	// started is called with the bound addresses as soon as queries are answered. It may be
	// nil.
	started func(dns []netip.AddrPort, metrics netip.AddrPort)
}

// run runs the program with the given arguments until it must end, and returns its exit code.
func run(ctx context.Context, args []string, e env) int {
	if e.lookup == nil {
		e.lookup = servers.System
	}
	if code, ok := explain.Run(ctx, args, explain.Env{Stdin: e.stdin, Stdout: e.stdout, Stderr: e.stderr, Lookup: e.lookup}); ok {
		return code
	}
	o, nanny, err := files.ParseArgs(ctx, args, e.stdin, e.stderr)
	switch {
	case err != nil:
		return fail(e.stderr, err)
	case o.Help:
		fmt.Fprint(e.stdout, options.Usage(program))
		return 0
	case o.Version:
		fmt.Fprintln(e.stdout, version.Get().Line(program))
		return 0
	case o.Test:
		fmt.Fprintf(e.stderr, "%s: syntax check OK.\n", program)
		return 0
	}
	a, err := newApp(ctx, o, nanny, e)
	if err != nil {
		return fail(e.stderr, err)
	}
	defer a.close()
	if err := a.run(ctx); err != nil {
		if fault, ok := errors.AsType[*options.Fault](err); ok {
			return fail(e.stderr, fault)
		}
		a.log.Printf("FAILED to go on answering: %v", err)
		return options.ExitOther
	}
	return 0
}

// fail prints why the program does not start, in the same form as dnsmasq, and returns the exit
// code.
func fail(stderr io.Writer, err error) int {
	text, exit := options.Report(program, err)
	fmt.Fprint(stderr, text)
	return exit
}
