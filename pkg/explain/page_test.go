package explain

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func request(p *Page, method string) int {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), method, Path, http.NoBody))
	return w.Code
}

// After a burst of 10 requests, the page serves 5 requests a second, one at a time.
func TestPageIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, served atomic.Int32
		p := NewPage(func(http.ResponseWriter, *http.Request) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(10 * time.Millisecond)
			now.Add(-1)
			served.Add(1)
		})
		for range 10 * 100 {
			go request(p, http.MethodGet)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if n := served.Load(); n < 55 || n > 61 || most.Load() != 1 {
			t.Errorf("%d served in 10 s, %d at a time", n, most.Load())
		}
	})
}

func TestPageMethods(t *testing.T) {
	p := NewPage(func(http.ResponseWriter, *http.Request) {})
	for method, want := range map[string]int{"GET": 200, "POST": 405, "PUT": 405, "DELETE": 405, "HEAD": 405, strings.Repeat("X", 100): 405} {
		if got := request(p, method); got != want {
			t.Errorf("%s: %d", method, got)
		}
	}
}
