package kubewatch

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/serviceimport"
)

// convertImport converts a ServiceImport.
func (c *converter) convertImport(obj any) conversion[*records.Service] {
	in, ok := obj.(*serviceimport.ServiceImport)
	if !ok {
		return conversion[*records.Service]{}
	}
	out := &records.Service{Namespace: c.shared.intern([]byte(in.Namespace)), Name: in.Name, Kind: records.UnknownImport}
	if !in.CreationTimestamp.IsZero() {
		out.Created = in.CreationTimestamp.Unix()
	}
	switch in.Spec.Type {
	case serviceimport.Headless:
		// The endpoints have ports of their own; addresses have no meaning here.
		out.Kind = records.ClusterSetHeadless
	case serviceimport.ClusterSetIP:
		out.Kind = records.ClusterSetIP
		out.ClusterIPs = make([]netip.Addr, 0, len(in.Spec.IPs))
		for _, text := range in.Spec.IPs {
			out.ClusterIPs = append(out.ClusterIPs, parseAddr([]byte(text)))
		}
		ports := make([]records.Port, 0, len(in.Spec.Ports))
		for _, p := range in.Spec.Ports {
			ports = append(ports, c.port([]byte(p.Name), []byte(p.Protocol), p.Port))
		}
		out.Ports = c.shared.internPorts(ports)
	}
	return conversion[*records.Service]{out, true, true}
}

// bothSlices passes slices to the Services and to the ServiceImports that they
// belong to. Both refer to the same memory.
type bothSlices struct{ services, imports sliceSink }

func (b bothSlices) shareKept(k key, value sliceValue) sliceValue {
	return b.imports.shareKept(k, b.services.shareKept(k, value))
}

func (b bothSlices) set(it *item[sliceValue]) {
	b.services.set(it)
	b.imports.set(it)
}

func (b bothSlices) remove(k key) {
	b.services.remove(k)
	b.imports.remove(k)
}

func (b bothSlices) replace(items []*item[sliceValue]) {
	b.services.replace(items)
	b.imports.replace(items)
}

// While the server does not know ServiceImports, it is asked again every
// absentProbe for the first absentProbeStart, because whatever installs them may
// be starting too, and every reprobe afterwards.
const (
	absentProbe      = 5 * time.Second
	absentProbeStart = 2 * time.Minute
)

// importSource lists and watches ServiceImports in whichever API version the server
// knows. If it knows none, the list is empty and the watch of it ends when the
// server knows a version. It is safe for concurrent use.
type importSource struct {
	versions []cache.ListerWatcherWithContext // the preferred one first
	log      *slog.Logger
	start    time.Time

	mu sync.Mutex
	// inUse is the version that was listed last.
	inUse cache.ListerWatcherWithContext
	// absent is true if at the last list the server knew no version.
	absent bool
	// missing is when the server stopped knowing the version in use; otherwise zero.
	missing time.Time
}

func newImportSource(versions []cache.ListerWatcherWithContext, log *slog.Logger) *importSource {
	return &importSource{versions: versions, log: log, start: time.Now()}
}

// isAbsent reports whether the server knows no ServiceImports.
func (s *importSource) isAbsent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.absent
}

// IsWatchListSemanticsUnSupported tells client-go's Reflector to list instead of
// stream, because listing finds out which version the server knows.
func (s *importSource) IsWatchListSemanticsUnSupported() bool { return true }

// ListWithContext lists the first version that the server knows.
func (s *importSource) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	if options.Continue != "" {
		s.mu.Lock()
		inUse := s.inUse
		s.mu.Unlock()
		return inUse.ListWithContext(ctx, options)
	}
	var err error
	for i, version := range s.versions {
		var list runtime.Object
		list, err = version.ListWithContext(ctx, options)
		if err == nil {
			s.found(i)
		}
		if !apierrors.IsNotFound(err) {
			return list, err
		}
	}
	if !s.gone() {
		return nil, err
	}
	return &metainternalversion.List{ListMeta: metav1.ListMeta{ResourceVersion: "0"}}, nil
}

// found records that the server knows the version with index i.
func (s *importSource) found(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.absent || s.inUse != nil && s.inUse != s.versions[i] {
		s.log.Info("ServiceImports can be read; answering for them in the clusterset zone", "preference", i+1)
	}
	s.inUse, s.absent, s.missing = s.versions[i], false, time.Time{}
}

// gone records that the server knows no version, and reports whether to believe
// it: a server that is starting does not know custom resources for a moment.
func (s *importSource) gone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.absent {
		return true
	}
	if s.inUse != nil {
		if s.missing.IsZero() {
			s.missing = time.Now()
		}
		if time.Since(s.missing) < patience {
			return false
		}
	}
	s.absent, s.inUse, s.missing = true, nil, time.Time{}
	s.log.Warn("the cluster has no ServiceImports (CustomResourceDefinition serviceimports.multicluster.x-k8s.io); the clusterset zone is empty until it has")
	return true
}

// WatchWithContext watches the version that was listed last.
func (s *importSource) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	s.mu.Lock()
	inUse := s.inUse
	s.mu.Unlock()
	if inUse != nil {
		return inUse.WatchWithContext(ctx, options)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &absentWatch{events: make(chan watch.Event), stop: cancel}
	go w.run(ctx, s)
	return w, nil
}

// absentWatch is a watch of ServiceImports while the server does not know them. It
// ends when the server may have learned them.
type absentWatch struct {
	events chan watch.Event
	stop   context.CancelFunc
}

// ResultChan implements watch.Interface.
func (w *absentWatch) ResultChan() <-chan watch.Event { return w.events }

// Stop implements watch.Interface.
func (w *absentWatch) Stop() { w.stop() }

func (w *absentWatch) run(ctx context.Context, s *importSource) {
	defer close(w.events)
	defer w.stop()
	for {
		pause := absentProbe
		if time.Since(s.start) > absentProbeStart {
			pause = reprobe
		}
		sleep(ctx, pause)
		if ctx.Err() != nil {
			return
		}
		if s.maybeKnown(ctx) {
			break
		}
	}
	select { // the only way to make the reflector list again
	case w.events <- watch.Event{Type: watch.Error, Object: &apierrors.NewResourceExpired("ServiceImports may exist now").ErrStatus}:
	case <-ctx.Done():
	}
}

// maybeKnown asks the server for every version and reports whether it may know one.
func (s *importSource) maybeKnown(ctx context.Context) bool {
	for _, version := range s.versions {
		switch _, err := version.ListWithContext(ctx, metav1.ListOptions{Limit: 1}); {
		case err == nil:
			return true
		case apierrors.IsForbidden(err):
			return true // the list will report it
		case !apierrors.IsNotFound(err):
			return false // the server cannot be reached, so nothing is known
		}
	}
	return false
}
