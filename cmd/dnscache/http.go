package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kube-dns/kube-dns/pkg/version"
)

// metricsAddr returns the address of /metrics, invalid when there is none.
func (a *app) metricsAddr() netip.AddrPort {
	if a.metrics == nil {
		return netip.AddrPort{}
	}
	if tcp, ok := a.metrics.Addr().(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// serveMetrics serves /metrics until ctx ends.
func (a *app) serveMetrics(ctx context.Context) error {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "dnscache_build_info",
		Help:        "Always 1; the label tells the version.",
		ConstLabels: prometheus.Labels{"version": version.String()},
	})
	build.Set(1)
	a.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build,
		newCollector(a.counters, a.listener.Stats),
	)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{Registry: a.registry}))
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
	}
	release := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer release()
	if err := server.Serve(a.metrics); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
