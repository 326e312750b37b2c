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
	// clusterset zone. Nil: ServiceImports are not read. Else Sources.Imports must not
	// be empty.
	ClusterSet *treecache.Tree
	// TTL is that of all records, in whole seconds.
	TTL time.Duration
	// Logger must not be nil.
	Logger *slog.Logger
	// Resync is how long it takes to rebuild every Service once from what is
	// kept, a few at a time, for ever. Zero means 5 minutes, upstream's period.
	Resync time.Duration
	// Registerer receives the metrics; nil means none.
	Registerer prometheus.Registerer
}

const (
	defaultResync = 5 * time.Minute
	// resyncSteps is in how many parts a resync is done.
	resyncSteps = 60

	// A change is built when nothing followed it for quiet, or at the latest
	// after burst. A rolling update of one Service touches its slices several
	// times within a few milliseconds.
	quiet = 2 * time.Millisecond
	burst = 10 * time.Millisecond

	// EndpointSlices that could be read once must be denied for patience before
	// Endpoints stand in: an API server that has just started forbids everything
	// until it knows its roles.
	patience = time.Minute

	// While Endpoints stand in for EndpointSlices, the latter are tried again
	// after reprobe; after reprobeDenied while neither can be read.
	reprobe       = time.Minute
	reprobeDenied = 5 * time.Second
)

// Watcher keeps a tree equal to the objects of its sources. All methods are
// safe for concurrent use.
type Watcher struct {
	cfg     Config
	log     *slog.Logger
	cluster *builder // of Config.Tree
	metrics *metrics

	services          *feed[*records.Service]
	slices, endpoints *feed[sliceValue] // endpoints is nil without a fallback
	endpointsInUse    atomic.Bool
	configMap         atomic.Pointer[ConfigMapWatcher] // nil: none

	// These are nil without Config.ClusterSet.
	clusterSet   *builder
	imports      *feed[*records.Service]
	importSource *importSource
}

// New returns a Watcher that does nothing before Run. It panics if a required
// member of cfg is missing.
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
	w.cluster = w.newBuilder(cfg.Tree, kindService, func(service *records.Service, list []*records.Slice) (*treecache.Set, []records.Problem) {
		return records.Build(service, list, w.ttl())
	})
	w.cluster.programmed = w.metrics.programmed
	w.cluster.loaded = func(c counts) {
		w.log.Info("all Services and endpoints are loaded", "services", c.services, "slices", c.slices, "endpoints", c.endpoints)
	}
	c := &converter{}
	w.services = newFeed(cfg.Sources.Services, newHealth("services", cfg.Logger), c.convertService, serviceSink{w.cluster.state})
	ofServices := sliceSink{w.cluster.state, ofService}
	var to sink[sliceValue] = ofServices
	if cfg.ClusterSet != nil {
		to = bothSlices{ofServices, w.followImports(c)}
	}
	w.slices = newFeed(cfg.Sources.Slices, newHealth("endpointslices.discovery.k8s.io", cfg.Logger), c.convertSlice, to)
	if cfg.Sources.Endpoints != nil {
		w.endpoints = newFeed(cfg.Sources.Endpoints, newHealth("endpoints", cfg.Logger), c.convertEndpoints, ofServices)
	}
	return w
}

func (w *Watcher) ttl() uint32 { return uint32(w.cfg.TTL / time.Second) }

func (w *Watcher) newBuilder(tree *treecache.Tree, kind string, build func(*records.Service, []*records.Slice) (*treecache.Set, []records.Problem)) *builder {
	return &builder{
		state: newState(), tree: tree, problems: newProblems(w.log, kind), make: build,
		resync: w.cfg.Resync, built: w.metrics.built, synced: make(chan struct{}),
	}
}

// followImports prepares the way from ServiceImports to their tree, and returns where
// their slices go.
func (w *Watcher) followImports(c *converter) sliceSink {
	zone := len(w.cfg.ClusterSet.Snapshot().Zone())
	b := w.newBuilder(w.cfg.ClusterSet, kindImport, func(imp *records.Service, list []*records.Slice) (*treecache.Set, []records.Problem) {
		return records.BuildImport(imp, list, zone, w.ttl())
	})
	b.loaded = func(c counts) {
		w.log.Info("all ServiceImports are loaded", "imports", c.services, "slices", c.slices, "endpoints", c.endpoints)
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

// Run lists, watches and builds until ctx ends and all it started has ended.
// It always returns nil: an API server that is away, or forbids what is
// needed, may come back, and until then the answers stay as they are.
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

// HasSynced reports whether the lists of Services and slices were complete once and
// their records are in the tree. Before, nothing may be concluded from a name that is missing.
// Once true it stays true.
func (w *Watcher) HasSynced() bool { return w.cluster.hasSynced.Load() }

// ClusterSetSynced is HasSynced for ServiceImports, which Services never wait for. It
// is false without a ClusterSet.
func (w *Watcher) ClusterSetSynced() bool {
	return w.clusterSet != nil && w.clusterSet.hasSynced.Load()
}

// Synced returns a channel that is closed when HasSynced turns true.
func (w *Watcher) Synced() <-chan struct{} { return w.cluster.synced }

// runSlices follows EndpointSlices, and Endpoints while those are denied.
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
			w.log.Warn("cannot read EndpointSlices; using Endpoints instead, which have one address family and at most 1000 endpoints for a Service",
				"missing_rule", "apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]", "error", err)
		}
		w.runEndpoints(ctx)
	}
}

// runUntilDenied follows EndpointSlices until ctx ends, then it returns nil,
// or until the server forbids or does not know them.
func (w *Watcher) runUntilDenied(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A copy: a request of the last run may still be on its way back.
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
