package httpserver

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRefuseRebound(t *testing.T) {
	h := RefuseRebound(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, tt := range []struct {
		peer, host string
		refused    bool
	}{
		{"127.0.0.1:4000", "evil.example:6060", true},
		{"[::1]:4000", "evil.example", true},
		{"[::ffff:127.0.0.1]:4000", "localhost.evil.example", true},
		{"127.0.0.1:1", "localhost:6060", false},
		{"127.0.0.1:1", "LOCALHOST", false},
		{"127.0.0.1:1", "127.0.0.1:6060", false},
		{"[::1]:1", "[::1]:6060", false},
		{"[::1]:1", "::1", false},
		{"127.0.0.1:1", "10.1.2.3:6060", false},
		{"10.1.2.4:1", "kube-dns.kube-system:6060", false},
		{"127.0.0.1:1", "", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr, r.Host = tt.peer, tt.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if refused := w.Code == http.StatusForbidden; refused != tt.refused {
			t.Errorf("host %q from %s: %d", tt.host, tt.peer, w.Code)
		}
	}
}
