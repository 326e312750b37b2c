package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/miekg/dns"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kube-dns/kube-dns/test/apiserver"
	"github.com/kube-dns/kube-dns/test/bench/load"
	"github.com/kube-dns/kube-dns/test/bench/objects"
)

// apiCluster is a cluster's objects behind an API server.
type apiCluster struct {
	objects.Cluster
	api   *apiserver.Server
	front *apiserver.Front
	mix   *objects.Mix
	// changes is the number of changes so far. It makes the address of each change a new one.
	changes int
	changed map[int]*discoveryv1.EndpointSlice // of headless Services
	// imports says that there are ServiceImports instead of Services.
	imports bool
}

// fullName returns the DNS name of Service i, or of the ServiceImport in its place.
func (c *apiCluster) fullName(i int) string {
	if c.imports {
		return objects.ImportName(i)
	}
	return objects.FullName(i)
}

// openCluster starts an API server with the objects of a cluster. The caller must stop its
// front.
func openCluster(size objects.Cluster) (*apiCluster, error) {
	c := &apiCluster{Cluster: size, api: apiserver.New(), changed: map[int]*discoveryv1.EndpointSlice{}}
	size.Fill(c.api)
	var err error
	if c.mix, err = size.Mix(); err != nil {
		return nil, err
	}
	c.front, err = apiserver.Open(c.api)
	return c, err
}

// openImports is openCluster with ServiceImports instead of Services.
func openImports(size objects.Cluster) (*apiCluster, error) {
	c := &apiCluster{Cluster: size, api: apiserver.New(), changed: map[int]*discoveryv1.EndpointSlice{}, imports: true}
	size.FillImports(c.api)
	var err error
	c.front, err = apiserver.Open(c.api)
	return c, err
}

// kubednsOn serves the objects of the API server at url. more are flags besides.
func (p programs) kubednsOn(url string, more ...string) peer {
	return peer{name: "kubedns", argv: func(_ string, addr netip.AddrPort) ([]string, error) {
		if p.kubedns == "" {
			return nil, nil
		}
		health, err := freePort()
		return append([]string{
			p.kubedns, "--kube-master-url", url, "--nameservers=none", "--debug-address=",
			"--dns-bind-address", addr.Addr().String(), "--dns-port", strconv.Itoa(int(addr.Port())),
			"--healthz-port", strconv.Itoa(int(health.Port())),
		}, more...), err
	}}
}

// corednsOn is CoreDNS with its kubernetes plugin and no cache.
func (p programs) corednsOn(url string) peer { return p.corednsWith(url, "pods disabled", "") }

// corednsWith is CoreDNS with its kubernetes plugin, whose option "pods" is pods, and with
// line as the line of another plugin.
func (p programs) corednsWith(url, pods, line string) peer {
	return peer{name: "CoreDNS", argv: func(dir string, addr netip.AddrPort) ([]string, error) {
		if p.coredns == "" {
			return nil, nil
		}
		conf := filepath.Join(dir, "Corefile")
		text := fmt.Sprintf(".:%d {\n\tbind %v\n\tkubernetes %s in-addr.arpa ip6.arpa {\n\t\tendpoint %s\n\t\t%s\n\t\tttl 30\n\t}\n\t%s\n}\n",
			addr.Port(), addr.Addr(), objects.Zone, url, pods, line)
		return []string{p.coredns, "-conf", conf}, os.WriteFile(conf, []byte(text), 0o600)
	}}
}

// probe returns a run that succeeds once the last headless Service and the last other Service
// are answered with their addresses.
func (c *apiCluster) probe() (load.Config, error) {
	last := c.Services - 1
	headless := last - last%10
	mix, err := objects.NewMix(
		objects.Question{Name: c.fullName(last), Type: dns.TypeA, Answers: true},
		objects.Question{Name: c.fullName(headless), Type: dns.TypeA, Answers: true})
	want := [][]byte{objects.Wire(objects.ClusterIP(last)), objects.Wire(c.EndpointIP(headless, 0))}
	return load.Config{Questions: mix, Count: 2, Check: func(n int, query, answer []byte) bool {
		return mix.Right(n, query, answer) && bytes.Contains(answer[len(query):], want[n])
	}}, err
}

// launch starts p and waits for its first right answers. It returns nil if p is left out.
func (c *apiCluster) launch(ctx context.Context, root string, p peer) (*process, error) {
	dir, err := os.MkdirTemp(root, p.name)
	if err != nil {
		return nil, err
	}
	probe, err := c.probe()
	if err != nil {
		return nil, err
	}
	if p.echo {
		probe.Check = func(_ int, query, answer []byte) bool { return objects.IsReply(query, answer) }
	}
	if probe.Server, err = freePort(); err != nil {
		return nil, err
	}
	argv, err := p.argv(dir, probe.Server)
	if err != nil || argv == nil {
		return nil, err
	}
	return launch(ctx, p.name, dir, argv, probe)
}

// settle waits until the memory of p has not shrunk for a while, and returns the resident
// memory in octets.
func settle(ctx context.Context, p *process) (int64, error) {
	const (
		limit = 30 * time.Second
		still = 3 * time.Second
		slack = 256 << 10
	)
	least, err := p.rss()
	since := time.Now()
	for end := since.Add(limit); err == nil && time.Since(since) < still && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		var now int64
		if now, err = p.rss(); now < least-slack {
			least, since = now, time.Now()
		}
	}
	if err != nil {
		return 0, err
	}
	return p.rss()
}
