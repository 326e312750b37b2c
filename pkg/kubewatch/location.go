package kubewatch

import (
	"context"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
)

// Location says in which zone and region of a cloud the cluster runs. Federated
// names contain both.
type Location struct{ Zone, Region string }

// FindLocation looks through the nodes, page by page, for the first that names
// both its zone and its region, by the topology.kubernetes.io labels or the
// failure-domain.beta.kubernetes.io ones before them. found is false when no
// node does. It needs permission to list nodes. If any node has the location prefer, which
// may be zero, FindLocation returns that.
func FindLocation(ctx context.Context, nodes cache.ListerWatcherWithContext, prefer Location) (loc Location, found bool, err error) {
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := nodes.ListWithContext(ctx, options)
		if err != nil {
			return Location{}, false, err
		}
		err = meta.EachListItem(page, func(obj runtime.Object) error {
			if node, ok := obj.(*corev1.Node); ok {
				if its, named := locationOf(node.Labels); named && (!found || its == prefer) {
					loc, found = its, true
				}
			}
			return nil
		})
		if err != nil || found && (loc == prefer || prefer == Location{}) {
			return loc, found, err
		}
		listMeta, err := meta.ListAccessor(page)
		if err != nil {
			return Location{}, false, err
		}
		if options.Continue = listMeta.GetContinue(); options.Continue == "" {
			return loc, found, nil
		}
	}
}

func locationOf(labels map[string]string) (Location, bool) {
	for _, l := range []Location{
		{labels[corev1.LabelTopologyZone], labels[corev1.LabelTopologyRegion]},
		{labels[corev1.LabelFailureDomainBetaZone], labels[corev1.LabelFailureDomainBetaRegion]},
	} {
		if l.Zone != "" && l.Region != "" {
			return l, true
		}
	}
	return Location{}, false
}

// The pauses between two looks for a location: without one, and with one.
const (
	locationRetry   = 30 * time.Second
	locationRefresh = 5 * time.Minute
)

// FollowLocation looks for the location until ctx ends: every 30 seconds until one
// is found, and every 5 minutes afterwards, because node labels can change. It calls
// changed with the first location, and again with another one when no node has the
// previous location any more. While no node has a location, or nodes cannot be
// listed, the last location remains in effect. Failed requests are logged at most
// once a minute.
func FollowLocation(ctx context.Context, nodes cache.ListerWatcherWithContext, log *slog.Logger, changed func(Location)) {
	h := newHealth("nodes", log)
	missing := false
	var last Location
	for ctx.Err() == nil {
		loc, found, err := FindLocation(ctx, nodes, last)
		if err != nil {
			h.failed(ctx, "list", err)
		} else {
			h.succeeded()
		}
		switch {
		case err != nil:
		case !found && !missing:
			missing = true
			log.Warn("no node has both a zone and a region label; federated names cannot be answered without them", "last_zone", last.Zone, "last_region", last.Region)
		case found && loc != last:
			log.Info("found the cluster's zone and region in node labels", "zone", loc.Zone, "region", loc.Region)
			last = loc
			changed(loc)
		}
		pause := locationRefresh
		if last == (Location{}) {
			pause = locationRetry
		}
		missing = missing && !found
		sleep(ctx, pause)
	}
}
