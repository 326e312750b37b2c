package main

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/answerlog"
	"github.com/kube-dns/kube-dns/pkg/dnscache/files"
	"github.com/kube-dns/kube-dns/pkg/dnscache/host"
	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnscache/live"
	"github.com/kube-dns/kube-dns/pkg/dnscache/metrics"
	"github.com/kube-dns/kube-dns/pkg/dnscache/process"
	"github.com/kube-dns/kube-dns/pkg/dnscache/replicas"
	"github.com/kube-dns/kube-dns/pkg/dnscache/servers"
	"github.com/kube-dns/kube-dns/pkg/dnscache/sockets"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/pidfile"
	"github.com/kube-dns/kube-dns/pkg/privilege"
	"github.com/kube-dns/kube-dns/pkg/ratelimit"
	"github.com/kube-dns/kube-dns/pkg/upstream/trust"
)

// app holds the parts of the running program. Once newApp has returned, only the goroutine of
// loop uses the fields that change.
type app struct {
	env     env              // the parts of the system that tests replace
	options *options.Options // the command line and the files that it names
	nanny   *options.Nanny   // nil without flags of dnsmasq-nanny
	log     *linelog.Log     // messages in dnsmasq's wording
	logger  *slog.Logger     // all other messages, to the same log

	sources servers.Sources // where servers come from; only loop uses it
	hosts   files.Hosts     // the content of hosts files; only loop uses it
	live    *live.Source    // dnsmasq-nanny's directory; nil without one

	replicas *replicas.Follower // nil without --server-replicas
	host     *host.Host         // interfaces and addresses of this host

	queryLog *querylog.Log        // --log-queries
	answers  *answerlog.Log       // off until control switches it on
	control  *logging.Control     // changes the log's level, and switches answers
	trust    *trust.Source        // certificates for TLS servers
	forward  *forwarder.Forwarder // answers from the cache or asks upstream servers
	rates    *ratelimit.Limiter   // nil without --rate-limit
	sockets  *sockets.Sockets     // where queries arrive
	pidFile  *pidfile.PIDFile     // nil without a pid file
	counters metrics.Sources      // the counters that statistics and metrics show
	metrics  *metrics.Server      // serves /metrics; nil if it does not listen
	registry *prometheus.Registry // holds all metrics
}

// newApp checks the options, opens the log and binds the ports, in the same order as dnsmasq.
// It starts no goroutine that answers queries. The caller must call close. After an error,
// nothing is left open. The error is an [options.Fault] with the exit code.
func newApp(ctx context.Context, o *options.Options, nanny *options.Nanny, e env) (*app, error) {
	a := &app{env: e, options: o, nanny: nanny, registry: prometheus.NewRegistry()}
	id, err := privilege.Choose(o.Process.User, o.Process.Group, o.Process.NoDaemon)
	if err != nil {
		return nil, options.Faultf(options.ExitConfig, "%v", err)
	}
	if err := process.CheckPorts(id, &o.Upstream); err != nil {
		return nil, err
	}
	named, err := servers.Resolve(ctx, o.Upstream.Servers, e.lookup, map[string][]netip.Addr{})
	if err != nil {
		return nil, &options.Fault{
			Text:   "bad command line options: Name or service not known",
			Detail: "--server: " + err.Error(), Exit: options.ExitConfig,
		}
	}
	a.sources = servers.Sources{Options: named, NoResolv: o.Upstream.NoResolv}
	a.log, err = linelog.Open(o.Process.LogFacility.File, e.stderr)
	if err != nil {
		return nil, options.Faultf(options.ExitFile, "cannot open log %s: %s", o.Process.LogFacility.File, linelog.ErrorText(err))
	}
	a.hosts.Options, a.hosts.Log = &o.Local, a.log
	a.openLog()
	if err := a.open(ctx, id); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// open makes the parts that newApp has not made yet. If it fails, the caller must call close to
// release those that were opened.
func (a *app) open(ctx context.Context, id privilege.Identity) (err error) {
	if a.host, err = host.Open(a.options, a.log, a.logger); err != nil {
		return options.Faultf(options.ExitOther, "%v", err)
	}
	own := &a.options.Own
	if own.RateLimit > 0 {
		a.rates = ratelimit.New(own.RateLimit, own.RateBurst)
	}
	if a.trust, err = trust.Open(trust.Files{CA: own.TLSCA, Cert: own.TLSCert, Key: own.TLSKey}, a.logger); err != nil {
		return options.Faultf(options.ExitFile, "%v", err)
	}
	cfg, err := a.forwarderConfig()
	if err == nil {
		a.forward, err = forwarder.New(cfg)
	}
	if err != nil {
		return options.Faultf(options.ExitConfig, "%v", err)
	}
	if a.sockets, err = sockets.Open(sockets.Config{
		Options: &a.options.Listen, Addrs: a.env.addrs, Interfaces: a.host.Interfaces, Share: own.SharePort,
		Inherited: a.env.node.Inherited(), HandOver: a.env.node.HandOver, Handler: a.forward, Log: a.log, Logger: a.logger,
	}); err != nil {
		return err
	}
	if a.replicas, err = replicas.New(replicas.Config{
		Replicas: own.Replicas, Servers: a.sources.Options, Listening: a.sockets.Addrs(), Logger: a.logger,
	}); err != nil {
		return options.Faultf(options.ExitConfig, "%v", err)
	}
	a.sources.Follow(a.replicas.Expand, a.sockets.Addrs())
	a.counters = metrics.Sources{
		Options: a.options, Forward: a.forward.Stats, Listener: a.sockets.Stats, Rates: a.rates, NotLocal: a.sockets.NotLocal,
	}
	a.metrics = (&metrics.Server{
		Registry: a.registry, Sources: &a.counters, Control: a.control, Logger: a.logger, More: a.env.node, Forward: a.forward,
		Essential: own.MetricsSet == "essential" || own.MetricsSet == "" && own.SharePort, Share: own.SharePort,
	}).Listen(ctx, own.MetricsAddress, a.log)
	id.KeepBind = id.UID != 0 && a.options.Listen.Port < 1024 && a.sockets.BindsLater()
	a.pidFile, err = process.Settle(id, &a.options.Process, a.log)
	return err
}

// close releases everything that newApp opened.
func (a *app) close() {
	if a.sockets != nil {
		a.sockets.Close()
	}
	a.metrics.Close()
	if a.forward != nil {
		a.forward.Close()
	}
	if a.host != nil {
		a.host.Close()
	}
	a.pidFile.Remove()
	a.log.Close()
}
