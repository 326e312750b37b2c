package kubewatch

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// Config configures a Watcher.
type Config struct {
	// Sources delivers the objects. Services and Slices must not be nil.
	Sources Sources
	// Tree receives the records of each Service, at records.Path. It must not be
	// nil.
	Tree *treecache.Tree
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
	cfg      Config
	log      *slog.Logger
	state    *state
	problems *problems
	metrics  *metrics

	services          *feed[*records.Service]
	slices, endpoints *feed[sliceValue] // endpoints is nil without a fallback
	endpointsInUse    atomic.Bool
	configMap         atomic.Pointer[ConfigMapWatcher] // nil: none

	synced    chan struct{} // closed when the first build is in the tree
	hasSynced atomic.Bool   // says the same; it is asked for on every query
}

// New returns a Watcher that does nothing before Run. It panics if a required
// member of cfg is missing.
func New(cfg Config) *Watcher {
	if cfg.Sources.Services == nil || cfg.Sources.Slices == nil || cfg.Tree == nil || cfg.Logger == nil {
		panic("kubewatch: Config lacks Sources.Services, Sources.Slices, Tree or Logger")
	}
	if cfg.Resync <= 0 {
		cfg.Resync = defaultResync
	}
	w := &Watcher{
		cfg:      cfg,
		log:      cfg.Logger,
		state:    newState(),
		problems: newProblems(cfg.Logger),
		synced:   make(chan struct{}),
	}
	c := &converter{}
	w.services = newFeed(cfg.Sources.Services, newHealth("services", cfg.Logger), c.convertService, serviceSink{w.state})
	w.slices = newFeed(cfg.Sources.Slices, newHealth("endpointslices.discovery.k8s.io", cfg.Logger), c.convertSlice, sliceSink{w.state})
	if cfg.Sources.Endpoints != nil {
		w.endpoints = newFeed(cfg.Sources.Endpoints, newHealth("endpoints", cfg.Logger), c.convertEndpoints, sliceSink{w.state})
	}
	w.metrics = newMetrics(cfg.Registerer, w)
	return w
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
	w.build(ctx)
	wg.Wait()
	return nil
}

// HasSynced reports whether every list was complete once and its records are
// in the tree. Before, nothing may be concluded from a name that is missing.
// Once true it stays true.
func (w *Watcher) HasSynced() bool { return w.hasSynced.Load() }

// Synced returns a channel that is closed when HasSynced turns true.
func (w *Watcher) Synced() <-chan struct{} { return w.synced }

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

// build turns dirty keys into record sets until ctx ends.
func (w *Watcher) build(ctx context.Context) {
	resync := time.NewTicker(max(w.cfg.Resync/resyncSteps, time.Millisecond))
	defer resync.Stop()
	var round []key // what is left of this resync
	chunk := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-resync.C:
			if len(round) == 0 && w.HasSynced() {
				round = w.state.keys()
				chunk = (len(round) + resyncSteps - 1) / resyncSteps
			}
			n := min(chunk, len(round))
			w.state.markAll(round[:n])
			round = round[n:]
			continue
		case <-w.state.wake:
		}
		if !w.state.listed() {
			continue
		}
		start := time.Now()
		if w.HasSynced() {
			w.settle(ctx)
		}
		work := w.state.take()
		w.rebuild(work)
		w.metrics.built(len(work.keys), time.Since(start))
		if !w.HasSynced() {
			c := w.state.counts()
			w.log.Info("all Services and endpoints are loaded", "services", c.services, "slices", c.slices, "endpoints", c.endpoints)
			w.hasSynced.Store(true)
			close(w.synced)
		}
		if work.relisted {
			// What the list took while it was decoded is several times what is
			// kept of it, and the next one may be weeks away.
			debug.FreeOSMemory()
		}
	}
}

// settle returns when no change came for quiet, at the latest after burst.
func (w *Watcher) settle(ctx context.Context) {
	end := time.NewTimer(burst)
	defer end.Stop()
	still := time.NewTimer(quiet)
	defer still.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-still.C:
			return
		case <-w.state.wake:
			still.Reset(quiet)
		}
	}
}

// atOnce is how many Services are made visible at a time while there are
// readers, so that none waits long for the others of its round.
const atOnce = 64

// rebuild makes the records of all Services of work anew.
func (w *Watcher) rebuild(work taken) {
	n := atOnce
	if !w.HasSynced() {
		n = len(work.keys) // nobody may conclude anything from half of them
	}
	for keys := range slices.Chunk(work.keys, max(n, 1)) {
		changes := make([]treecache.Change, 0, len(keys))
		for _, k := range keys {
			if c, ok := w.change(k); ok {
				changes = append(changes, c)
			}
		}
		w.cfg.Tree.Apply(changes...)
		if len(work.triggers) == 0 {
			continue
		}
		now := time.Now()
		for _, k := range keys {
			if triggers := work.triggers[k]; len(triggers) > 0 {
				service, _ := w.state.get(k)
				w.metrics.programmed(service, triggers, now)
			}
		}
	}
}

// change returns what is to be in the tree for one Service, false when there is
// nothing that could be there.
func (w *Watcher) change(k key) (treecache.Change, bool) {
	service, list := w.state.get(k)
	var set *treecache.Set
	var found []records.Problem
	if service != nil {
		set, found = records.Build(service, list, uint32(w.cfg.TTL/time.Second))
	}
	w.problems.note(k, found)
	if set != nil {
		return treecache.Change{Path: set.Path(), Set: set}, true
	}
	path, ok := records.Path(k.namespace, k.name)
	return treecache.Change{Path: path}, ok
}
