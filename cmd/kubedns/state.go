package main

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/kube-dns/kube-dns/pkg/skydns"
)

// complainUnsynced logs an error each minute for as long as the first lists are
// not there. The program goes on: an API server that is away may come back.
func (a *app) complainUnsynced(ctx context.Context) error {
	wait := a.opts.SyncTimeout
	start := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.watcher.Synced():
			a.routes.Refresh()
			debug.FreeOSMemory() // the first lists took more than what is kept of them
			return nil
		case <-time.After(wait):
			a.log.Error("not all objects are listed yet; answering SERVFAIL for names that are not known",
				"since", time.Since(start).Round(time.Second), "reason", a.state.Unsynced())
			wait = time.Minute
		}
	}
}

// clusterSetSchema is the version of the Multi-Cluster Services DNS specification.
const clusterSetSchema = "1.0.0"

// otherZones returns the zone of multi-cluster Services, if there is one.
func (a *app) otherZones() []skydns.Zone {
	if a.clusterSet == nil {
		return nil
	}
	return []skydns.Zone{{Domain: a.opts.ClusterSetDomain, Backend: a.clusterSet, SchemaVersion: clusterSetSchema}}
}
