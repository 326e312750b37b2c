package httpserver

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// RefuseRebound returns a handler that answers requests with next, except those that came over
// the loopback interface for a host name other than localhost, which get status 403. If such
// requests were answered, a web page could use a host name of its own that leads to this address
// (DNS rebinding) to read the answer in the browser of a person who forwards the port.
//
// Use it for all pages that show more than anybody may see.
func RefuseRebound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rebound(r) {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "only for the host localhost or an address, not for other names", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// rebound reports whether a request came over the loopback interface for a host name other than
// that of this host.
func rebound(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return false
	}
	return host != "" && !strings.EqualFold(host, "localhost")
}
