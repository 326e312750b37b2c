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

// compactFactory is a NegotiatedSerializer whose protobuf decoders make items
// of Services and EndpointSlices at once. What DNS needs is a small part of
// such an object, and to decode the rest, or the same part twice, is most of
// what a start takes: time, and garbage that raises the peak of memory.
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

// objectSerializer decodes Services and EndpointSlices as items, and their
// lists as lists of items. Data of another form, kind or version, or that is
// broken, is decoded as it is. It is safe for concurrent use.
type objectSerializer struct {
	runtime.Serializer
	decoder *decoder
}

// Decode implements runtime.Decoder. The kind returned must not be changed.
func (s *objectSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if into == nil {
		if object, kind := s.decoder.decode(data); object != nil {
			return object, kind, nil
		}
	}
	return s.Serializer.Decode(data, defaults, into)
}

// streamBuffer is how much of a watch is read at once, if so much came.
const streamBuffer = 32 << 10

// bufferedFramer reads the frames of a stream through a buffer. A frame takes
// two reads, and one from the body of an HTTP response goes through several
// layers, with a lock each.
type bufferedFramer struct{ runtime.Framer }

// NewFrameReader implements runtime.Framer.
func (f bufferedFramer) NewFrameReader(r io.ReadCloser) io.ReadCloser {
	return f.Framer.NewFrameReader(struct {
		io.Reader
		io.Closer
	}{bufio.NewReaderSize(r, streamBuffer), r})
}

// eventSerializer decodes the events of a watch. The encoded object of an event
// is not copied but part of the data, which is a buffer that the next event
// overwrites: the watch decodes the object before it reads on (Decode in
// client-go's rest/watch), and our decoder, as the generated ones, copies what
// it keeps.
type eventSerializer struct{ runtime.Serializer }

// Decode implements runtime.Decoder.
func (s eventSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if event, ok := into.(*metav1.WatchEvent); ok && decodeEvent(data, event) {
		return event, defaults, nil
	}
	return s.Serializer.Decode(data, defaults, into)
}

// decodeEvent fills event. False means that data is unusual, and nothing was
// changed.
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

// eventType takes no memory for the types that there are.
func eventType(text []byte) string {
	for _, t := range [...]watch.EventType{watch.Added, watch.Modified, watch.Deleted, watch.Bookmark, watch.Error} {
		if string(text) == string(t) {
			return string(t)
		}
	}
	return string(text)
}
