package main

import (
	"fmt"
	"net/netip"
	"runtime"
	"strconv"

	"github.com/kube-dns/kube-dns/pkg/kubefiles"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// openSources returns where the objects come from.
func (a *app) openSources() (kubewatch.Sources, error) {
	if a.opts.ObjectsPath != "" {
		files, err := kubefiles.Open(kubefiles.Config{Path: a.opts.ObjectsPath, Logger: a.log})
		if err != nil {
			return kubewatch.Sources{}, fmt.Errorf("--objects=%s: %w", a.opts.ObjectsPath, err)
		}
		a.parts = append(a.parts, files.Run)
		return kubewatch.Sources{
			Services: files.Services(), Slices: files.Slices(), Nodes: files.Nodes(), ConfigMap: files.ConfigMap,
			Imports: files.Imports(),
		}, nil
	}
	agent := fmt.Sprintf("kube-dns/%s (%s/%s)", version.String(), runtime.GOOS, runtime.GOARCH)
	cfg, err := kubewatch.RESTConfig(a.opts.Kubeconfig, a.opts.MasterURL, agent)
	if err != nil {
		return kubewatch.Sources{}, err
	}
	return kubewatch.APISources(cfg)
}

// fallback returns the API server's address as the kubelet gave it to the Pod,
// the zero value when there is none.
func (a *app) fallback(env environment) netip.AddrPort {
	if a.opts.ObjectsPath != "" {
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
