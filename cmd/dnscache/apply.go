package main

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/answerlog"
	"github.com/kube-dns/kube-dns/pkg/configmetrics"
	"github.com/kube-dns/kube-dns/pkg/dnscache/config"
	"github.com/kube-dns/kube-dns/pkg/dnscache/files"
	"github.com/kube-dns/kube-dns/pkg/dnscache/live"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// forwarderConfig returns the configuration of the forwarder with the current servers and the
// current content of the hosts files. Before the forwarder exists, it contains no servers.
func (a *app) forwarderConfig() (forwarder.Config, error) {
	var list []options.Server
	if a.forward != nil { // before that, the program is not ready to answer
		list = a.sources.Servers()
	}
	p := config.New(a.options, list, a.hosts.Table, &a.host.Surroundings)
	p.Filter.OnRebind = func(name []byte, suppressed uint64) { a.log.Printf("%s", querylog.Rebind(name, suppressed)) }
	cfg, err := p.Forwarder()
	if err != nil {
		return cfg, err
	}
	if a.rates != nil { // first, because every other stage costs more
		cfg.Stages = slices.Insert(cfg.Stages, 0, a.rates.Stage())
	}
	cfg.OnOverLimit = func(o forwarder.OverLimit) { a.log.Printf("%s", querylog.OverLimit(o)) }
	cfg.Upstream.OnLoop = func(server netip.AddrPort) { a.log.Printf("%s", querylog.Loop(server)) }
	cfg.Logger, cfg.Answers = a.logger, a.answers
	cfg.Upstream.Trust = a.trust.Current
	if a.options.Process.LogQueries != options.QueryLogOff {
		cfg.Log = a.queryLog
	}
	return cfg, nil
}

// apply passes the current servers and local data to the forwarder. Names whose servers have
// not changed stay in the cache. The servers are logged, after they are in use, if they have
// changed or if again is true.
func (a *app) apply(again bool) {
	cfg, err := a.forwarderConfig()
	if err == nil {
		err = a.forward.Reload(cfg)
	}
	if err == nil {
		a.sources.Show(a.log, again)
	} else {
		a.log.Printf("error: cannot apply the change; keeping the previous configuration: %v", err)
	}
	a.hosts.Settle(a.sources.Bytes())
}

// openLog makes the loggers, with the level and format that the options ask for.
func (a *app) openLog() {
	p := &a.options.Process
	level := slog.LevelInfo
	if p.LogDebug || a.nanny != nil && a.nanny.Verbosity >= 3 {
		level = slog.LevelDebug
	}
	a.logger, a.control = a.log.Logger(level, a.options.Own.LogFormat)
	a.answers = answerlog.New(a.logger)
	a.control.Use(a.logger, a.answers)
	a.queryLog = &querylog.Log{
		Line:  func(text string) { a.log.Line(text, true) },
		Extra: p.LogQueries == options.QueryLogExtra,
	}
}

// openLive starts to follow the directory in dnsmasq-nanny's flags, if there is one, and reads
// it once.
func (a *app) openLive(ctx context.Context) {
	if a.nanny == nil || a.nanny.ConfigDir == "" {
		return
	}
	a.live = live.New(live.Config{
		Nanny: *a.nanny, Lookup: a.env.lookup, Servers: a.options.Upstream.Servers,
		Result: configmetrics.New(a.registry, "dnscache_").Result, Logger: a.logger,
	})
	a.sources.Live = a.live.Start(ctx)
}

// openResolv reads the files of --resolv-file for the first time, unless --no-resolv is given.
func (a *app) openResolv() {
	if a.options.Upstream.NoResolv {
		return
	}
	paths := a.options.Upstream.ResolvFiles
	judged := paths
	if a.options.Own.SharePort { // on a node, 127.0.0.53 may be another resolver
		judged = nil
	}
	a.sources.Resolv = files.FollowResolv(paths, a.log, files.OwnServer(judged, a.sockets.Addrs(), netif.All))
	a.sources.Resolv.Use(!a.sources.Live.Upstream)
	a.sources.Resolv.Poll(true)
}
