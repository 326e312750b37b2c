package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// app is the parts of the running program. After newApp only the goroutine of
// loop uses the fields that change.
type app struct {
	env     env
	options *options.Options
	nanny   *options.Nanny // nil without flags of dnsmasq-nanny
	log     *lineLog
	logger  *slog.Logger

	sources    serverSources
	shown      []string // the last lines about servers
	resolv     *resolvFiles
	hosts      []hostsFile
	hostsStamp string
	live       *liveSource // nil without a directory
	firstLive  liveConfig

	localOnly *localService // nil without --local-service

	interfaces interfaces    // the last seen, if something follows them
	watch      *addressWatch // nil when they are only looked at from time to time
	bindTries  int           // how often some address could not be bound
	macs       *neighbours   // nil without --add-mac
	hostName   dnsname.Name

	queryLog *querylog.Log
	forward  *forwarder.Forwarder
	listener *listener.Server
	metrics  net.Listener // nil when there are none
	registry *prometheus.Registry
}

// newApp reads what there is to read and binds the ports, in the order in which
// dnsmasq does. Nothing runs yet.
func newApp(ctx context.Context, o *options.Options, nanny *options.Nanny, e env) (*app, error) {
	a := &app{env: e, options: o, nanny: nanny, registry: prometheus.NewRegistry()}
	id, err := chooseIdentity(o.Process.User, o.Process.Group, o.Process.NoDaemon)
	if err != nil {
		return nil, fault(options.ExitConfig, "%v", err)
	}
	id.keepBind = id.uid != 0 && o.Listen.BindDynamic && o.Listen.Port < 1024
	if err := a.checkSourcePorts(id); err != nil {
		return nil, err
	}
	servers, err := resolveServers(ctx, o.Upstream.Servers, e.lookup)
	if err != nil {
		return nil, &options.Fault{
			Text:   "bad command line options: Name or service not known",
			Detail: "--server: " + err.Error(), Exit: options.ExitConfig,
		}
	}
	a.sources = serverSources{options: servers, noResolv: o.Upstream.NoResolv}
	a.log, err = openLog(o.Process.LogFacility.File, e.stderr)
	if err != nil {
		return nil, fault(options.ExitFile, "cannot open log %s: %s", o.Process.LogFacility.File, systemText(err))
	}
	a.logger = newLogger(a.log, o, nanny)
	if err := a.lookAround(); err != nil {
		a.log.close()
		return nil, fault(options.ExitOther, "%v", err)
	}
	a.queryLog = &querylog.Log{
		Line:  func(text string) { a.log.line(text, true) },
		Extra: o.Process.LogQueries == options.QueryLogExtra,
	}
	cfg, err := a.forwarderConfig(nil)
	if err == nil {
		a.forward, err = forwarder.New(cfg)
	}
	if err != nil {
		a.log.close()
		return nil, fault(options.ExitConfig, "%v", err)
	}
	if err := a.listen(); err != nil {
		a.close()
		return nil, err
	}
	if err := a.settle(id); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// checkSourcePorts refuses fixed source ports that only root may use when the
// program will not be root.
func (a *app) checkSourcePorts(id identity) error {
	if !id.change || id.uid == 0 {
		return nil
	}
	u := &a.options.Upstream
	ports := map[string]uint16{"--query-port": u.QueryPort, "--min-port": u.MinPort}
	for _, s := range u.Servers {
		ports["--server="+s.String()] = s.SourcePort
	}
	for _, option := range slices.Sorted(maps.Keys(ports)) {
		if port := ports[option]; port > 0 && port < 1024 {
			return fault(options.ExitConfig, "source port %d of %s needs --user=root", port, option)
		}
	}
	return nil
}

// handler is a [listener.Handler] whose questions for other servers wait for
// the end of a batch, and which each goroutine has a part of.
type handler interface {
	listener.Handler
	listener.Flusher
	listener.Splitter
}

// listen binds the DNS addresses, and the one for metrics, without which the
// program can work.
func (a *app) listen() error {
	addrs := a.env.addrs
	if a.options.Listen.BindDynamic {
		for _, name := range missingInterfaces(&a.options.Listen, a.interfaces) {
			a.log.printf("warning: interface %s does not currently exist", name)
		}
	}
	var dynamic []netip.AddrPort
	if len(addrs) == 0 && a.options.Listen.BindDynamic {
		dynamic = dynamicAddrs(&a.options.Listen, a.interfaces)
	} else if len(addrs) == 0 {
		plain, err := listenAddrs(&a.options.Listen, systemInterfaces)
		if err != nil {
			return fault(options.ExitNetwork, "%v", err)
		}
		for _, addr := range plain {
			addrs = append(addrs, netip.AddrPortFrom(addr, a.options.Listen.Port))
		}
	}
	var answer handler = a.forward.Batched()
	if l := &a.options.Listen; l.LocalService && len(l.Addresses)+len(l.Interfaces)+len(l.ExceptInterfaces) == 0 {
		a.localOnly = &localService{next: answer, logger: a.logger, hostOnly: l.LocalHostOnly}
		a.localOnly.refresh(systemInterfaces)
		answer = a.localOnly
	}
	var err error
	a.listener, err = listener.Listen(listener.Config{
		Addrs:    addrs,
		Dynamic:  a.options.Listen.BindDynamic,
		Handler:  answer,
		OnPanic:  forwarder.OnPanic,
		Logger:   a.logger,
		MaxConns: cmp.Or(a.options.Listen.MaxTCPConnections, defaultTCPConnections),
	})
	if err != nil {
		return listenFault(err, addrs)
	}
	if _, _, err := a.listener.Update(slices.Concat(a.listener.Addrs(), dynamic)); err != nil {
		// An IPv6 address is not there before the network has agreed to it.
		if !errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EADDRINUSE) {
			return listenFault(err, dynamic)
		}
		a.bindTries = 1
	}
	if address := a.options.Own.MetricsAddress; address != "" {
		if a.metrics, err = net.Listen("tcp", address); err != nil {
			a.metrics = nil
			a.log.printf("no metrics: failed to listen on %s: %s", address, systemText(err))
		}
	}
	return nil
}

