package kubefiles

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/kube-dns/kube-dns/pkg/serviceimport"
)

// Config configures a Source.
type Config struct {
	// Path is a file, or a folder of which every file named *.yaml, *.yml or
	// *.json counts; names that start with a dot and folders in it do not.
	Path string
	// Logger must not be nil.
	Logger *slog.Logger
	// Poll is how often the files are looked at. A change is taken over when
	// the files were the same at two looks in a row. Zero means 500 ms.
	Poll time.Duration
}

const defaultPoll = 500 * time.Millisecond

// Source offers what the files hold. All methods are safe for concurrent use.
type Source struct {
	cfg Config

	services, slices, nodes, configMaps, imports *table

	mu      sync.Mutex
	version uint64
	sum     [sha256.Size]byte // of what is offered
	status  Status
}

// Status tells what was loaded last.
type Status struct {
	// Loaded is when the state that is offered was read.
	Loaded time.Time
	// Files and Objects count what that state is made of.
	Files, Objects int
	// Skipped counts objects of other kinds, by "apiVersion kind".
	Skipped map[string]int
	// Err says why what the files hold now is not what is offered; nil if it is.
	Err error
}

// Open reads the files once. Any error in them is returned, all at once, each
// with file, document number and field.
func Open(cfg Config) (*Source, error) {
	if cfg.Poll <= 0 {
		cfg.Poll = defaultPoll
	}
	s := &Source{
		cfg:      cfg,
		services: newTable(), slices: newTable(), nodes: newTable(), configMaps: newTable(), imports: newTable(),
	}
	files, err := read(cfg.Path)
	if err != nil {
		return nil, err
	}
	if err := s.load(files); err != nil {
		return nil, err
	}
	return s, nil
}

// Services returns the Services of the files.
func (s *Source) Services() cache.ListerWatcherWithContext { return view{table: s.services} }

// Slices returns the EndpointSlices of the files, and those made of Endpoints
// objects of Services that have no EndpointSlice.
func (s *Source) Slices() cache.ListerWatcherWithContext { return view{table: s.slices} }

// Nodes returns the Nodes of the files.
func (s *Source) Nodes() cache.ListerWatcherWithContext { return view{table: s.nodes} }

// Imports returns the ServiceImports of the files, of both versions of their API.
func (s *Source) Imports() []cache.ListerWatcherWithContext {
	return []cache.ListerWatcherWithContext{view{table: s.imports}}
}

// ConfigMap returns one ConfigMap of the files, or an empty list while there
// is none of that name.
func (s *Source) ConfigMap(namespace, name string) cache.ListerWatcherWithContext {
	return view{table: s.configMaps, only: id{namespace, name}}
}

// Status returns what was loaded last.
func (s *Source) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	status.Skipped = maps.Clone(status.Skipped)
	return status
}

// Run looks at the files until ctx ends and takes over what changed. Content
// that is not valid is logged once; what was loaded before stays. It always
// returns nil.
func (s *Source) Run(ctx context.Context) error {
	ticker := time.NewTicker(s.cfg.Poll)
	defer ticker.Stop()
	// Zero, so that the first stable look reads the files once more: they may
	// have changed since Open.
	var loaded, previous fingerprint
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		current, err := look(s.cfg.Path)
		if err != nil {
			s.fail(err)
			loaded, previous = fingerprint{}, fingerprint{}
			continue
		}
		stable := current.equal(previous)
		previous = current
		if stable && !current.equal(loaded) && s.reload(current) {
			loaded = current
		}
	}
}

// reload reads the files that look like current and takes them over if they
// are valid. It returns false when they have to be read again even if they
// look the same next time.
func (s *Source) reload(current fingerprint) bool {
	settled := !current.recent(time.Now())
	files, err := read(s.cfg.Path)
	if err != nil {
		s.fail(err)
		return false
	}
	if again, err := look(s.cfg.Path); err != nil || !again.equal(current) {
		return false // changed while it was read
	}
	if err := s.load(files); err != nil {
		s.fail(err)
	}
	return settled
}

