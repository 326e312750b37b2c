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
	// Path is a file, or a folder whose files named *.yaml, *.yml or *.json are
	// read. Subfolders and names that begin with a dot are ignored.
	Path string
	// Logger must not be nil.
	Logger *slog.Logger
	// Poll is how often the files are checked. A change is loaded when two checks
	// in a row found the same files. Zero means 500 ms.
	Poll time.Duration
}

const defaultPoll = 500 * time.Millisecond

// Source serves the objects in the files. All methods are safe for concurrent use.
type Source struct {
	// cfg does not change.
	cfg Config

	// tables holds the objects of each kind. The map does not change; load replaces the content
	// of the tables.
	tables map[string]*objectTable

	// mu protects the fields below.
	mu sync.Mutex
	// version counts the states loaded so far. It is the resource version.
	version uint64
	// sum is the digest of the files that are loaded.
	sum [sha256.Size]byte
	// problem says why the current files are not loaded; nil if they are.
	problem error
}

// Open reads the files once. It returns all faults in them as one error, each with
// its file, document number and field.
func Open(cfg Config) (*Source, error) {
	if cfg.Poll <= 0 {
		cfg.Poll = defaultPoll
	}
	s := &Source{cfg: cfg, tables: map[string]*objectTable{}}
	for kind := range noContents() {
		s.tables[kind] = newObjectTable()
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

// all returns a source of all objects of a kind.
func (s *Source) all(kind string) cache.ListerWatcherWithContext {
	return tableView{table: s.tables[kind]}
}

// Services returns the Services of the files.
func (s *Source) Services() cache.ListerWatcherWithContext { return s.all("Service") }

// Slices returns the EndpointSlices of the files, and those converted from the
// Endpoints of Services that have no EndpointSlice.
func (s *Source) Slices() cache.ListerWatcherWithContext { return s.all("EndpointSlice") }

// Nodes returns the Nodes of the files.
func (s *Source) Nodes() cache.ListerWatcherWithContext { return s.all("Node") }

// Imports returns the ServiceImports of the files, of both versions of their API.
func (s *Source) Imports() []cache.ListerWatcherWithContext {
	return []cache.ListerWatcherWithContext{s.all(serviceimport.Kind)}
}

// ConfigMap returns a source of one ConfigMap of the files. Its list is empty while
// there is no such ConfigMap.
func (s *Source) ConfigMap(namespace, name string) cache.ListerWatcherWithContext {
	return tableView{table: s.tables["ConfigMap"], only: id{namespace, name}}
}

// Run checks the files until ctx ends, and loads them when they change. Invalid
// content is logged once, and the objects loaded before remain. Run always returns
// nil.
func (s *Source) Run(ctx context.Context) error {
	ticker := time.NewTicker(s.cfg.Poll)
	defer ticker.Stop()
	// Zero, so that the first two equal checks read the files again: they may have
	// changed since Open.
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

// reload reads the files, whose fingerprint is current, and loads them if they are
// valid. It returns false if they must be read again even if the next fingerprint
// is the same.
func (s *Source) reload(current fingerprint) bool {
	settled := !current.recent(time.Now())
	files, err := read(s.cfg.Path)
	if err != nil {
		s.fail(err)
		return false
	}
	if again, err := look(s.cfg.Path); err != nil || !again.equal(current) {
		return false // the files changed while they were read
	}
	if err := s.load(files); err != nil {
		s.fail(err)
	}
	return settled
}

// fail records and logs why the files cannot be loaded, once for each reason.
func (s *Source) fail(err error) {
	s.mu.Lock()
	same := s.problem != nil && s.problem.Error() == err.Error()
	s.problem = err
	s.mu.Unlock()
	if !same {
		s.cfg.Logger.Error("cannot load the object files; keeping the objects loaded before", "path", s.cfg.Path, "error", err)
	}
}

// load decodes files and replaces the content of the tables, or changes nothing if
// there is an error.
func (s *Source) load(files []file) error {
	sum := digest(files)
	s.mu.Lock()
	same := s.version > 0 && s.sum == sum
	if same {
		s.problem = nil
	}
	s.mu.Unlock()
	if same {
		return nil
	}
	d := newDocumentDecoder()
	for _, f := range files {
		if len(bytes.TrimSpace(f.content)) == 0 {
			// It may have been opened for writing but not written yet.
			d.errs = append(d.errs, fmt.Errorf("%s: the file is empty", f.name))
		}
		docs, errs := split(f.content, strings.HasSuffix(f.name, ".json"))
		for _, err := range errs {
			d.errs = append(d.errs, fmt.Errorf("%s: %w", f.name, err))
		}
		for _, doc := range docs {
			d.decodeDocument(position{f.name, doc.number, -1}, doc.json, metav1.TypeMeta{})
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
	s.problem = nil
	for kind, table := range s.tables {
		table.replace(s.version, next[kind])
	}
	for _, w := range d.warnings {
		s.cfg.Logger.Warn("an object in the object files is unusual", "warning", w)
	}
	skipped := 0
	for _, n := range d.skipped {
		skipped += n
	}
	s.cfg.Logger.Info("loaded object files", "path", s.cfg.Path, "files", len(files), "objects", len(d.objects),
		"skipped", skipped, "skipped_kinds", strings.Join(slices.Sorted(maps.Keys(d.skipped)), ", "))
	return nil
}

// maxErrors is how many errors are reported at once.
const maxErrors = 20

// join returns one error for errs, of which it reports the first maxErrors.
func join(errs []error) error {
	if extra := len(errs) - maxErrors; extra > 0 {
		errs = append(slices.Clone(errs[:maxErrors]), fmt.Errorf("and %d more", extra))
	}
	return errors.Join(errs...)
}

// contents holds the objects of each kind.
type contents map[string]map[id]object

// noContents returns contents with all kinds that are served, and no objects.
func noContents() contents {
	return contents{"Service": {}, "EndpointSlice": {}, "Node": {}, "ConfigMap": {}, serviceimport.Kind: {}}
}

// arrange sorts the objects of d by kind, finds duplicates, and turns Endpoints
// into slices where there are none.
func arrange(d *documentDecoder) contents {
	next, endpoints := noContents(), map[id]object{}
	positions := map[object]position{}
	sliced := map[id]bool{} // Services that have EndpointSlices
	for _, f := range d.objects {
		into := next[f.kind]
		switch obj := f.object.(type) {
		case *discoveryv1.EndpointSlice:
			sliced[id{obj.Namespace, obj.Labels[discoveryv1.LabelServiceName]}] = true
		case *corev1.Endpoints: //nolint:staticcheck // files may hold Endpoints
			into = endpoints
		}
		k := id{f.object.GetNamespace(), f.object.GetName()}
		if first, ok := into[k]; ok {
			d.errs = append(d.errs, fmt.Errorf("%s: %s %s/%s is already defined in %s", f.position,
				f.kind, k.namespace, k.name, positions[first]))
			continue
		}
		into[k], positions[f.object] = f.object, f.position
	}
	for k, obj := range endpoints {
		if sliced[k] {
			continue
		}
		for _, slice := range slicesOf(obj.(*corev1.Endpoints)) { //nolint:staticcheck // see above
			next["EndpointSlice"][id{slice.Namespace, slice.Name}] = slice
		}
	}
	return next
}
