package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/httpserver"
	"github.com/kube-dns/kube-dns/pkg/kubedns/explain"
	"github.com/kube-dns/kube-dns/pkg/kubedns/metrics"
	"github.com/kube-dns/kube-dns/pkg/kubedns/pages"
	"github.com/kube-dns/kube-dns/pkg/kubedns/status"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// openDNS binds the DNS port. An unspecified address stands for all addresses of
// both families, on a kernel with IPv6 switched off for those of IPv4.
func (a *app) openDNS(handler listener.Handler, registry *prometheus.Registry) error {
	listen := func(addrs ...netip.Addr) (*listener.Server, error) {
		config := listener.Config{Handler: handler, Logger: a.log}
		for _, addr := range addrs {
			config.Addrs = append(config.Addrs, netip.AddrPortFrom(addr, a.opts.DNSPort))
		}
		return listener.Listen(config)
	}
	addrs := []netip.Addr{a.opts.BindAddress}
	if a.opts.BindAddress.IsUnspecified() {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	server, err := listen(addrs...)
	if len(addrs) > 1 && (errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)) {
		a.log.Info("this kernel has no IPv6; answering over IPv4 only", "reason", err)
		addrs = addrs[:1]
		server, err = listen(addrs...)
	}
	if err != nil {
		return fmt.Errorf("--dns-bind-address and --dns-port: %w", err)
	}
	for _, addr := range addrs {
		a.log.Info("answering DNS", "address", netip.AddrPortFrom(addr, a.opts.DNSPort).String())
	}
	registry.MustRegister(metrics.NewSockets(server.Stats), metrics.NewForward(a.forward.Stats))
	a.parts = append(a.parts, server.Run)
	return nil
}

// openHTTP binds the HTTP ports. Only /readiness is needed for the Pod to work;
// without the others the program goes on and says so.
func (a *app) openHTTP(registry *prometheus.Registry) error {
	serve := func(what, address string, cfg httpserver.Config) error {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		a.log.Info("serving HTTP", "what", what, "address", l.Addr().String())
		cfg.Logger = a.log
		a.parts = append(a.parts, func(ctx context.Context) error { return httpserver.Serve(ctx, l, cfg) })
		return nil
	}
	if err := serve("--healthz-port", portAddress(a.opts.HealthzPort), httpserver.Config{Handler: pages.Readiness(a.state.Health)}); err != nil {
		return err
	}
	if port := a.opts.Metrics.Port; port != 0 {
		if err := serve("PROMETHEUS_PORT", portAddress(port), httpserver.Config{Handler: pages.Metrics(a.opts.Metrics.Path, registry)}); err != nil {
			a.log.Error("cannot serve metrics", "error", err)
		}
	}
	if a.opts.DebugAddress != "" {
		writeCache := func(w io.Writer) error {
			zones := []*treecache.Snapshot{a.tree.Snapshot()}
			if a.clusterSet != nil {
				zones = append(zones, a.clusterSet.Snapshot())
			}
			return treecache.WriteJSON(w, zones...)
		}
		// A profile takes as long as its reader asks for.
		mux := pages.Debug(writeCache, a.log)
		mux.Handle(logging.Path, a.control)
		mux.Handle(explain.Path, a.state.Explain)
		status.Register(mux, &a.state)
		cfg := httpserver.Config{Handler: httpserver.RefuseRebound(mux), MaxConns: 8, WriteTimeout: -1}
		if err := serve("--debug-address", a.opts.DebugAddress, cfg); err != nil {
			a.log.Error("cannot serve the debug pages", "error", err)
		}
	}
	return nil
}

func portAddress(port uint16) string { return ":" + strconv.Itoa(int(port)) }
