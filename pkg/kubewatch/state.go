package kubewatch

import (
	"cmp"
	"iter"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/internal/wake"
	"github.com/kube-dns/kube-dns/pkg/records"
)

// clusterState holds the objects that one tree is built from: compact Services (or
// ServiceImports) and slices, and which Services need a new record set. It is safe
// for concurrent use.
type clusterState struct {
	// wake has a capacity of 1; a value in it means that there may be something to
	// build. mark and nudge send, the treeBuilder receives.
	wake chan struct{}

	// mu protects all fields below.
	mu sync.Mutex
	// serviceStates holds what is known under the key of each Service.
	serviceStates map[key]*serviceState
	// owners maps the key of each slice to the name of its Service, so that a slice
	// whose label changes is removed from its previous Service.
	owners map[key]string
	// dirty holds the keys of the Services that need a new record set.
	dirty map[key]struct{}
	// triggers holds, for some of the dirty Services, the times of the changes that
	// made them dirty.
	triggers map[key][]time.Time

	// servicesListed and slicesListed turn true when the first list is complete.
	servicesListed, slicesListed bool
	// relisted is true if a whole list arrived since the last takeWork.
	relisted bool
	// services counts the Services in serviceStates, endpoints the endpoints of all
	// slices.
	services, endpoints int
}

// serviceState is what is known under the key of one Service.
type serviceState struct {
	service *records.Service // nil while there is none
	slices  []*records.Slice // sorted by name
	// lent is true if others may read slices, which then must not change in place.
	lent bool
}

// replace puts parts in the place of slices[from:to]. A Service may have any number of slices,
// so it does not copy them each time.
func (e *serviceState) replace(from, to int, parts []*records.Slice) {
	if e.lent {
		e.slices, e.lent = slices.Clone(e.slices), false
	}
	e.slices = slices.Replace(e.slices, from, to, parts...)
}

func newClusterState() *clusterState {
	return &clusterState{
		wake:          make(chan struct{}, 1),
		serviceStates: map[key]*serviceState{},
		owners:        map[key]string{},
		dirty:         map[key]struct{}{},
		triggers:      map[key][]time.Time{},
	}
}

// stateOf returns the state under k and creates it if necessary. s.mu must be held.
func (s *clusterState) stateOf(k key) *serviceState {
	e := s.serviceStates[k]
	if e == nil {
		e = &serviceState{}
		s.serviceStates[k] = e
	}
	return e
}

// mark records that the record set of the Service k is out of date. s.mu must be
// held.
func (s *clusterState) mark(k key) {
	if e := s.serviceStates[k]; e != nil && e.service == nil && len(e.slices) == 0 {
		delete(s.serviceStates, k)
	}
	s.dirty[k] = struct{}{}
	s.nudge()
}

// pendingWork is what takeWork returns.
type pendingWork struct {
	keys     []key               // Services whose record set is out of date
	triggers map[key][]time.Time // when the changes that caused this happened, if known
	relisted bool                // a whole list arrived
}

// heavy is the number of endpoints from which a Service is heavy: building it takes some
// milliseconds. One slice may have 100 000 addresses.
const heavy = 5000

// takeWork returns the pending work, and removes it from s. Unless whole is true, it leaves all
// heavy Services but one for the next time, so that a change of another Service waits for one of
// them at most, however many there are and however often they change. That one comes last.
func (s *clusterState) takeWork(whole bool) pendingWork {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := pendingWork{keys: make([]key, 0, len(s.dirty)), triggers: s.triggers, relisted: s.relisted}
	left := map[key]struct{}{}
	var last []key
	for k := range s.dirty {
		switch {
		case whole || !s.isHeavy(k):
			t.keys = append(t.keys, k)
		case last == nil:
			last = []key{k}
		default:
			left[k] = struct{}{}
		}
	}
	t.keys = append(t.keys, last...)
	s.dirty, s.triggers, s.relisted = left, map[key][]time.Time{}, false
	for k := range left {
		if triggers, ok := t.triggers[k]; ok {
			s.triggers[k] = triggers
			delete(t.triggers, k)
		}
	}
	if len(left) > 0 {
		s.nudge()
	}
	return t
}

// isHeavy reports whether the Service k is heavy. s.mu must be held.
func (s *clusterState) isHeavy(k key) bool {
	e := s.serviceStates[k]
	return e != nil && e.service != nil && length(e.slices) >= heavy
}

// listed reports whether every list is complete.
func (s *clusterState) listed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.servicesListed && s.slicesListed
}

// service returns the Service k, or nil if there is none, and its slices. The
// caller must not change either.
func (s *clusterState) service(k key) (*records.Service, []*records.Slice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.serviceStates[k]
	if e == nil || e.service == nil {
		return nil, nil
	}
	e.lent = true
	return e.service, e.slices
}

// keys returns the key of every Service, in no particular order.
func (s *clusterState) keys() []key {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]key, 0, s.services)
	for k, e := range s.serviceStates {
		if e.service != nil {
			keys = append(keys, k)
		}
	}
	return keys
}

// markAll marks keys.
func (s *clusterState) markAll(keys []key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		s.mark(k)
	}
}

// counts is the number of objects kept.
type counts struct{ services, slices, endpoints int }

func (s *clusterState) counts() counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return counts{s.services, len(s.owners), s.endpoints}
}

// serviceSink stores Services in a clusterState.
type serviceSink struct{ *clusterState }

