package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/dnscache/explain"
	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	explainer "github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/httpserver"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/processmetrics"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// Server is the HTTP server of /metrics, /log and /explain. The methods of a nil Server do
// nothing.
type Server struct {
	// Registry holds the metrics to serve. It may contain collectors already; Run adds those of
	// the program.
	Registry *prometheus.Registry
	Sources  *Sources         // the counters of the program
	Control  *logging.Control // serves /log
	Logger   *slog.Logger     // gets the messages of the HTTP server
	// Forward is the forwarder that /explain asks.
	Forward *forwarder.Forwarder
	// Essential exports only a few series; see [MaxEssential]. Share lets another process
	// listen on the same address.
	Essential, Share bool
	// More is an additional collector. It may be nil.
	More prometheus.Collector

	listener net.Listener // set by Listen
}

// Listen binds address and returns s. If address is empty, it returns nil. If the address
// cannot be bound, it logs the error and returns nil, because the program can work without this
// server.
func (s *Server) Listen(ctx context.Context, address string, log *linelog.Log) *Server {
	if address == "" {
		return nil
	}
	var err error
	config := net.ListenConfig{}
	if s.Share {
		config.Control = sharePort
	}
	if s.listener, err = config.Listen(ctx, "tcp", address); err != nil {
		log.Printf("no metrics: failed to listen on %s: %s", address, linelog.ErrorText(err))
		return nil
	}
	return s
}

// sharePort allows another process to bind the same port (SO_REUSEPORT).
func sharePort(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	})
	return errors.Join(err, failed)
}

// Addr returns the bound address. It is not valid if s is nil.
func (s *Server) Addr() netip.AddrPort {
	if s == nil {
		return netip.AddrPort{}
	}
	return s.listener.Addr().(*net.TCPAddr).AddrPort()
}

// Close closes the listening socket.
func (s *Server) Close() {
	if s != nil {
		s.listener.Close()
	}
}

// Run serves requests until ctx ends.
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
	s.Registry.MustRegister(build)
	s.Registry.MustRegister(newCollector(s.Sources.Counters, s.Essential))
	if s.Essential {
		processmetrics.RegisterEssential(s.Registry)
	} else {
		processmetrics.Register(s.Registry)
	}
	if s.More != nil {
		s.Registry.MustRegister(s.More)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", httpserver.Metrics(s.Registry))
	mux.Handle(logging.Path, s.Control)
	mux.Handle(explainer.Path, explain.Handler(&explain.Explainer{Forward: s.Forward, Options: s.Sources.Options}))
	return httpserver.Serve(ctx, s.listener, httpserver.Config{Handler: mux, Logger: s.Logger})
}
