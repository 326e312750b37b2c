package main

import (
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

	"github.com/kube-dns/kube-dns/pkg/answerlog"
	"github.com/kube-dns/kube-dns/pkg/cgroup"
	"github.com/kube-dns/kube-dns/pkg/configmetrics"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/listenaddr"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/neighbour"
	"github.com/kube-dns/kube-dns/pkg/netif"
	"github.com/kube-dns/kube-dns/pkg/pidfile"
	"github.com/kube-dns/kube-dns/pkg/privilege"
	"github.com/kube-dns/kube-dns/pkg/ratelimit"
	"github.com/kube-dns/kube-dns/pkg/upstream/trust"
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
	hosts      hosts.Loader
	hostsStamp string
	live       *liveSource // nil without a directory
	firstLive  liveConfig

	localOnly *localService // nil without --local-service

	interfaces interfaces       // the last seen, if something follows them
	watch      *netif.Watch     // nil when they are only looked at from time to time
	fixed      []netip.AddrPort // what is listened on when that follows nothing
	bindTries  int              // how often in a row some address could not be bound
	macs       *neighbour.Table // nil without --add-mac
	hostName   dnsname.Name

	queryLog *querylog.Log
	answers  *answerlog.Log   // off until control switches it on
	control  *logging.Control // of the log's level, too
	trust    *trust.Source    // certificates for TLS servers
	forward  *forwarder.Forwarder
	rates    *ratelimit.Limiter // nil without --rate-limit
	listener *listener.Server
	pidFile  *pidfile.File // nil when there is none
	metrics  net.Listener  // nil when there are none
	registry *prometheus.Registry
}

// newApp reads what there is to read and binds the ports, in the order in which
// dnsmasq does. Nothing runs yet.
func newApp(ctx context.Context, o *options.Options, nanny *options.Nanny, e env) (*app, error) {
	a := &app{env: e, options: o, nanny: nanny, registry: prometheus.NewRegistry()}
	id, err := privilege.Choose(o.Process.User, o.Process.Group, o.Process.NoDaemon)
	if err != nil {
		return nil, fault(options.ExitConfig, "%v", err)
	}
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
	a.logger, a.control = newLogger(a.log, o, nanny)
	a.answers = answerlog.New(a.logger)
	a.control.Use(a.logger, a.answers)
	if err := a.lookAround(); err != nil {
		a.log.close()
		return nil, fault(options.ExitOther, "%v", err)
	}
	a.queryLog = &querylog.Log{
		Line:  func(text string) { a.log.line(text, true) },
		Extra: o.Process.LogQueries == options.QueryLogExtra,
	}
	if a.options.Own.RateLimit > 0 {
		a.rates = ratelimit.New(a.options.Own.RateLimit, a.options.Own.RateBurst)
	}
	own := &a.options.Own
	if a.trust, err = trust.Open(trust.Files{CA: own.TLSCA, Cert: own.TLSCert, Key: own.TLSKey}, a.logger); err != nil {
		a.log.close()
		return nil, fault(options.ExitFile, "%v", err)
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
func (a *app) checkSourcePorts(id privilege.Identity) error {
	if !id.Change || id.UID == 0 {
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

// settle writes the pid file and drops root.
func (a *app) settle(id privilege.Identity) error {
	l := &a.options.Listen
	id.KeepBind = id.UID != 0 && l.Port < 1024 && (a.bindTries > 0 || listenaddr.BindsLater(l))
	owner := -1
	if id.Change {
		owner = id.UID
		if err := a.log.chown(id.UID); err != nil {
			a.log.printf("warning: cannot make user %d the owner of the log file: %s", id.UID, systemText(err))
		}
	}
	if !a.options.Process.NoDaemon {
		if err := a.writePidFile(owner); err != nil {
			return err
		}
	}
	return a.become(id)
}

// writePidFile writes --pid-file for the user uid, or keeps the owner when that
// is negative.
func (a *app) writePidFile(uid int) (err error) {
	path := a.options.Process.PidFile
	if path == "" {
		return nil
	}
	a.pidFile, err = pidfile.Write(path, uid)
	switch {
	case errors.Is(err, pidfile.ErrNotRegular):
		a.log.printf("warning: not writing a pid file: %v; --pid-file= without a value switches it off", err)
		return nil
	case err != nil:
		return fault(options.ExitFile, "failed to open pidfile %s: %s", path, systemText(err))
	}
	return nil
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
		a.macs.Close()
	}
	a.pidFile.Remove()
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
	if limit, set := cgroup.LimitMemory(); set {
		a.logger.Debug("memory limit set", "limit_bytes", limit)
	}
	if facility := a.options.Process.LogFacility.Facility; facility != "" {
		a.log.printf("logging to standard error, not to syslog facility %s", facility)
	}
	if a.options.Process.ServersFile != "" {
		a.readServersFile()
	}
	if a.nanny != nil && a.nanny.ConfigDir != "" {
		a.live = newLiveSource(*a.nanny, a.env.lookup, a.logger)
		a.live.poller.Result = configmetrics.New(a.registry, "dnscache_").Result
		a.live.zones = clusterZones(a.options.Upstream.Servers, a.nanny.KubeDNSServer)
		a.firstLive = a.live.start(ctx)
		a.sources.live = a.firstLive
	}
	if !a.options.Upstream.NoResolv {
		a.resolv = &resolvFiles{
			paths: a.options.Upstream.ResolvFiles,
			log:   a.log,
			own:   ownServer(a.resolvPaths(), a.listener.Addrs(), netif.All),
		}
		a.resolv.use(!a.firstLive.upstream)
		a.resolv.poll(true)
		a.sources.resolv = a.resolv.servers
	}
	a.showServers(a.sources.servers()) // before the hosts files, as in dnsmasq
	a.loadHosts(false)
	a.apply()
}

// apply hands servers and local data to the forwarder. The cache keeps the names
// whose servers have not changed.
func (a *app) apply() {
	servers := a.sources.servers()
	a.showServers(servers)
	cfg, err := a.forwarderConfig(servers)
	if err == nil {
		err = a.forward.Reload(cfg)
	}
	if err != nil {
		a.log.printf("error: cannot apply the change; keeping the previous configuration: %v", err)
	}
	a.hosts.Settle()
}

// showServers logs the servers if they have changed since the last time.
func (a *app) showServers(servers []options.Server) {
	lines := serverLines(servers)
	if !slices.ContainsFunc(servers, func(s options.Server) bool { return s.Kind == options.ServerAsk }) {
		lines = append([]string{"warning: no upstream servers configured"}, lines...)
	}
	if !slices.Equal(lines, a.shown) {
		a.shown = lines
		for _, line := range lines {
			a.log.printf("%s", line)
		}
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
			a.watch.Run(ctx)
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
		addresses = a.watch.Changed()
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
			if a.resolv != nil {
				a.resolv.use(!c.upstream)
				a.sources.resolv = a.resolv.servers
			}
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
	a.loadHosts(false)
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
	if hostsStamp(a.options.Local.HostsDirs) != a.hostsStamp {
		a.loadHosts(false)
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
		a.localOnly.refresh(netif.All)
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
