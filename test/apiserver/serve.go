package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// bookmarkEvery is how often a watch without events gets a bookmark. A real
// server sends one a minute.
const bookmarkEvery = time.Second

func (s *Server) handle(w http.ResponseWriter, r *http.Request, k *kind) {
	s.mu.Lock()
	status := s.faults.refused(k)
	retryAfter := s.faults.retryAfter
	if status != 0 && retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	s.mu.Unlock()
	switch {
	case status == http.StatusForbidden:
		refuse(w, apierrors.NewForbidden(schema.GroupResource{Group: k.gv.Group, Resource: k.resource}, "", fmt.Errorf("it is forbidden in this test")))
	case status != 0:
		refuse(w, apierrors.NewGenericServerResponse(status, "get", schema.GroupResource{}, "", "refused in this test", retryAfter, true))
	case r.URL.Query().Has("watch"):
		s.watch(w, r, k)
	default:
		s.list(w, r, k)
	}
}

// want returns a function that reports whether a request is about an object.
func want(r *http.Request) func(Object) bool {
	namespace := r.PathValue("namespace")
	name, byName := strings.CutPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	return func(o Object) bool {
		return (namespace == "" || o.GetNamespace() == namespace) && (!byName || o.GetName() == name)
	}
}

// encoding returns how the client wants its answer.
func (s *Server) encoding(r *http.Request) runtime.SerializerInfo {
	var found runtime.SerializerInfo
	for accept := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		accept, _, _ = strings.Cut(strings.TrimSpace(accept), ";")
		for _, info := range s.codecs.SupportedMediaTypes() {
			if info.MediaType == accept && found.MediaType == "" {
				found = info
			}
		}
	}
	if found.MediaType == "" {
		found, _ = runtime.SerializerInfoForMediaType(s.codecs.SupportedMediaTypes(), runtime.ContentTypeJSON)
	}
	return found
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, k *kind) {
	query := r.URL.Query()
	limit, _ := strconv.Atoi(query.Get("limit"))
	if query.Get("resourceVersion") == "0" {
		limit = 0 // a real server does not page lists from its cache
	}
	s.mu.Lock()
	version, items := strconv.Itoa(s.version), []*held(nil)
	token := query.Get("continue")
	known := true
	if token == "" {
		items = k.selected(want(r))
	} else {
		items, known = k.pages[token]
		version, _, _ = strings.Cut(token, ".")
		if s.faults.expirePages > 0 {
			s.faults.expirePages--
			known = false
		}
	}
	var rest string
	if limit > 0 && len(items) > limit {
		rest = version + "." + strconv.Itoa(len(items)-limit)
		k.pages[rest] = items[limit:]
		items = items[:limit]
	}
	switch {
	case !known:
		s.stats.Expired++
	case rest == "":
		s.stats.Lists++
	}
	broken := s.faults.broken()
	s.mu.Unlock()
	if !known {
		refuse(w, apierrors.NewResourceExpired("The provided continue parameter is too old"))
		return
	}
	list := k.list()
	if err := meta.SetList(list, plain(items)); err != nil {
		panic(err) // cannot fail: a list of its own kind
	}
	accessor, _ := meta.ListAccessor(list)
	accessor.SetResourceVersion(version)
	accessor.SetContinue(rest)
	info := s.encoding(r)
	body, err := runtime.Encode(s.codecs.EncoderForVersion(info.Serializer, k.gv), list)
	if err != nil {
		refuse(w, apierrors.NewInternalError(err))
		return
	}
	w.Header().Set("Content-Type", info.MediaType)
	if broken {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		body = body[:len(body)/2]
	}
	_, _ = w.Write(body) // the client may be gone
}

func (s *Server) watch(w http.ResponseWriter, r *http.Request, k *kind) {
	query := r.URL.Query()
	initial := query.Get("sendInitialEvents") == "true"
	from, _ := strconv.Atoi(query.Get("resourceVersion"))
	s.mu.Lock()
	cut := s.faults.cut
	var state []*held
	begin := from
	if initial || from == 0 {
		state, begin = k.selected(want(r)), s.version
	}
	noStreams := initial && s.faults.noStreams
	expired := begin < k.oldest
	asEvent := false
	switch {
	case expired:
		s.stats.Expired++
		asEvent = s.stats.Expired%2 == 0 // real servers do both
	case initial && !noStreams:
		s.stats.Streamed++
	}
	s.stats.Watches++
	broken := initial && s.faults.broken()
	s.mu.Unlock()
	switch {
	case noStreams:
		refuse(w, apierrors.NewInvalid(schema.GroupKind{Kind: "ListOptions"}, "", nil))
		return
	case expired && !asEvent:
		refuse(w, apierrors.NewResourceExpired("too old resource version"))
		return
	}
	events := s.newStream(w, r, k)
	defer events.flush()
	if expired {
		events.sendExpired()
		return
	}
	if broken {
		state = state[:len(state)/2]
	}
	for _, h := range state {
		if events.send(watch.Added, h) != nil {
			return
		}
	}
	if broken {
		return
	}
	if initial && events.bookmark(begin, true) != nil {
		return
	}
	events.flush()
	s.follow(r, k, events, begin, cut)
}

// follow sends all changes after a version until the client disconnects or the watch is cut.
func (s *Server) follow(r *http.Request, k *kind, events *stream, from int, cut <-chan struct{}) {
	wanted := want(r)
	ticker := time.NewTicker(bookmarkEvery)
	defer ticker.Stop()
	for {
		s.mu.Lock()
		changed, now, tooOld := s.changed, s.version, from < k.oldest
		if tooOld {
			s.stats.Expired++
		}
		var log []event
		for i := len(k.log) - 1; i >= 0 && k.log[i].version > from; i-- {
			log = k.log[i:]
		}
		stutter := s.faults.stutter
		s.mu.Unlock()
		if stutter {
			log = stuttered(log)
		}
		if tooOld {
			events.sendExpired()
			return
		}
		for _, e := range log {
			if wanted(e.object.object) && events.send(e.kind, e.object) != nil {
				return
			}
		}
		if len(log) > 0 {
			events.flush()
		}
		from = now
		select {
		case <-changed:
		case <-ticker.C:
			if events.bookmark(from, false) != nil {
				return
			}
			events.flush()
		case <-cut:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// refuse sends an error as a real server does.
func refuse(w http.ResponseWriter, err *apierrors.StatusError) {
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	w.WriteHeader(int(err.ErrStatus.Code))
	err.ErrStatus.APIVersion, err.ErrStatus.Kind = "v1", "Status"
	_ = json.NewEncoder(w).Encode(err.ErrStatus) // the client may be gone
}
