package main

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnscache/config"
	"github.com/kube-dns/kube-dns/pkg/dnscache/dump"
	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/listenaddr"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/lameduck"
)

// pollPeriod is the time between two checks for changed files.
const pollPeriod = time.Second

// loop handles signals and changes until the program must end.
func (a *app) loop(ctx context.Context, changes <-chan func()) {
	poll := time.NewTicker(pollPeriod)
	defer poll.Stop()
	var statistics <-chan time.Time
	if a.nanny != nil && a.nanny.LogInterval > 0 {
		ticker := time.NewTicker(a.nanny.LogInterval)
		defer ticker.Stop()
		statistics = ticker.C
	}
	duck := lameduck.Timer{Duration: a.options.Own.Lameduck}
	for {
		select {
		case <-ctx.Done():
			return
		case <-duck.Over():
			a.sockets.StepBack()
			a.forward.AwaitQuiet(time.Second)
			return
		case sig := <-a.env.signals:
			if duck.Begin(sig) {
				a.log.Printf("received SIGTERM, answering for another %s", duck.Duration)
			} else if a.signal(ctx, sig) {
				return
			}
		case <-poll.C:
			a.poll()
		case <-a.host.Changed():
			a.followInterfaces()
		case <-statistics:
			a.logStatistics()
		case change := <-changes:
			change()
			a.apply(false)
		}
	}
}

// signal handles one signal. It returns true if the program must end.
func (a *app) signal(ctx context.Context, sig os.Signal) (end bool) {
	switch sig {
	case syscall.SIGTERM:
		a.log.Printf("exiting on receipt of SIGTERM")
		return true
	case syscall.SIGINT:
		a.log.Printf("exiting on receipt of SIGINT")
		return true
	case syscall.SIGHUP:
		a.reload(ctx)
	case syscall.SIGUSR1:
		a.logStatistics()
		if p := &a.options.Process; p.LogQueries != options.QueryLogOff || p.NoDaemon {
			local := config.LocalData(&a.options.Local, nil, &a.host.Surroundings)
			(&dump.Dump{Local: local, Files: a.hosts.Table, Each: a.forward.Each}).Write(a.log, time.Now())
		}
	case syscall.SIGUSR2:
		if err := a.log.Reopen(); err != nil {
			a.log.Printf("cannot open log %s: %s", a.log.Path, linelog.ErrorText(err))
		}
	}
	return false
}

// logStatistics logs the statistics that dnsmasq logs on SIGUSR1.
func (a *app) logStatistics() {
	for _, line := range a.counters.Counters().Lines(time.Now()) {
		a.log.Printf("%s", line)
	}
}

// reload handles SIGHUP: it clears the cache and reads all files again, except those that
// contain options.
func (a *app) reload(ctx context.Context) {
	a.hosts.Read(a.host.Interfaces.Networks, false)
	a.hosts.LogCleared(&a.options.Cache)
	if err := a.sources.ReadFile(ctx, a.options.Process.ServersFile, a.env.lookup, a.log); err != nil {
		a.log.Printf("error: %v", err)
	}
	again := a.options.Upstream.NoPoll // otherwise poll notices a change
	a.sources.Resolv.Poll(again)
	a.apply(again && a.sources.Resolv != nil || a.options.Process.ServersFile != "")
	// Last, so that no reply that the old servers send meanwhile stays in the cache.
	a.forward.Clear()
}

// poll checks whether files, directories or interfaces have changed, and applies the changes.
func (a *app) poll() {
	resolv := !a.options.Upstream.NoPoll && a.sources.Resolv.Poll(false)
	changed := resolv
	if a.hosts.Changed() {
		a.hosts.Read(a.host.Interfaces.Networks, false)
		changed = true
	}
	if changed {
		a.apply(false)
	}
	if resolv && a.options.Upstream.ClearOnReload {
		a.hosts.LogCleared(&a.options.Cache)
		a.forward.Clear()
	}
	a.sockets.RefreshLocal()
	if a.sockets.Waiting() || !a.host.Watched() && config.Follows(a.options) {
		a.followInterfaces()
	}
}

// followInterfaces applies a change of the network interfaces to the sockets and to local data.
func (a *app) followInterfaces() {
	changed := a.host.Refresh()
	if a.sockets.Waiting() || changed && listenaddr.Follows(&a.options.Listen) {
		a.sockets.Rebind(a.host.Interfaces)
	}
	if changed && config.LocalFollows(a.options) {
		if l := &a.options.Local; l.ExpandHosts && config.DomainFollows(l) {
			a.hosts.Read(a.host.Interfaces.Networks, true)
		}
		a.apply(false)
	}
}
