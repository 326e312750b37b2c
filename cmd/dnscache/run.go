package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

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
	// addrs are listened on in place of the addresses and port of the options,
	// when there are any.
	addrs []netip.AddrPort
	// started is called with the bound addresses once queries are answered; it
	// may be nil.
	started func(dns []netip.AddrPort, metrics netip.AddrPort)
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, e env) int {
	if e.lookup == nil {
		e.lookup = servers.System
	}
	o, nanny, err := parseArgs(ctx, args, e)
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

// parseArgs reads the command line and the files that it names. nanny is nil
// when there are no flags of dnsmasq-nanny.
func parseArgs(ctx context.Context, args []string, e env) (*options.Options, *options.Nanny, error) {
	before, rest, isNanny := options.SplitNanny(args)
	if err := options.MisplacedNannyFlag(rest, isNanny); err != nil {
		return nil, nil, err
	}
	system := files.Options(ctx, e.stdin, e.stderr)
	if !isNanny {
		o, err := options.Parse(rest, system)
		return o, nil, err
	}
	o, err := options.ParseAfterNanny(rest, system)
	nanny, nannyErr := options.ParseNanny(before)
	return o, &nanny, errors.Join(nannyErr, err)
}
