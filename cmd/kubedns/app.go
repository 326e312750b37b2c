package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/kube-dns/kube-dns/pkg/backend"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/httpserver"
	"github.com/kube-dns/kube-dns/pkg/kubefiles"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/routelist"
	"github.com/kube-dns/kube-dns/pkg/skydns"
	"github.com/kube-dns/kube-dns/pkg/stubdomain"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// app is the parts of the program and what they share.
type app struct {
	opts *options
	log  *slog.Logger

	tree    *treecache.Tree
	watcher *kubewatch.Watcher
	backend *backend.Backend
	forward *forwarder.Forwarder
	server  *skydns.Server
	routes  *stubdomain.Router
	config  *configurer

	// routeList is what caches before this program are told about whom it asks.
	routeList atomic.Pointer[routelist.List]

	// ending is set while the program answers its last queries.
	ending atomic.Bool

	// parts run until their context ends.
	parts []func(context.Context) error
}

// newApp makes all parts and binds the ports, so that a wrong address is known
// at once. Nothing runs yet.
func newApp(opts *options, env environment, log *slog.Logger) (*app, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	a := &app{opts: opts, log: log, tree: treecache.New(opts.domain)}
	sources, err := a.openSources()
	if err != nil {
		return nil, err
	}
	a.watcher = kubewatch.New(kubewatch.Config{Sources: sources, Tree: a.tree, TTL: opts.ttl, Logger: log, Registerer: registry})
	a.backend = backend.New(backend.Config{
		Tree: a.tree, Synced: a.watcher.HasSynced, Wildcards: opts.wildcards, TTL: opts.ttl, Fallback: a.fallback(env),
	})
	if err := a.openForwarder(); err != nil {
		return nil, err
	}
	registry.MustRegister(newStateMetrics(func() treecache.Counts { return a.tree.Snapshot().Counts() }, a.forward.Stats), newBuildInfo())
	a.openConfig(sources, env, registry)
	hostname, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("reading the host's name: %w", err)
	}
	a.server, err = skydns.New(skydns.Config{
		Domain: opts.domain, Backend: a.backend, Outside: a.forward.Batched(), Resolve: a.forward.Resolve,
		RouteList: func() []string { return a.routeList.Load().Texts() },
		Route:     a.routes.Route, Delegated: a.routes.Delegated, RefuseUncovered: opts.noNameserver,
		TTL: opts.ttl, NegativeTTL: opts.negativeTTL, NameServer: "\x08kube-dns\x0bkube-system\x03svc" + opts.domain,
		Version: "kubedns-" + version.String(), Hostname: hostname, CookieSecret: a.forward.CookieSecret(),
		Logger: log, LogQueries: opts.verbosity >= 3,
		Registerer: registry, MetricsNamespace: opts.metrics.namespace, MetricsSubsystem: opts.metrics.subsystem,
	})
	if err != nil {
		return nil, err
	}
	if err := a.openDNS(a.server, registry); err != nil {
		return nil, err
	}
	if err := a.openHTTP(registry); err != nil {
		return nil, err
	}
	a.parts = append(a.parts, a.watcher.Run, a.complainUnsynced)
	return a, nil
}

// fallback returns the API server's address as the kubelet gave it to the Pod,
// the zero value when there is none.
func (a *app) fallback(env environment) netip.AddrPort {
	if a.opts.objectsPath != "" {
		return netip.AddrPort{}
	}
	addr, err := netip.ParseAddr(env.getenv("KUBERNETES_SERVICE_HOST"))
	if err != nil {
		return netip.AddrPort{}
	}
	port, err := strconv.ParseUint(env.getenv("KUBERNETES_SERVICE_PORT"), 10, 16)
	if err != nil {
		port = 443
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port))
}

