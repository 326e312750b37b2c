package kubewatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// complainEvery is how often a persistent failure is logged.
const complainEvery = time.Minute

// health records how the requests for one resource succeed or fail. It is safe for
// concurrent use.
type health struct {
	resource string       // as in an RBAC rule: "services", "endpointslices.discovery.k8s.io"; does not change
	log      *slog.Logger // does not change

	mu          sync.Mutex // protects the fields below
	connected   bool       // whether the last request succeeded
	since       time.Time  // when connected last changed
	lastHeard   time.Time  // when the last list, event or bookmark arrived; zero before the first
	lastError   string     // text of the last failure; empty while connected
	failures    uint64     // failed requests
	lists       uint64     // complete lists
	deniedSince time.Time  // when the server began to deny the resource; zero unless the last failures were denials
	refused     bool       // the last failure was about rights or credentials
	complained  time.Time  // when a failure was last logged
	outstanding bool       // a failure has been logged, and no recovery since
}

func newHealth(resource string, log *slog.Logger) *health {
	return &health{resource: resource, log: log, since: time.Now()}
}

// heard records that the server sent an event or a bookmark.
func (h *health) heard() {
	h.mu.Lock()
	h.lastHeard = time.Now()
	h.mu.Unlock()
}

// listed records a complete list.
func (h *health) listed() {
	h.mu.Lock()
	h.lists++
	h.lastHeard = time.Now()
	h.mu.Unlock()
}

// succeeded records that a watch was opened or, if it begins with a list, that the list is complete.
func (h *health) succeeded() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if !h.connected {
		if h.outstanding {
			h.log.Info("requests to the API server succeed again", "resource", h.resource, "unavailable_for", now.Sub(h.since).Round(time.Second))
		}
		h.connected, h.since = true, now
	}
	h.outstanding = false
	h.lastHeard, h.lastError, h.deniedSince = now, "", time.Time{}
	h.refused = false
}

// failed records a request that the server refused or did not answer, and logs it
// at most once a minute. A request that ended because ctx ended is not a failure.
func (h *health) failed(ctx context.Context, verb string, err error) {
	if ctx.Err() != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.failures++
	h.lastError = err.Error()
	h.refused = apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
	if denied(err) && h.deniedSince.IsZero() {
		h.deniedSince = now
	}
	if h.connected {
		h.connected, h.since = false, now
	}
	if h.outstanding && now.Sub(h.complained) < complainEvery {
		return
	}
	h.outstanding, h.complained = true, now
	switch {
	case apierrors.IsForbidden(err):
		h.log.Error("the API server forbids a request: the ClusterRole lacks a rule", "verb", verb, "resource", h.resource, "error", err)
	case apierrors.IsUnauthorized(err):
		h.log.Error("the API server rejects the credentials", "verb", verb, "resource", h.resource, "error", err)
	default:
		h.log.Error("request to the API server failed", "verb", verb, "resource", h.resource, "since", h.since.Format(time.RFC3339), "error", err)
	}
}

// lost reports whether to stop trying a resource that the server denies: at once
// if it has never been listed, otherwise after it has been denied for patience.
func (h *health) lost(patience time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lists == 0 || !h.deniedSince.IsZero() && time.Since(h.deniedSince) >= patience
}

// ResourceStatus describes the watch of one resource.
type ResourceStatus struct {
	// Resource is named as in an RBAC rule, with the group after a dot.
	Resource string
	// Connected reports whether the last request for the resource succeeded. Since
	// is when Connected last changed, or the start of the program.
	Connected bool
	Since     time.Time // see Connected
	// LastHeard is when the server last sent a list, an event or a bookmark;
	// zero before the first.
	LastHeard time.Time
	// LastError is the text of the last failure; empty when Connected.
	LastError string
	// Refused says that the last failure was about rights or credentials.
	Refused bool
	// Lists and Failures count complete lists and failed requests.
	Lists, Failures uint64
}

func (h *health) status() ResourceStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	return ResourceStatus{
		Resource: h.resource, Connected: h.connected, Since: h.since, LastHeard: h.lastHeard,
		LastError: h.lastError, Refused: h.refused, Lists: h.lists, Failures: h.failures,
	}
}
