package explain

import (
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
	if !p.allow(time.Now()) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "at most 5 explanations a second", http.StatusTooManyRequests)
		return
	}
	select {
	case p.one <- struct{}{}:
		defer func() { <-p.one }()
	case <-r.Context().Done():
		return
	}
	p.serve(w, r)
}
