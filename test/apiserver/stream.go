package apiserver

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	restwatch "k8s.io/client-go/rest/watch"
)

// held is one state of an object. It is encoded only once for each encoding, so that
// measurements of a client that reads a large cluster do not include the cost of encoding.
type held struct {
	object Object // immutable

	mu     sync.Mutex
	frames []frame
}

// frame is one event of a watch in its encoded form.
type frame struct {
	media string
	what  watch.EventType
	bytes []byte
}

// plain returns the objects themselves.
func plain(list []*held) []runtime.Object {
	out := make([]runtime.Object, 0, len(list))
	for _, h := range list {
		out = append(out, h.object)
	}
	return out
}

// streamBuffer is the largest number of octets of a watch that are written at once. A real
// server writes each event by itself; on the same machine as the client, that would distort
// the measurements of the client.
const streamBuffer = 64 << 10

// stream is the body of one watch. Events may stay in its buffer until flush.
type stream struct {
	s    *Server
	k    *kind
	info runtime.SerializerInfo
	w    *bufio.Writer
	http http.Flusher
}

func (s *Server) newStream(w http.ResponseWriter, r *http.Request, k *kind) *stream {
	st := &stream{s: s, k: k, info: s.encoding(r), w: bufio.NewWriterSize(w, streamBuffer), http: w.(http.Flusher)}
	w.Header().Set("Content-Type", st.info.MediaType+";stream=watch")
	return st
}

// encode writes one event.
func (st *stream) encode(w io.Writer, what watch.EventType, o runtime.Object) error {
	of := func(e runtime.Encoder) runtime.Encoder { return st.s.codecs.EncoderForVersion(e, st.k.gv) }
	serializer := st.info.StreamSerializer
	events := streaming.NewEncoder(serializer.NewFrameWriter(w), of(serializer.Serializer))
	return restwatch.NewEncoder(events, of(st.info.Serializer)).Encode(&watch.Event{Type: what, Object: o})
}

// send sends an event about h. An error means that the client is gone.
func (st *stream) send(what watch.EventType, h *held) error {
	h.mu.Lock()
	i := slices.IndexFunc(h.frames, func(f frame) bool { return f.media == st.info.MediaType && f.what == what })
	if i < 0 {
		var b bytes.Buffer
		if err := st.encode(&b, what, h.object.DeepCopyObject()); err != nil { // encoding sets its kind
			panic(err) // into memory, an object of its own kind
		}
		i = len(h.frames)
		h.frames = append(h.frames, frame{st.info.MediaType, what, bytes.Clone(b.Bytes())})
	}
	content := h.frames[i].bytes
	h.mu.Unlock()
	_, err := st.w.Write(content)
	return err
}

// bookmark sends a bookmark: all changes up to version have been sent.
func (st *stream) bookmark(version int, initialEnd bool) error {
	o := st.k.object()
	o.SetResourceVersion(strconv.Itoa(version))
	if initialEnd {
		o.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return st.encode(st.w, watch.Bookmark, o)
}

// sendExpired tells the client that its version is too old.
func (st *stream) sendExpired() {
	status := apierrors.NewResourceExpired("too old resource version").ErrStatus
	_ = st.encode(st.w, watch.Error, &status) // the client may be gone
}

func (st *stream) flush() {
	_ = st.w.Flush() // the next send reports the error too
	st.http.Flush()
}
