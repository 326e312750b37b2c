package main

import (
	"context"
	"net"
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/httpserver"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/processmetrics"
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

// serveMetrics serves /metrics and /log until ctx ends.
func (a *app) serveMetrics(ctx context.Context) error {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "dnscache_build_info",
		Help:        "Always 1; the label tells the version.",
		ConstLabels: prometheus.Labels{"version": version.String()},
	})
	build.Set(1)
	processmetrics.Register(a.registry)
	a.registry.MustRegister(
		build,
		newCollector(a.counters, a.listener.Stats),
	)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", httpserver.Metrics(a.registry))
	mux.Handle(logging.Path, a.control)
	return httpserver.Serve(ctx, a.metrics, httpserver.Config{Handler: mux, Logger: a.logger})
}
