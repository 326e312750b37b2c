package kubewatch

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// batch is all items of one list, in the order in which they came. It passes
// for a single API object, so that the reflector, which would keep the objects of
// a streamed list in a store of its own, has one to keep.
type batch[V any] struct {
	*metav1.ObjectMeta // empty
	items              []*item[V]
}

// GetObjectKind implements runtime.Object.
func (b *batch[V]) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. A batch is not changed once it is
// handed on.
func (b *batch[V]) DeepCopyObject() runtime.Object { return b }

// gathering is a watch that begins with a streamed list.
type gathering[V any] struct {
	source watch.Interface
	store  *store[V]
	out    chan watch.Event
	once   sync.Once
	done   chan struct{} // closed by Stop
}

// gather returns w, but the events before the bookmark that ends its initial
// events become one, about a batch of what they said.
func gather[V any](w watch.Interface, s *store[V]) watch.Interface {
	g := &gathering[V]{source: w, store: s, out: make(chan watch.Event), done: make(chan struct{})}
	go g.run()
	return g
}

// ResultChan implements watch.Interface.
func (g *gathering[V]) ResultChan() <-chan watch.Event { return g.out }

// Stop implements watch.Interface.
func (g *gathering[V]) Stop() {
	g.once.Do(func() { close(g.done) })
	g.source.Stop()
}

// run hands the events on until the source or the receiver ends.
func (g *gathering[V]) run() {
	defer close(g.out)
	all := &batch[V]{ObjectMeta: g.store.empty} // nil when it was handed on
	for event := range g.source.ResultChan() {
		if all != nil && all.take(event, g.store) {
			continue
		}
		if all != nil && endsInitial(event) {
			if !g.send(watch.Event{Type: watch.Added, Object: all}) {
				return
			}
			all = nil
		}
		if !g.send(event) {
			return
		}
	}
}

// send reports false after Stop.
func (g *gathering[V]) send(event watch.Event) bool {
	select {
	case g.out <- event:
		return true
	case <-g.done:
		return false
	}
}

// take adds what event says. False means that it is not about an object that s
// understands: it is for the reflector to handle.
func (b *batch[V]) take(event watch.Event, s *store[V]) bool {
	switch event.Type {
	case watch.Added, watch.Modified, watch.Deleted:
	default:
		return false
	}
	it, err := s.compact(event.Object)
	if err != nil {
		return false
	}
	if event.Type == watch.Deleted {
		it.kept = false
	}
	b.items = append(b.items, it)
	return true
}

// endsInitial reports whether event is the bookmark after the initial events.
func endsInitial(event watch.Event) bool {
	if event.Type != watch.Bookmark {
		return false
	}
	object, ok := event.Object.(metav1.Object)
	return ok && object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
}
