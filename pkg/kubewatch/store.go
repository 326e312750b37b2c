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

// itemKind says what an item was.
type itemKind uint8

const (
	anyItem     itemKind = iota // what a source that does not decode delivers
	serviceItem                 // a Service
	sliceItem                   // an EndpointSlice
)

// item is what is kept of an API object, on its way from the decoder or the
// store to a sink. It passes for an API object where the watch and the reflector
// need one.
type item struct {
	*metav1.ObjectMeta // empty, shared by all items: the other methods
	kind               itemKind
	key                key
	// value is nil where nothing is kept of the object.
	value any
	// version is the resource version.
	version string
	// trigger is when that happened for which a slice was changed, zero when the
	// object does not tell.
	trigger time.Time
	// end says of a bookmark that the initial events are complete.
	end bool
}

// GetNamespace implements metav1.Object.
func (it *item) GetNamespace() string { return it.key.namespace }

// GetName implements metav1.Object.
func (it *item) GetName() string { return it.key.name }

// GetResourceVersion implements metav1.Object.
func (it *item) GetResourceVersion() string { return it.version }

// GetAnnotations implements metav1.Object.
func (it *item) GetAnnotations() map[string]string {
	if !it.end {
		return nil
	}
	return map[string]string{metav1.InitialEventsAnnotationKey: "true"}
}

// GetObjectKind implements runtime.Object.
func (it *item) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. An item is not changed once a sink
// has it.
func (it *item) DeepCopyObject() runtime.Object { return it }

// sink is where a store hands its items over. Calls come one at a time.
type sink interface {
	// known returns what is kept under k if it equals value, else value. So a
	// list that says what is known already takes no memory of its own.
	known(k key, value any) any
	// set takes one changed object.
	set(it *item)
	remove(k key)
	// replace takes all there is. An item that comes later replaces one with the
	// same key; one without value takes it away.
	replace(items []*item)
}

// convertFunc returns what is kept of an API object. The value must not refer
// to memory that obj shares with other objects; nil means that nothing is kept.
// False means that obj is of another type.
type convertFunc func(obj any) (value any, ok bool)

// store takes what a reflector delivers, compacts it and hands it on. It
// implements cache.ReflectorStore.
type store struct {
	health  *health
	kind    itemKind // of the items that it takes
	convert convertFunc
	sink    sink
	empty   *metav1.ObjectMeta
	shared  interner
}

func newStore(h *health, kind itemKind, convert convertFunc, to sink) *store {
	return &store{health: h, kind: kind, convert: convert, sink: to, empty: &metav1.ObjectMeta{}}
}

// compact returns the item for an API object, which may be one already.
func (s *store) compact(obj any) (*item, error) {
	if it, ok := obj.(*item); ok && it.kind == s.kind {
		it.value = s.sink.known(it.key, it.value)
		return it, nil
	}
	value, ok := s.convert(obj)
	if !ok {
		return nil, fmt.Errorf("%T is not what was asked for", obj)
	}
	object := obj.(metav1.Object)
	annotations := object.GetAnnotations()
	it := &item{
		ObjectMeta: s.empty, kind: s.kind, version: object.GetResourceVersion(),
		key:     key{s.shared.intern([]byte(object.GetNamespace())), object.GetName()},
		trigger: parseTrigger([]byte(annotations[corev1.EndpointsLastChangeTriggerTime])),
		end:     annotations[metav1.InitialEventsAnnotationKey] == "true",
	}
	it.value = s.sink.known(it.key, value)
	return it, nil
}

// parseTrigger returns when the pod or Service changed that an EndpointSlice or
// Endpoints object was changed for. Its controller notes it there for exactly
// this: to measure how long it takes until DNS knows. Zero when it did not.
func parseTrigger(text []byte) time.Time {
	if len(text) == 0 {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return time.Time{}
	}
	return t
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
		s.sink.set(it)
	}
	return nil
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
	var items []*item
	for _, obj := range list {
		if b, ok := obj.(*batch); ok {
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

// Resync implements cache.ReflectorStore. The Watcher has its own.
func (s *store) Resync() error { return nil }

// Bookmark implements cache.ReflectorBookmarkStore.
func (s *store) Bookmark(string) error {
	s.health.heard()
	return nil
}
