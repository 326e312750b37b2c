package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/privilege"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// program is the name in messages.
const program = "dnscache"

// env is what the program touches of the system, as far as tests replace it.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	signals        <-chan os.Signal
	// lookup finds addresses of servers given by name; nil asks the system.
	lookup lookupFunc
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
		e.lookup = systemLookup
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
		a.log.printf("FAILED to go on answering: %v", err)
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
	if !isNanny {
		o, err := options.Parse(rest, systemFiles(ctx, e))
		return o, nil, err
	}
	o, err := options.ParseAfterNanny(rest, systemFiles(ctx, e))
	nanny, nannyErr := options.ParseNanny(before)
	return o, &nanny, errors.Join(nannyErr, err)
}

// newLogger returns the logger for everything that is not in dnsmasq's words, and what
// changes the level of the whole log.
func newLogger(log *lineLog, o *options.Options, nanny *options.Nanny) (*slog.Logger, *logging.Control) {
	level := slog.LevelInfo
	if o.Process.LogDebug || nanny != nil && nanny.Verbosity >= 3 {
		level = slog.LevelDebug
	}
	control := logging.NewControl(level)
	log.level, log.json = control.Level(), o.Own.LogFormat == logging.JSON
	if log.json {
		return logging.New(log, logging.JSON, control.Level()), control
	}
	return slog.New(&logHandler{log: log, level: control.Level()}), control
}

// fault is a reason not to start, with dnsmasq's exit code for it.
func fault(exit int, format string, args ...any) error {
	return &options.Fault{Text: fmt.Sprintf(format, args...), Exit: exit}
}

// listenFault puts an error of the listener into dnsmasq's words, and adds the
// listener's own, which name the protocol and the port too.
func listenFault(err error, addrs []netip.AddrPort) error {
	where := "port"
	for _, a := range addrs {
		if !strings.Contains(err.Error(), a.String()) {
			continue
		}
		if where = a.Addr().String(); a.Addr().IsUnspecified() {
			where = "port " + strconv.Itoa(int(a.Port()))
		}
	}
	return &options.Fault{
		Text:   fmt.Sprintf("failed to create listening socket for %s: %s", where, systemText(err)),
		Detail: err.Error(),
		Exit:   options.ExitNetwork,
	}
}

// become drops to the user that the options choose. Without the right to do so
// (a container that took the capability away) it stays root, unless the user
// was asked for.
func (a *app) become(id privilege.Identity) error {
	err := id.Drop()
	switch {
	case err == nil:
		return nil
	case !id.Asked && errors.Is(err, syscall.EPERM):
		a.log.printf("warning: staying root: %v", err)
		return nil
	}
	return fault(options.ExitOther, "%v", err)
}
