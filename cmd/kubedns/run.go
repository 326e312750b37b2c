package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/kube-dns/kube-dns/pkg/kubedns/explain"
	"github.com/kube-dns/kube-dns/pkg/kubedns/options"
	"github.com/kube-dns/kube-dns/pkg/lameduck"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// environment is what the program takes from its surroundings.
type environment struct {
	getenv         func(string) string
	stdout, stderr io.Writer
	signals        <-chan os.Signal
	resolvConf     string // path of the file with the default servers
	// clientLog sets where client-go logs to, for the whole process. Nil leaves
	// it as it is.
	clientLog func(log *slog.Logger, verbosity int)
}

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // could not start, or a part ended by itself
	exitUsage = 2 // wrong flags or variables
)

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args []string, env environment) int {
	if code, ok := explain.Run(ctx, args, explain.Env{Getenv: env.getenv, Stdout: env.stdout, Stderr: env.stderr, Open: env.openExplainer}); ok {
		return code
	}
	opts, err := options.Parse(args, env.getenv, env.stdout)
	switch {
	case errors.Is(err, options.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(env.stderr, "kubedns: %v\nkubedns --help lists the flags.\n", err)
		return exitUsage
	case opts.Version == "raw":
		fmt.Fprintln(env.stdout, version.String())
		return exitOK
	case opts.Version != "":
		fmt.Fprintln(env.stdout, version.Get().Line("kubedns"))
		return exitOK
	}
	control := logging.NewControl(opts.LogLevel())
	log := logging.New(env.stderr, opts.LogFormat, control.Level())
	if env.clientLog != nil {
		env.clientLog(log, opts.Verbosity)
	}
	log.Info("starting kubedns", "version", version.String(), "domain", opts.Domain.String(), "args", args)
	if len(opts.Ignored) > 0 {
		log.Warn("some flags no longer have any effect; the log goes to standard error", "flags", opts.Ignored)
	}
	a, err := newApp(opts, env, log, control)
	if err != nil {
		log.Error("cannot start", "error", err)
		return exitError
	}
	if err := a.run(ctx, env.signals); err != nil {
		log.Error("stopping because of an error", "error", err)
		return exitError
	}
	log.Info("kubedns has stopped")
	return exitOK
}

// openExplainer makes what "kubedns explain" works with: a server without sockets.
func (env environment) openExplainer(opts *options.Options) (*explain.Explainer, func(context.Context) error, error) {
	control := logging.NewControl(slog.LevelError)
	log := logging.New(env.stderr, opts.LogFormat, control.Level())
	if env.clientLog != nil {
		env.clientLog(log, opts.Verbosity)
	}
	a, err := newCore(opts, env, log, control, prometheus.NewRegistry())
	if err != nil {
		return nil, nil, err
	}
	return a.explainer, func(ctx context.Context) error { return a.run(ctx, env.signals) }, nil
}

// run serves until a signal or an error ends it, or ctx does.
func (a *app) run(ctx context.Context, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range a.parts {
		group.Go(func() error { return part(ctx) })
	}
	group.Go(func() error {
		defer cancel()
		a.awaitEnd(ctx, signals)
		return nil
	})
	return group.Wait()
}

// awaitEnd returns when the program has to end: at SIGINT, at the second SIGTERM, or when
// the lame-duck time after the first is over.
func (a *app) awaitEnd(ctx context.Context, signals <-chan os.Signal) {
	duck := lameduck.Timer{Duration: a.opts.Lameduck}
	for {
		select {
		case <-ctx.Done():
			return
		case <-duck.Over():
			return
		case sig := <-signals:
			if !duck.Begin(sig) {
				a.log.Info("ending", "signal", sig.String())
				return
			}
			a.log.Info("shutting down; still answering for the lame-duck time", "signal", sig.String(), "lameduck", a.opts.Lameduck)
			a.ending.Store(true)
		}
	}
}
