package metrics

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/httpserver"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/processmetrics"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// Server is the HTTP server of /metrics and /log. A nil Server does nothing.
type Server struct {
	// Registry may have collectors already; Run adds those of the program.
	Registry *prometheus.Registry
	Sources  *Sources
	Control  *logging.Control // of the log
	Logger   *slog.Logger

	listener net.Listener
}

// Listen binds the address, without which the program can work: it then logs why, and returns
// nil, as it does when there is no address.
func (s *Server) Listen(address string, log *linelog.Log) *Server {
	if address == "" {
		return nil
	}
	var err error
	if s.listener, err = net.Listen("tcp", address); err != nil {
		log.Printf("no metrics: failed to listen on %s: %s", address, linelog.ErrorText(err))
		return nil
	}
	return s
}

// Addr returns the bound address, invalid when there is none.
func (s *Server) Addr() netip.AddrPort {
	if s == nil {
		return netip.AddrPort{}
	}
	return s.listener.Addr().(*net.TCPAddr).AddrPort()
}

// Close gives the address back.
func (s *Server) Close() {
	if s != nil {
		s.listener.Close()
	}
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	if s == nil {
		return nil
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "dnscache_build_info",
		Help:        "Always 1; the label tells the version.",
		ConstLabels: prometheus.Labels{"version": version.String()},
	})
	build.Set(1)
	processmetrics.Register(s.Registry)
	s.Registry.MustRegister(build, newCollector(s.Sources.Counters))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", httpserver.Metrics(s.Registry))
	mux.Handle(logging.Path, s.Control)
	return httpserver.Serve(ctx, s.listener, httpserver.Config{Handler: mux, Logger: s.Logger})
}
