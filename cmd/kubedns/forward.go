package main

import (
	"fmt"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/stubdomain"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/upstream/trust"
)

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
	certificates, err := trust.Open(trust.Files{CA: a.opts.TLSCA, Cert: a.opts.TLSCert, Key: a.opts.TLSKey}, a.log)
	if err != nil {
		return fmt.Errorf("reading certificates: %w", err)
	}
	config := forwarder.Config{
		Upstream: upstream.Config{Strategy: upstream.InOrder, Timeout: giveUp, Trust: certificates.Current}, InFlight: maxInFlight, Logger: a.log, Answers: a.answers,
		// Nothing is asked before the server is there.
		Answered: func(took time.Duration, reply []byte) { a.server.Answered(took, reply) },
	}
	if a.forward, err = forwarder.New(config); err != nil {
		return fmt.Errorf("making the forwarder: %w", err)
	}
	zones := []dnsname.Name{a.opts.Domain}
	if a.imports != nil {
		zones = append(zones, a.opts.ClusterSetDomain)
	}
	a.routeList.Store(stubdomain.RouteList(zones, nil))
	a.routes = stubdomain.New(stubdomain.Config{
		Domain: a.opts.Domain, ClusterSet: a.opts.ClusterSetDomain, Local: a.local, Logger: a.log,
		LookupSecure: a.forward.Addresses,
		Reload: func(routes []upstream.Route) error {
			list := stubdomain.RouteList(zones, routes)
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

// local returns what the cluster has under a canonical wire name in one of its zones.
func (a *app) local(name []byte) treecache.Answer {
	if a.clusterSet != nil {
		if _, ok := dnsname.CutZone(name, a.opts.ClusterSetDomain); ok {
			return a.clusterSet.Records(name)
		}
	}
	return a.backend.Records(name)
}