// settle writes the pid file and drops root.
func (a *app) settle(id identity) error {
	owner := -1
	if id.change {
		owner = id.uid
		if a.log.file != nil {
			if err := a.log.file.Chown(id.uid, -1); err != nil {
				a.log.printf("warning: cannot hand the log to user %d: %s", id.uid, systemText(err))
			}
		}
	}
	if !a.options.Process.NoDaemon {
		if err := writePidFile(a.options.Process.PidFile, owner); err != nil {
			return fault(options.ExitFile, "%v", err)
		}
	}
	return a.become(id)
}

// close gives back what newApp took.
func (a *app) close() {
	if a.listener != nil {
		a.listener.Close()
	}
	if a.metrics != nil {
		a.metrics.Close()
	}
	a.forward.Close()
	if a.macs != nil {
		a.macs.close()
	}
	if a.options.Process.PidFile != "" && a.listener != nil && !a.options.Process.NoDaemon {
		_ = os.Remove(a.options.Process.PidFile) // the directory may belong to root
	}
	a.log.close()
}

// start logs what dnsmasq logs at its start, and reads the files that may
// change.
func (a *app) start(ctx context.Context) {
	size := fmt.Sprintf("cachesize %d", a.options.Cache.Size)
	if a.options.Cache.Size == 0 {
		size = "cache disabled"
	}
	a.log.printf("started, version %s %s", version.String(), size)
	limitMemory(a.logger)
	if facility := a.options.Process.LogFacility.Facility; facility != "" {
		a.log.printf("logging to standard error, not to syslog facility %s", facility)
	}
	if a.options.Process.ServersFile != "" {
		a.readServersFile()
	}
	if a.nanny != nil && a.nanny.ConfigDir != "" {
		a.live = newLiveSource(*a.nanny, a.env.lookup, a.logger)
		a.firstLive = a.live.start(ctx)
		a.sources.live = a.firstLive
	}
	if !a.options.Upstream.NoResolv {
		a.resolv = &resolvFiles{
			paths: a.options.Upstream.ResolvFiles,
			log:   a.log,
			own:   ownServer(a.listener.Addrs(), systemInterfaces),
		}
		a.resolv.poll(true)
		a.sources.resolv = a.resolv.servers
	}
	a.hosts = readHosts(&a.options.Local, a.log, a.interfaces)
	a.hostsStamp = hostsStamp(a.options.Local.HostsDirs)
	a.apply()
}

// apply hands servers and local data to the forwarder. The cache keeps the names
// whose servers have not changed.
func (a *app) apply() {
	servers := a.sources.servers()
	lines := serverLines(servers)
	if len(servers) == 0 {
		lines = []string{"warning: no upstream servers configured"}
	}
	if !slices.Equal(lines, a.shown) {
		a.shown = lines
		for _, line := range lines {
			a.log.printf("%s", line)
		}
	}
	cfg, err := a.forwarderConfig(servers)
	if err == nil {
		err = a.forward.Reload(cfg)
	}
	if err != nil {
		a.log.printf("error: cannot apply the change; keeping the previous configuration: %v", err)
	}
}

