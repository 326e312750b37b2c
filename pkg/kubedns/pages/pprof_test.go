package pages

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The profiles can be read by "go tool pprof" and "go tool trace".
func TestProfiles(t *testing.T) {
	mux := http.NewServeMux()
	handleProfiles(mux)
	get := func(ctx context.Context, path string) (int, string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody))
		return w.Code, w.Body.String()
	}
	const gzipped = "\x1f\x8b"
	for _, tt := range []struct {
		path, prefix string
		code         int
	}{
		{"/debug/pprof/", "allocs?debug=1\n", 200},
		{"/debug/pprof/heap", gzipped, 200},
		{"/debug/pprof/heap?gc=1", gzipped, 200},
		{"/debug/pprof/goroutine?debug=1", "goroutine profile: total ", 200},
		{"/debug/pprof/goroutine?debug=2", "goroutine ", 200},
		{"/debug/pprof/heap?debug=x", gzipped, 200},
		{"/debug/pprof/profile?seconds=0.01", gzipped, 200},
		{"/debug/pprof/trace?seconds=0.01", "go 1.", 200},
		{"/debug/pprof/cmdline", "/", 200},
		{"/debug/pprof/nosuch", "there is no such profile", 404},
		{"/debug/pprof/a/b", "", 404},
	} {
		if code, body := get(t.Context(), tt.path); code != tt.code || !strings.HasPrefix(body, tt.prefix) {
			t.Errorf("%s: %d %.40q, want %d %q", tt.path, code, body, tt.code, tt.prefix)
		}
	}
	// When a client closes its connection, its profile ends, and another one can be recorded.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for range 2 {
		if code, _ := get(ctx, "/debug/pprof/profile?seconds=1e300"); code != 200 {
			t.Errorf("%d", code)
		}
	}
}
