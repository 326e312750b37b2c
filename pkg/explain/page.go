package explain

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// Path is where a [Page] is served.
const Path = "/explain"

// Limits of the page. An explanation may compare thousands of names and ask upstream servers.
const (
	burst     = 10
	perSecond = 5
)

// Page serves explanations to GET requests: at most 5 requests a second after a burst of 10,
// further ones get 429, and one at a time. Use [NewPage].
type Page struct {
	serve http.HandlerFunc
	one   chan struct{} // holds the one that is served

	mu     sync.Mutex // guards what follows
	tokens float64    // of the bucket
	last   time.Time  // when tokens was right
}

// NewPage returns a page whose requests serve answers, if they are within the limits.
func NewPage(serve http.HandlerFunc) *Page {
	return &Page{serve: serve, one: make(chan struct{}, 1), tokens: burst, last: time.Now()}
}

func (p *Page) allow(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens = min(burst, p.tokens+now.Sub(p.last).Seconds()*perSecond)
	p.last = now
	if p.tokens < 1 {
		return false
	}
	p.tokens--
	return true
}

// ServeHTTP implements [http.Handler].
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
		return
	}
	if errors.Is(p.Do(r.Context(), func() { p.serve(w, r) }), ErrTooMany) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, ErrTooMany.Error(), http.StatusTooManyRequests)
	}
}

// ErrTooMany says that an explanation was asked for too soon after others.
var ErrTooMany = errors.New("at most 5 explanations a second")

// Do runs fn within the limits of the page, for other pages with explanations. Otherwise,
// the error is ErrTooMany or that of ctx.
func (p *Page) Do(ctx context.Context, fn func()) error {
	if !p.allow(time.Now()) {
		return ErrTooMany
	}
	select {
	case p.one <- struct{}{}:
		defer func() { <-p.one }()
	case <-ctx.Done():
		return ctx.Err()
	}
	fn()
	return nil
}
