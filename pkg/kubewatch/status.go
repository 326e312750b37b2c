package kubewatch

import "github.com/kube-dns/kube-dns/pkg/records"

// Status describes the progress of a Watcher and each of its watches.
type Status struct {
	// Synced is what HasSynced returns.
	Synced bool
	// Services, Slices and Endpoints count the objects in memory. While Endpoints
	// objects are used instead of EndpointSlices, Slices counts them.
	Services, Slices, Endpoints int
	// EndpointsInUse is true while EndpointSlices cannot be read and Endpoints are
	// used instead.
	EndpointsInUse bool
	// Resources describes the watch of Services and of EndpointSlices (or
	// Endpoints, while those are in use).
	Resources []ResourceStatus
	// SkippedServices counts Services with an invalid part, in the Service itself
	// or in one of its slices. SkippedPieces counts these parts.
	SkippedServices, SkippedPieces int
	// ClusterSet is nil without Config.ClusterSet.
	ClusterSet *ClusterSetStatus
}

// ClusterSetStatus describes the watch of ServiceImports and their records.
type ClusterSetStatus struct {
	// Synced is what ClusterSetSynced returns.
	Synced bool
	// Absent is true if the API server does not know ServiceImports.
	Absent bool
	// Imports, Slices and Endpoints count the objects in memory. Slices and endpoints
	// may belong to Services as well.
	Imports, Slices, Endpoints int
	// Resource describes the watch of ServiceImports.
	Resource ResourceStatus
	// SkippedPieces counts the invalid parts of ServiceImports.
	SkippedPieces int
}

// Status returns the current state, for readiness details and metrics.
func (w *Watcher) Status() Status {
	c := w.cluster.state.counts()
	s := Status{
		Synced:         w.HasSynced(),
		Services:       c.services,
		Slices:         c.slices,
		Endpoints:      c.endpoints,
		EndpointsInUse: w.endpointsInUse.Load(),
	}
	s.Resources = append(s.Resources, w.services.health.status())
	if s.EndpointsInUse {
		s.Resources = append(s.Resources, w.endpoints.health.status())
	} else {
		s.Resources = append(s.Resources, w.slices.health.status())
	}
	s.SkippedServices, s.SkippedPieces = w.cluster.problems.count()
	if b := w.clusterSet; b != nil {
		c := b.state.counts()
		s.ClusterSet = &ClusterSetStatus{
			Synced: w.ClusterSetSynced(), Absent: w.importSource.isAbsent(),
			Imports: c.services, Slices: c.slices, Endpoints: c.endpoints, Resource: w.imports.health.status(),
		}
		_, s.ClusterSet.SkippedPieces = b.problems.count()
	}
	return s
}

// Service returns what is kept of a Service, nil if there is no such Service, and of its
// EndpointSlices. The caller must not change either.
func (w *Watcher) Service(namespace, name string) (*records.Service, []*records.Slice) {
	return w.cluster.state.service(key{namespace, name})
}

// Import is Service for ServiceImports. It returns nil without Config.ClusterSet.
func (w *Watcher) Import(namespace, name string) (*records.Service, []*records.Slice) {
	if w.clusterSet == nil {
		return nil, nil
	}
	return w.clusterSet.state.service(key{namespace, name})
}
