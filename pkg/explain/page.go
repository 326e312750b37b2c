package explain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Path is the path at which a [Page] is served.
const Path = "/explain"

// The limits of a page: an explanation may compare thousands of names and ask upstream servers.
const (
	burst     = 10
	perSecond = 5
)

// Page serves explanations to GET requests, one at a time. After a burst of 10 requests, it
// serves 5 a second; others get status 429. Use [NewPage] to make one. It is safe for
// concurrent use.
type Page struct {
	explain Explain
	params  []string      // besides output
	one     chan struct{} // full while a request is served

	mu     sync.Mutex // protects the fields below
	tokens float64    // number of requests that may be served at the time last
	last   time.Time  // when tokens was computed
}

// Explain explains the question in the parameters of a request. An error means that the request is
// invalid.
type Explain func(ctx context.Context, query url.Values) (Explanation, error)

// NewPage returns a page that calls fn for each request within the limits. A request may have
// the parameter output and params, each once.
func NewPage(fn Explain, params ...string) *Page {
	return &Page{explain: fn, params: params, one: make(chan struct{}, 1), tokens: burst, last: time.Now()}
}

// check returns what is wrong with the parameters of a request. A misspelt one must not be
// ignored: the explanation would be about something else.
func (p *Page) check(rawQuery string) error {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(query)) {
		switch {
		case key != "output" && !slices.Contains(p.params, key):
			return fmt.Errorf("unknown parameter %q; the parameters are %s and output", key, strings.Join(p.params, ", "))
		case len(query[key]) > 1:
			return fmt.Errorf("the parameter %s is given more than once", key)
		}
	}
	if output := query.Get("output"); output != "" && output != "text" && output != "json" {
		return errors.New("output: want text or json")
	}
	return nil
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
	if err := p.check(r.URL.RawQuery); err != nil {
		http.Error(w, Lines(err.Error()), http.StatusBadRequest)
		return
	}
	if errors.Is(p.Do(r.Context(), func() { p.serve(w, r) }), ErrTooMany) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, ErrTooMany.Error(), http.StatusTooManyRequests)
	}
}

// serve answers a valid request in the form that its parameter output asks for.
func (p *Page) serve(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	x, err := p.explain(r.Context(), query)
	if err != nil {
		http.Error(w, Lines(err.Error()), http.StatusBadRequest)
		return
	}
	output, content := query.Get("output"), "text/plain; charset=utf-8"
	if output == "json" {
		content = "application/json"
	}
	w.Header().Set("Content-Type", content)
	_ = Write(w, x, output) // the client may have closed the connection
}

// ErrTooMany is the error for an explanation that exceeds the rate limit.
var ErrTooMany = errors.New("at most 5 explanations a second")

// Do calls fn within the limits that the page has, so that other pages with explanations can
// share them. If fn is not called, it returns ErrTooMany or the error of ctx.
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
