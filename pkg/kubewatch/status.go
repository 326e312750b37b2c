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
}

// Status returns the current state, for readiness details and metrics.
func (w *Watcher) Status() Status {
	c := w.state.counts()
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
	s.SkippedServices, s.SkippedPieces = w.problems.count()
	return s
}
