package main

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/kube-dns/kube-dns/pkg/prober"
)

// shutdownGrace is how long requests being answered may take once we are told
// to end. Answers come from memory.
const shutdownGrace = 3 * time.Second

// handler answers exactly the checks' paths and then the pages';
// everything else is not found, so that a probe aimed at a mistyped path fails.
func handler(probers map[string]*prober.Prober, pages map[string]http.Handler, logger *slog.Logger, quiet bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		p, ok := probers[req.URL.Path]
		if !ok {
			page := pages[req.URL.Path]
			if page == nil {
				page = http.NotFoundHandler()
			}
			page.ServeHTTP(w, req)
			return
		}
		status := p.Status(time.Now())
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(status.Code)
		_, err := io.WriteString(w, status.Body)
		if !quiet {
			logger.Info("request", "path", req.URL.Path, "client", req.RemoteAddr, "status", status.Code)
			if err != nil {
				logger.Info("answer not delivered", "path", req.URL.Path, "client", req.RemoteAddr, "error", err)
			}
		}
	})
}