// fail records and logs why the files are not taken over, once for each reason.
func (s *Source) fail(err error) {
	s.mu.Lock()
	same := s.status.Err != nil && s.status.Err.Error() == err.Error()
	s.status.Err = err
	s.mu.Unlock()
	if !same {
		s.cfg.Logger.Error("cannot load the object files; keeping what was loaded before", "path", s.cfg.Path, "error", err)
	}
}

// load decodes files and makes them the content of the tables, all or nothing.
func (s *Source) load(files []file) error {
	sum := digest(files)
	s.mu.Lock()
	same := s.version > 0 && s.sum == sum
	if same {
		s.status.Err = nil
	}
	s.mu.Unlock()
	if same {
		return nil
	}
	d := newDecoder()
	for _, f := range files {
		if len(bytes.TrimSpace(f.content)) == 0 {
			// What a file looks like between being opened and being written.
			d.errs = append(d.errs, fmt.Errorf("%s: the file is empty", f.name))
		}
		docs, errs := split(f.content, strings.HasSuffix(f.name, ".json"))
		for _, err := range errs {
			d.errs = append(d.errs, fmt.Errorf("%s: %w", f.name, err))
		}
		for _, doc := range docs {
			d.add(place{f.name, doc.number, -1}, doc.json, metav1.TypeMeta{})
		}
	}
	next := arrange(d)
	if len(d.errs) > 0 {
		return join(d.errs)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.sum = sum
	s.status = Status{Loaded: time.Now(), Files: len(files), Objects: len(d.objects), Skipped: d.skipped}
	s.services.replace(s.version, next.services)
	s.slices.replace(s.version, next.slices)
	s.nodes.replace(s.version, next.nodes)
	s.configMaps.replace(s.version, next.configMaps)
	s.imports.replace(s.version, next.imports)
	for _, w := range d.warnings {
		s.cfg.Logger.Warn("unusual object in a file", "warning", w)
	}
	skipped := 0
	for _, n := range d.skipped {
		skipped += n
	}
	s.cfg.Logger.Info("loaded object files", "path", s.cfg.Path, "files", len(files), "objects", len(d.objects),
		"skipped", skipped, "skipped_kinds", strings.Join(slices.Sorted(maps.Keys(d.skipped)), ", "))
	return nil
}

// maxErrors bounds how many errors are told at once.
const maxErrors = 20

func join(errs []error) error {
	if extra := len(errs) - maxErrors; extra > 0 {
		errs = append(slices.Clone(errs[:maxErrors]), fmt.Errorf("and %d more", extra))
	}
	return errors.Join(errs...)
}

// contents are the objects of all kinds.
type contents struct{ services, slices, nodes, configMaps, imports map[id]object }

// arrange sorts the objects of d by kind, finds duplicates, and turns Endpoints
// into slices where there are none.
func arrange(d *decoder) contents {
	next := contents{map[id]object{}, map[id]object{}, map[id]object{}, map[id]object{}, map[id]object{}}
	endpoints := map[id]object{}
	places := map[object]place{}
	sliced := map[id]bool{} // Services that have EndpointSlices
	for _, f := range d.objects {
		var into map[id]object
		switch obj := f.object.(type) {
		case *corev1.Service:
			into = next.services
		case *discoveryv1.EndpointSlice:
			into = next.slices
			sliced[id{obj.Namespace, obj.Labels[discoveryv1.LabelServiceName]}] = true
		case *corev1.Endpoints: //nolint:staticcheck // files may hold Endpoints
			into = endpoints
		case *corev1.Node:
			into = next.nodes
		case *corev1.ConfigMap:
			into = next.configMaps
		case *serviceimport.ServiceImport:
			into = next.imports
		}
		k := id{f.object.GetNamespace(), f.object.GetName()}
		if first, ok := into[k]; ok {
			d.errs = append(d.errs, fmt.Errorf("%s: %s %s/%s is already defined in %s", f.place,
				f.object.GetObjectKind().GroupVersionKind().Kind, k.namespace, k.name, places[first]))
			continue
		}
		into[k], places[f.object] = f.object, f.place
	}
	for k, obj := range endpoints {
		if sliced[k] {
			continue
		}
		for _, slice := range slicesOf(obj.(*corev1.Endpoints)) { //nolint:staticcheck // see above
			next.slices[id{slice.Namespace, slice.Name}] = slice
		}
	}
	return next
}
