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

// builder keeps one tree equal to what a state holds.
type builder struct {
	state    *state
	tree     *treecache.Tree
	problems *problems
	// make makes the records of one Service or ServiceImport.
	make   func(*records.Service, []*records.Slice) (*treecache.Set, []records.Problem)
	resync time.Duration // Config.Resync
	// loaded is called before the first build is announced.
	loaded func(counts)
	// built is told how many keys were built, and how long after the first event.
	built func(int, time.Duration)
	// programmed is told when what happened at triggers is visible; nil is not.
	programmed func(service *records.Service, triggers []time.Time, now time.Time)

	synced    chan struct{} // closed when the first build is in the tree
	hasSynced atomic.Bool   // says the same; it is asked for on every query
}

// run turns dirty keys into record sets until ctx ends.
func (b *builder) run(ctx context.Context) {
	resync := time.NewTicker(max(b.resync/resyncSteps, time.Millisecond))
	defer resync.Stop()
	var round []key // what is left of this resync
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
			b.settle(ctx)
		}
		work := b.state.take()
		b.rebuild(work)
		b.built(len(work.keys), time.Since(start))
		if !b.hasSynced.Load() {
			b.loaded(b.state.counts())
			b.hasSynced.Store(true)
			close(b.synced)
		}
		if work.relisted {
			// What the list took while it was decoded is several times what is
			// kept of it, and the next one may be weeks away.
			debug.FreeOSMemory()
		}
	}
}

// settle returns when no change came for quiet, at the latest after burst.
func (b *builder) settle(ctx context.Context) {
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

// atOnce is how many Services are made visible at a time while there are
// readers, so that none waits long for the others of its round.
const atOnce = 64

// rebuild makes the records of all Services of work anew.
func (b *builder) rebuild(work taken) {
	n := atOnce
	if !b.hasSynced.Load() {
		n = len(work.keys) // nobody may conclude anything from half of them
	}
	for keys := range slices.Chunk(work.keys, max(n, 1)) {
		changes := make([]treecache.Change, 0, len(keys))
		for _, k := range keys {
			if c, ok := b.change(k); ok {
				changes = append(changes, c)
			}
		}
		b.tree.Apply(changes...)
		if len(work.triggers) == 0 || b.programmed == nil {
			continue
		}
		now := time.Now()
		for _, k := range keys {
			if triggers := work.triggers[k]; len(triggers) > 0 {
				service, _ := b.state.get(k)
				b.programmed(service, triggers, now)
			}
		}
	}
}

// change returns what is to be in the tree for one Service, false when there is
// nothing that could be there.
func (b *builder) change(k key) (treecache.Change, bool) {
	service, list := b.state.get(k)
	var set *treecache.Set
	var found []records.Problem
	if service != nil {
		set, found = b.make(service, list)
	}
	b.problems.note(k, found)
	if set != nil {
		return treecache.Change{Path: set.Path(), Set: set}, true
	}
	path, ok := records.Path(k.namespace, k.name)
	return treecache.Change{Path: path}, ok
}
