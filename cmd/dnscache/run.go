package main

import (
	"context"
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

// program is the name in messages.
const program = "dnscache"

// env is what the program touches of the system, as far as tests replace it.
type env struct {
	stdin          io.Reader        // for files named "-"
	stdout, stderr io.Writer        // what is printed
	signals        <-chan os.Signal // that the program gets
	node           *nodelocal.Node  // nil unless this is the cache of a node
	// lookup finds addresses of servers given by name; nil asks the system.
	lookup servers.Lookup
	// addrs, if any, are listened on in place of the addresses and port of the options.
	addrs []netip.AddrPort
	// started, if not nil, is called with the bound addresses once queries are answered.
	started func(dns []netip.AddrPort, metrics netip.AddrPort)
}

// run is the whole program. It returns the exit code.
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
		a.log.Printf("FAILED to go on answering: %v", err)
		return options.ExitOther
	}
	return 0
}

// fail reports why the program does not start, as dnsmasq does.
func fail(stderr io.Writer, err error) int {
	text, exit := options.Report(program, err)
	fmt.Fprint(stderr, text)
	return exit
}
