package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/kube-dns/kube-dns/pkg/cgroup"
	"github.com/kube-dns/kube-dns/pkg/dnscache/servers"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// start logs the messages that dnsmasq logs at its start. It reads all files that may change
// later, and applies their content.
func (a *app) start(ctx context.Context) error {
	size := fmt.Sprintf("cachesize %d", a.options.Cache.Size)
	if a.options.Cache.Size == 0 {
		size = "cache disabled"
	}
	a.log.Printf("started, version %s %s", version.String(), size)
	if limit, set := cgroup.LimitMemory(); set {
		a.logger.Debug("memory limit set", "limit_bytes", limit)
	}
	if facility := a.options.Process.LogFacility.Facility; facility != "" {
		a.log.Printf("logging to standard error, not to syslog facility %s", facility)
	}
	if err := a.sources.ReadFile(ctx, a.options.Process.ServersFile, a.env.lookup, a.log); err != nil {
		return options.Faultf(options.ExitConfig, "%v", err)
	}
	a.openLive(ctx)
	a.openResolv()
	a.sources.Show(a.log, false) // logged before the hosts files, as in dnsmasq
	a.hosts.Read(a.host.Interfaces.Networks, false)
	a.apply(false)
	return nil
}

// run answers queries until a signal arrives, ctx ends or a part of the program fails.
func (a *app) run(ctx context.Context) error {
	logCtx, stopLog := context.WithCancel(context.WithoutCancel(ctx))
	logDone := make(chan struct{})
	go func() {
		defer close(logDone)
		a.log.Run(logCtx)
	}()
	defer func() {
		stopLog()
		<-logDone
	}()
	if err := a.start(ctx); err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.forward.Run(ctx) })
	group.Go(func() error { return a.sockets.Run(ctx) })
	group.Go(func() error { return a.metrics.Run(ctx) })
	group.Go(func() error { return a.host.Run(ctx) })
	changes := make(chan func())
	publish := func(change func()) {
		select {
		case changes <- change:
		case <-ctx.Done():
		}
	}
	group.Go(func() error {
		a.replicas.Run(ctx, publish)
		return nil
	})
	if a.live != nil {
		first := a.sources.Live
		group.Go(func() error {
			a.live.Run(ctx, first, func(c servers.Live) { publish(func() { a.sources.UseLive(c) }) })
			return nil
		})
	}
	group.Go(func() error {
		defer cancel()
		a.loop(ctx, changes)
		return nil
	})
	if a.env.started != nil {
		a.env.started(a.sockets.Addrs(), a.metrics.Addr())
	}
	return group.Wait()
}