// run answers until a signal or ctx ends it, or a part fails.
func (a *app) run(ctx context.Context) error {
	logCtx, stopLog := context.WithCancel(context.WithoutCancel(ctx))
	logDone := make(chan struct{})
	go func() {
		defer close(logDone)
		a.log.run(logCtx)
	}()
	defer func() {
		stopLog()
		<-logDone
	}()
	a.start(ctx)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.forward.Run(ctx) })
	group.Go(func() error { return a.listener.Run(ctx) })
	if a.metrics != nil {
		group.Go(func() error { return a.serveMetrics(ctx) })
	}
	if a.watch != nil {
		group.Go(func() error {
			a.watch.run(ctx)
			return nil
		})
	}
	changes := make(chan liveConfig)
	if a.live != nil {
		group.Go(func() error {
			a.live.run(ctx, a.firstLive, func(c liveConfig) {
				select {
				case changes <- c:
				case <-ctx.Done():
				}
			})
			return nil
		})
	}
	group.Go(func() error {
		defer cancel()
		a.loop(ctx, changes)
		return nil
	})
	if a.env.started != nil {
		a.env.started(a.listener.Addrs(), a.metricsAddr())
	}
	return group.Wait()
}

// pollPeriod is how often files are looked at.
const pollPeriod = time.Second

// loop reacts to signals and to changes until the program has to end.
func (a *app) loop(ctx context.Context, changes <-chan liveConfig) {
	poll := time.NewTicker(pollPeriod)
	defer poll.Stop()
	var statistics <-chan time.Time
	if a.nanny != nil && a.nanny.LogInterval > 0 {
		ticker := time.NewTicker(a.nanny.LogInterval)
		defer ticker.Stop()
		statistics = ticker.C
	}
	var over <-chan time.Time // the end of the lame-duck time
	var addresses <-chan struct{}
	if a.watch != nil {
		addresses = a.watch.changed
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case sig := <-a.env.signals:
			if sig == syscall.SIGTERM && over == nil && a.options.Own.Lameduck > 0 {
				a.log.printf("received SIGTERM, answering for another %s", a.options.Own.Lameduck)
				over = time.After(a.options.Own.Lameduck)
			} else if a.signal(sig) {
				return
			}
		case <-poll.C:
			a.poll()
		case <-addresses:
			a.followInterfaces()
		case <-statistics:
			a.logStatistics()
		case c := <-changes:
			a.sources.live = c
			a.apply()
		}
	}
}

// signal does what a signal asks for; end is whether that is to end.
func (a *app) signal(sig os.Signal) (end bool) {
	switch sig {
	case syscall.SIGTERM:
		a.log.printf("exiting on receipt of SIGTERM")
		return true
	case syscall.SIGINT:
		a.log.printf("exiting on receipt of SIGINT")
		return true
	case syscall.SIGHUP:
		a.reload()
	case syscall.SIGUSR1:
		a.logStatistics()
		if p := &a.options.Process; p.LogQueries != options.QueryLogOff || p.NoDaemon {
			a.logCache(time.Now())
		}
	case syscall.SIGUSR2:
		if err := a.log.reopen(); err != nil {
			a.log.printf("cannot open log %s: %s", a.log.path, systemText(err))
		}
	}
	return false
}

// reload is SIGHUP: the cache is cleared and all files but those with options
// are read again.
func (a *app) reload() {
	a.hosts = readHosts(&a.options.Local, a.log, a.interfaces)
	a.hostsStamp = hostsStamp(a.options.Local.HostsDirs)
	if a.options.Process.ServersFile != "" {
		a.readServersFile()
	}
	if a.resolv != nil {
		a.resolv.poll(true)
		a.sources.resolv = a.resolv.servers
	}
	a.shown = nil // the list is logged again
	a.apply()
	// Last, so that nothing stays that the old servers said meanwhile.
	a.forward.Clear()
	a.log.printf("cleared cache")
}

// poll looks for changed files.
func (a *app) poll() {
	changed, clearCache := false, false
	if a.resolv != nil && !a.options.Upstream.NoPoll && a.resolv.poll(false) {
		a.sources.resolv = a.resolv.servers
		changed = true
		clearCache = a.options.Upstream.ClearOnReload
	}
	if stamp := hostsStamp(a.options.Local.HostsDirs); stamp != a.hostsStamp {
		a.hostsStamp = stamp
		a.hosts = readHosts(&a.options.Local, a.log, a.interfaces)
		changed = true
	}
	if changed {
		a.apply()
	}
	if clearCache {
		a.forward.Clear()
		a.log.printf("cleared cache")
	}
	if a.localOnly != nil {
		a.localOnly.refresh(systemInterfaces)
	}
	if a.bindTries > 0 || a.watch == nil && follows(a.options) {
		a.followInterfaces()
	}
}

// logStatistics logs the block of SIGUSR1.
func (a *app) logStatistics() {
	for _, line := range a.counters().lines(time.Now()) {
		a.log.printf("%s", line)
	}
}
