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

// Server is the HTTP server of /metrics, /log and /explain. A nil Server does nothing.
type Server struct {
	// Registry may have collectors already; Run adds those of the program.
	Registry *prometheus.Registry
	Sources  *Sources         // what is counted
	Control  *logging.Control // of the log
	Logger   *slog.Logger     // of the HTTP server
	// Forward is what /explain explains.
	Forward *forwarder.Forwarder
	// Essential exports few series; see [MaxEssential]. Share allows another process to
	// have the same address.
	Essential, Share bool
	// More is another collector; nil for none.
	More prometheus.Collector

	listener net.Listener // set by Listen
}

// Listen binds the address, without which the program can work: it then logs why, and returns
// nil, as it does when there is no address.
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

// sharePort lets another process have the port too.
func sharePort(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	})
	return errors.Join(err, failed)
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
