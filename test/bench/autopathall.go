package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/bench/load"
	"github.com/kube-dns/kube-dns/test/bench/objects"
)

// outsideNames is how many names outside the cluster are looked up.
const outsideNames = 1000

// outsideLookups returns the questions of one getaddrinfo for each of some names outside the
// cluster: A and AAAA for the first entry of the search list or, if that name is not
// completed, for all entries and the name itself. The names have addresses of both families.
func outsideLookups(c objects.Cluster, how search) (mix *objects.Mix, perLookup int, err error) {
	var list []objects.Question
	namespace := clientNamespace(c)
	pair := func(name string, rcode int, a, aaaa bool) {
		list = append(list, objects.Question{Name: name, Type: dns.TypeA, Rcode: rcode, Answers: a},
			objects.Question{Name: name, Type: dns.TypeAAAA, Rcode: rcode, Answers: aaaa})
	}
	for i := range outsideNames {
		x := fmt.Sprintf("www%d.example.com.", i)
		if how != searchOff {
			perLookup = 2
			pair(x+namespace+".svc."+objects.Zone, dns.RcodeSuccess, true, true)
			continue
		}
		perLookup = 8
		for _, suffix := range []string{namespace + ".svc.", "svc.", ""} {
			pair(x+suffix+objects.Zone, dns.RcodeNameError, false, false)
		}
		pair(x, dns.RcodeSuccess, true, true)
	}
	mix, err = objects.NewMix(list...)
	return mix, perLookup, err
}

// outsidePeers starts the upstream servers of the comparison, and returns the servers to
// compare: dnscache in front of kubedns, and CoreDNS with a cache, each with completion off
// and on.
func (s *session) outsidePeers(ctx context.Context, c *apiCluster, root string) (peers []peer, how []search, stop func(), err error) {
	var behind []*process
	stop = func() {
		for _, p := range behind {
			p.stop()
		}
	}
	start := func(p peer) (netip.AddrPort, error) {
		proc, err := c.launch(ctx, root, p)
		if err != nil || proc == nil {
			return netip.AddrPort{}, errors.Join(err, errLeftOut)
		}
		behind = append(behind, proc)
		return proc.addr, nil
	}
	upstream, err := start(peer{name: "upstream", echo: true, argv: func(_ string, addr netip.AddrPort) ([]string, error) {
		return []string{s.programs.self, "upstream", addr.String()}, nil
	}})
	for _, mode := range []string{"off", "all"} {
		if err != nil {
			return nil, nil, stop, err
		}
		var addr netip.AddrPort
		if addr, err = start(s.programs.kubednsOn(c.front.URL(), "--nameservers="+upstream.String(), "--autopath="+mode, "--autopath-searches=")); err == nil {
			peers = append(peers, s.programs.dnscachePeer("kube-dns-"+mode, addr, 20*outsideNames))
		}
	}
	if err != nil {
		return nil, nil, stop, err
	}
	forward := fmt.Sprintf("\n\tforward . %v\n\tcache 30", upstream)
	off, on := s.programs.corednsWith(c.front.URL(), "pods disabled", forward), s.programs.corednsWith(c.front.URL(), "pods verified", "autopath @kubernetes"+forward)
	off.name, on.name = "CoreDNS-off", "CoreDNS-autopath"
	return append(peers, off, on), []search{searchOff, searchAlias, searchOff, searchBare}, stop, nil
}

var errLeftOut = errors.New("a program that is needed does not run")

// autopathAll compares the processor time per lookup of a name outside the cluster with
// --autopath=off and all, in dnscache in front of kubedns, which it asks only rarely.
func (s *session) autopathAll(ctx context.Context, c *apiCluster, size objects.Cluster, root string) error {
	peers, how, stop, err := s.outsidePeers(ctx, c, root)
	defer stop()
	if err != nil {
		return err
	}
	var targets []*target
	var perLookup []int
	defer func() {
		for _, t := range targets {
			t.stop()
		}
	}()
	for i, p := range peers {
		proc, err := c.launch(ctx, root, p)
		if err != nil {
			return err
		}
		if proc == nil {
			continue
		}
		mix, n, err := outsideLookups(size, how[i])
		if err != nil {
			proc.stop()
			return err
		}
		t := &target{row: row{name: p.name}, process: proc, ask: load.Config{Server: proc.addr, Sockets: s.sockets, Window: s.window, Rate: clusterRate}}
		t.ask.Questions, t.ask.Check, t.distinct = mix, mix.Right, len(mix.Questions())
		targets, perLookup = append(targets, t), append(perLookup, n)
	}
	rows, err := s.rounds(ctx, "autopath all", targets, 8*outsideNames, 48_000)
	if err != nil {
		return err
	}
	lines := []string{"server\tquestions per lookup\tµs per question\tµs per lookup\t× off\tRSS MiB\tnot answered"}
	of := func(i int) time.Duration { return median(rows[i].perOne) * time.Duration(perLookup[i]) }
	for i, r := range rows {
		lines = append(lines, strings.Join([]string{
			r.name, fmt.Sprint(perLookup[i]), fmt.Sprintf("%.2f", micros(median(r.perOne))), fmt.Sprintf("%.2f", micros(of(i))),
			fmt.Sprintf("%.2f", ratio(of(i), of(0))), fmt.Sprintf("%.1f", mib(r.rss)), fmt.Sprint(r.failed),
		}, "\t"))
	}
	s.table(fmt.Sprintf("%v: getaddrinfo of a name outside, at %d questions/s: CPU per lookup of dnscache before kubedns, and of CoreDNS, median of %d rounds",
		size, clusterRate, len(rows[0].perOne)), lines...)
	s.judge("a lookup outside with completion / without", ratio(of(1), of(0)), 0.75, "")
	return nil
}
