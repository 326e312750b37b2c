// Package nodelocal runs dnscache as the DNS cache of a node (--node-local).
//
// The process is a supervisor. It starts the same program as its child, which answers
// queries and holds no right over the network once its ports are bound. The supervisor
// puts the addresses on a link, and an nftables table into the kernel that leads
// queries for them to the child. The table belongs to a netlink socket of the
// supervisor, so that the kernel removes it however the supervisor ends: the queries
// then go where kube-proxy sends them. When that is to be is decided by package policy.
//
// [Main] is the only entrance. Without --node-local it does nothing.
package nodelocal

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Exit codes, those of dnscache for faults of the same kind.
const (
	exitConfig  = 1
	exitNetwork = 2
)

// dnsPort is the port of the cache; the rules know no other.
const dnsPort = 53

// config is the command line.
type config struct {
	// addrs are the addresses to answer on, each once.
	addrs []netip.Addr
	// link is the name of the link that holds them.
	link string
	// lameduck is how long to answer after SIGTERM.
	lameduck time.Duration
	// cleanup asks to remove the link and its addresses, and to do nothing else.
	cleanup bool
	// ready asks whether a cache answers, and for nothing else.
	ready bool
	// byIPVS are addresses left out because kube-proxy has them in IPVS mode.
	byIPVS []netip.Addr
	// upstream is the name whose addresses are asked for the cluster's names; "" for none.
	upstream string
	// rest are the arguments of the cache.
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

// Main runs the supervisor if args, without the program's name, ask for it. done is
// false if the caller is to run the cache itself; node is then what the cache knows of its
// supervisor, nil without one.
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
	return supervise(ctx, cfg, stderr)
}

// parse reads the arguments up to "--"; those after it are the cache's.
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
	if cfg.link == "" || len(cfg.link) >= unix.IFNAMSIZ || strings.ContainsAny(cfg.link, "/ \t\n:") {
		return nil, fmt.Errorf("invalid interface name %q", cfg.link)
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

// parseAddr reads an address that a node's cache can have.
func parseAddr(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return addr, fmt.Errorf("invalid address %q", text)
	case addr.Is4In6():
		return addr, fmt.Errorf("the IPv4 address %v is written as an IPv6 address; write %v", addr, addr.Unmap())
	case addr.Is6() && addr.IsLinkLocalUnicast():
		return addr, fmt.Errorf("resolv.conf cannot name %v without a zone; use a unique local address such as fd00::10", addr)
	case addr.IsUnspecified(), addr.IsMulticast(), addr.IsLoopback(), addr == netip.MustParseAddr("255.255.255.255"):
		return addr, fmt.Errorf("%v cannot be the address of a node's cache; use the cluster IP of the Service kube-dns, or a link-local address such as 169.254.20.10", addr)
	}
	return addr, nil
}
