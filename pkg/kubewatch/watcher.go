package kubewatch

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/serviceimport"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// Config configures a Watcher.
type Config struct {
	// Sources delivers the objects. Services and Slices must not be nil.
	Sources Sources
	// Tree receives the records of each Service, at records.Path. It must not be
	// nil.
	Tree *treecache.Tree
	// ClusterSet receives the records of each ServiceImport; its zone is the
	// clusterset zone. If it is nil, ServiceImports are not read; otherwise
	// Sources.Imports must not be empty.
	ClusterSet *treecache.Tree
	// TTL is the TTL of all records; fractions of a second are dropped.
	TTL time.Duration
	// Logger must not be nil.
	Logger *slog.Logger
	// Resync is the period in which every Service is rebuilt once from the objects
	// in memory, a few at a time. Zero means 5 minutes, the period of kube-dns.
	Resync time.Duration
	// Registerer receives the metrics; nil means none.
	Registerer prometheus.Registerer
}

const (
	defaultResync = 5 * time.Minute
	// resyncSteps is the number of steps into which a resync is divided.
	resyncSteps = 60

	// A change is built when no other has followed it for quiet, or after burst at
	// the latest. A rolling update of one Service changes its slices several times
	// within a few milliseconds.
	quiet = 2 * time.Millisecond
	burst = 10 * time.Millisecond

	// EndpointSlices that have been read before must be denied for patience before
	// Endpoints are used instead: an API server that has just started forbids
	// everything until it has loaded its roles.
	patience = time.Minute

	// While Endpoints are used instead of EndpointSlices, EndpointSlices are tried
	// again every reprobe, or every reprobeDenied while neither can be read.
	reprobe       = time.Minute
	reprobeDenied = 5 * time.Second
)

// Watcher keeps a tree up to date with the objects of its sources. All methods are
// safe for concurrent use.
type Watcher struct {
	// All fields but the two atomic ones are set by New and do not change.

	cfg     Config       // with defaults
	log     *slog.Logger // Config.Logger
	cluster *treeBuilder // builds Config.Tree
	metrics *metrics     // exports the Watcher

	// services is the feed of Services.
	services *feed[*records.Service]
	// slices is the feed of EndpointSlices, endpoints that of Endpoints, nil if there
	// is no such fallback.
	slices, endpoints *feed[sliceValue]
	// endpointsInUse is true while endpoints runs instead of slices.
	endpointsInUse atomic.Bool
	// configMap is the watcher that metrics exports too, nil if there is none.
	configMap atomic.Pointer[ConfigMapWatcher]

	// The fields below are nil if Config.ClusterSet is nil.

	clusterSet   *treeBuilder            // builds Config.ClusterSet
	imports      *feed[*records.Service] // the feed of ServiceImports
	importSource *importSource           // what imports reads
}

// New returns a Watcher, which does nothing before Run. It panics if a required
// field of cfg is missing.
func New(cfg Config) *Watcher {
	if cfg.Sources.Services == nil || cfg.Sources.Slices == nil || cfg.Tree == nil || cfg.Logger == nil ||
		cfg.ClusterSet != nil && len(cfg.Sources.Imports) == 0 {
		panic("kubewatch: Config lacks Sources.Services, Sources.Slices, Sources.Imports, Tree or Logger")
	}
	if cfg.Resync <= 0 {
		cfg.Resync = defaultResync
	}
	w := &Watcher{
		cfg: cfg,
		log: cfg.Logger,
	}
	w.metrics = newMetrics(cfg.Registerer, w)
	zone := len(cfg.Tree.Snapshot().Zone())
	w.cluster = w.newBuilder(cfg.Tree, kindService, func(service *records.Service, list []*records.Slice) (*treecache.Set, []string) {
		return records.Build(service, list, zone, w.ttl())
	})
	w.cluster.programmed = w.metrics.programmed
	w.cluster.loaded = func(c counts) {
		w.log.Info("loaded all Services and endpoints", "services", c.services, "slices", c.slices, "endpoints", c.endpoints)
	}
	d := newDecoder()
	c := &d.converter
	w.services = newFeed(cfg.Sources.Services, newHealth("services", cfg.Logger), d.convertService, serviceSink{w.cluster.state})
	ofServices := sliceSink{w.cluster.state, ofService}
	var to sink[sliceValue] = ofServices
	if cfg.ClusterSet != nil {
		to = bothSlices{ofServices, w.followImports(c)}
	}
	w.slices = newFeed(cfg.Sources.Slices, newHealth("endpointslices.discovery.k8s.io", cfg.Logger), d.convertSlice, to)
	if cfg.Sources.Endpoints != nil {
		w.endpoints = newFeed(cfg.Sources.Endpoints, newHealth("endpoints", cfg.Logger), c.convertEndpoints, ofServices)
	}
	return w
}

