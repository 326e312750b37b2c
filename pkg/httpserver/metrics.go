package httpserver

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// metricsWait is how long a request for metrics waits for its turn.
	metricsWait = 2 * time.Second
	// maxFormats is how many renders may wait for their turn, one for each value of the
	// header Accept.
	maxFormats = 4
	// acceptBytes is the longest value of that header; with longer ones, clients get the
	// plain format.
	acceptBytes = 1 << 10
)

// Metrics returns a handler that serves the metrics of registry. Only one render runs at a time,
// and all requests for one format that arrive before it starts share its result, so that any
// number of requests takes the memory of a few. A request that has waited too long gets 503 with
// Retry-After.
func Metrics(registry *prometheus.Registry) http.Handler {
	return shareRenders(promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, DisableCompression: true}))
}

// sharedRenders is a handler whose requests share the responses of next.
type sharedRenders struct {
	next http.Handler
	turn chan struct{} // holds one element while no render runs

	mu      sync.Mutex
	waiting map[string]*render // renders that have not started, by the header Accept
}

// render is a shared response. The fields except done are written before done is closed, and only
// read afterwards.
type render struct {
	done   chan struct{}
	header http.Header
	status int
	body   bytes.Buffer
}

func shareRenders(next http.Handler) *sharedRenders {
	s := &sharedRenders{next: next, turn: make(chan struct{}, 1), waiting: make(map[string]*render)}
	s.turn <- struct{}{}
	return s
}

// ServeHTTP implements http.Handler.
func (s *sharedRenders) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), metricsWait)
	defer cancel()
	r := s.join(req.Header.Get("Accept"))
	if r != nil {
		select {
		case <-r.done:
		case <-ctx.Done():
			r = nil
		}
	}
	if r == nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests for metrics; try again later", http.StatusServiceUnavailable)
		return
	}
	maps.Copy(w.Header(), r.header)
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body.Bytes()) // the client may have closed the connection
}

// join returns the render that will answer a request with this header Accept, or nil if too many
// are waiting.
func (s *sharedRenders) join(accept string) *render {
	if len(accept) > acceptBytes {
		accept = ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.waiting[accept]; r != nil {
		return r
	}
	if len(s.waiting) >= maxFormats {
		return nil
	}
	r := &render{done: make(chan struct{}), header: make(http.Header), status: http.StatusOK}
	s.waiting[accept] = r
	go s.render(accept, r)
	return r
}

// render waits for its turn and makes one response.
func (s *sharedRenders) render(accept string, r *render) {
	<-s.turn
	defer func() {
		if recover() != nil { // a panic of a collector must not end the program
			r.status = http.StatusInternalServerError
			r.body.Reset()
			r.body.WriteString("internal error while collecting the metrics\n")
		}
		s.turn <- struct{}{}
		close(r.done)
	}()
	s.mu.Lock()
	delete(s.waiting, accept)
	s.mu.Unlock()
	req := &http.Request{Method: http.MethodGet, Header: make(http.Header)}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	s.next.ServeHTTP(r, req)
}

// Header, WriteHeader and Write implement http.ResponseWriter.
func (r *render) Header() http.Header         { return r.header }
func (r *render) WriteHeader(status int)      { r.status = status }
func (r *render) Write(b []byte) (int, error) { return r.body.Write(b) }
