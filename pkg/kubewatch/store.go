package kubewatch

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
)

// key names one object.
type key struct{ namespace, name string }

// item is a compacted object on its way from the reflector to a sink. It
// passes for an API object where the reflector needs one: in the list that
// feed.list returns, and in the temporary store of a streamed list, which
// needs namespace and name of it.
type item struct {
	*metav1.ObjectMeta // empty, shared by all items of a store: the other methods
	key                key
	value              any
}

// GetNamespace implements metav1.Object.
func (it *item) GetNamespace() string { return it.key.namespace }

// GetName implements metav1.Object.
func (it *item) GetName() string { return it.key.name }

// GetObjectKind implements runtime.Object.
func (it *item) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. Items are immutable.
func (it *item) DeepCopyObject() runtime.Object { return it }

// sink is where a store hands its items over. Calls come one at a time.
type sink interface {
	// known returns what is kept under k if it equals value, else value. So a
	// list that says what is known already takes no memory of its own.
	known(k key, value any) any
	// set takes one changed object. trigger is when that happened for which it
	// changed, zero when the object does not tell.
	set(it *item, trigger time.Time)
	remove(k key)
	replace(items []*item)
}

// convertFunc returns what is kept of an API object. The value must not refer
// to memory that obj shares with other objects. Nil means that nothing is kept.
type convertFunc func(obj any) any

// store takes what a reflector delivers, compacts it and hands it on. It
// implements cache.TransformingStore, so that a streamed list too is compacted
// object by object.
type store struct {
	health  *health
	convert convertFunc
	sink    sink
	empty   *metav1.ObjectMeta
	shared  interner
}

func newStore(h *health, convert convertFunc, to sink) *store {
	return &store{health: h, convert: convert, sink: to, empty: &metav1.ObjectMeta{}}
}

// compact returns the item for an API object, or obj itself when it is one.
func (s *store) compact(obj any) (*item, error) {
	switch obj := obj.(type) {
	case *item:
		return obj, nil
	case metav1.Object:
		k := key{s.shared.intern(obj.GetNamespace()), obj.GetName()}
		return &item{ObjectMeta: s.empty, key: k, value: s.sink.known(k, s.convert(obj))}, nil
	}
	return nil, fmt.Errorf("%T is not an API object", obj)
}

// Transformer implements cache.TransformingStore.
func (s *store) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) { return s.compact(obj) }
}

// Add implements cache.ReflectorStore.
func (s *store) Add(obj any) error {
	it, err := s.compact(obj)
	if err != nil {
		return err
	}
	s.health.heard()
	if it.value == nil {
		s.sink.remove(it.key)
	} else {
		s.sink.set(it, triggerOf(obj))
	}
	return nil
}

// triggerOf returns when the pod or Service changed that obj, an EndpointSlice
// or Endpoints, was changed for. Its controller notes it there for exactly
// this: to measure how long it takes until DNS knows. Zero when it did not.
func triggerOf(obj any) time.Time {
	object, ok := obj.(metav1.Object)
	if !ok {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, object.GetAnnotations()[corev1.EndpointsLastChangeTriggerTime])
	if err != nil {
		return time.Time{}
	}
	return t
}

// Update implements cache.ReflectorStore.
func (s *store) Update(obj any) error { return s.Add(obj) }

// Delete implements cache.ReflectorStore. It understands the tombstones that
// client-go's queues leave when they missed the deletion itself.
func (s *store) Delete(obj any) error {
	s.health.heard()
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		namespace, name, err := cache.SplitMetaNamespaceKey(gone.Key)
		if err == nil {
			s.sink.remove(key{namespace, name})
		}
		return err
	}
	object, err := meta.Accessor(obj)
	if err == nil {
		s.sink.remove(key{object.GetNamespace(), object.GetName()})
	}
	return err
}

// Replace implements cache.ReflectorStore: list is all there is.
func (s *store) Replace(list []any, _ string) error {
	items := make([]*item, 0, len(list))
	for _, obj := range list {
		it, err := s.compact(obj)
		if err != nil {
			return err
		}
		if it.value != nil {
			items = append(items, it)
		}
	}
	s.health.listed()
	s.sink.replace(items)
	return nil
}

// Resync implements cache.ReflectorStore. The Watcher has its own.
func (s *store) Resync() error { return nil }

// Bookmark implements cache.ReflectorBookmarkStore.
func (s *store) Bookmark(string) error {
	s.health.heard()
	return nil
}
