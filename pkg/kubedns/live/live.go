// Package live applies kubedns's live configuration, which is the ConfigMap "kube-dns" or
// the directory at which it is mounted. It takes precedence over the flags with the same
// meaning.
//
// Use [Open] before the first query is answered, and [Live.Run] afterwards.
package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/backend"
	"github.com/kube-dns/kube-dns/pkg/configmetrics"
	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/kubedns/options"
	"github.com/kube-dns/kube-dns/pkg/kubedns/resolv"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
	"github.com/kube-dns/kube-dns/pkg/stubdomain"
)

// Config says where the configuration comes from and where it is applied. All fields are
// required.
type Config struct {
	// Options are the flags. A flag applies while the configuration does not have the key
	// with the same meaning.
	Options *options.Options
	// ResolvConf is the path of the file with the upstream servers to use if neither the
	// configuration nor a flag sets any.
	ResolvConf string
	// Sources provides the ConfigMap and, for federations, the nodes.
	Sources kubewatch.Sources
	// Watcher exports the watch of the ConfigMap in its metrics.
	Watcher *kubewatch.Watcher
	// Backend receives the federations and the cluster's zone and region.
	Backend *backend.Backend
	// Autopath receives the mode of completing names.
	Autopath *autopath.Switch
	// Routes receives the upstream servers.
	Routes *stubdomain.Router
	// Registerer receives the metrics of the configuration.
	Registerer prometheus.Registerer
	// Logger receives messages about each new configuration and its faults.
	Logger *slog.Logger
}

// Live is the configuration in effect.
type Live struct {
	cfg     Config                      // does not change
	metrics *configmetrics.Metrics      // counts new configurations; safe for concurrent use
	poller  dnsconfig.Poller            // used by Open, then by Run
	watcher *kubewatch.ConfigMapWatcher // nil without a ConfigMap; does not change

	// stateMu protects state. No lock of another package is taken while it is held.
	stateMu sync.Mutex
	state   Status // what Status returns, without Watch and Applied

	// mu is held while a configuration is applied, and protects applied.
	mu sync.Mutex
	// applied says whether any configuration has been applied.
	applied bool
	// federated is closed when there are federations for the first time.
	federated chan struct{}
	// federatedOnce closes federated.
	federatedOnce sync.Once
}

// configMapPatience is how long to wait for a ConfigMap from the API server before the flags
// are applied. Until then no upstream servers are asked: the ConfigMap may replace them, and
// they must not get questions about names in its stub domains.
const configMapPatience = 5 * time.Second

// Open applies the current content of the directory, or the flags. If there is a ConfigMap,
// Run applies it.
func Open(cfg Config) *Live {
	l := &Live{cfg: cfg, metrics: configmetrics.New(cfg.Registerer, "kubedns_"), federated: make(chan struct{})}
	l.state.Source = "the flags"
	l.poller = dnsconfig.Poller{Apply: l.apply, Result: l.result}
	log := cfg.Logger
	switch opts := cfg.Options; {
	case opts.ConfigDir != "":
		l.state.Source = "the files in " + opts.ConfigDir
		l.poller.FS, l.poller.Logger = os.DirFS(opts.ConfigDir), log.With("directory", opts.ConfigDir)
		l.poller.Load()
	case opts.ConfigMap != "":
		l.state.Source = "the ConfigMap " + opts.ConfigNamespace + "/" + opts.ConfigMap
		l.poller.Logger = log.With("config_map", opts.ConfigMap)
		l.watcher = kubewatch.NewConfigMapWatcher(cfg.Sources, opts.ConfigNamespace, opts.ConfigMap, log, l.offer)
		cfg.Watcher.Export(l.watcher)
	}
	if l.watcher == nil {
		l.applyFlags()
	}
	return l
}

// Applied reports whether a configuration is in effect. It may be that of the flags alone.
func (l *Live) Applied() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.applied
}

