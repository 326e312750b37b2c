package kubewatch

import (
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// trimmingFactory is a NegotiatedSerializer whose protobuf decoder never sees
// what DNS does not need: managed fields, most labels and annotations, the pods
// and nodes of endpoints, status. That is most of an object, and decoding it is
// most of what a start takes: time, and garbage that raises the peak of memory.
type trimmingFactory struct{ runtime.NegotiatedSerializer }

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (f trimmingFactory) SupportedMediaTypes() []runtime.SerializerInfo {
	infos := slices.Clone(f.NegotiatedSerializer.SupportedMediaTypes())
	for i := range infos {
		if infos[i].MediaType == runtime.ContentTypeProtobuf {
			infos[i].Serializer = &trimmingSerializer{Serializer: infos[i].Serializer, shapes: shapes()}
		}
	}
	return infos
}

// trimmingSerializer trims what it decodes. Data of another form, kind or
// version, or that is broken, is decoded as it is. It is safe for concurrent
// use.
type trimmingSerializer struct {
	runtime.Serializer
	shapes  map[typeMeta]*shape
	buffers sync.Pool // of *[]byte; the decoder copies what it keeps
}

// Decode implements runtime.Decoder.
func (s *trimmingSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	buffer, _ := s.buffers.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	defer s.buffers.Put(buffer)
	out, ok := trimObject((*buffer)[:0], data, s.shapes)
	*buffer = out
	if !ok {
		out = data
	}
	return s.Serializer.Decode(out, defaults, into)
}

// typeMeta says what kind of object there is.
type typeMeta struct{ apiVersion, kind string }

// shape says what is kept of a protobuf message. All else is left out.
type shape struct {
	whole uint32 // bit n: field n is kept whole
	parts []part // fields of which a part is kept
	// keys, unless nil, are those of which an entry of a map is kept.
	keys []string
}

// part is a field that is itself a message.
type part struct {
	field uint64
	shape *shape
}

// numbers returns the set of some field numbers.
func numbers(list ...int) uint32 {
	set := uint32(0)
	for _, n := range list {
		set |= 1 << n
	}
	return set
}

// shapes returns the shape of each kind that is trimmed. The numbers are those
// of the API's generated.proto files, which never change.
func shapes() map[typeMeta]*shape {
	entries := func(keys ...string) *shape { return &shape{whole: numbers(1, 2), keys: keys} }
	meta := &shape{
		whole: numbers(1, 3, 6, 8), // name, namespace, resourceVersion, creationTimestamp
		parts: []part{
			{11, entries(discoveryv1.LabelServiceName)},
			{12, entries(corev1.EndpointsLastChangeTriggerTime, metav1.InitialEventsAnnotationKey)},
		},
	}
	service := &shape{parts: []part{
		{1, meta},
		// ports, clusterIP, type, externalName, publishNotReadyAddresses, clusterIPs
		{2, &shape{whole: numbers(1, 3, 4, 10, 13, 18)}},
	}}
	slice := &shape{
		whole: numbers(3, 4), // ports, addressType
		parts: []part{
			{1, meta},
			{2, &shape{ // endpoints
				whole: numbers(1, 3),                          // addresses, hostname
				parts: []part{{2, &shape{whole: numbers(1)}}}, // conditions: ready
			}},
		},
	}
	list := func(item *shape) *shape { return &shape{whole: numbers(1), parts: []part{{2, item}}} }
	core, discovery := corev1.SchemeGroupVersion.String(), discoveryv1.SchemeGroupVersion.String()
	return map[typeMeta]*shape{
		{core, "Service"}:                wrapped(service),
		{core, "ServiceList"}:            wrapped(list(service)),
		{discovery, "EndpointSlice"}:     wrapped(slice),
		{discovery, "EndpointSliceList"}: wrapped(list(slice)),
	}
}

// wrapped is the shape of the envelope (runtime.Unknown) around an object.
func wrapped(object *shape) *shape {
	return &shape{whole: numbers(1, 3, 4), parts: []part{{2, object}}}
}
