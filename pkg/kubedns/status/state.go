// Package status shows operators the state of a running kubedns: in the text of /readiness, and on
// a page for people.
//
// Fill a [State] with the parts of the program. Serve [State.Health] with [pages.Readiness], and
// use [Register] to add the page to the debug address.
package status

import (
	"fmt"
	"time"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	explainer "github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/failures"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/kubedns/explain"
	"github.com/kube-dns/kube-dns/pkg/kubedns/live"
	"github.com/kube-dns/kube-dns/pkg/kubedns/options"
	"github.com/kube-dns/kube-dns/pkg/kubedns/pages"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
	"github.com/kube-dns/kube-dns/pkg/stubdomain"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// State holds the parts of a kubedns. Its fields must not change; all are required.
type State struct {
	// Options are the flags.
	Options *options.Options
	// Watcher holds the objects, and Tree the records of the cluster.
	Watcher *kubewatch.Watcher
	Tree    *treecache.Tree // see Watcher
	// Config is the live configuration, and Autopath the part of it about completing names.
	Config   *live.Live
	Autopath *autopath.Switch // see Config
	// Routes knows which upstream servers are asked about a name, and Forward asks them.
	Routes  *stubdomain.Router
	Forward *forwarder.Forwarder // see Routes
	// Explain explains names.
	Explain *explain.Limited
	// Failures holds the newest failures.
	Failures *failures.Log
	// Ending reports whether the lame-duck time has begun.
	Ending func() bool
	// Started is the time at which the program was started.
	Started time.Time
}

// Unsynced tells which lists of objects are missing, and why.
func (s *State) Unsynced() string {
	for _, r := range s.Watcher.Status().Resources {
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

// Health returns the state for /readiness.
func (s *State) Health() pages.Health {
	h := s.readiness()
	status := s.Watcher.Status()
	h.Detail = append(h.Detail, fmt.Sprintf("%d services, %d slices, %d endpoints", status.Services, status.Slices, status.Endpoints))
	for _, r := range status.Resources {
		if !r.LastHeard.IsZero() {
			h.Age = max(h.Age, time.Since(r.LastHeard))
		}
		h.Detail = append(h.Detail, describeResource(&r))
	}
	if c := status.ClusterSet; c != nil {
		h.Detail = append(h.Detail, describeClusterSet(c), describeResource(&c.Resource))
	}
	if settings := s.Autopath.Settings(); settings.Mode == autopath.Cluster || settings.Mode == autopath.All {
		h.Detail = append(h.Detail, "autopath: "+settings.String())
	}
	for _, d := range s.Routes.Destinations() {
		h.Detail = append(h.Detail, d.String())
	}
	h.Detail = append(h.Detail, explainer.Troubles(s.Forward.Stats().Upstream.Servers)...)
	return h
}

// readiness tells whether the program is ready and, if not, why.
func (s *State) readiness() pages.Health {
	h := pages.Health{Ready: s.Watcher.HasSynced(), Age: -1}
	if !h.Ready {
		h.Reason = s.Unsynced()
	}
	if s.Ending() {
		h.Ready, h.Reason = false, "shutting down"
	}
	return h
}

// describeResource describes the state of the watch of a resource in one line.
func describeResource(r *kubewatch.ResourceStatus) string {
	state := "connected"
	if !r.Connected {
		state = "not connected"
	}
	line := fmt.Sprintf("%s: %s for %s", r.Resource, state, time.Since(r.Since).Round(time.Second))
	if r.LastError != "" {
		line += ": " + r.LastError
	}
	return line
}

// describeClusterSet describes the content of the clusterset zone in one line.
func describeClusterSet(c *kubewatch.ClusterSetStatus) string {
	line := fmt.Sprintf("clusterset: %d imports, %d slices, %d endpoints", c.Imports, c.Slices, c.Endpoints)
	switch {
	case c.Absent:
		line += "; the cluster has no ServiceImports (CustomResourceDefinition not found)"
	case !c.Synced:
		line += "; not loaded yet, its names are answered with SERVFAIL"
	}
	return line
}
