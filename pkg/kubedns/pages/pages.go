// Package pages has the HTTP pages of kubedns: readiness, metrics, and what helps
// to find faults.
package pages

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kube-dns/kube-dns/pkg/httpserver"
)

// Health is what /readiness tells.
type Health struct {
	// Ready: the program answers for the cluster. Reason says why not.
	Ready  bool
	Reason string
	// Age is the time since the source of the objects was last heard of, negative
	// if it never was.
	Age time.Duration
	// Detail is lines for people.
	Detail []string
}

// Readiness serves /readiness: 200 and "ok" when ready, else 503 and the reason.
// With ?verbose it also tells the age of the data and the details.
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
		_, _ = io.WriteString(w, text) // a prober that went away needs no answer
	})
	return mux
}

// Metrics serves the collectors of registry on path, nothing else.
func Metrics(path string, registry *prometheus.Registry) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle(path, promhttp.InstrumentMetricHandler(registry, httpserver.Metrics(registry)))
	return mux
}

// Debug serves /cache, which writeCache writes as JSON, and /debug/pprof/. It is
// meant for a loopback address: both tell much about a cluster.
func Debug(writeCache func(io.Writer) error, log *slog.Logger) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/cache", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := writeCache(w); err != nil {
			log.Warn("cannot write /cache", "error", err)
		}
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
