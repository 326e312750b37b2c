// Package live keeps kubedns's live configuration in effect: that of the
// ConfigMap "kube-dns" or the directory at which it is mounted, over the flags
// of the same meaning.
//
// Use [Open] before the first question is answered, and [Live.Run] afterwards.
package live

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/kube-dns/kube-dns/pkg/backend"
	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/kubedns/metrics"
	"github.com/kube-dns/kube-dns/pkg/kubedns/options"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
	"github.com/kube-dns/kube-dns/pkg/resolvconf"
	"github.com/kube-dns/kube-dns/pkg/stubdomain"
)

// Config says where the configuration comes from and what it is for. All fields
// must be set.
type Config struct {
	// Options are the flags. For each key of the configuration the flag of the
	// same meaning holds while the key is absent.
	Options *options.Options
	// ResolvConf is the path of the file with the servers that hold when nothing
	// else is said.
	ResolvConf string
	// Sources has the ConfigMap and, for federations, the nodes.
	Sources kubewatch.Sources
	// Watcher shows the watch of the ConfigMap in its metrics.
	Watcher *kubewatch.Watcher
	// Backend gets the federations and the cluster's zone and region.
	Backend *backend.Backend
	// Routes gets the servers.
	Routes *stubdomain.Router
	// Registerer gets the metrics of the configuration.
	Registerer prometheus.Registerer
	// Logger gets each new configuration and what is wrong with it.
	Logger *slog.Logger
}

// Live is the configuration in effect.
type Live struct {
	cfg     Config
	metrics *metrics.Config
	poller  *dnsconfig.Poller           // nil without a directory
	watcher *kubewatch.ConfigMapWatcher // nil without a ConfigMap

	// mu lets one configuration at a time take effect, and guards applied: that
	// any has.
	mu      sync.Mutex
	applied bool
	// federated is closed when there are federations for the first time.
	federated     chan struct{}
	federatedOnce sync.Once
}

// configMapPatience is how long the flags wait for a ConfigMap that is to be
// read from the API server. Until then no other servers are asked: they might be
// those that the ConfigMap replaces, and would hear of its stub domains' names.
const configMapPatience = 5 * time.Second

// Open applies the configuration that is there now, or the flags. With a
// ConfigMap that is left to Run.
func Open(cfg Config) *Live {
	l := &Live{cfg: cfg, metrics: metrics.NewConfig(cfg.Registerer), federated: make(chan struct{})}
	switch opts := cfg.Options; {
	case opts.ConfigDir != "":
		l.poller = &dnsconfig.Poller{
			FS: os.DirFS(opts.ConfigDir), Dir: opts.ConfigDir, Apply: l.apply, Result: l.metrics.Result, Logger: cfg.Logger,
		}
		l.poller.Load()
	case opts.ConfigMap != "":
		l.watcher = kubewatch.NewConfigMapWatcher(cfg.Sources, opts.ConfigNamespace, opts.ConfigMap, cfg.Logger, l.offer(&dnsconfig.Tracker{}))
		cfg.Watcher.Export(l.watcher)
	}
	if l.watcher == nil {
		l.applyFlags()
	}
	return l
}

// applyFlags makes the flags alone take effect unless a configuration has.
func (l *Live) applyFlags() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.applied {
		l.applyLocked(dnsconfig.Config{})
	}
}

// Run follows the configuration until ctx ends. It returns nil.
func (l *Live) Run(ctx context.Context) error {
	var group errgroup.Group
	if l.poller != nil {
		group.Go(func() error { poll(ctx, l.cfg.Options.ConfigPeriod, l.poller.Load); return nil })
	}
	if l.watcher != nil {
		group.Go(func() error { return l.watcher.Run(ctx) })
		late := time.AfterFunc(configMapPatience, l.applyFlags)
		defer late.Stop()
	}
	if l.cfg.Sources.Nodes != nil {
		group.Go(func() error { l.locate(ctx); return nil })
	}
	return group.Wait()
}

// poll calls load every period until ctx ends.
func poll(ctx context.Context, period time.Duration, load func()) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			load()
		}
	}
}

// offer returns what a ConfigMapWatcher calls with each state of the ConfigMap.
// A ConfigMap that is not there means the defaults.
func (l *Live) offer(tracker *dnsconfig.Tracker) func(kubewatch.ConfigMapState) {
	name := l.cfg.Options.ConfigMap
	return func(state kubewatch.ConfigMapState) {
		changed, err := tracker.Offer(state.Version, state.Data)
		for _, warning := range tracker.NewWarnings() {
			l.cfg.Logger.Warn("problem in the configuration", "config_map", name, "problem", warning)
		}
		if err != nil {
			l.metrics.Result(err)
			l.cfg.Logger.Error("configuration rejected", "consequence", tracker.Fallback(), "config_map", name, "version", state.Version, "error", err)
			l.applyFlags() // unless one was accepted before
			return
		}
		if changed {
			l.metrics.Result(nil)
			l.cfg.Logger.Info("configuration accepted", "config_map", name, "version", state.Version, "found", state.Found)
			l.apply(tracker.Current())
		}
	}
}

// apply makes a configuration take effect.
func (l *Live) apply(config dnsconfig.Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.applyLocked(config)
}

// applyLocked is apply for callers that hold l.mu.
func (l *Live) applyLocked(config dnsconfig.Config) {
	l.applied = true
	federations := config.Federations
	if len(federations) == 0 {
		federations = l.cfg.Options.Federations
	}
	l.cfg.Backend.SetFederations(federations)
	if len(federations) > 0 {
		l.federatedOnce.Do(func() { close(l.federated) })
	}
	l.cfg.Routes.Set(l.servers(config), config.StubDomains)
}

// servers returns whom to ask about names that no stub domain covers.
func (l *Live) servers(config dnsconfig.Config) []dnsconfig.Server {
	if len(config.UpstreamNameservers) > 0 {
		return config.UpstreamNameservers
	}
	if opts := l.cfg.Options; opts.NoNameserver || len(opts.Nameservers) > 0 {
		return opts.Nameservers
	}
	return systemServers(l.cfg.ResolvConf, l.cfg.Logger)
}

// systemServers returns the servers of resolv.conf. What is wrong with the file
// is logged.
func systemServers(path string, log *slog.Logger) []dnsconfig.Server {
	addrs, skipped, err := resolvconf.Read(path)
	for _, s := range skipped {
		log.Warn("skipping a line of resolv.conf", "file", path, "line", s.Line, "reason", s.Reason)
	}
	const consequence = "names outside the cluster domain cannot be resolved, except those of stub domains"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		log.Warn("there is no resolv.conf; "+consequence, "file", path)
	case err != nil:
		log.Error("cannot read resolv.conf; "+consequence, "file", path, "error", err)
	case len(addrs) == 0:
		log.Warn("no usable server in resolv.conf; "+consequence, "file", path)
	}
	servers := make([]dnsconfig.Server, 0, len(addrs))
	for _, addr := range addrs {
		servers = append(servers, dnsconfig.Server{Addr: netip.AddrPortFrom(addr, dnsconfig.DefaultPort)})
	}
	return servers
}

// locate tells the backend the zone and region of the cluster, once there are
// federations: only they need the right to list nodes.
func (l *Live) locate(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-l.federated:
	}
	kubewatch.FollowLocation(ctx, l.cfg.Sources.Nodes, l.cfg.Logger, func(place kubewatch.Location) {
		l.cfg.Backend.SetNode(place.Zone, place.Region)
	})
}
