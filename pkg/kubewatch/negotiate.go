package kubewatch

import (
	"bufio"
	"io"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// compactFactory is a NegotiatedSerializer whose protobuf decoders turn Services and
// EndpointSlices directly into items. DNS needs a small part of such an object;
// decoding the rest would take most of the time of a start and raise the peak of
// memory use.
type compactFactory struct {
	runtime.NegotiatedSerializer
	decoder *decoder
}

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (f compactFactory) SupportedMediaTypes() []runtime.SerializerInfo {
	infos := slices.Clone(f.NegotiatedSerializer.SupportedMediaTypes())
	for i := range infos {
		if infos[i].MediaType != runtime.ContentTypeProtobuf {
			continue
		}
		infos[i].Serializer = &objectSerializer{Serializer: infos[i].Serializer, decoder: f.decoder}
		if stream := infos[i].StreamSerializer; stream != nil {
			events := *stream
			events.Serializer = eventSerializer{events.Serializer}
			events.Framer = bufferedFramer{events.Framer}
			infos[i].StreamSerializer = &events
		}
	}
	return infos
}

// objectSerializer decodes Services and EndpointSlices as items, and their lists as
// lists of items. It leaves data of another encoding, kind or version, and invalid
// data, to the Serializer that it wraps. It is safe for concurrent use.
type objectSerializer struct {
	runtime.Serializer
	decoder *decoder
}

// Decode implements runtime.Decoder. The caller must not change the kind returned.
func (s *objectSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if into == nil {
		if object, kind := s.decoder.decode(data); object != nil {
			return object, kind, nil
		}
	}
	return s.Serializer.Decode(data, defaults, into)
}

// streamBuffer is the largest number of octets of a watch to read at once.
const streamBuffer = 32 << 10

// bufferedFramer reads the frames of a stream through a buffer. Each frame takes two
// reads, and a read from the body of an HTTP response passes several layers, each
// with a lock.
type bufferedFramer struct{ runtime.Framer }

// NewFrameReader implements runtime.Framer.
func (f bufferedFramer) NewFrameReader(r io.ReadCloser) io.ReadCloser {
	return f.Framer.NewFrameReader(struct {
		io.Reader
		io.Closer
	}{bufio.NewReaderSize(r, streamBuffer), r})
}

// eventSerializer decodes the events of a watch. It does not copy the encoded object
// of an event, which stays in a buffer that the next event overwrites. This is safe
// because the watch decodes the object before it reads on (Decode in client-go's
// rest/watch), and decoders, ours and the generated ones, copy what they keep.
type eventSerializer struct{ runtime.Serializer }

// Decode implements runtime.Decoder.
func (s eventSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if event, ok := into.(*metav1.WatchEvent); ok && decodeEvent(data, event) {
		return event, defaults, nil
	}
	return s.Serializer.Decode(data, defaults, into)
}

// decodeEvent decodes data into event. It returns false, with event unchanged, if
// data has an unusual form, which the generated decoder must handle.
func decodeEvent(data []byte, event *metav1.WatchEvent) bool {
	var what, extension, raw []byte
	m := message{rest: data}
	for m.next() {
		switch m.number {
		case 1:
			what = m.bytes()
		case 2:
			m.broken = m.broken || extension != nil
			extension = m.bytes()
		}
	}
	inner := message{rest: extension}
	for inner.next() {
		if inner.number == 1 {
			raw = inner.bytes()
		}
	}
	if m.broken || inner.broken || len(raw) == 0 {
		return false
	}
	*event = metav1.WatchEvent{Type: eventType(what), Object: runtime.RawExtension{Raw: raw}}
	return true
}

// eventType returns text as a string, without an allocation for the types that
// exist.
func eventType(text []byte) string {
	for _, t := range [...]watch.EventType{watch.Added, watch.Modified, watch.Deleted, watch.Bookmark, watch.Error} {
		if string(text) == string(t) {
			return string(t)
		}
	}
	return string(text)
}
