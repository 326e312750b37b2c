package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/logging"
)

const (
	defaultCommand = "echo healthz"
	defaultURL     = "/healthz"
	metricsURL     = "/metrics"
	defaultPort    = 8080
	defaultPeriod  = 2 * time.Second
	defaultLatency = 30 * time.Second
	// maxDefaultTimeout is twice as long as the built-in nslookup waits for a dead
	// server, so that a check with two lookups fails with the lookup's own error.
	maxDefaultTimeout = 10 * time.Second
)

// options is a valid command line.
type options struct {
	checks        []check       // the commands to run, with their URL paths
	listenAddress string        // --listen-address; "" means all addresses
	port          int           // --port
	period        time.Duration // --period: time from the start of one run to the start of the next
	latency       time.Duration // --latency: age up to which a result counts
	timeout       time.Duration // --timeout: longest duration of one run
	quiet         bool          // --quiet: log only changes of health
	output        bool          // --output: answer with the command's output
	version       bool          // --version: print the version and exit
	logFormat     string        // logging.Text or logging.JSON
}

// parseOptions reads the arguments, without the program's name. The error names all
// invalid values. If help was asked for, it is written to help and the error is
// flag.ErrHelp.
func parseOptions(args []string, help io.Writer) (options, error) {
	var (
		opts           options
		commands, urls []string
	)
	fs := flag.NewFlagSet("exechealthz", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Func("cmd", "shell `command` to run; repeatable (default \""+defaultCommand+"\")", appendTo(&commands))
	fs.Func("url", "`path` that answers for the command in the same position; repeatable (default \""+defaultURL+"\")", appendTo(&urls))
	fs.IntVar(&opts.port, "port", defaultPort, "`port` to serve on")
	fs.StringVar(&opts.listenAddress, "listen-address", "", "`address` to serve on (default all)")
	fs.DurationVar(&opts.period, "period", defaultPeriod, "time from the start of one run of a command to the start of the next")
	fs.DurationVar(&opts.latency, "latency", defaultLatency, "oldest result that still counts as healthy")
	fs.DurationVar(&opts.timeout, "timeout", 0, "deadline of one run, after which it failed and its processes are killed (default the lesser of --latency and "+maxDefaultTimeout.String()+")")
	fs.BoolVar(&opts.quiet, "quiet", false, "log changes of health only, not every run and request")
	fs.BoolVar(&opts.output, "output", false, "answer with the command's output instead of ok")
	fs.StringVar(&opts.logFormat, "log-format", logging.Text, "`format` of the log: text, or json for one object on each line")
	fs.BoolVar(&opts.version, "version", false, "print the version and exit")
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(help, "usage: exechealthz [--cmd=COMMAND [--url=PATH]]... [FLAG]...")
		fs.SetOutput(help)
		fs.PrintDefaults()
		return options{}, err
	}
	if err != nil {
		return options{}, errors.Join(err, sidecarHint(args))
	}
	if opts.version {
		return opts, nil
	}
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["timeout"] {
		opts.timeout = min(opts.latency, maxDefaultTimeout)
	}
	if len(commands) == 0 {
		commands = []string{defaultCommand}
	}
	if len(urls) == 0 {
		urls = []string{defaultURL}
	}
	opts.listenAddress = strings.Trim(opts.listenAddress, "[]") // of an IPv6 address
	errs := []error{opts.validate()}
	if fs.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q", fs.Arg(0)))
	}
	checks, err := pair(commands, urls)
	opts.checks = checks
	return opts, errors.Join(append(errs, err)...)
}

// sidecarHint explains the arguments of kube-dns's sidecar, which stood in the
// place of exechealthz in later versions, or returns nil if there are none.
func sidecarHint(args []string) error {
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch name {
		case "probe", "dnsmasq-addr", "dnsmasq-port", "dnsmasq-poll-interval-ms", "prometheus-addr", "prometheus-port":
			return fmt.Errorf("--%s is an argument of kube-dns's sidecar; exechealthz runs commands instead, for example "+
				"--cmd='nslookup kubernetes.default.svc.cluster.local 127.0.0.1:10053 >/dev/null' --url=/healthz-kubedns", name)
		}
	}
	return nil
}

func appendTo(list *[]string) func(string) error {
	return func(v string) error {
		*list = append(*list, v)
		return nil
	}
}

// validate checks each value by itself.
func (o options) validate() error {
	var errs []error
	if o.port < 0 || o.port > 65535 {
		errs = append(errs, fmt.Errorf("--port=%d: not a port", o.port))
	}
	if _, err := netip.ParseAddr(o.listenAddress); err != nil && o.listenAddress != "" {
		errs = append(errs, fmt.Errorf("--listen-address=%s: not an address", o.listenAddress))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"period", o.period}, {"latency", o.latency}, {"timeout", o.timeout}} {
		if d.value <= 0 && (d.name != "timeout" || o.latency > 0) {
			errs = append(errs, fmt.Errorf("--%s=%v: must be positive", d.name, d.value))
		}
	}
	if err := logging.CheckFormat(o.logFormat); err != nil {
		errs = append(errs, fmt.Errorf("--log-format=%s: %w", o.logFormat, err))
	}
	return errors.Join(errs...)
}
