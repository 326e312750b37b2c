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

// Location says where the cluster runs. Federated names are made of it.
type Location struct{ Zone, Region string }

// FindLocation looks through the nodes, page by page, for the first that names
// both its zone and its region, by the topology.kubernetes.io labels or the
// failure-domain.beta.kubernetes.io ones before them. found is false when no
// node does. It needs the right to list nodes.
func FindLocation(ctx context.Context, nodes cache.ListerWatcherWithContext) (loc Location, found bool, err error) {
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := nodes.ListWithContext(ctx, options)
		if err != nil {
			return Location{}, false, err
		}
		err = meta.EachListItem(page, func(obj runtime.Object) error {
			if node, ok := obj.(*corev1.Node); ok && !found {
				loc, found = locationOf(node.Labels)
			}
			return nil
		})
		if err != nil || found {
			return loc, found, err
		}
		listMeta, err := meta.ListAccessor(page)
		if err != nil {
			return Location{}, false, err
		}
		if options.Continue = listMeta.GetContinue(); options.Continue == "" {
			return Location{}, false, nil
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

// locationRetry is the pause between two looks for a location.
const locationRetry = 30 * time.Second

// AwaitLocation calls FindLocation until it finds one or ctx ends, and reports
// whether it did. It says once a minute why there is none.
func AwaitLocation(ctx context.Context, nodes cache.ListerWatcherWithContext, log *slog.Logger) (Location, bool) {
	h := newHealth("nodes", log)
	missing := false
	for ctx.Err() == nil {
		loc, found, err := FindLocation(ctx, nodes)
		switch {
		case err != nil:
			h.failed(ctx, "list", err)
		case found:
			return loc, true
		case !missing:
			missing = true
			log.Warn("no node has both a zone and a region label, federated names cannot be answered")
		}
		sleep(ctx, locationRetry)
	}
	return Location{}, false
}