// applyFlags applies the flags alone, unless a configuration has been applied.
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
	if l.poller.FS != nil {
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

// poll calls load once in each period until ctx ends.
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

// offer is called with each state of the ConfigMap. If it does not exist, the defaults apply. If
// it is invalid and no other was applied, the flags do.
func (l *Live) offer(state kubewatch.ConfigMapState) {
	version := state.Version
	if !state.Found {
		version = "none: there is no such ConfigMap"
	}
	l.poller.Offer(version, state.Data)
	l.applyFlags()
}

// apply applies a configuration.
func (l *Live) apply(config dnsconfig.Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.applyLocked(config)
}

// applyLocked is apply for callers that hold l.mu.
func (l *Live) applyLocked(config dnsconfig.Config) {
	l.applied = true
	federations := l.federations(&config)
	l.cfg.Backend.SetFederations(federations)
	if len(federations) > 0 {
		l.federatedOnce.Do(func() { close(l.federated) })
	}
	completing := autopath.Settings{Mode: cmp.Or(config.Autopath, l.cfg.Options.Autopath)}
	if completing.Mode == autopath.All {
		completing.Searches = l.searches(config)
	}
	if before := l.cfg.Autopath.Set(completing); !before.Equal(completing) {
		l.cfg.Logger.Info("completing names of the search list", "autopath", completing.String())
	}
	l.cfg.Routes.Set(l.servers(config), config.StubDomains)
}

// searches returns the search entries that clients have after those of the cluster.
func (l *Live) searches(config dnsconfig.Config) []dnsname.Name {
	searches := config.AutopathSearches
	if searches == nil {
		searches = l.cfg.Options.AutopathSearches
	}
	if searches == nil {
		searches = systemSearches(l.cfg.ResolvConf, l.cfg.Logger)
	}
	return slices.DeleteFunc(slices.Clone(searches), func(name dnsname.Name) bool {
		for _, zone := range []dnsname.Name{l.cfg.Options.Domain, l.cfg.Options.ClusterSetDomain} {
			if _, below := dnsname.CutZone([]byte(name), zone); zone != "" && below {
				return true // kubedns tries its own zones by itself
			}
		}
		return false
	})
}

// systemSearches returns the search entries in resolv.conf that are valid. If the
// file cannot be read, systemServers logs that.
func systemSearches(path string, log *slog.Logger) (searches []dnsname.Name) {
	entries, _ := resolv.Search(path)
	const examined = 32 // Kubernetes allows as many
	for _, entry := range entries[:min(len(entries), examined)] {
		one, err := autopath.ParseSearches([]string{entry})
		if err == nil && len(searches) == autopath.MaxSearches {
			err = fmt.Errorf("more than %d search entries", autopath.MaxSearches)
		}
		if err != nil {
			log.Warn("skipping a search entry of resolv.conf: names are completed without it", "file", path, "domain", entry, "error", err)
			continue
		}
		searches = append(searches, one...)
	}
	return searches
}

// servers returns the upstream servers for names in no stub domain.
func (l *Live) servers(config dnsconfig.Config) []dnsconfig.Server {
	if config.Withheld {
		return nil
	}
	if len(config.UpstreamNameservers) > 0 {
		return config.UpstreamNameservers
	}
	if opts := l.cfg.Options; opts.NoNameserver || len(opts.Nameservers) > 0 {
		return opts.Nameservers
	}
	return systemServers(l.cfg.ResolvConf, l.cfg.Logger)
}

// maxSkipped is how many lines of resolv.conf are logged because they are not used.
const maxSkipped = 10

// systemServers returns the upstream servers in resolv.conf, and logs faults of the file.
func systemServers(path string, log *slog.Logger) []dnsconfig.Server {
	addrs, skipped, err := resolv.Read(path)
	for _, s := range skipped[:min(len(skipped), maxSkipped)] {
		log.Warn("skipping a line of resolv.conf", "file", path, "line", s.Line, "reason", s.Reason)
	}
	if more := len(skipped) - maxSkipped; more > 0 {
		log.Warn("skipping more lines of resolv.conf", "file", path, "suppressed", more)
	}
	const consequence = "names outside the cluster domain cannot be resolved, except those of stub domains"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		log.Warn("resolv.conf does not exist; "+consequence, "file", path)
	case err != nil:
		log.Error("cannot read resolv.conf; "+consequence, "file", path, "error", err)
	case len(addrs) == 0:
		log.Warn("resolv.conf has no usable server; "+consequence, "file", path)
	}
	servers := make([]dnsconfig.Server, 0, len(addrs))
	for _, addr := range addrs {
		servers = append(servers, dnsconfig.Server{Addr: netip.AddrPortFrom(addr, dnsconfig.DefaultPort)})
	}
	return servers
}

// locate follows the zone and region of the cluster for the backend, as soon as there are
// federations. Without them, permission to list nodes is not needed.
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
