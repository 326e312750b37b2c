package main

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

// health is what /readiness tells.
type health struct {
	ready  bool
	reason string        // why not ready
	age    time.Duration // since the source was last heard of; negative: never
	detail []string      // lines for people
}

// readinessMux serves /readiness: 200 and "ok" when ready, else 503 and the
// reason. With ?verbose it also tells the age of the data and how each watch
// goes.
func readinessMux(state func() health) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/readiness", func(w http.ResponseWriter, r *http.Request) {
		h := state()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		text := "ok\n"
		if !h.ready {
			w.WriteHeader(http.StatusServiceUnavailable)
			text = "not ready: " + h.reason + "\n"
		}
		if r.URL.Query().Has("verbose") {
			if h.age < 0 {
				text += "data age: no data yet\n"
			} else {
				text += fmt.Sprintf("data age: %s\n", h.age.Round(time.Second))
			}
			for _, line := range h.detail {
				text += line + "\n"
			}
		}
		_, _ = io.WriteString(w, text) // a prober that went away needs no answer
	})
	return mux
}

// metricsMux serves the collectors of registry on path, nothing else.
func metricsMux(path string, registry *prometheus.Registry) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle(path, promhttp.InstrumentMetricHandler(registry, httpserver.Metrics(registry)))
	return mux
}

// debugMux serves /cache, the tree as JSON, and /debug/pprof/. It is meant for
// a loopback address: both tell much about a cluster.
func debugMux(writeCache func(io.Writer) error, log *slog.Logger) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/cache", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := writeCache(w); err != nil {
			log.Warn("writing /cache", "error", err)
		}
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
