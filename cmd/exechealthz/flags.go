package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"
)

const (
	defaultCommand = "echo healthz"
	defaultURL     = "/healthz"
	metricsURL     = "/metrics"
	defaultPort    = 8080
	defaultPeriod  = 2 * time.Second
	defaultLatency = 30 * time.Second
	// maxDefaultTimeout is twice what the nslookup in here waits for a dead
	// server, so that a check of two lookups fails with the lookup's own words.
	maxDefaultTimeout = 10 * time.Second
)

// options is the command line, checked.
type options struct {
	checks        []check
	listenAddress string
	port          int
	period        time.Duration
	latency       time.Duration
	timeout       time.Duration
	quiet         bool
	output        bool
	version       bool
}

// check is one --cmd with the --url in the same position.
type check struct {
	url     string
	command string
	program *syntax.File
}

// parseOptions reads the arguments, without the program's name. Every fault of
// the options' meaning is reported at once; usage goes to help when it was asked
// for, and the error is then flag.ErrHelp.
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
	fs.BoolVar(&opts.version, "version", false, "print the version and exit")
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(help, "usage: exechealthz [--cmd=COMMAND [--url=PATH]]... [FLAG]...")
		fs.SetOutput(help)
		fs.PrintDefaults()
		return options{}, err
	}
	if err != nil {
		return options{}, err
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
	errs := []error{opts.validate()}
	if fs.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q", fs.Arg(0)))
	}
	checks, err := pair(commands, urls)
	opts.checks = checks
	return opts, errors.Join(append(errs, err)...)
}

func appendTo(list *[]string) func(string) error {
	return func(v string) error {
		*list = append(*list, v)
		return nil
	}
}

// validate checks the values that stand alone.
func (o options) validate() error {
	var errs []error
	if o.port < 0 || o.port > 65535 {
		errs = append(errs, fmt.Errorf("--port=%d: not a port", o.port))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"period", o.period}, {"latency", o.latency}, {"timeout", o.timeout}} {
		if d.value <= 0 && (d.name != "timeout" || o.latency > 0) {
			errs = append(errs, fmt.Errorf("--%s=%v: must be positive", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}

// pair joins the commands and urls by position and parses the commands.
func pair(commands, urls []string) ([]check, error) {
	var errs []error
	if len(commands) != len(urls) {
		errs = append(errs, fmt.Errorf("%d --cmd and %d --url: each --cmd needs its own --url, in the same order", len(commands), len(urls)))
	}
	seen := make(map[string]bool)
	for _, url := range urls {
		switch {
		case !strings.HasPrefix(url, "/"):
			errs = append(errs, fmt.Errorf("--url=%q: must begin with /", url))
		case strings.ContainsAny(url, "?#"):
			errs = append(errs, fmt.Errorf("--url=%q: must be a path, without ? and #", url))
		case url == metricsURL:
			errs = append(errs, fmt.Errorf("--url=%q: reserved for this program's metrics", url))
		case seen[url]:
			errs = append(errs, fmt.Errorf("--url=%q: given twice", url))
		}
		seen[url] = true
	}
	var checks []check
	for i, command := range commands {
		program, err := parseCommand(command)
		if err != nil {
			errs = append(errs, fmt.Errorf("--cmd=%q: %w", command, err))
			continue
		}
		if i < len(urls) {
			checks = append(checks, check{url: urls[i], command: command, program: program})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return checks, nil
}
