package apiserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/watch"
)

// faults are the faults that are switched on. The server's lock guards them.
type faults struct {
	cut         chan struct{} // closed to end all watches
	noStreams   bool
	expirePages int
	breakNext   int
	status      int
	retryAfter  int
	stutter     bool
	denied      map[string]bool
}

func (f *faults) refused(k *kind) int {
	if f.denied[k.resource] {
		return http.StatusForbidden
	}
	return f.status
}

func (f *faults) broken() bool {
	if f.breakNext == 0 {
		return false
	}
	f.breakNext--
	return true
}

// Cut ends all watches. Clients can continue them where they ended.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.faults.cut)
	s.faults.cut = make(chan struct{})
}

// Forget ends all watches, and makes earlier versions too old, so that neither watches nor
// pages of lists can be continued.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	for _, k := range s.kinds {
		k.log, k.oldest = nil, s.version
		clear(k.pages)
	}
	close(s.faults.cut)
	s.faults.cut = make(chan struct{})
}

// SetStreams sets whether lists can be streamed. At first they can.
func (s *Server) SetStreams(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.noStreams = !on
}

// ExpirePages makes the next n requests for a further page of a list fail as expired.
func (s *Server) ExpirePages(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.expirePages = n
}

// BreakLists makes the next n lists, pages or streamed lists break off in the middle.
func (s *Server) BreakLists(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.breakNext = n
}

// Refuse makes every request fail with an HTTP status, until it is called with 0. Existing
// watches continue.
func (s *Server) Refuse(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.status = status
}

// RetryAfter adds a Retry-After header to all refusals, until it is called with 0.
func (s *Server) RetryAfter(seconds int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.retryAfter = seconds
}

// Stutter makes watches send each event twice, send changes as additions, and change the
// order of events of different objects. A watch may therefore end at an earlier version than
// it had reached, and the next one repeats events.
func (s *Server) Stutter(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.stutter = on
}

// stuttered returns the events of log as Stutter changes them.
func stuttered(log []event) []event {
	var out []event
	for _, e := range log {
		if e.kind == watch.Modified {
			e.kind = watch.Added
		}
		out = append(out, e, e)
	}
	// Events of one object keep their order.
	slices.SortStableFunc(out, func(a, b event) int {
		x, y := b.object.object, a.object.object
		return cmp.Or(cmp.Compare(x.GetName(), y.GetName()), cmp.Compare(x.GetNamespace(), y.GetNamespace()))
	})
	return out
}

// Deny forbids requests for one resource, or allows them again. Existing watches continue.
func (s *Server) Deny(resource string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.denied == nil {
		s.faults.denied = map[string]bool{}
	}
	s.faults.denied[resource] = on
}

// Front serves a Server on a port of 127.0.0.1 that can be closed and opened again, as if the
// process ended and another one started. It is not safe for concurrent use.
type Front struct {
	server *Server
	addr   string
	http   *http.Server
	done   chan struct{}
}

// Open serves s on a free port. The port is below the range from which Linux chooses ports,
// so that no socket gets it while it is closed, in particular not the sockets of the clients
// that try to connect to it.
func Open(s *Server) (*Front, error) {
	var err error
	for range 100 {
		f := &Front{server: s, addr: fmt.Sprintf("127.0.0.1:%d", 17000+rand.IntN(3000))}
		if err = f.Start(); err == nil {
			return f, nil
		}
	}
	return nil, err
}

// URL returns the server's URL.
func (f *Front) URL() string { return "http://" + f.addr }

// Start serves again, on the same port as before.
func (f *Front) Start() error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", f.addr)
	if err != nil {
		return err
	}
	f.addr, f.done = l.Addr().String(), make(chan struct{})
	f.http = &http.Server{Handler: f.server}
	go func(done chan struct{}) {
		defer close(done)
		if err := f.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}(f.done)
	return nil
}

// Stop ends all connections and closes the port.
func (f *Front) Stop() {
	_ = f.http.Close() // nothing to do about it
	<-f.done
}