func (s serviceSink) shareKept(k key, value *records.Service) *records.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.serviceStates[k]; e != nil && e.service != nil && reflect.DeepEqual(value, e.service) {
		return e.service
	}
	return value
}

func (s serviceSink) set(it *item[*records.Service]) {
	s.mu.Lock()
	s.setService(it.key, it.value)
	s.mu.Unlock()
}

func (s serviceSink) remove(k key) {
	s.mu.Lock()
	s.removeService(k)
	s.mu.Unlock()
}

func (s serviceSink) replace(items []*item[*records.Service]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	exist := func(yield func(key) bool) {
		for k, e := range s.serviceStates {
			if e.service != nil && !yield(k) {
				return
			}
		}
	}
	replaceAll(items, exist, func(it *item[*records.Service]) bool {
		if it.kept {
			s.setService(it.key, it.value)
		}
		return it.kept
	}, s.removeService)
	s.servicesListed, s.relisted = true, true
	s.nudge()
}

// replaceAll stores items with set, and removes those for which set returns false, and all others
// that exist.
func replaceAll[V any](items []*item[V], exist iter.Seq[key], set func(*item[V]) bool, remove func(key)) {
	gone := map[key]struct{}{}
	for k := range exist {
		gone[k] = struct{}{}
	}
	for _, it := range items {
		delete(gone, it.key)
		if !set(it) {
			remove(it.key)
		}
	}
	for k := range gone {
		remove(k)
	}
}

func (s *clusterState) setService(k key, service *records.Service) {
	e := s.stateOf(k)
	if e.service == nil {
		s.services++
	} else if reflect.DeepEqual(e.service, service) {
		return
	}
	e.service = service
	s.mark(k)
}

func (s *clusterState) removeService(k key) {
	e := s.serviceStates[k]
	if e == nil || e.service == nil {
		return
	}
	e.service = nil
	s.services--
	s.mark(k)
}

// sliceSink stores EndpointSlices, or Endpoints in their place, in a clusterState:
// those of Services or those of ServiceImports.
type sliceSink struct {
	*clusterState
	owner func(v *sliceValue) string // "" if v does not belong to any
}

func ofService(v *sliceValue) string { return v.service }

func ofImport(v *sliceValue) string { return v.imported }

func (s sliceSink) shareKept(k key, value sliceValue) sliceValue {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, ok := s.owners[k]
	e := s.serviceStates[key{k.namespace, owner}]
	if !ok || e == nil {
		return value
	}
	from, to := named(e.slices, k.name)
	if kept := e.slices[from:to]; slices.EqualFunc(value.parts, kept, (*records.Slice).Equal) {
		copy(value.parts, kept)
		if value.service == owner {
			value.service = owner // shares its memory
		}
	}
	return value
}

func (s sliceSink) set(it *item[sliceValue]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner := s.owner(&it.value)
	if owner == "" {
		s.removeSlice(it.key)
		return
	}
	if s.setSlice(it.key, owner, it.value.parts) && !it.trigger.IsZero() && s.servicesListed && s.slicesListed {
		k := key{it.key.namespace, owner}
		s.triggers[k] = append(s.triggers[k], it.trigger)
	}
}

func (s sliceSink) remove(k key) {
	s.mu.Lock()
	s.removeSlice(k)
	s.mu.Unlock()
}

func (s sliceSink) replace(items []*item[sliceValue]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	replaceAll(items, maps.Keys(s.owners), func(it *item[sliceValue]) bool {
		owner := s.owner(&it.value)
		if !it.kept || owner == "" {
			return false
		}
		s.setSlice(it.key, owner, it.value.parts)
		return true
	}, s.removeSlice)
	s.slicesListed, s.relisted = true, true
	s.nudge()
}

// setSlice stores parts as the slice k of owner and reports whether they differ from
// what was stored. s.mu must be held.
func (s *clusterState) setSlice(k key, owner string, parts []*records.Slice) bool {
	before, ok := s.owners[k]
	if ok && before != owner {
		s.removeSlice(k)
	}
	service := key{k.namespace, owner}
	e := s.stateOf(service)
	from, to := named(e.slices, k.name)
	if ok && slices.EqualFunc(e.slices[from:to], parts, (*records.Slice).Equal) {
		return false
	}
	s.owners[k] = owner
	s.endpoints += length(parts) - length(e.slices[from:to])
	e.replace(from, to, parts)
	s.mark(service)
	return true
}

func (s *clusterState) removeSlice(k key) {
	owner, ok := s.owners[k]
	if !ok {
		return
	}
	delete(s.owners, k)
	service := key{k.namespace, owner}
	if e := s.serviceStates[service]; e != nil {
		from, to := named(e.slices, k.name)
		s.endpoints -= length(e.slices[from:to])
		e.replace(from, to, nil)
	}
	s.mark(service)
}

// named returns the range list[from:to] that holds the parts of the object name.
// list is sorted by name.
func named(list []*records.Slice, name string) (from, to int) {
	from, _ = slices.BinarySearchFunc(list, name, func(sl *records.Slice, name string) int { return cmp.Compare(sl.Name, name) })
	for to = from; to < len(list) && list[to].Name == name; to++ {
	}
	return from, to
}

// length returns the number of endpoints in parts.
func length(parts []*records.Slice) int {
	n := 0
	for _, p := range parts {
		n += p.Len()
	}
	return n
}

// nudge wakes the treeBuilder. s.mu must be held.
func (s *clusterState) nudge() {
	wake.Up(s.wake)
}
