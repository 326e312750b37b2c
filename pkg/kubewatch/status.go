package kubewatch

// Status tells how far a Watcher is and how its watches go.
type Status struct {
	// Synced is what HasSynced returns.
	Synced bool
	// Services, Slices and Endpoints count what is kept. While Endpoints
	// objects stand in for EndpointSlices, Slices counts those.
	Services, Slices, Endpoints int
	// EndpointsInUse reports that EndpointSlices cannot be read and Endpoints
	// objects stand in.
	EndpointsInUse bool
	// Resources describes the watch of Services and of EndpointSlices (or
	// Endpoints, while those are in use).
	Resources []ResourceStatus
	// SkippedServices counts Services with a piece, of their own or of a slice,
	// that cannot be used; SkippedPieces counts the pieces.
	SkippedServices, SkippedPieces int
	// ClusterSet is nil without Config.ClusterSet.
	ClusterSet *ClusterSetStatus
}

// ClusterSetStatus tells how far the records of ServiceImports are.
type ClusterSetStatus struct {
	// Synced is what ClusterSetSynced returns.
	Synced bool
	// Absent: the API server does not know ServiceImports, so there are none.
	Absent bool
	// Imports, Slices and Endpoints count what is kept; the slices and endpoints may be
	// those of Services too.
	Imports, Slices, Endpoints int
	// Resource describes the watch of ServiceImports.
	Resource ResourceStatus
	// SkippedImports and SkippedPieces are as those of Services.
	SkippedImports, SkippedPieces int
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
		s.ClusterSet.SkippedImports, s.ClusterSet.SkippedPieces = b.problems.count()
	}
	return s
}
