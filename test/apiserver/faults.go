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

// faults are what goes wrong just now. The server's lock guards them.
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

// Cut ends all watches. They can go on where they were.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.faults.cut)
	s.faults.cut = make(chan struct{})
}

// Forget ends all watches, and no request can go on where an earlier one was:
// watches and pages from before are too old.
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

// SetStreams says whether lists can be streamed, as they can at first.
func (s *Server) SetStreams(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.noStreams = !on
}

// ExpirePages makes the next n requests for a further page of a list too late.
func (s *Server) ExpirePages(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.expirePages = n
}

// BreakLists makes the next n lists, or pages, or streamed lists, break off in
// the middle.
func (s *Server) BreakLists(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.breakNext = n
}

// Refuse makes every request fail with an HTTP status; 0 ends that. Watches go
// on.
func (s *Server) Refuse(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.status = status
}

// RetryAfter makes all that is refused say when to come again; 0 ends that.
func (s *Server) RetryAfter(seconds int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.retryAfter = seconds
}

// Stutter makes watches send each event twice, changes as if the object were
// new, and the events of different objects in another order than they
// happened in. So a watch may end at an earlier version than it had reached,
// and what follows says again what was said.
func (s *Server) Stutter(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.stutter = on
}

// stuttered returns log as a watch that stutters sends it.
func stuttered(log []event) []event {
	var out []event
	for _, e := range log {
		if e.kind == watch.Modified {
			e.kind = watch.Added
		}
		out = append(out, e, e)
	}
	// Those of one object stay in their order.
	slices.SortStableFunc(out, func(a, b event) int {
		x, y := b.object.object, a.object.object
		return cmp.Or(cmp.Compare(x.GetName(), y.GetName()), cmp.Compare(x.GetNamespace(), y.GetNamespace()))
	})
	return out
}

// Deny makes requests for one resource forbidden, or allowed again. Watches go
// on.
func (s *Server) Deny(resource string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.denied == nil {
		s.faults.denied = map[string]bool{}
	}
	s.faults.denied[resource] = on
}

// Front is the Server behind a port on 127.0.0.1, which can be closed and
// opened again, as when the process ends and another begins. It is not safe for
// concurrent use.
type Front struct {
	server *Server
	addr   string
	http   *http.Server
	done   chan struct{}
}

// Open serves s on a free port. It is below those that Linux gives to sockets
// that name none, so that nobody takes it while it is closed, least of all
// those who try to connect to it.
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

// URL is where the server is.
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
