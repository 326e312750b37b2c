// Package status tells operators how a running kubedns is: by the text of /readiness, and
// by a page for people.
//
// Fill a [State] with the parts of the program, and serve [State.Health] with
// [pages.Readiness], and [Register] the page on the debug address.
package status

import (
	"fmt"
	"time"

	"github.com/kube-dns/kube-dns/pkg/autopath"
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

// State is the parts of a kubedns. Its fields do not change; all must be set.
type State struct {
	// Options are the flags.
	Options *options.Options
	// Watcher keeps the objects, and Tree the records of the cluster.
	Watcher *kubewatch.Watcher
	Tree    *treecache.Tree // see Watcher
	// Config is the live configuration, and Autopath one of its results.
	Config   *live.Live
	Autopath *autopath.Switch // see Config
	// Routes says which upstream servers names go to, and Forward asks them.
	Routes  *stubdomain.Router
	Forward *forwarder.Forwarder // see Routes
	// Explain explains names.
	Explain *explain.Limited
	// Failures has the newest failures.
	Failures *failures.Log
	// Ending reports whether the program answers its last queries.
	Ending func() bool
	// Started is when the program was started.
	Started time.Time
}

// Unsynced says which lists are missing and why.
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

// Health tells /readiness about the state.
func (s *State) Health() pages.Health {
	h := s.readiness()
	status := s.Watcher.Status()
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
	if settings := s.Autopath.Settings(); settings.Mode == autopath.Cluster || settings.Mode == autopath.All {
		h.Detail = append(h.Detail, "autopath: "+settings.String())
	}
	h.Detail = append(h.Detail, s.Routes.Describe()...)
	h.Detail = append(h.Detail, pages.DescribeTroubles(s.Forward.Stats().Upstream.Servers)...)
	return h
}

// readiness says whether the program is ready, and why not.
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
