package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/bench/load"
	"github.com/kube-dns/kube-dns/test/bench/objects"
)

// clientNamespace is the namespace from which all names are looked up.
func clientNamespace(c objects.Cluster) string { return objects.Namespace(c.Services / 2) }

// search says how a server answers a question for the first entry of a search list.
type search uint8

const (
	searchOff   search = iota // NXDOMAIN: the client goes on to the second entry
	searchAlias               // completed, with a CNAME for each type
	searchBare                // completed, without a CNAME if the type has no records
)

// lookups returns the questions of one getaddrinfo for each of some Services, which are
// looked up by name and namespace: A and AAAA for the first entry of the search list, and for
// the second entry if the first name is not completed.
func lookups(c objects.Cluster, how search) (mix *objects.Mix, perLookup int, err error) {
	var list []objects.Question
	const asked = 1000
	for k := range asked {
		i := k * 7919 % c.Services
		i += 2 - i%10 // one with an IPv4 address only
		first := strings.TrimSuffix(objects.FullName(i), "svc."+objects.Zone) + clientNamespace(c) + ".svc." + objects.Zone
		if how != searchOff {
			perLookup = 2
			list = append(list, objects.Question{Name: first, Type: dns.TypeA, Answers: true},
				objects.Question{Name: first, Type: dns.TypeAAAA, Answers: how == searchAlias})
			continue
		}
		perLookup = 4
		list = append(list, objects.Question{Name: first, Type: dns.TypeA, Rcode: dns.RcodeNameError},
			objects.Question{Name: first, Type: dns.TypeAAAA, Rcode: dns.RcodeNameError},
			objects.Question{Name: objects.FullName(i), Type: dns.TypeA, Answers: true},
			objects.Question{Name: objects.FullName(i), Type: dns.TypeAAAA})
	}
	mix, err = objects.NewMix(list...)
	return mix, perLookup, err
}

// searchPeers returns the servers of the comparison. CoreDNS has to watch all Pods to
// complete names.
func (s *session) searchPeers(url string) ([]peer, []search) {
	off, on := s.programs.kubednsOn(url, "--autopath=off"), s.programs.kubednsOn(url, "--autopath=cluster")
	other, others := s.programs.corednsOn(url), s.programs.corednsWith(url, "pods verified", "autopath @kubernetes")
	off.name, on.name, other.name, others.name = "kubedns-off", "kubedns-cluster", "CoreDNS-off", "CoreDNS-autopath"
	return []peer{off, on, other, others}, []search{searchOff, searchAlias, searchOff, searchBare}
}

// autopath compares the processor time per lookup of a name such as web.prod with
// --autopath=off and cluster, and the memory.
func (s *session) autopath(ctx context.Context) error {
	size := objects.Cluster{Services: 1000, Endpoints: 10_000}
	c, err := openCluster(size)
	if err != nil {
		return err
	}
	defer c.front.Stop()
	size.FillPods(c.api, "127.0.0.1", clientNamespace(size))
	root, err := os.MkdirTemp("", "kube-dns-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	var targets []*target
	var perLookup []int
	defer func() {
		for _, t := range targets {
			t.stop()
		}
	}()
	peers, how := s.searchPeers(c.front.URL())
	for i, p := range peers {
		proc, err := c.launch(ctx, root, p)
		if err != nil {
			return err
		}
		if proc == nil {
			continue
		}
		t := &target{row: row{name: p.name}, process: proc, ask: load.Config{Server: proc.addr, Sockets: s.sockets, Window: s.window, Rate: clusterRate}}
		targets = append(targets, t)
		mix, n, err := lookups(size, how[i])
		if err != nil {
			return err
		}
		t.ask.Questions, t.ask.Check, t.distinct = mix, mix.Right, len(mix.Questions())
		perLookup = append(perLookup, n)
	}
	if len(targets) < 2 {
		return errors.New("kubedns does not run")
	}
	rows, err := s.rounds(ctx, "autopath", targets, 2000, 48_000)
	if err != nil {
		return err
	}
	lines := []string{"server\tquestions per lookup\tµs per question\tµs per lookup\t× off\tRSS MiB\tnot answered"}
	of := func(i int) time.Duration { return median(rows[i].perOne) * time.Duration(perLookup[i]) }
	for i, r := range rows {
		lines = append(lines, fmt.Sprintf("%s\t%d\t%.2f\t%.2f\t%.2f\t%.1f\t%d", r.name, perLookup[i], micros(median(r.perOne)), micros(of(i)), ratio(of(i), of(0)), mib(r.rss), r.failed))
	}
	s.table(fmt.Sprintf("%v: getaddrinfo of a name and namespace, at %d questions/s: CPU per lookup, median of %d rounds", size, clusterRate, len(rows[0].perOne)), lines...)
	s.judge("a lookup with completion / without", ratio(of(1), of(0)), 0.75, "")
	s.judge("memory with completion / without", float64(rows[1].rss)/float64(rows[0].rss), 1.15, "")
	return s.autopathAll(ctx, c, size, root)
}
