package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/kubedns/pages"
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
				"since", time.Since(start).Round(time.Second), "reason", a.unsyncedReason())
			wait = time.Minute
		}
	}
}

// unsyncedReason says which lists are missing and why.
func (a *app) unsyncedReason() string {
	for _, r := range a.watcher.Status().Resources {
		switch {
		case r.Lists > 0:
		case r.LastError != "":
			return "waiting for " + r.Resource + ": " + r.LastError
		default:
			return "waiting for " + r.Resource
		}
	}
	return "records are being built"
}

// health tells /readiness about the state.
func (a *app) health() pages.Health {
	h := pages.Health{Ready: a.watcher.HasSynced(), Age: -1}
	if !h.Ready {
		h.Reason = a.unsyncedReason()
	}
	if a.ending.Load() {
		h.Ready, h.Reason = false, "shutting down"
	}
	status := a.watcher.Status()
	h.Detail = append(h.Detail, fmt.Sprintf("%d services, %d slices, %d endpoints", status.Services, status.Slices, status.Endpoints))
	for _, r := range status.Resources {
		if !r.LastHeard.IsZero() {
			h.Age = max(h.Age, time.Since(r.LastHeard))
		}
		h.Detail = append(h.Detail, pages.DescribeResource(&r))
	}
	if c := status.ClusterSet; c != nil {
		h.Detail = append(h.Detail, pages.DescribeClusterSet(c), pages.DescribeResource(&c.Resource))
	}
	if mode := a.autopath.Mode(); mode == autopath.Cluster {
		h.Detail = append(h.Detail, "autopath: "+mode.String())
	}
	h.Detail = append(h.Detail, a.routes.Describe()...)
	h.Detail = append(h.Detail, pages.DescribeTroubles(a.forward.Stats().Upstream.Servers)...)
	return h
}
