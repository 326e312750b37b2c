package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

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
	opts, err := parseOptions(args, env.getenv, env.stdout)
	switch {
	case errors.Is(err, errHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(env.stderr, "kubedns: %v\nkubedns --help lists the flags.\n", err)
		return exitUsage
	case opts.version == "raw":
		fmt.Fprintln(env.stdout, version.String())
		return exitOK
	case opts.version != "":
		fmt.Fprintln(env.stdout, version.Get().Line("kubedns"))
		return exitOK
	}
	log := slog.New(slog.NewTextHandler(env.stderr, &slog.HandlerOptions{Level: opts.logLevel()}))
	if env.clientLog != nil {
		env.clientLog(log, opts.verbosity)
	}
	log.Info("kubedns starts", "version", version.String(), "domain", opts.domain.String(), "args", args)
	if len(opts.ignored) > 0 {
		log.Warn("these flags have no effect any more, the log goes to standard error", "flags", opts.ignored)
	}
	a, err := newApp(opts, env, log)
	if err != nil {
		log.Error("cannot start", "error", err)
		return exitError
	}
	if err := a.run(ctx, env.signals); err != nil {
		log.Error("ended by an error", "error", err)
		return exitError
	}
	log.Info("kubedns ends")
	return exitOK
}

// clientLogVerbosity is from which -v on client-go tells more than errors.
const clientLogVerbosity = 4

// setClientLog sends client-go's messages to log. That library has one logger
// for the whole process, so main alone uses this.
func setClientLog(log *slog.Logger, verbosity int) {
	if verbosity < clientLogVerbosity {
		verbosity = 0
	}
	var flags flag.FlagSet
	klog.InitFlags(&flags)
	_ = flags.Set("v", strconv.Itoa(verbosity)) // a number is always good
	klog.SetSlogLogger(log.With("component", "client-go"))
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

// awaitEnd returns when the program has to end: at SIGINT, at the second
// SIGTERM, or when the lame-duck time after the first is over. Clients hold a
// server's address for a while after it is taken from them, so it goes on
// answering for that time.
func (a *app) awaitEnd(ctx context.Context, signals <-chan os.Signal) {
	var over <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case sig := <-signals:
			if sig != syscall.SIGTERM || over != nil || a.opts.lameduck == 0 {
				a.log.Info("ending", "signal", sig.String())
				return
			}
			a.log.Info("ending soon, still answering", "signal", sig.String(), "lameduck", a.opts.lameduck)
			a.ending.Store(true)
			over = time.After(a.opts.lameduck)
		}
	}
}

// complainUnsynced logs an error each minute for as long as the first lists are
// not there. The program goes on: an API server that is away may come back.
func (a *app) complainUnsynced(ctx context.Context) error {
	wait := a.opts.syncTimeout
	start := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.watcher.Synced():
			a.routes.Refresh()
			debug.FreeOSMemory() // the first lists took more than what is kept of them
			return nil
		case <-time.After(wait):
			a.log.Error("not all objects are listed yet, answering SERVFAIL",
				"since", time.Since(start).Round(time.Second), "reason", a.unsyncedReason())
			wait = time.Minute
		}
	}
}

// unsyncedReason says which lists are missing and why.
func (a *app) unsyncedReason() string {
	for _, r := range a.watcher.Status().Resources {
		switch {
		case r.Lists > 0:
		case r.LastError != "":
			return "waiting for " + r.Resource + ": " + r.LastError
		default:
			return "waiting for " + r.Resource
		}
	}
	return "records are being built"
}

// health tells /readiness about the state.
func (a *app) health() health {
	h := health{ready: a.watcher.HasSynced(), age: -1}
	if !h.ready {
		h.reason = a.unsyncedReason()
	}
	if a.ending.Load() {
		h.ready, h.reason = false, "shutting down"
	}
	status := a.watcher.Status()
	h.detail = append(h.detail, fmt.Sprintf("%d services, %d slices, %d endpoints", status.Services, status.Slices, status.Endpoints))
	for _, r := range status.Resources {
		if !r.LastHeard.IsZero() {
			h.age = max(h.age, time.Since(r.LastHeard))
		}
		state := "connected"
		if !r.Connected {
			state = "not connected"
		}
		line := fmt.Sprintf("%s: %s for %s", r.Resource, state, time.Since(r.Since).Round(time.Second))
		if r.LastError != "" {
			line += ": " + r.LastError
		}
		h.detail = append(h.detail, line)
	}
	h.detail = append(h.detail, a.routes.Describe()...)
	return h
}