// ttl returns Config.TTL in seconds.
func (w *Watcher) ttl() uint32 { return uint32(w.cfg.TTL / time.Second) }

func (w *Watcher) newBuilder(tree *treecache.Tree, kind string, build func(*records.Service, []*records.Slice) (*treecache.Set, []string)) *treeBuilder {
	return &treeBuilder{
		state: newClusterState(), tree: tree, problems: newProblems(w.log, kind), buildSet: build,
		resync: w.cfg.Resync, built: w.metrics.built, synced: make(chan struct{}),
	}
}

// followImports connects the source of ServiceImports to the tree of the clusterset
// zone, and returns the sink for their slices.
func (w *Watcher) followImports(c *converter) sliceSink {
	zone := len(w.cfg.ClusterSet.Snapshot().Zone())
	b := w.newBuilder(w.cfg.ClusterSet, kindImport, func(imp *records.Service, list []*records.Slice) (*treecache.Set, []string) {
		return records.BuildImport(imp, list, zone, w.ttl())
	})
	b.loaded = func(c counts) {
		w.log.Info("loaded all ServiceImports", "imports", c.services, "slices", c.slices, "endpoints", c.endpoints)
	}
	w.clusterSet = b
	w.importSource = newImportSource(w.cfg.Sources.Imports, w.log)
	w.imports = newFeed[*records.Service](w.importSource, newHealth(serviceimport.Resource+"."+serviceimport.Group, w.log), c.convertImport, serviceSink{b.state})
	return sliceSink{b.state, ofImport}
}

// newFeed returns a feed from src to a sink.
func newFeed[V any](src cache.ListerWatcherWithContext, h *health, convert convertFunc[V], to sink[V]) *feed[V] {
	return &feed[V]{src: src, health: h, store: newStore(h, convert, to)}
}

// Run lists, watches and builds until ctx ends, and returns when everything that it
// started has ended. It always returns nil: an API server that cannot be reached, or
// forbids a request, may recover, and until then the answers stay as they are.
func (w *Watcher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { w.services.run(ctx) })
	wg.Go(func() { w.runSlices(ctx) })
	if w.clusterSet != nil {
		wg.Go(func() { w.imports.run(ctx) })
		wg.Go(func() { w.clusterSet.run(ctx) })
	}
	w.cluster.run(ctx)
	wg.Wait()
	return nil
}

// HasSynced reports whether the lists of Services and slices have been complete and
// their records are in the tree. Until then, a name that is missing may still exist.
// Once true, it stays true.
func (w *Watcher) HasSynced() bool { return w.cluster.hasSynced.Load() }

// ClusterSetSynced is HasSynced for ServiceImports. HasSynced does not wait for them.
// It is false without Config.ClusterSet.
func (w *Watcher) ClusterSetSynced() bool {
	return w.clusterSet != nil && w.clusterSet.hasSynced.Load()
}

// Synced returns a channel that is closed when HasSynced turns true.
func (w *Watcher) Synced() <-chan struct{} { return w.cluster.synced }

// runSlices follows EndpointSlices, and Endpoints while EndpointSlices are denied.
func (w *Watcher) runSlices(ctx context.Context) {
	if w.endpoints == nil {
		w.slices.run(ctx)
		return
	}
	warned := false
	for ctx.Err() == nil {
		err := w.runUntilDenied(ctx)
		if err == nil {
			return
		}
		if !warned {
			warned = true
			w.log.Warn("cannot read EndpointSlices; using Endpoints instead, which hold only one address family and at most 1000 endpoints for each Service",
				"missing_rule", "apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]", "error", err)
		}
		w.runEndpoints(ctx)
	}
}

// runUntilDenied follows EndpointSlices until ctx ends, and then returns nil, or
// until the server forbids or does not know them, and then returns its error.
func (w *Watcher) runUntilDenied(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A copy, because a request of the previous run may still be in progress.
	f := *w.slices
	f.denied = cancel
	f.run(ctx)
	if err := context.Cause(ctx); denied(err) {
		return err
	}
	return nil
}

// runEndpoints follows Endpoints until ctx ends or EndpointSlices can be read.
func (w *Watcher) runEndpoints(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.endpointsInUse.Store(true)
	defer w.endpointsInUse.Store(false)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer cancel()
		for ctx.Err() == nil {
			pause := reprobeDenied
			if w.endpoints.health.status().Connected {
				pause = reprobe
			}
			sleep(ctx, pause)
			if _, err := w.cfg.Sources.Slices.ListWithContext(ctx, metav1.ListOptions{Limit: 1}); err == nil {
				w.log.Info("EndpointSlices can be read again; no longer using Endpoints")
				return
			}
		}
	})
	w.endpoints.run(ctx)
}
