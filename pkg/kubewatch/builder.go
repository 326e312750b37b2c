package kubewatch

import (
	"context"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// treeBuilder keeps one tree up to date with a clusterState.
type treeBuilder struct {
	// The fields below are set before run starts and do not change afterwards.

	// state holds the objects that records are built from.
	state *clusterState
	// tree receives the record sets.
	tree *treecache.Tree
	// problems remembers and logs what cannot be used of each object.
	problems *problems
	// buildSet builds the record set of one Service or ServiceImport.
	buildSet func(*records.Service, []*records.Slice) (*treecache.Set, []string)
	// resync is Config.Resync.
	resync time.Duration
	// loaded is called once, before synced is closed.
	loaded func(counts)
	// built is called after each build with the number of keys that were rebuilt
	// and the time since the first event.
	built func(int, time.Duration)
	// programmed is called when a change is visible in answers: triggers are the
	// times of what caused it. It may be nil.
	programmed func(service *records.Service, triggers []time.Time, now time.Time)

	// synced is closed by run when the first build is in the tree.
	synced chan struct{}
	// hasSynced is true once synced is closed. Every query reads it.
	hasSynced atomic.Bool
}

// run rebuilds the record sets of changed Services until ctx ends.
func (b *treeBuilder) run(ctx context.Context) {
	resync := time.NewTicker(max(b.resync/resyncSteps, time.Millisecond))
	defer resync.Stop()
	var round []key // the keys that this resync has not rebuilt yet
	chunk := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-resync.C:
			if len(round) == 0 && b.hasSynced.Load() {
				round = b.state.keys()
				chunk = (len(round) + resyncSteps - 1) / resyncSteps
			}
			n := min(chunk, len(round))
			b.state.markAll(round[:n])
			round = round[n:]
			continue
		case <-b.state.wake:
		}
		if !b.state.listed() {
			continue
		}
		start := time.Now()
		if b.hasSynced.Load() {
			b.waitForQuiet(ctx)
		}
		work := b.state.takeWork(!b.hasSynced.Load())
		b.rebuild(work)
		b.built(len(work.keys), time.Since(start))
		if !b.hasSynced.Load() {
			b.loaded(b.state.counts())
			b.hasSynced.Store(true)
			close(b.synced)
		}
		if work.relisted {
			// Decoding a list takes several times the memory of what is kept of
			// it, and the next list may be weeks away.
			debug.FreeOSMemory()
		}
	}
}

// waitForQuiet waits until no change has arrived for quiet, but no longer than burst.
func (b *treeBuilder) waitForQuiet(ctx context.Context) {
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
		case <-b.state.wake:
			still.Reset(quiet)
		}
	}
}

// atOnce is how many Services become visible at a time while queries are being
// answered, so that none waits long for the others of the same build.
const atOnce = 64

// rebuild builds the records of all Services of work again.
func (b *treeBuilder) rebuild(work pendingWork) {
	n := len(work.keys)
	if n == 0 || !b.hasSynced.Load() { // a partial tree must not be visible
		b.rebuildTogether(work.keys, work.triggers)
		return
	}
	for keys := range slices.Chunk(work.keys[:n-1], atOnce) {
		b.rebuildTogether(keys, work.triggers)
	}
	b.rebuildTogether(work.keys[n-1:], work.triggers) // the last one may be heavy
}

// rebuildTogether builds the records of Services again and makes them visible in one step.
func (b *treeBuilder) rebuildTogether(keys []key, triggers map[key][]time.Time) {
	changes := make([]treecache.Change, 0, len(keys))
	for _, k := range keys {
		if c, ok := b.change(k); ok {
			changes = append(changes, c)
		}
	}
	b.tree.Apply(changes...)
	if len(triggers) == 0 || b.programmed == nil {
		return
	}
	now := time.Now()
	for _, k := range keys {
		if times := triggers[k]; len(times) > 0 {
			service, _ := b.state.service(k)
			b.programmed(service, times, now)
		}
	}
}

// change returns the record set that the tree must hold for one Service. It
// returns false if k cannot be the key of any record set.
func (b *treeBuilder) change(k key) (treecache.Change, bool) {
	service, list := b.state.service(k)
	var set *treecache.Set
	var found []string
	if service != nil {
		set, found = b.buildSet(service, list)
	}
	b.problems.note(k, found)
	if set != nil {
		return treecache.Change{Path: set.Path(), Set: set}, true
	}
	path, ok := records.Path(k.namespace, k.name)
	return treecache.Change{Path: path}, ok
}
