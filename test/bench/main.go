// Command bench compares the CPU time that our servers and others need for one query,
// under the same load, in turns. For kubedns and CoreDNS, which read from the same API
// server, it also compares the time to the first answer, the memory, and the time from
// a change to its answer. Only ratios within one run on one machine are meaningful.
//
//	bench compare [flags]        start the servers, measure, print tables
//	bench echo ADDRESS           the lower bound: a bare echo with pkg/listener
//	bench upstream ADDRESS [TTL] answer every question for A with an address
//	bench load [flags] ADDRESS   query ADDRESS and check the answers
//	bench soak [flags]           query dnscache for a long time while its servers fail
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/test/bench/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code: 1 when the work failed, 2 for bad arguments.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"compare": runCompare, "echo": runEcho, "upstream": runUpstream, "load": runLoad, "soak": runSoak,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprintln(stderr, "usage: bench compare|echo|upstream|load|soak [flags] [ADDRESS]")
		return 2
	}
	switch err := commands[args[0]](ctx, args[1:], stdout, stderr); {
	case err == nil:
		return 0
	case errors.Is(err, errUsage) || errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stderr, "bench %s: %v\n", args[0], err)
		return 2
	default:
		fmt.Fprintf(stderr, "bench %s: %v\n", args[0], err)
		return 1
	}
}

var errUsage = errors.New("bad arguments")

func runEcho(ctx context.Context, args []string, stdout, _ io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: want one address", errUsage)
	}
	return serve(ctx, args[0], echo{}, stdout)
}

func runUpstream(ctx context.Context, args []string, stdout, _ io.Writer) error {
	if len(args) == 0 || len(args) > 2 {
		return fmt.Errorf("%w: want an address and perhaps a TTL in seconds", errUsage)
	}
	ttl := uint64(300)
	if len(args) == 2 {
		var err error
		if ttl, err = strconv.ParseUint(args[1], 10, 31); err != nil {
			return fmt.Errorf("%w: TTL %q: %w", errUsage, args[1], err)
		}
	}
	return serve(ctx, args[0], upstream{ttl: uint32(ttl)}, stdout)
}

// serve answers on address until ctx ends.
func serve(ctx context.Context, address string, h listener.Handler, stdout io.Writer) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	s, err := listener.Listen(listener.Config{Addrs: []netip.AddrPort{addr}, Handler: h})
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "listening on", s.Addrs()[0])
	return s.Run(ctx)
}

func runLoad(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	fs.SetOutput(stderr)
	var cfg load.Config
	pattern := fs.String("names", "n%d.example.com", "`pattern` of the names asked; %d is the number")
	distinct := fs.Int("distinct", 0, "start the names again after so many; 0: all are distinct")
	qtype := fs.Uint("type", 1, "question type as a number")
	limit := fs.Duration("limit", time.Minute, "end after this time at the latest")
	fs.IntVar(&cfg.First, "first", 0, "number of the first question")
	fs.BoolVar(&cfg.TCP, "tcp", false, "ask over TCP")
	fs.IntVar(&cfg.Count, "count", 100000, "questions")
	fs.IntVar(&cfg.Sockets, "sockets", 4, "client ports")
	fs.IntVar(&cfg.Window, "window", 16, "outstanding questions of each port, at most 64")
	fs.Float64Var(&cfg.Rate, "rate", 0, "questions per second; 0: as fast as they are answered")
	fs.IntVar(&cfg.Rcode, "rcode", 0, "response code of a right answer")
	fs.BoolVar(&cfg.NoAnswers, "no-answers", false, "accept answers without records")
	fs.DurationVar(&cfg.Timeout, "timeout", 2*time.Second, "wait for an answer")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	var err error
	if cfg.Server, err = netip.ParseAddrPort(fs.Arg(0)); err != nil || fs.NArg() != 1 || *qtype > 0xffff {
		return fmt.Errorf("%w: want an address and a 16-bit type: %w", errUsage, err)
	}
	names, err := load.NewPattern(*pattern, *distinct)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	names.Type = uint16(*qtype)
	cfg.Questions = names
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	r, err := load.Run(ctx, cfg)
	fmt.Fprintf(stdout, "sent %d, answered %d, lost %d, wrong %d in %v: %.0f/s\n",
		r.Sent, r.Answered, r.Lost, r.Wrong, r.Took.Round(time.Millisecond), float64(r.Answered)/r.Took.Seconds())
	if err == nil && r.Answered != cfg.Count {
		err = fmt.Errorf("%d of %d questions answered rightly", r.Answered, cfg.Count)
	}
	return err
}
