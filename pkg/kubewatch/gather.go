package kubewatch

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// batch holds all items of one list, in the order in which they arrived. It
// implements runtime.Object because the reflector stores the objects of a streamed
// list until the list is complete: that way it stores one object only.
type batch[V any] struct {
	*metav1.ObjectMeta // empty
	items              []*item[V]
}

// GetObjectKind implements runtime.Object.
func (b *batch[V]) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. A batch does not change after it has
// been sent.
func (b *batch[V]) DeepCopyObject() runtime.Object { return b }

// gathering is a watch that begins with a streamed list.
type gathering[V any] struct {
	source watch.Interface
	store  *store[V]
	out    chan watch.Event
	once   sync.Once
	done   chan struct{} // closed by Stop
}

// gather returns a watch that delivers the events of w, except that the events
// before the bookmark that ends the initial events are merged into one event for a
// batch.
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

// run passes the events on until the source or the receiver ends.
func (g *gathering[V]) run() {
	defer close(g.out)
	all := &batch[V]{ObjectMeta: g.store.empty} // nil after it has been sent
	for event := range g.source.ResultChan() {
		if all != nil && all.addEvent(event, g.store) {
			continue
		}
		if all != nil && endsInitial(event) {
			if !g.send(watch.Event{Type: watch.Added, Object: all}) {
				return
			}
			g.store.health.succeeded() // a stream that ends before it has listed all does not count
			all = nil
		}
		if !g.send(event) {
			return
		}
	}
}

// send delivers event to the receiver. It returns false after Stop.
func (g *gathering[V]) send(event watch.Event) bool {
	select {
	case g.out <- event:
		return true
	case <-g.done:
		return false
	}
}

// addEvent adds the object of event to b. It returns false if event is not about
// an object that s understands; the reflector must then handle it.
func (b *batch[V]) addEvent(event watch.Event, s *store[V]) bool {
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
