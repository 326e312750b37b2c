// Package apiserver is the part of a Kubernetes API server that cluster DNS servers
// use: lists, in pages or streamed, and watches, in JSON or protobuf, of objects that a
// test puts and deletes. A test can also make it fail as a real one does: watches end,
// resource versions are too old, pages expire, responses break off, requests are
// refused.
//
// It validates nothing, so it accepts objects that a real API server would refuse.
package apiserver

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kube-dns/kube-dns/pkg/serviceimport"
)

// Object is any object of the API.
type Object interface {
	runtime.Object
	metav1.Object
}

// maxLog is the least number of changes of one kind that are remembered. At most twice as
// many are; a watch from an older version is refused as too old, as after a compaction of a
// real server's etcd.
const maxLog = 20_000

// Server is the API server, an http.Handler. Its methods are safe for
// concurrent use.
type Server struct {
	mux    *http.ServeMux
	codecs serializer.CodecFactory

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	version int
	kinds   map[string]*kind // by resource
	faults  faults
	stats   Stats
}

// kind is all objects of one resource.
type kind struct {
	resource string
	gv       schema.GroupVersion
	object   func() Object
	list     func() runtime.Object

	objects map[string]*held // by namespace/name
	order   []string         // the keys of objects, sorted; nil when they changed
	log     []event          // ordered by version
	oldest  int              // no watch can begin before this version
	pages   map[string][]*held
}

type event struct {
	version int
	kind    watch.EventType
	object  *held
}

// Stats counts the requests.
type Stats struct {
	Lists    int // complete lists, whatever their number of pages
	Streamed int // complete streamed lists
	Watches  int // watches that began
	Expired  int // requests that were told that their version is too old
}

// New returns a server without objects that can stream lists.
func New() *Server {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // the schemes of two packages that never collide
		}
	}
	serviceimport.AddToScheme(scheme)
	s := &Server{
		mux: http.NewServeMux(), codecs: serializer.NewCodecFactory(scheme),
		changed: make(chan struct{}), version: 1, kinds: map[string]*kind{},
	}
	s.faults.cut = make(chan struct{})
	core, discovery := corev1.SchemeGroupVersion, discoveryv1.SchemeGroupVersion
	s.serve("/api/v1", &kind{resource: "services", gv: core, object: func() Object { return &corev1.Service{} }, list: func() runtime.Object { return &corev1.ServiceList{} }})
	s.serve("/api/v1", &kind{resource: "endpoints", gv: core, object: func() Object { return &corev1.Endpoints{} }, list: func() runtime.Object { return &corev1.EndpointsList{} }}) //nolint:staticcheck // read by clients of servers without slices
	s.serve("/api/v1", &kind{resource: "namespaces", gv: core, object: func() Object { return &corev1.Namespace{} }, list: func() runtime.Object { return &corev1.NamespaceList{} }})
	s.serve("/api/v1", &kind{resource: "pods", gv: core, object: func() Object { return &corev1.Pod{} }, list: func() runtime.Object { return &corev1.PodList{} }})
	s.serve("/api/v1", &kind{resource: "nodes", gv: core, object: func() Object { return &corev1.Node{} }, list: func() runtime.Object { return &corev1.NodeList{} }})
	s.serve("/api/v1", &kind{resource: "configmaps", gv: core, object: func() Object { return &corev1.ConfigMap{} }, list: func() runtime.Object { return &corev1.ConfigMapList{} }})
	s.serve("/apis/discovery.k8s.io/v1", &kind{resource: "endpointslices", gv: discovery, object: func() Object { return &discoveryv1.EndpointSlice{} }, list: func() runtime.Object { return &discoveryv1.EndpointSliceList{} }})
	imports := schema.GroupVersion{Group: serviceimport.Group, Version: serviceimport.Versions()[0]}
	s.serve("/apis/"+imports.String(), &kind{resource: serviceimport.Resource, gv: imports, object: func() Object { return &serviceimport.ServiceImport{} }, list: func() runtime.Object { return &serviceimport.List{} }})
	return s
}

func (s *Server) serve(path string, k *kind) {
	k.objects, k.pages = map[string]*held{}, map[string][]*held{}
	s.kinds[k.resource] = k
	for _, pattern := range []string{path + "/" + k.resource, path + "/namespaces/{namespace}/" + k.resource} {
		s.mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) { s.handle(w, r, k) })
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Stats returns the current counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// of returns the kind of o.
func (s *Server) of(o Object) *kind {
	for _, k := range s.kinds {
		if fmt.Sprintf("%T", k.object()) == fmt.Sprintf("%T", o) {
			return k
		}
	}
	panic(fmt.Sprintf("apiserver: no resource for %T", o))
}

// Put creates an object, or replaces the one with its namespace and name. The
// object is copied.
func (s *Server) Put(o Object) {
	o = o.DeepCopyObject().(Object)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.of(o)
	what, key := watch.Added, o.GetNamespace()+"/"+o.GetName()
	if k.objects[key] != nil {
		what = watch.Modified
	} else {
		k.order = nil
	}
	k.objects[key] = s.record(k, what, o)
}

// Delete deletes the object with o's type, namespace and name, if there is one.
func (s *Server) Delete(o Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, key := s.of(o), o.GetNamespace()+"/"+o.GetName()
	if old := k.objects[key]; old != nil {
		delete(k.objects, key)
		k.order = nil
		s.record(k, watch.Deleted, old.object.DeepCopyObject().(Object))
	}
}

// record appends a change of o, which gets the new version. s.mu must be held.
func (s *Server) record(k *kind, what watch.EventType, o Object) *held {
	s.version++
	o.SetResourceVersion(strconv.Itoa(s.version))
	h := &held{object: o}
	k.log = append(k.log, event{s.version, what, h})
	if n := len(k.log) - maxLog; n > maxLog { // not at each change: it is a copy
		k.oldest = k.log[n-1].version
		k.log = slices.Clone(k.log[n:])
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return h
}

// Objects returns a copy of all objects of o's type, in no particular order.
func (s *Server) Objects(o Object) []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Object, 0, len(s.of(o).objects))
	for _, h := range s.of(o).objects {
		all = append(all, h.object.DeepCopyObject().(Object))
	}
	return all
}

// selected returns the objects for which want returns true, in etcd's order. s.mu must be
// held.
func (k *kind) selected(want func(Object) bool) []*held {
	if k.order == nil {
		k.order = slices.Sorted(maps.Keys(k.objects))
	}
	var out []*held
	for _, key := range k.order {
		if want(k.objects[key].object) {
			out = append(out, k.objects[key])
		}
	}
	return out
}
