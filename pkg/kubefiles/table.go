package kubefiles

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// maxEvents is how many events a table remembers for watches that start at an
// earlier version. A watch from before that must list again.
const maxEvents = 4096

// id names one object of a kind.
type id struct{ namespace, name string }

// change is one event and the version that resulted from it.
type change struct {
	version uint64
	event   watch.Event
}

// objectTable holds the objects of one kind and their latest changes. All methods
// are safe for concurrent use. Nobody may change an object in it.
type objectTable struct {
	mu      sync.Mutex
	version uint64        // of the last replace
	objects map[id]object // the current objects
	events  []change      // the latest changes, in order of version
	// forgotten is the version of the latest event that is no longer in events.
	forgotten uint64
	changed   chan struct{} // closed at the next change
}

func newObjectTable() *objectTable {
	return &objectTable{objects: map[id]object{}, changed: make(chan struct{})}
}

// replace makes next the content of the table at version, which must be greater
// than in the call before. It sets the resource version of new and changed objects,
// keeps the others as they are, and takes ownership of next.
func (t *objectTable) replace(version uint64, next map[id]object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version = version
	record := func(kind watch.EventType, obj object) {
		t.events = append(t.events, change{version, watch.Event{Type: kind, Object: obj}})
	}
	text := strconv.FormatUint(version, 10)
	for _, k := range sorted(next) {
		obj := next[k]
		old, had := t.objects[k]
		if had {
			obj.SetResourceVersion(old.GetResourceVersion())
			if reflect.DeepEqual(old, obj) {
				next[k] = old
				continue
			}
		}
		obj.SetResourceVersion(text)
		if had {
			record(watch.Modified, obj)
		} else {
			record(watch.Added, obj)
		}
	}
	for _, k := range sorted(t.objects) {
		if _, ok := next[k]; !ok {
			gone := t.objects[k].DeepCopyObject().(object)
			gone.SetResourceVersion(text)
			record(watch.Deleted, gone)
		}
	}
	t.objects = next
	if extra := len(t.events) - maxEvents; extra > 0 {
		t.forgotten = t.events[extra-1].version
		t.events = slices.Clone(t.events[extra:])
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// sorted returns the ids of objects in order of namespace and name.
func sorted(objects map[id]object) []id {
	return slices.SortedFunc(maps.Keys(objects), func(a, b id) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
}

// tableView lists and watches all objects of a table, or one of them. It has no
// streamed lists.
type tableView struct {
	table *objectTable
	only  id // zero means all objects
}

var _ cache.ListerWatcherWithContext = tableView{}

// IsWatchListSemanticsUnSupported tells client-go's Reflector that lists are
// not streamed.
func (v tableView) IsWatchListSemanticsUnSupported() bool { return true }

// selects reports whether v includes obj.
func (v tableView) selects(obj object) bool {
	return v.only == (id{}) || v.only == (id{obj.GetNamespace(), obj.GetName()})
}

// ListWithContext returns all objects, in order of namespace and name. It ignores the options.
func (v tableView) ListWithContext(context.Context, metav1.ListOptions) (runtime.Object, error) {
	v.table.mu.Lock()
	defer v.table.mu.Unlock()
	list := &metainternalversion.List{}
	list.ResourceVersion = strconv.FormatUint(v.table.version, 10)
	for _, k := range sorted(v.table.objects) {
		if obj := v.table.objects[k]; v.selects(obj) {
			list.Items = append(list.Items, obj)
		}
	}
	return list, nil
}

// WatchWithContext delivers the changes after options.ResourceVersion, which must be
// the version of a list. The watch ends with ctx, Stop, or the timeout.
func (v tableView) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	from, err := strconv.ParseUint(options.ResourceVersion, 10, 64)
	if err != nil {
		return nil, apierrors.NewBadRequest("resourceVersion: " + err.Error())
	}
	v.table.mu.Lock()
	expired := from < v.table.forgotten
	v.table.mu.Unlock()
	if expired {
		return nil, apierrors.NewResourceExpired("the resource version is too old")
	}
	ctx, cancel := context.WithCancel(ctx)
	if options.TimeoutSeconds != nil {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*options.TimeoutSeconds)*time.Second)
	}
	w := &watcher{view: v, result: make(chan watch.Event), cancel: cancel}
	go w.run(ctx, from)
	return w, nil
}

// watcher is one watch.
type watcher struct {
	view   tableView
	result chan watch.Event
	cancel context.CancelFunc
}

// ResultChan implements watch.Interface.
func (w *watcher) ResultChan() <-chan watch.Event { return w.result }

// Stop implements watch.Interface.
func (w *watcher) Stop() { w.cancel() }

// run delivers the events after version from, until ctx ends.
func (w *watcher) run(ctx context.Context, from uint64) {
	defer close(w.result)
	defer w.cancel()
	t := w.view.table
	for {
		t.mu.Lock()
		if from < t.forgotten {
			t.mu.Unlock()
			w.send(ctx, watch.Event{Type: watch.Error, Object: &apierrors.NewResourceExpired("the watch fell too far behind").ErrStatus})
			return
		}
		at, _ := slices.BinarySearchFunc(t.events, from, func(c change, from uint64) int {
			if c.version <= from {
				return -1
			}
			return 1
		})
		// A copy, because replace may append within the capacity of t.events.
		pending := slices.Clone(t.events[at:])
		version, changed := t.version, t.changed
		t.mu.Unlock()
		for _, c := range pending {
			if w.view.selects(c.event.Object.(object)) && !w.send(ctx, c.event) {
				return
			}
		}
		from = max(from, version)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// send delivers event to the receiver. It returns false if ctx has ended.
func (w *watcher) send(ctx context.Context, event watch.Event) bool {
	select {
	case <-ctx.Done():
		return false
	case w.result <- event:
		return true
	}
}
