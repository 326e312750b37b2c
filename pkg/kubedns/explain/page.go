package explain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Path is where [Handler] is served.
const Path = "/explain"

// Limits of the page. An explanation may compare thousands of names and ask upstream
// servers.
const (
	burst      = 10
	perSecond  = 5
	defaultDot = 5 // ndots in Pods
	maxBody    = 4 << 20
)

// limiter is a token bucket.
type limiter struct {
	mu     sync.Mutex
	tokens float64
	last   time.Time
}

func (l *limiter) allow(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens = min(burst, l.tokens+now.Sub(l.last).Seconds()*perSecond)
	l.last = now
	if l.tokens < 1 {
		return false
	}
	l.tokens--
	return true
}

// Handler serves explanations: GET ?name=NAME, with type, namespace, ndots and
// output=json as further parameters. It answers at most 5 requests a second, further
// ones with 429, and one at a time.
func Handler(e *Explainer) http.Handler {
	limit := &limiter{tokens: burst, last: time.Now()}
	one := make(chan struct{}, 1)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.Method != http.MethodGet {
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		if !limit.allow(time.Now()) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "at most 5 explanations a second", http.StatusTooManyRequests)
			return
		}
		select {
		case one <- struct{}{}:
			defer func() { <-one }()
		case <-r.Context().Done():
			return
		}
		serve(e, w, r)
	})
}

func serve(e *Explainer, w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	q := Question{Name: query.Get("name"), Type: query.Get("type"), Namespace: query.Get("namespace"), NDots: defaultDot}
	if text := query.Get("ndots"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 15 {
			http.Error(w, "ndots must be a number from 0 to 15", http.StatusBadRequest)
			return
		}
		q.NDots = n
	}
	x, err := e.Explain(r.Context(), q)
	if err != nil {
		http.Error(w, printable(err.Error()), http.StatusBadRequest)
		return
	}
	write, content := x.WriteText, "text/plain; charset=utf-8"
	if query.Get("output") == "json" {
		write, content = x.WriteJSON, "application/json"
	}
	w.Header().Set("Content-Type", content)
	_ = write(w) // the client may have closed the connection
}

// fetch asks the page of a running server.
func fetch(ctx context.Context, server string, q Question) (*Explanation, error) {
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	base, err := url.Parse(server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("want the URL of a running kubedns's --debug-address, such as http://127.0.0.1:6060")
	}
	address := base.JoinPath(Path)
	address.RawQuery = url.Values{
		"name": {q.Name}, "type": {q.Type}, "namespace": {q.Namespace}, "ndots": {strconv.Itoa(q.NDots)}, "output": {"json"},
	}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, printable(strings.TrimSpace(string(body[:min(len(body), 300)]))))
	}
	x := &Explanation{}
	if err := json.Unmarshal(body, x); err != nil {
		return nil, fmt.Errorf("the server's answer is not an explanation: %w", err)
	}
	return x, nil
}
