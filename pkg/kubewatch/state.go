package kubewatch

import (
	"cmp"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/records"
)

// state is everything that is kept for one tree: compact Services (or ServiceImports)
// and slices, and which Services need a new record set. It is safe for concurrent use.
type state struct {
	wake chan struct{} // capacity 1: there may be something to build

	mu      sync.Mutex
	entries map[key]*entry
	// owners says which Service each slice belongs to, so that one whose label
	// moves is taken from the old one.
	owners map[key]string
	dirty  map[key]struct{}
	// triggers says when happened what some of the dirty Services are dirty for.
	triggers map[key][]time.Time

	servicesListed, slicesListed bool
	relisted                     bool // a whole list came since the last take
	services, endpoints          int
}

// entry is what is known under the key of one Service.
type entry struct {
	service *records.Service // nil while there is none
	slices  []*records.Slice // sorted by name; immutable, copied when it changes
}

func newState() *state {
	return &state{
		wake:    make(chan struct{}, 1),
		entries: map[key]*entry{},
		owners:  map[key]string{},
		dirty:   map[key]struct{}{},

		triggers: map[key][]time.Time{},
	}
}

// entryOf returns the entry under k, made if needed. s.mu must be held.
func (s *state) entryOf(k key) *entry {
	e := s.entries[k]
	if e == nil {
		e = &entry{}
		s.entries[k] = e
	}
	return e
}

// mark says that the records of the Service k are out of date. s.mu must be held.
func (s *state) mark(k key) {
	if e := s.entries[k]; e != nil && e.service == nil && len(e.slices) == 0 {
		delete(s.entries, k)
	}
	s.dirty[k] = struct{}{}
	s.nudge()
}

// taken is what take returns.
type taken struct {
	keys     []key               // out of date
	triggers map[key][]time.Time // when happened what made them so, where known
	relisted bool                // a whole list came
}

// take returns what is to be done, and forgets it.
func (s *state) take() taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := taken{keys: make([]key, 0, len(s.dirty)), triggers: s.triggers, relisted: s.relisted}
	for k := range s.dirty {
		t.keys = append(t.keys, k)
	}
	s.dirty, s.triggers, s.relisted = map[key]struct{}{}, map[key][]time.Time{}, false
	return t
}

// listed reports whether every list is complete.
func (s *state) listed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.servicesListed && s.slicesListed
}

// get returns the Service k, nil when there is none, and its slices. Both are
// only to be read.
func (s *state) get(k key) (*records.Service, []*records.Slice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[k]
	if e == nil || e.service == nil {
		return nil, nil
	}
	return e.service, e.slices
}

// keys returns the key of every Service, in no particular order.
func (s *state) keys() []key {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]key, 0, s.services)
	for k, e := range s.entries {
		if e.service != nil {
			keys = append(keys, k)
		}
	}
	return keys
}

// markAll marks keys.
func (s *state) markAll(keys []key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		s.mark(k)
	}
}

// counts is the number of objects kept.
type counts struct{ services, slices, endpoints int }

func (s *state) counts() counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return counts{s.services, len(s.owners), s.endpoints}
}

// serviceSink takes Services.
type serviceSink struct{ *state }

func (s serviceSink) shareKept(k key, value *records.Service) *records.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[k]; e != nil && e.service != nil && reflect.DeepEqual(value, e.service) {
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
	var keep map[key]struct{} // nil while nothing can be gone
	if s.services > 0 {
		keep = make(map[key]struct{}, len(items))
	}
	for _, it := range items {
		if !it.kept {
			delete(keep, it.key)
			s.removeService(it.key)
			continue
		}
		if keep != nil {
			keep[it.key] = struct{}{}
		}
		s.setService(it.key, it.value)
	}
	if keep != nil {
		var gone []key
		for k, e := range s.entries {
			if _, ok := keep[k]; !ok && e.service != nil {
				gone = append(gone, k)
			}
		}
		for _, k := range gone {
			s.removeService(k)
		}
	}
	s.servicesListed, s.relisted = true, true
	s.nudge()
}

func (s *state) setService(k key, service *records.Service) {
	e := s.entryOf(k)
	if e.service == nil {
		s.services++
	} else if reflect.DeepEqual(e.service, service) {
		return
	}
	e.service = service
	s.mark(k)
}

func (s *state) removeService(k key) {
	e := s.entries[k]
	if e == nil || e.service == nil {
		return
	}
	e.service = nil
	s.services--
	s.mark(k)
}

// sliceSink takes EndpointSlices, or Endpoints in their place, for Services or for
// ServiceImports.
type sliceSink struct {
	*state
	owner func(v *sliceValue) string // "" if v does not belong to any
}

func ofService(v *sliceValue) string { return v.service }

func ofImport(v *sliceValue) string { return v.imported }

func (s sliceSink) shareKept(k key, value sliceValue) sliceValue {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, ok := s.owners[k]
	e := s.entries[key{k.namespace, owner}]
	if !ok || e == nil {
		return value
	}
	from, to := named(e.slices, k.name)
	if kept := e.slices[from:to:to]; reflect.DeepEqual(value.parts, kept) {
		value.parts = kept
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
	var keep map[key]struct{} // nil while nothing can be gone
	if len(s.owners) > 0 {
		keep = make(map[key]struct{}, len(items))
	}
	for _, it := range items {
		owner := s.owner(&it.value)
		if !it.kept || owner == "" {
			delete(keep, it.key)
			s.removeSlice(it.key)
			continue
		}
		if keep != nil {
			keep[it.key] = struct{}{}
		}
		s.setSlice(it.key, owner, it.value.parts)
	}
	if keep != nil {
		for k := range s.owners {
			if _, ok := keep[k]; !ok {
				s.removeSlice(k)
			}
		}
	}
	s.slicesListed, s.relisted = true, true
	s.nudge()
}

// setSlice keeps parts as those of a slice of owner and reports whether they are new.
func (s *state) setSlice(k key, owner string, parts []*records.Slice) bool {
	before, ok := s.owners[k]
	if ok && before != owner {
		s.removeSlice(k)
	}
	service := key{k.namespace, owner}
	e := s.entryOf(service)
	from, to := named(e.slices, k.name)
	if ok && reflect.DeepEqual(e.slices[from:to], parts) {
		return false
	}
	s.owners[k] = owner
	s.endpoints += length(parts) - length(e.slices[from:to])
	e.slices = slices.Concat(e.slices[:from], parts, e.slices[to:])
	s.mark(service)
	return true
}

func (s *state) removeSlice(k key) {
	owner, ok := s.owners[k]
	if !ok {
		return
	}
	delete(s.owners, k)
	service := key{k.namespace, owner}
	if e := s.entries[service]; e != nil {
		from, to := named(e.slices, k.name)
		s.endpoints -= length(e.slices[from:to])
		e.slices = slices.Concat(e.slices[:from], e.slices[to:])
	}
	s.mark(service)
}

// named returns where the parts of the object name are in list, which is
// sorted by name.
func named(list []*records.Slice, name string) (from, to int) {
	from, _ = slices.BinarySearchFunc(list, name, func(sl *records.Slice, name string) int { return cmp.Compare(sl.Name, name) })
	for to = from; to < len(list) && list[to].Name == name; to++ {
	}
	return from, to
}

func length(parts []*records.Slice) int {
	n := 0
	for _, p := range parts {
		n += p.Len()
	}
	return n
}

// nudge wakes the builder. s.mu must be held.
func (s *state) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
