package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	restwatch "k8s.io/client-go/rest/watch"
)

const (
	bigServices  = 10_000 // a tenth of them headless
	bigEndpoints = 10     // of each
)

// bigAPI answers lists and watches of Services and EndpointSlices of a large
// cluster in protobuf, as a real API server does, without having to make them
// there one by one.
type bigAPI struct {
	t       *testing.T
	url     string
	streams bool
	info    runtime.SerializerInfo
	codecs  serializer.CodecFactory

	mu      sync.Mutex
	version int
	cut     chan struct{} // closed to end all watches
	opened  int           // watches that delivered a whole state, or lists that did
}

func startBigAPI(t *testing.T, streams bool) *bigAPI {
	t.Helper()
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.Service{}, &corev1.ServiceList{})
	scheme.AddKnownTypes(discoveryv1.SchemeGroupVersion, &discoveryv1.EndpointSlice{}, &discoveryv1.EndpointSliceList{})
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	metav1.AddToGroupVersion(scheme, discoveryv1.SchemeGroupVersion)
	b := &bigAPI{t: t, streams: streams, codecs: serializer.NewCodecFactory(scheme), version: 1, cut: make(chan struct{})}
	for _, info := range b.codecs.SupportedMediaTypes() {
		if info.MediaType == runtime.ContentTypeProtobuf {
			b.info = info
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/services", func(w http.ResponseWriter, r *http.Request) {
		b.serve(w, r, corev1.SchemeGroupVersion, bigService, &corev1.Service{}, func(version, next string, objects []runtime.Object) runtime.Object {
			list := &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: version, Continue: next}}
			for _, o := range objects {
				list.Items = append(list.Items, *o.(*corev1.Service))
			}
			return list
		})
	})
	mux.HandleFunc("GET /apis/discovery.k8s.io/v1/endpointslices", func(w http.ResponseWriter, r *http.Request) {
		b.serve(w, r, discoveryv1.SchemeGroupVersion, bigSlice, &discoveryv1.EndpointSlice{}, func(version, next string, objects []runtime.Object) runtime.Object {
			list := &discoveryv1.EndpointSliceList{ListMeta: metav1.ListMeta{ResourceVersion: version, Continue: next}}
			for _, o := range objects {
				list.Items = append(list.Items, *o.(*discoveryv1.EndpointSlice))
			}
			return list
		})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		b.restart()
		server.Close()
	})
	b.url = server.URL
	return b
}

// restart ends all watches and forgets all versions, as a restarted API server.
func (b *bigAPI) restart() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version++
	close(b.cut)
	b.cut = make(chan struct{})
}

// states returns how many whole states were delivered, of both kinds together.
func (b *bigAPI) states() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened
}

func (b *bigAPI) serve(w http.ResponseWriter, r *http.Request, gv schema.GroupVersion, object func(int) runtime.Object, mark metav1.Object,
	list func(version, next string, objects []runtime.Object) runtime.Object,
) {
	b.mu.Lock()
	version, cut := strconv.Itoa(b.version), b.cut
	b.mu.Unlock()
	query := r.URL.Query()
	encoder := b.codecs.EncoderForVersion(b.info.Serializer, gv)
	w.Header().Set("Content-Type", b.info.MediaType)
	if !query.Has("watch") {
		from, _ := strconv.Atoi(query.Get("continue"))
		limit, _ := strconv.Atoi(query.Get("limit"))
		var objects []runtime.Object
		for i := from; i < bigServices && (limit == 0 || i < from+limit); i++ {
			objects = append(objects, object(i))
		}
		next := strconv.Itoa(from + len(objects))
		if from+len(objects) == bigServices {
			next = ""
			b.mu.Lock()
			b.opened++
			b.mu.Unlock()
		}
		if err := encoder.Encode(list(version, next, objects), w); err != nil {
			b.t.Errorf("encoding a list: %v", err)
		}
		return
	}
	initial := query.Has("sendInitialEvents")
	switch {
	case initial && !b.streams:
		refuse(w, apierrors.NewInvalid(schema.GroupKind{Kind: "ListOptions"}, "", nil))
		return
	case !initial && query.Get("resourceVersion") != version:
		refuse(w, apierrors.NewResourceExpired("too old resource version"))
		return
	}
	w.Header().Set("Content-Type", b.info.MediaType+";stream=watch")
	stream := b.info.StreamSerializer
	events := restwatch.NewEncoder(streaming.NewEncoder(stream.NewFrameWriter(w), b.codecs.EncoderForVersion(stream.Serializer, gv)), encoder)
	if initial {
		for i := range bigServices {
			if events.Encode(&watch.Event{Type: watch.Added, Object: object(i)}) != nil {
				return // the client is gone
			}
		}
		mark.SetResourceVersion(version)
		mark.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
		if events.Encode(&watch.Event{Type: watch.Bookmark, Object: mark.(runtime.Object)}) != nil {
			return
		}
		b.mu.Lock()
		b.opened++
		b.mu.Unlock()
	}
	w.(http.Flusher).Flush()
	select {
	case <-cut:
	case <-r.Context().Done():
	}
}

func refuse(w http.ResponseWriter, err *apierrors.StatusError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(err.ErrStatus.Code))
	err.ErrStatus.APIVersion, err.ErrStatus.Kind = "v1", "Status"
	_ = json.NewEncoder(w).Encode(err.ErrStatus)
}

// bigMeta is metadata of the usual size.
func bigMeta(i int, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: fmt.Sprintf("team-%d", i%100), Name: name, UID: "0b2a6f6e-6d4c-4a53-9a86-1f2f0a6a3c55", ResourceVersion: "1",
		Labels:      map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "e2e"},
		Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 400)},
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: "e2e", Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1", FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:ports":{"` + strings.Repeat("y", 300) + `":{}}}}`),
		}},
	}
}

func bigIP(first, n int) string {
	return fmt.Sprintf("%d.%d.%d.%d", first, n>>16, n>>8&255, n&255)
}

func bigService(i int) runtime.Object {
	s := &corev1.Service{ObjectMeta: bigMeta(i, fmt.Sprintf("service-%d", i)), Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ClusterIP: bigIP(11, i), ClusterIPs: []string{bigIP(11, i)},
		Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}, {Name: "metrics", Port: 9090, Protocol: corev1.ProtocolTCP}},
	}}
	if i%10 == 0 {
		s.Spec.ClusterIP, s.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
	}
	return s
}

func bigSlice(i int) runtime.Object {
	name := fmt.Sprintf("service-%d", i)
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: bigMeta(i, name+"-x7k2p"), AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}, {Name: new("metrics"), Port: new(int32(9090)), Protocol: new(corev1.ProtocolTCP)}},
	}
	s.Labels[discoveryv1.LabelServiceName] = name
	for j := range bigEndpoints {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{bigIP(12, i*bigEndpoints+j)},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
			NodeName:   new(fmt.Sprintf("node-%d", j)), Zone: new("zone-a"),
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: s.Namespace, Name: fmt.Sprintf("%s-%d", name, j), UID: "0b2a6f6e-6d4c-4a53-9a86-1f2f0a6a3c55"},
		})
	}
	return s
}
