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

// item carries the compact form of an API object, a V, from the decoder or the store
// to a sink. It implements the interfaces of an API object because the watch and the
// reflector require one.
type item[V any] struct {
	*metav1.ObjectMeta // empty, shared by all items: provides the other methods
	key                key
	// value is valid only if kept is true; otherwise nothing of the object is kept.
	value V
	kept  bool
	// version is the resource version.
	version string
	// trigger is the time of the change for which a slice was updated, or zero if
	// the object does not say.
	trigger time.Time
	// end is true for the bookmark that ends the initial events.
	end bool
}

// GetNamespace implements metav1.Object.
func (it *item[V]) GetNamespace() string { return it.key.namespace }

// GetName implements metav1.Object.
func (it *item[V]) GetName() string { return it.key.name }

// GetResourceVersion implements metav1.Object.
func (it *item[V]) GetResourceVersion() string { return it.version }

// GetAnnotations implements metav1.Object.
func (it *item[V]) GetAnnotations() map[string]string {
	if !it.end {
		return nil
	}
	return map[string]string{metav1.InitialEventsAnnotationKey: "true"}
}

// GetObjectKind implements runtime.Object.
func (it *item[V]) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. An item is not changed once a sink
// has it.
func (it *item[V]) DeepCopyObject() runtime.Object { return it }

// sink receives the items of a store. Calls come one at a time.
type sink[V any] interface {
	// shareKept returns the value stored under k if it equals value, and value
	// otherwise. A list of unchanged objects thus takes no additional memory.
	shareKept(k key, value V) V
	// set stores one new or changed object.
	set(it *item[V])
	// remove deletes the object k.
	remove(k key)
	// replace stores items and deletes all other objects. A later item replaces an
	// earlier one with the same key, or deletes it if it is not kept.
	replace(items []*item[V])
}

// conversion is the result of converting an API object: value if kept is true,
// otherwise nothing is kept. ok is false if the object is of another type. The value
// must not refer to memory that the object shares with others.
type conversion[V any] struct {
	value    V
	kept, ok bool
}

// convertFunc converts an API object.
type convertFunc[V any] func(obj any) conversion[V]

// store receives objects from a reflector, compacts them and passes them to a sink.
// It implements cache.ReflectorStore.
type store[V any] struct {
	health  *health
	convert convertFunc[V]
	sink    sink[V]
	empty   *metav1.ObjectMeta
	shared  interner
}

func newStore[V any](h *health, convert convertFunc[V], to sink[V]) *store[V] {
	return &store[V]{health: h, convert: convert, sink: to, empty: &metav1.ObjectMeta{}}
}

// compact returns the item for an API object, which may be one already.
func (s *store[V]) compact(obj any) (*item[V], error) {
	if it, ok := obj.(*item[V]); ok {
		s.share(it)
		return it, nil
	}
	converted := s.convert(obj)
	if !converted.ok {
		return nil, fmt.Errorf("unexpected object of type %T", obj)
	}
	object := obj.(metav1.Object)
	annotations := object.GetAnnotations()
	it := &item[V]{
		ObjectMeta: s.empty, version: object.GetResourceVersion(), value: converted.value, kept: converted.kept,
		key:     key{s.shared.intern([]byte(object.GetNamespace())), object.GetName()},
		trigger: parseTrigger([]byte(annotations[corev1.EndpointsLastChangeTriggerTime])),
		end:     annotations[metav1.InitialEventsAnnotationKey] == "true",
	}
	s.share(it)
	return it, nil
}

// share makes an item refer to the value that is stored already, if that is equal.
func (s *store[V]) share(it *item[V]) {
	if it.kept {
		it.value = s.sink.shareKept(it.key, it.value)
	}
}

// parseTrigger returns the time of the Pod's or Service's change for which an
// EndpointSlice or Endpoints object was updated. The controller annotates it so that
// the delay until DNS reflects the change can be measured. It returns zero if text
// is empty or invalid.
func parseTrigger(text []byte) time.Time {
	if len(text) == 0 {
		return time.Time{}
	}
	t, _ := time.Parse(time.RFC3339Nano, string(text)) // zero if it is invalid
	return t
}

// Add implements cache.ReflectorStore.
func (s *store[V]) Add(obj any) error {
	it, err := s.compact(obj)
	if err != nil {
		return err
	}
	s.health.heard()
	if !it.kept {
		s.sink.remove(it.key)
	} else {
		s.sink.set(it)
	}
	return nil
}

// Update implements cache.ReflectorStore.
func (s *store[V]) Update(obj any) error { return s.Add(obj) }

// Delete implements cache.ReflectorStore. It accepts the tombstones
// (DeletedFinalStateUnknown) that client-go uses for deletions that it missed.
func (s *store[V]) Delete(obj any) error {
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

// Replace implements cache.ReflectorStore: list holds all objects that exist.
func (s *store[V]) Replace(list []any, _ string) error {
	var items []*item[V]
	for _, obj := range list {
		if b, ok := obj.(*batch[V]); ok {
			items = append(items, b.items...)
			continue
		}
		it, err := s.compact(obj)
		if err != nil {
			return err
		}
		items = append(items, it)
	}
	s.health.listed()
	s.sink.replace(items)
	return nil
}

// Resync implements cache.ReflectorStore. It does nothing: the Watcher resyncs by
// itself.
func (s *store[V]) Resync() error { return nil }

// Bookmark implements cache.ReflectorBookmarkStore.
func (s *store[V]) Bookmark(string) error {
	s.health.heard()
	return nil
}