// openSources returns where the objects come from.
func (a *app) openSources() (kubewatch.Sources, error) {
	if a.opts.objectsPath != "" {
		files, err := kubefiles.Open(kubefiles.Config{Path: a.opts.objectsPath, Logger: a.log})
		if err != nil {
			return kubewatch.Sources{}, fmt.Errorf("--objects=%s: %w", a.opts.objectsPath, err)
		}
		a.parts = append(a.parts, files.Run)
		return kubewatch.Sources{
			Services: files.Services(), Slices: files.Slices(), Nodes: files.Nodes(), ConfigMap: files.ConfigMap,
		}, nil
	}
	agent := fmt.Sprintf("kube-dns/%s (%s/%s)", version.String(), runtime.GOOS, runtime.GOARCH)
	cfg, err := kubewatch.RESTConfig(a.opts.kubeconfig, a.opts.masterURL, agent)
	if err != nil {
		return kubewatch.Sources{}, err
	}
	return kubewatch.APISources(cfg)
}

// maxInFlight bounds the questions that wait for other servers: a few thousand
// clients at once, while a dead server holds each for seconds.
const maxInFlight = 4096

// giveUp is when a question is answered SERVFAIL because no server has answered
// it. dnscache gives up on this program after 4 s, and must have the reason by
// then; until then other servers of the list have been asked too.
const giveUp = 3400 * time.Millisecond

// openForwarder makes what asks other servers. It keeps no answers: that is the
// cache's part, which stands before this program.
func (a *app) openForwarder() error {
	config := forwarder.Config{
		Upstream: upstream.Config{Strategy: upstream.InOrder, Timeout: giveUp}, InFlight: maxInFlight, Logger: a.log,
		// Nothing is asked before the server is there.
		Answered: func(took time.Duration, reply []byte) { a.server.Answered(took, reply) },
	}
	var err error
	if a.forward, err = forwarder.New(config); err != nil {
		return fmt.Errorf("making the forwarder: %w", err)
	}
	a.routeList.Store(newRouteList(a.opts.domain, nil))
	a.routes = stubdomain.New(stubdomain.Config{
		Domain: a.opts.domain, Local: a.backend.Records, Logger: a.log,
		Reload: func(routes []upstream.Route) error {
			list := newRouteList(a.opts.domain, routes)
			config.Upstream.Routes, config.ReplyOptions = routes, list.Option()
			if err := a.forward.Reload(config); err != nil {
				return err
			}
			a.routeList.Store(list)
			return nil
		},
	})
	a.parts = append(a.parts, a.forward.Run, a.routes.Run)
	return nil
}

// openDNS binds the DNS port. An unspecified address stands for all addresses of
// both families, on a kernel with IPv6 switched off for those of IPv4.
func (a *app) openDNS(handler listener.Handler, registry *prometheus.Registry) error {
	listen := func(addrs ...netip.Addr) (*listener.Server, error) {
		config := listener.Config{Handler: handler, Logger: a.log}
		for _, addr := range addrs {
			config.Addrs = append(config.Addrs, netip.AddrPortFrom(addr, a.opts.dnsPort))
		}
		return listener.Listen(config)
	}
	addrs := []netip.Addr{a.opts.bindAddress}
	if a.opts.bindAddress.IsUnspecified() {
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
		a.log.Info("answering DNS", "address", netip.AddrPortFrom(addr, a.opts.dnsPort).String())
	}
	registry.MustRegister(newSocketMetrics(server.Stats), newForwardMetrics(a.forward.Stats))
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
	if err := serve("--healthz-port", portAddress(a.opts.healthzPort), httpserver.Config{Handler: readinessMux(a.health)}); err != nil {
		return err
	}
	if port := a.opts.metrics.port; port != 0 {
		if err := serve("PROMETHEUS_PORT", portAddress(port), httpserver.Config{Handler: metricsMux(a.opts.metrics.path, registry)}); err != nil {
			a.log.Error("no metrics", "error", err)
		}
	}
	if a.opts.debugAddress != "" {
		writeCache := func(w io.Writer) error { return a.tree.Snapshot().WriteJSON(w) }
		// A profile takes as long as its reader asks for.
		cfg := httpserver.Config{Handler: debugMux(writeCache, a.log), MaxConns: 8, WriteTimeout: -1}
		if err := serve("--debug-address", a.opts.debugAddress, cfg); err != nil {
			a.log.Error("no debug pages", "error", err)
		}
	}
	return nil
}

func portAddress(port uint16) string { return ":" + strconv.Itoa(int(port)) }
