package explain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnscache/config"
	"github.com/kube-dns/kube-dns/pkg/dnscache/files"
	"github.com/kube-dns/kube-dns/pkg/dnscache/host"
	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnscache/live"
	"github.com/kube-dns/kube-dns/pkg/dnscache/servers"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/netif"
	"github.com/kube-dns/kube-dns/pkg/upstream/trust"
)

// offline explains a name as a dnscache with the options in args would answer it. It opens no
// listening sockets.
func offline(ctx context.Context, args []string, q Question, env Env) (*Explanation, error) {
	o, nanny, err := files.ParseArgs(ctx, args, env.Stdin, env.Stderr)
	if err != nil {
		text, _ := options.Report("dnscache", err)
		return nil, errors.New(text)
	}
	if o.Help || o.Version {
		return nil, errors.New("--help and --version are no options to explain a name with")
	}
	quiet, err := linelog.Open("", io.Discard)
	if err != nil {
		return nil, err
	}
	logger := slog.New(slog.DiscardHandler)
	around, err := host.Open(o, quiet, logger)
	if err != nil {
		return nil, err
	}
	defer around.Close()
	hosts := files.Hosts{Options: &o.Local, Log: quiet}
	hosts.Read(around.Interfaces.Networks, false)
	list, err := serversOf(ctx, o, nanny, env, quiet)
	if err != nil {
		return nil, err
	}
	cfg, err := config.New(o, list, hosts.Table, &around.Surroundings).Forwarder()
	if err != nil {
		return nil, err
	}
	own := &o.Own
	certificates, err := trust.Open(trust.Files{CA: own.TLSCA, Cert: own.TLSCert, Key: own.TLSKey}, logger)
	if err != nil {
		return nil, err
	}
	cfg.Upstream.Trust = certificates.Current
	f, err := forwarder.New(cfg)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = f.Run(running) // it returns when running ends
	}()
	defer func() {
		stop()
		<-ended
	}()
	return (&Explainer{Forward: f, Options: o}).Explain(ctx, q)
}

// serversOf returns the servers from all places that the options name.
func serversOf(ctx context.Context, o *options.Options, nanny *options.Nanny, env Env, quiet *linelog.Log) ([]options.Server, error) {
	named, err := servers.Resolve(ctx, o.Upstream.Servers, env.Lookup, map[string][]netip.Addr{})
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	sources := servers.Sources{Options: named, NoResolv: o.Upstream.NoResolv}
	if err := sources.ReadFile(ctx, o.Process.ServersFile, env.Lookup, quiet); err != nil {
		return nil, err
	}
	if nanny != nil && nanny.ConfigDir != "" {
		follow := live.New(live.Config{Nanny: *nanny, Lookup: env.Lookup, Servers: o.Upstream.Servers, Logger: slog.New(slog.DiscardHandler)})
		sources.Live = follow.Start(ctx)
	}
	if !o.Upstream.NoResolv {
		sources.Resolv = files.FollowResolv(o.Upstream.ResolvFiles, quiet, files.OwnServer(nil, nil, netif.All))
		sources.Resolv.Poll(true)
	}
	return sources.Servers(), nil
}
