package main

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
	"k8s.io/client-go/tools/cache"

	"github.com/kube-dns/kube-dns/pkg/backend"
	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
	"github.com/kube-dns/kube-dns/pkg/resolvconf"
	"github.com/kube-dns/kube-dns/pkg/stubdomain"
)

// configurer applies the live configuration. For each key the flag of the same
// meaning holds while the configuration does not have the key.
type configurer struct {
	opts       *options
	log        *slog.Logger
	resolvConf string
	backend    *backend.Backend
	routes     *stubdomain.Router
	metrics    *configMetrics

	// federated is closed when there are federations for the first time.
	federated     chan struct{}
	federatedOnce sync.Once
}

// openConfig finds the source of the live configuration and applies what it
// holds now.
func (a *app) openConfig(sources kubewatch.Sources, env environment, registry prometheus.Registerer) {
	a.config = &configurer{
		opts: a.opts, log: a.log, resolvConf: env.resolvConf, backend: a.backend, routes: a.routes,
		metrics: newConfigMetrics(registry), federated: make(chan struct{}),
	}
	// Without a configuration the flags hold. They are not applied before a
	// configuration that is there, or servers would be asked that it replaces.
	applied := false
	switch {
	case a.opts.configDir != "":
		poller := &dnsconfig.Poller{
			FS: os.DirFS(a.opts.configDir), Dir: a.opts.configDir,
			Apply:  func(c dnsconfig.Config) { applied = true; a.config.apply(c) },
			Result: a.config.metrics.result, Logger: a.log,
		}
		poller.Load()
		a.parts = append(a.parts, func(ctx context.Context) error {
			poll(ctx, a.opts.configPeriod, poller.Load)
			return nil
		})
	case a.opts.configMap != "":
		watcher := kubewatch.NewConfigMapWatcher(sources, a.opts.configNamespace, a.opts.configMap, a.log, a.config.offer(&dnsconfig.Tracker{}))
		a.watcher.Export(watcher)
		a.parts = append(a.parts, watcher.Run)
	}
	if !applied {
		a.config.apply(dnsconfig.Config{})
	}
	if sources.Nodes != nil {
		a.parts = append(a.parts, func(ctx context.Context) error {
			a.config.locate(ctx, sources.Nodes)
			return nil
		})
	}
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
func (c *configurer) offer(tracker *dnsconfig.Tracker) func(kubewatch.ConfigMapState) {
	return func(state kubewatch.ConfigMapState) {
		changed, err := tracker.Offer(state.Version, state.Data)
		for _, warning := range tracker.NewWarnings() {
			c.log.Warn("configuration: "+warning, "config_map", c.opts.configMap)
		}
		if err != nil {
			c.metrics.result(err)
			c.log.Error("configuration rejected; "+tracker.Fallback(), "config_map", c.opts.configMap,
				"version", state.Version, "error", err)
			return
		}
		if changed {
			c.metrics.result(nil)
			c.log.Info("configuration accepted", "version", state.Version, "found", state.Found)
			c.apply(tracker.Current())
		}
	}
}

// apply makes a configuration take effect.
func (c *configurer) apply(config dnsconfig.Config) {
	federations := config.Federations
	if len(federations) == 0 {
		federations = c.opts.federations
	}
	c.backend.SetFederations(federations)
	if len(federations) > 0 {
		c.federatedOnce.Do(func() { close(c.federated) })
	}
	c.routes.Set(c.servers(config), config.StubDomains)
}

// servers returns whom to ask about names that no stub domain covers.
func (c *configurer) servers(config dnsconfig.Config) []netip.AddrPort {
	if len(config.UpstreamNameservers) > 0 {
		servers := make([]netip.AddrPort, 0, len(config.UpstreamNameservers))
		for _, s := range config.UpstreamNameservers {
			servers = append(servers, s.Addr)
		}
		return servers
	}
	if c.opts.noNameserver || len(c.opts.nameservers) > 0 {
		return c.opts.nameservers
	}
	return c.systemServers()
}

// systemServers returns the servers of resolv.conf. What is wrong with the file
// is logged.
func (c *configurer) systemServers() []netip.AddrPort {
	addrs, skipped, err := resolvconf.Read(c.resolvConf)
	for _, s := range skipped {
		c.log.Warn("skipping a line of resolv.conf", "file", c.resolvConf, "line", s.Line, "reason", s.Reason)
	}
	const consequence = "names outside the cluster domain cannot be resolved, except those of stub domains"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.log.Warn("there is no resolv.conf; "+consequence, "file", c.resolvConf)
	case err != nil:
		c.log.Error("cannot read resolv.conf; "+consequence, "file", c.resolvConf, "error", err)
	case len(addrs) == 0:
		c.log.Warn("no usable server in resolv.conf; "+consequence, "file", c.resolvConf)
	}
	var servers []netip.AddrPort
	for _, addr := range addrs {
		servers = append(servers, netip.AddrPortFrom(addr, dnsconfig.DefaultPort))
	}
	return servers
}

// locate tells the backend the zone and region of the cluster, once there are
// federations: only they need the right to list nodes.
func (c *configurer) locate(ctx context.Context, nodes cache.ListerWatcherWithContext) {
	select {
	case <-ctx.Done():
		return
	case <-c.federated:
	}
	kubewatch.FollowLocation(ctx, nodes, c.log, func(place kubewatch.Location) {
		c.backend.SetNode(place.Zone, place.Region)
	})
}
