// Package nodelocal runs dnscache as the DNS cache of a node (--node-local).
//
// The process is a supervisor. It starts the same program again as its child, the cache,
// which answers queries and gives up all rights over the network once it has bound its ports.
// The supervisor puts the cache's addresses on a link, and installs an nftables table that
// leads the queries for these addresses to the cache. The table belongs to a netlink socket
// of the supervisor, so the kernel removes it however the supervisor ends; queries then go
// where kube-proxy sends them. Package policy decides when the table is installed and
// removed.
//
// Call [Main] first in the program. Without --node-local it does nothing.
package nodelocal

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Exit codes: the ones that dnscache uses for the same kinds of fault.
const (
	exitConfig  = 1
	exitNetwork = 2
)

// dnsPort is the cache's port. The nftables rules support no other.
const dnsPort = 53

// config is the parsed command line.
type config struct {
	// addrs are the addresses to answer on, each once.
	addrs []netip.Addr
	// link is the name of the link that holds them.
	link string
	// lameduck is how long to answer after SIGTERM.
	lameduck time.Duration
	// cleanup asks to remove the link and its addresses, and to do nothing else.
	cleanup bool
	// ready asks to check whether a cache answers, and to do nothing else.
	ready bool
	// byIPVS are the addresses that were left out because kube-proxy holds them in IPVS mode.
	byIPVS []netip.Addr
	// upstream is the DNS name whose addresses are the upstream servers for the cluster's
	// names; "" means none.
	upstream string
	// cpus is the number of CPUs that the Go runtime would use.
	cpus int
	// rest are the arguments to pass to the cache.
	rest []string
}

// wanted reports whether the arguments ask for this mode.
func wanted(args []string) bool {
	end := slices.Index(args, "--")
	if end < 0 {
		end = len(args)
	}
	return slices.ContainsFunc(args[:end], func(arg string) bool {
		name, dashed := strings.CutPrefix(arg, "--")
		return dashed && (name == "node-local" || strings.HasPrefix(name, "node-local=") || strings.HasPrefix(name, "node-local-"))
	})
}

// Main runs the supervisor if args, which do not include the program's name, ask for it. If
// done is false, the caller must run the cache itself; node then holds what the supervisor
// tells the cache, and is nil if there is no supervisor.
func Main(ctx context.Context, args []string, stderr io.Writer) (node *Node, code int, done bool) {
	switch {
	case os.Getenv(childEnv) != "":
		return becomeChild(), 0, false
	case !wanted(args):
		return nil, 0, false
	}
	return nil, runMode(ctx, args, stderr), true
}

// runMode does what the options of this mode ask for, and returns the exit code.
func runMode(ctx context.Context, args []string, stderr io.Writer) int {
	signals := watchSignals()
	cfg, err := parse(args)
	switch {
	case err != nil:
	case cfg.ready:
		err = ready()
	case !cfg.cleanup:
		err = check(cfg)
	}
	if err != nil {
		fmt.Fprintf(stderr, "\ndnscache: --node-local: %v\n\n", err)
		return exitConfig
	}
	if cfg.ready {
		return 0
	}
	if cfg.cleanup {
		if err := (&link{name: cfg.link}).remove(cfg.addrs); err != nil {
			fmt.Fprintf(stderr, "\ndnscache: --node-local-cleanup: %v\n\n", err)
			return exitNetwork
		}
		return 0
	}
	return supervise(ctx, cfg, signals, stderr)
}

// parse reads the arguments up to "--". Those after it are the cache's.
func parse(args []string) (*config, error) {
	cfg := &config{}
	if end := slices.Index(args, "--"); end >= 0 {
		args, cfg.rest = args[:end], args[end+1:]
	}
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	list := flags.String("node-local", "", "")
	flags.StringVar(&cfg.link, "node-local-interface", "nodelocaldns", "")
	flags.StringVar(&cfg.upstream, "node-local-upstream", "", "")
	flags.DurationVar(&cfg.lameduck, "node-local-lameduck", 5*time.Second, "")
	flags.BoolVar(&cfg.cleanup, "node-local-cleanup", false, "")
	flags.BoolVar(&cfg.ready, "node-local-ready", false, "")
	if err := flags.Parse(args); err != nil {
		return nil, fmt.Errorf("%w; the options of the cache follow an argument --", err)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q; the options of the cache follow an argument --", flags.Arg(0))
	}
	if cfg.ready {
		return cfg, nil
	}
	if cfg.lameduck < 0 || cfg.lameduck > time.Hour {
		return nil, fmt.Errorf("the lame-duck time %v is not between 0 and 1h", cfg.lameduck)
	}
	if slices.ContainsFunc(cfg.rest, func(arg string) bool { return arg == "--lameduck" || strings.HasPrefix(arg, "--lameduck=") }) {
		return nil, errors.New("give --node-local-lameduck before the --, in place of --lameduck")
	}
	// The kernel would replace a % by a number.
	if slices.Contains([]string{"", ".", ".."}, cfg.link) || len(cfg.link) >= unix.IFNAMSIZ || strings.ContainsAny(cfg.link, "/ \t\n:%") {
		return nil, fmt.Errorf("invalid interface name %q", cfg.link)
	}
	if *list == "" && cfg.cleanup {
		return cfg, nil
	}
	for text := range strings.SplitSeq(*list, ",") {
		addr, err := parseAddr(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(cfg.addrs, addr) {
			cfg.addrs = append(cfg.addrs, addr)
		}
	}
	return cfg, nil
}

// parseAddr reads an address, and rejects one that a node's cache cannot use.
func parseAddr(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	switch {
	case text == "":
		return addr, errors.New("an address is missing; write --node-local=ADDRESS[,ADDRESS...]")
	case err != nil:
		return addr, fmt.Errorf("invalid address %q", text)
	case addr.Zone() != "" && !addr.IsLinkLocalUnicast():
		return addr, fmt.Errorf("%v has a zone, which only link-local addresses have; write %v", addr, addr.WithZone(""))
	case addr.Is4In6():
		return addr, fmt.Errorf("the IPv4 address %v is written as an IPv6 address; write %v", addr, addr.Unmap())
	case addr.Is6() && addr.IsLinkLocalUnicast():
		return addr, fmt.Errorf("resolv.conf cannot name %v without a zone; use a unique local address such as fd00::10", addr)
	case addr.IsLoopback(), !dnsname.IsUnicast(addr):
		return addr, fmt.Errorf("%v cannot be the address of a node's cache; use the cluster IP of the Service kube-dns, or a link-local address such as 169.254.20.10", addr)
	}
	return addr, nil
}
