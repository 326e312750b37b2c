package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/answerlog"
	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/backend"
	"github.com/kube-dns/kube-dns/pkg/failures"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/kubedns/explain"
	"github.com/kube-dns/kube-dns/pkg/kubedns/live"
	"github.com/kube-dns/kube-dns/pkg/kubedns/metrics"
	"github.com/kube-dns/kube-dns/pkg/kubedns/options"
	"github.com/kube-dns/kube-dns/pkg/kubedns/status"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/processmetrics"
	"github.com/kube-dns/kube-dns/pkg/routelist"
	"github.com/kube-dns/kube-dns/pkg/skydns"
	"github.com/kube-dns/kube-dns/pkg/stubdomain"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// app is the parts of the program and what they share.
type app struct {
	opts *options.Options // the flags; do not change
	log  *slog.Logger     // the program's logger
	// answers logs answers while that is switched on; control changes that, and the level.
	answers *answerlog.Log
	control *logging.Control // changes the level of the log at run time

	tree *treecache.Tree // the records of the cluster
	// The clusterset zone; both are nil without --clusterset-domain.
	imports    *treecache.Tree
	clusterSet *backend.ClusterSet // answers for the clusterset zone

	watcher   *kubewatch.Watcher   // keeps the trees up to date
	backend   *backend.Backend     // answers for the cluster domain
	forward   *forwarder.Forwarder // answers for other names
	server    *skydns.Server       // answers clients
	routes    *stubdomain.Router   // says which upstream servers names go to
	explainer *explain.Explainer   // explains names for /explain and the subcommand
	autopath  autopath.Switch      // which names are completed; the configuration sets it
	state     status.State         // what pages tell about the program; set by newCore
	failures  *failures.Log        // the newest failures, for the status page

	// routeList is what caches before this program are told about whom it asks.
	routeList atomic.Pointer[routelist.List]

	// ending is set while the program answers its last queries.
	ending atomic.Bool

	// parts run until their context ends.
	parts []func(context.Context) error
}

// newApp makes all parts and binds the ports, so that a wrong address is known
// at once. Nothing runs yet.
func newApp(opts *options.Options, env environment, log *slog.Logger, control *logging.Control) (*app, error) {
	registry := prometheus.NewRegistry()
	processmetrics.Register(registry)
	a, err := newCore(opts, env, log, control, registry)
	if err != nil {
		return nil, err
	}
	if err := a.openDNS(a.server, registry); err != nil {
		return nil, err
	}
	return a, a.openHTTP(registry)
}

// newCore makes the parts that load objects and answer, without a socket to answer on.
func newCore(opts *options.Options, env environment, log *slog.Logger, control *logging.Control, registry *prometheus.Registry) (*app, error) {
	a := &app{opts: opts, failures: failures.New(), tree: treecache.New(opts.Domain), control: control}
	log = slog.New(a.failures.Handler(log.Handler()))
	a.log, a.answers = log, answerlog.New(log)
	control.Use(log, a.answers)
	if opts.Verbosity >= 3 {
		a.answers.Start(answerlog.Settings{})
	}
	if opts.ClusterSetDomain != "" {
		a.imports = treecache.New(opts.ClusterSetDomain)
	}
	sources, err := a.openSources()
	if err != nil {
		return nil, err
	}
	a.watcher = kubewatch.New(kubewatch.Config{
		Sources: sources, Tree: a.tree, ClusterSet: a.imports, TTL: opts.TTL, Logger: log, Registerer: registry,
	})
	a.backend = backend.New(backend.Config{
		Tree: a.tree, Synced: a.watcher.HasSynced, Wildcards: opts.Wildcards, TTL: opts.TTL, Fallback: a.fallback(env),
	})
	if a.imports != nil {
		a.clusterSet = backend.NewClusterSet(a.imports, a.watcher.ClusterSetSynced)
	}
	if err := a.openForwarder(); err != nil {
		return nil, err
	}
	registry.MustRegister(metrics.NewState(func() treecache.Counts { return a.tree.Snapshot().Counts() }, a.forward.Stats), metrics.NewBuildInfo())
	config := live.Open(live.Config{
		Options: opts, ResolvConf: env.resolvConf, Sources: sources, Watcher: a.watcher,
		Backend: a.backend, Autopath: &a.autopath, Routes: a.routes, Registerer: registry, Logger: log,
	})
	hostname, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("reading the host name: %w", err)
	}
	a.server, err = skydns.New(skydns.Config{
		Domain: opts.Domain, Backend: a.backend, Others: a.otherZones(), Outside: a.forward, Resolve: a.forward.Resolve,
		RouteList: a.routeList.Load, Autopath: &a.autopath,
		Route: a.routes.Route, Delegated: a.routes.Delegated, RefuseUncovered: opts.NoNameserver,
		TTL: opts.TTL, NegativeTTL: opts.NegativeTTL, NameServer: "\x08kube-dns\x0bkube-system\x03svc" + opts.Domain,
		Version: "kubedns-" + version.String(), Hostname: hostname, CookieSecret: a.forward.CookieSecret(),
		Logger: log, Answers: a.answers, Failures: a.failures,
		Registerer: registry, MetricsNamespace: opts.Metrics.Namespace, MetricsSubsystem: opts.Metrics.Subsystem,
	})
	if err != nil {
		return nil, err
	}
	a.explainer = &explain.Explainer{
		Domain: opts.Domain, TTL: opts.TTL, Server: a.server, Backend: a.backend, Tree: a.tree, ClusterSet: a.clusterSet,
		Watcher: a.watcher, Files: opts.ObjectsPath, Forward: a.forward, Ready: config.Applied,
	}
	a.state = status.State{
		Options: opts, Watcher: a.watcher, Tree: a.tree, Config: config, Autopath: &a.autopath, Routes: a.routes, Forward: a.forward,
		Explain: explain.NewLimited(a.explainer), Failures: a.failures, Ending: a.ending.Load, Started: time.Now(),
	}
	a.parts = append(a.parts, config.Run, a.watcher.Run, a.complainUnsynced)
	return a, nil
}
