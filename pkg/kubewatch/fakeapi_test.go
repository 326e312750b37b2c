package kubewatch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// apiObject is any object of the API.
type apiObject interface {
	runtime.Object
	metav1.Object
}

// fakeAPI serves one kind as an API server does: consistent lists in pages,
// watches from a version, streamed lists where streams is set. Faults are
// switched on by its methods.
type fakeAPI struct {
	streams bool
	example func() apiObject // for bookmarks

	mu       sync.Mutex
	version  int
	objects  map[key]apiObject
	log      []fakeEvent
	oldest   int // version before which the log is forgotten
	fail     error
	hollow   error // lists fail with it, and streams end at once
	watches  map[*fakeWatch]bool
	lists    int // list requests, pages each count
	streamed int // streamed lists
	expire   int // so many continuations fail
}

type fakeEvent struct {
	version int
	event   watch.Event
}

var _ cache.ListerWatcherWithContext = (*fakeAPI)(nil)

func newFakeAPI(streams bool, example func() apiObject) *fakeAPI {
	return &fakeAPI{streams: streams, example: example, version: 1, objects: map[key]apiObject{}, watches: map[*fakeWatch]bool{}}
}

func (f *fakeAPI) put(obj apiObject) {
	f.mu.Lock()
	defer f.mu.Unlock()
	obj = obj.DeepCopyObject().(apiObject)
	kind, k := watch.Added, key{obj.GetNamespace(), obj.GetName()}
	if f.objects[k] != nil {
		kind = watch.Modified
	}
	f.objects[k] = obj
	f.record(kind, obj)
}

func (f *fakeAPI) remove(k key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if obj := f.objects[k]; obj != nil {
		delete(f.objects, k)
		f.record(watch.Deleted, obj.DeepCopyObject().(apiObject))
	}
}

func (f *fakeAPI) record(kind watch.EventType, obj apiObject) {
	f.version++
	obj.SetResourceVersion(strconv.Itoa(f.version))
	event := watch.Event{Type: kind, Object: obj}
	f.log = append(f.log, fakeEvent{f.version, event})
	for w := range f.watches {
		w.ch <- event
	}
}

// cut ends all watches.
func (f *fakeAPI) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watches {
		w.end()
	}
}

// forget ends all watches and makes it impossible to go on where they were.
func (f *fakeAPI) forget() {
	f.cut()
	f.mu.Lock()
	f.version++
	f.log, f.oldest = nil, f.version
	f.mu.Unlock()
}

// setFail makes every request fail with err; nil heals.
func (f *fakeAPI) setFail(err error) {
	f.mu.Lock()
	f.fail = err
	f.mu.Unlock()
	if err != nil {
		f.cut()
	}
}

func (f *fakeAPI) sorted() []apiObject {
	return slices.SortedFunc(maps.Values(f.objects), func(a, b apiObject) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
}

func (f *fakeAPI) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	if err := cmp.Or(ctx.Err(), f.fail, f.hollow); err != nil {
		return nil, err
	}
	// A real server pages through a snapshot; here a change in between expires
	// the continuation, which a real one may do as well.
	at, version := 0, f.version
	if options.Continue != "" {
		if _, err := fmt.Sscanf(options.Continue, "%d@%d", &at, &version); err != nil {
			return nil, apierrors.NewBadRequest("continue")
		}
		if version != f.version || f.expire > 0 {
			f.expire--
			return nil, apierrors.NewResourceExpired("the continuation expired")
		}
	}
	all := f.sorted()
	end := len(all)
	if options.Limit > 0 {
		end = min(end, at+int(options.Limit))
	}
	list := &metainternalversion.List{}
	for _, o := range all[at:end] {
		list.Items = append(list.Items, o.DeepCopyObject())
	}
	list.ResourceVersion = strconv.Itoa(f.version)
	if end < len(all) {
		list.Continue = fmt.Sprintf("%d@%d", end, f.version)
	}
	return list, nil
}

func (f *fakeAPI) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := cmp.Or(ctx.Err(), f.fail); err != nil {
		return nil, err
	}
	w := &fakeWatch{api: f, ch: make(chan watch.Event, 100_000)}
	if f.hollow != nil {
		close(w.ch)
		return w, nil
	}
	if options.SendInitialEvents != nil {
		if !f.streams {
			return nil, apierrors.NewInvalid(schema.GroupKind{Kind: "ListOptions"}, "", field.ErrorList{
				field.Forbidden(field.NewPath("sendInitialEvents"), "forbidden for watch unless the WatchList feature gate is enabled"),
			})
		}
		f.streamed++
		for _, o := range f.sorted() {
			w.ch <- watch.Event{Type: watch.Added, Object: o.DeepCopyObject()}
		}
		mark := f.example()
		mark.SetResourceVersion(strconv.Itoa(f.version))
		mark.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
		w.ch <- watch.Event{Type: watch.Bookmark, Object: mark}
	} else {
		from, err := strconv.Atoi(options.ResourceVersion)
		if err != nil || from < f.oldest {
			return nil, apierrors.NewResourceExpired("too old resource version")
		}
		for _, e := range f.log {
			if e.version > from {
				w.ch <- watch.Event{Type: e.event.Type, Object: e.event.Object.DeepCopyObject()}
			}
		}
	}
	f.watches[w] = true
	return w, nil
}

type fakeWatch struct {
	api *fakeAPI
	ch  chan watch.Event
}

// end closes the channel. f.api.mu must be held.
func (w *fakeWatch) end() {
	if w.api.watches[w] {
		delete(w.api.watches, w)
		close(w.ch)
	}
}

func (w *fakeWatch) ResultChan() <-chan watch.Event { return w.ch }

func (w *fakeWatch) Stop() {
	w.api.mu.Lock()
	defer w.api.mu.Unlock()
	w.end()
}
