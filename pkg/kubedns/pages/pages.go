// Package pages provides the HTTP pages of kubedns.
//
// Use [Readiness], [Metrics] and [Debug] as handlers of HTTP servers.
package pages

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kube-dns/kube-dns/pkg/httpserver"
)

// Health is the content of /readiness.
type Health struct {
	// Ready says whether the program answers for the cluster. If not, Reason says why.
	Ready  bool
	Reason string
	// Age is the time since the source of the objects last sent anything; negative if it
	// never did.
	Age time.Duration
	// Detail holds further lines for people.
	Detail []string
}

// Readiness returns a handler for /readiness: 200 and "ok" if ready, otherwise 503 and the
// reason. With ?verbose, the age of the data and the details follow.
func Readiness(state func() Health) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/readiness", func(w http.ResponseWriter, r *http.Request) {
		h := state()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		text := "ok\n"
		if !h.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
			text = "not ready: " + h.Reason + "\n"
		}
		if r.URL.Query().Has("verbose") {
			if h.Age < 0 {
				text += "data age: no data yet\n"
			} else {
				text += fmt.Sprintf("data age: %s\n", h.Age.Round(time.Second))
			}
			for _, line := range h.Detail {
				text += line + "\n"
			}
		}
		_, _ = io.WriteString(w, text) // the client may have closed the connection
	})
	return mux
}

// Metrics returns a handler that serves the collectors of registry on path, and nothing else.
func Metrics(path string, registry *prometheus.Registry) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle(path, promhttp.InstrumentMetricHandler(registry, httpserver.Metrics(registry)))
	return mux
}

// Debug returns a handler that serves /cache, whose JSON writeCache writes, and the profiles
// below /debug/pprof/. Serve it only on a loopback address: both pages reveal much about the
// cluster.
func Debug(writeCache func(io.Writer) error, log *slog.Logger) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/cache", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := writeCache(w); err != nil {
			log.Warn("cannot write /cache", "error", err)
		}
	})
	handleProfiles(mux)
	return mux
}
