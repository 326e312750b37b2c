package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kube-dns/kube-dns/pkg/httpserver"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/nslookup"
	"github.com/kube-dns/kube-dns/pkg/prober"
	"github.com/kube-dns/kube-dns/pkg/shell"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// run is the whole program: args begins with the program's name, and the result
// is the exit code. It ends with 0 when ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		args = []string{"exechealthz"}
	}
	if filepath.Base(args[0]) == "nslookup" {
		return nslookup.Command{}.Run(ctx, args[1:], stdout, stderr)
	}
	opts, err := parseOptions(args[1:], stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "exechealthz: %v\n", err)
		return 1
	case opts.version:
		fmt.Fprintln(stdout, version.Get().Line("exechealthz"))
		return 0
	}
	control := logging.NewControl(slog.LevelInfo)
	logger := logging.New(stderr, opts.logFormat, control.Level())
	control.Use(logger, nil)
	address := net.JoinHostPort(opts.listenAddress, strconv.Itoa(opts.port))
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		fmt.Fprintf(stderr, "exechealthz: --port=%d: %v\n", opts.port, err)
		return 1
	}
	if err := serve(ctx, opts, ln, control, logger); err != nil {
		logger.Error("ending", "error", err)
		return 1
	}
	return 0
}

// serve runs the checks and answers on ln until ctx ends.
func serve(ctx context.Context, opts options, ln net.Listener, control http.Handler, logger *slog.Logger) error {
	sh := shell.New(os.Environ(), nslookup.Command{})
	metrics := newMetrics()
	probers := make(map[string]*prober.Prober)
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range opts.checks {
		p := prober.New(prober.Config{
			Check: func(ctx context.Context, out io.Writer) error {
				return sh.Run(ctx, c.program, out)
			},
			Period:  opts.period,
			Timeout: opts.timeout,
			Rules:   prober.Rules{Path: c.url, Latency: opts.latency, ShowOutput: opts.output},
			Observe: observer(c, metrics, logger, opts),
		})
		probers[c.url] = p
		metrics.addCheck(c.url, p)
	}
	if opts.latency < opts.period {
		logger.Warn("good results go stale before the next run: --latency is shorter than --period",
			"latency", opts.latency, "period", opts.period)
	}
	logger.Info("serving", "address", ln.Addr().String(), "checks", len(probers), "version", version.String())
	for path, p := range probers {
		group.Go(func() error {
			if err := p.Run(ctx); err != nil {
				return fmt.Errorf("check %s: %w", path, err)
			}
			return nil
		})
	}
	if os.Getpid() == 1 {
		group.Go(func() error {
			sh.Reap(ctx)
			return nil
		})
	}
	group.Go(func() error {
		return httpserver.Serve(ctx, ln, httpserver.Config{
			Handler: handler(probers, map[string]http.Handler{metricsURL: httpserver.Metrics(metrics.registry), logging.Path: control}, logger, opts.quiet), Logger: logger, Grace: shutdownGrace,
		})
	})
	return group.Wait()
}

// observer counts and logs the results of one check. A change of health is
// always logged, the first failure included; other runs are when not quiet. In
// the first period a failure is no error yet: what is checked starts at the same
// time as this program.
func observer(c check, m *metrics, logger *slog.Logger, opts options) func(prober.CheckResult) {
	logger = logger.With("path", c.url)
	healthy, known := false, false
	var began time.Time
	return func(r prober.CheckResult) {
		m.observe(c.url, r)
		if began.IsZero() {
			began = r.Start
		}
		took := r.End.Sub(r.Start)
		if r.Err != nil && !known && r.End.Sub(began) < opts.period {
			logger.Info("check has not succeeded yet", "error", r.Err, "output", r.Output, "duration", took)
			return
		}
		changed := !known || healthy != (r.Err == nil)
		healthy, known = r.Err == nil, true
		switch {
		case r.Err != nil && (changed || !opts.quiet):
			logger.Error("check failed", "error", r.Err, "output", r.Output, "duration", took)
		case r.Err == nil && changed:
			logger.Info("check is healthy", "duration", took)
		case r.Err == nil && !opts.quiet:
			logger.Info("check succeeded", "duration", took)
		}
	}
}
